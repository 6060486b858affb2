"""`kiosk check`: the configuration read and judged, before anything moves. `kiosk doctor` tries the station itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.commands.options import add_config
from kiosk.errors import NotProvisionedError
from kiosk.settings import loader
from kiosk.trust import issuers, trust_list

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge the file: 0 if it is right, 2 if it is not."""
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError:
        config = loader.load_board(arguments.config)
        print(f"{arguments.config}: ok: a board without a name, which waits for its provisioning code")
    else:
        lanes = ", ".join(f"{lane.name} ({lane.direction.value})" for lane in config.lanes)
        print(f"{arguments.config}: ok: kiosk {config.kiosk.id} at {config.kiosk.site}, lanes {lanes}")
    delivered = trust_list.path_of(config)
    where, trust = issuers.in_force(config.credentials.trust_dir, delivered, config.trust.fleet_key_file)
    believed = issuers.families(trust)
    print(f"{where}: {', '.join(believed) or 'no'} keys{_missing(config, believed)}")
    return 0


def _missing(config: Config, believed: list[str]) -> str:
    """Which accepted signed families nothing can be verified of."""
    known = {family.partition("=")[0] for family in believed}
    lacking = [name for name in config.credentials.accept if name in issuers.FAMILIES and name not in known]
    return f"; without keys, so refused: {', '.join(lacking)}" if lacking else ""
