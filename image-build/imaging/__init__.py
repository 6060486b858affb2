"""Builds the card image of a station from layers that are data; `python -m imaging --help`."""
