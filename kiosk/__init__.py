"""Firmware of a door station: a personal QR code held up to a camera becomes one entry in the centre's ledger."""

__version__ = "0.1.0"
