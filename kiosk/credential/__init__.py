"""Bytes of a code → what it is. One module a format, one classifier over them; no bytes make any of them raise."""

from __future__ import annotations

from kiosk.credential.classifier import classify, stripped
from kiosk.credential.local import LocalPattern, compile_local
from kiosk.credential.masking import masked

__all__ = ["LocalPattern", "classify", "compile_local", "masked", "stripped"]
