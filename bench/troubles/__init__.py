"""Kinds of trouble that people bring to a door, each seeded and with a strength: what the reader is tuned, chosen and measured on.

`tuned` may be learnt from, `choose` chooses, `held` is measured only. `sighting` stages them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.troubles.choose import CHOOSE
from bench.troubles.held import HELD
from bench.troubles.tuned import TUNED

if TYPE_CHECKING:
    from bench.troubles.kind import Kind

KINDS: dict[str, Kind] = {**TUNED.kinds, **CHOOSE.kinds, **HELD.kinds}
