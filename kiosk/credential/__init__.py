"""Bytes of a code → what it is. One module a format, one classifier over them; no bytes make any of them raise."""

from __future__ import annotations

from kiosk.credential.classifier import NOBODY, classify, stripped
from kiosk.credential.local import LocalPattern, compile_local
from kiosk.credential.masking import masked
from kiosk.credential.trust import Trust

__all__ = ["NOBODY", "LocalPattern", "Trust", "classify", "compile_local", "masked", "stripped"]
