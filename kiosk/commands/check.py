"""`kiosk check`: the configuration read and judged, before anything moves. `kiosk doctor` tries the station itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.commands.options import add_config
from kiosk.errors import NotProvisionedError
from kiosk.language.message import joined, say
from kiosk.language.terminal import told
from kiosk.settings import loader
from kiosk.trust import issuers, trust_list

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from kiosk.config import Config
    from kiosk.language.message import Message


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge the file: 0 if it is right, 2 if it is not."""
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError:
        config = loader.load_board(arguments.config)
    print(told(verdict(arguments.config, config)))
    delivered = trust_list.path_of(config)
    where, trust = issuers.in_force(config.credentials.trust_dir, delivered, config.trust.fleet_key_file)
    believed = issuers.families(trust)
    keys = [say("{where}: {families} keys", where=where, families=", ".join(believed))]
    print(
        told(
            joined("; ", [*(keys if believed else [say("{where}: no keys", where=where)]), *_missing(config, believed)])
        )
    )
    return 0


def verdict(path: Path, config: Config) -> Message:
    """What a configuration that is right makes of the station; and whether its file is there at all.

    Args:
        path: Of the file.
        config: What was read from it.
    """
    who = say("a board without a name, which waits for its provisioning code")
    if config.kiosk.id != loader.NOBODY:
        lanes = ", ".join(f"{lane.name} ({lane.direction.value})" for lane in config.lanes)
        who = say("kiosk {kiosk} at {site}, lanes {lanes}", kiosk=config.kiosk.id, site=config.kiosk.site, lanes=lanes)
    if loader.is_absent(path):
        absent = say("{path} does not exist, so every setting has its default", path=path)
        return joined("; ", [joined(": ", [absent, who]), say("name another file with --config")])
    return joined(": ", [say("{path}: ok", path=path), who])


def _missing(config: Config, believed: list[str]) -> list[Message]:
    """Which accepted signed families nothing can be verified of."""
    known = {family.partition("=")[0] for family in believed}
    lacking = [name for name in config.credentials.accept if name in issuers.FAMILIES and name not in known]
    return [say("without keys, so refused: {families}", families=", ".join(lacking))] if lacking else []
