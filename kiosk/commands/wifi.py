"""`kiosk wifi`: root's half of joining a wireless network; `kiosk-wifi.service` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.commands.options import add_config
from kiosk.commissioning import wifi
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 if the network was joined, or is left to wpa_supplicant; 1 if not, 20 if there is no wish."""
    board = loader.load_board(arguments.config)
    state = wifi.apply(board.state.dir, board.state.runtime_dir)
    print(f"wireless network: {state}")
    return int(state == wifi.FAILED)
