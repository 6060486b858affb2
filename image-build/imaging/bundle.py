"""An update: the boot and the root partition of a card image, as one signed RAUC bundle of the form verity.

The partitions are cut out of the image, so that an updated station has the same bits as one with a new card. Both slots'
boot partitions differ in the root that the kernel mounts; the bundle's hook sets that when it is installed.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from imaging import disk, host, release

HOOK = Path(__file__).resolve().parents[1] / "bundle" / "hook"
_BOOT, _ROOT = 2, 5


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs.

    Attributes:
        key: Private key, PEM.
        certificate: Its certificate, PEM.
        authority: Certificate that stations have, PEM; the finished bundle is checked against it.
    """

    key: Path
    certificate: Path
    authority: Path


def manifest(board: str, version: str) -> str:
    """What RAUC is told of the bundle."""
    return (
        f"[update]\ncompatible={release.compatible(board)}\nversion={version}\n\n[bundle]\nformat=verity\n\n"
        "[hooks]\nfilename=hook\n\n[image.boot]\nfilename=boot.vfat\nhooks=post-install\n\n"
        "[image.rootfs]\nfilename=root.ext4\n"
    )


def cut(image: Path, number: int, target: Path) -> None:
    """One partition of a card image, as a file with holes.

    Args:
        image: The card.
        number: Of the partition.
        target: The file to make.
    """
    part = next(part for part in disk.plan() if part.number == number)
    host.run(
        "dd", f"if={image}", f"of={target}", "bs=1M", f"skip={part.start_mib}", f"count={part.size_mib}",
        "conv=sparse", "status=none",
    )  # fmt: skip


def pack(folder: Path, board: str, version: str, signer: Signer, target: Path) -> Path:
    """Sign what is in a folder.

    Args:
        folder: With boot.vfat and root.ext4.
        board: For which.
        version: Of the build.
        signer: Who signs.
        target: The bundle to make.

    Raises:
        HostError: RAUC refused, or a station would refuse what it made.
    """
    for path in (signer.key, signer.certificate, signer.authority):
        if not path.exists():
            raise host.HostError(
                f"{path} does not exist: make update-keys makes it, or name others with KEY= and CERT="
            )
    (folder / "manifest.raucm").write_text(manifest(board, version), "utf-8")
    shutil.copy(HOOK, folder / "hook")
    made = target.with_suffix(".new.raucb")
    made.unlink(missing_ok=True)
    host.run("rauc", "bundle", f"--cert={signer.certificate}", f"--key={signer.key}", folder, made)
    check(made, signer.authority, board)
    made.replace(target)
    return target


def check(bundle: Path, authority: Path, board: str) -> str:
    """Judge a bundle as a station does.

    Returns:
        What RAUC says of it.

    Raises:
        HostError: It is not signed by this authority for this purpose.
    """
    with tempfile.TemporaryDirectory(prefix="kiosk-keyring-") as name:
        conf = Path(name) / "system.conf"
        conf.write_text(
            f"[system]\ncompatible={release.compatible(board)}\nbootloader=noop\nbundle-formats=verity\n"
            f"[keyring]\npath={authority.resolve()}\ncheck-purpose=codesign\n", "utf-8",
        )  # fmt: skip
        return host.run("rauc", "-c", conf, "info", bundle)


def build(image: Path, board: str, version: str, signer: Signer) -> Path:
    """From a card image to the bundle, its checksum and its map beside it.

    Args:
        image: The card, as it was built.
        board: For which.
        version: Of the build.
        signer: Who signs.

    Returns:
        The bundle's file.
    """
    target = image.with_name(f"kiosk-{board}-{version}.raucb")
    with tempfile.TemporaryDirectory(prefix="kiosk-bundle-", dir=image.parent) as name:
        folder = Path(name)
        cut(image, _BOOT, folder / "boot.vfat")
        cut(image, _ROOT, folder / "root.ext4")
        pack(folder, board, version, signer, target)
    with target.open("rb") as file:
        sum_ = hashlib.file_digest(file, "sha256").hexdigest()
    target.with_suffix(".sha256").write_text(f"{sum_}  {target.name}\n", "utf-8")
    return target
