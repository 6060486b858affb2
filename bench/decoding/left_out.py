"""Leave one set out: a set of photos is read with hopes that were learnt without it.

The passes of the reader are ranked by their chances (`kiosk.reading.schedule.Plan.chance`). Here they are learnt anew for each set: from the
photos of all other sets that the cheap pass does not read, and from as many generated pictures of the tuned kinds and hard frames. What
people chose while they looked at the photos, such as which passes there are, cannot be left out this way: photos that were never
here remain the judge.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.decoding.run import Faults
from bench.hard import hard_frames
from bench.troubles import KINDS
from bench.troubles.kind import Part
from bench.troubles.sighting import sightings
from kiosk.decoder import read_picture
from kiosk.reading import passes
from kiosk.reading.evidence import Watch
from kiosk.reading.schedule import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.decoding.photos import Photo
    from bench.decoding.run import Run
    from kiosk.reading.schedule import Plan

    Luma = NDArray[np.uint8]

SEED = "learn"
"""Always the same generated pictures: learning gives the same result twice."""
GENERATED_OF_A_KIND, GENERATED_HARD = 2, 24
DOUBT = 2.0
"""A pass is taken to have failed on so many pictures more than it has."""
Won = dict[str, bool]
"""For each pass whether it reads a picture that the cheap pass does not read."""


def generated(run: Run) -> list[Won]:
    """What each pass reads of the generated pictures.

    Args:
        run: Has the processes.
    """
    kinds = run.map(_won_on_kind, [kind.name for kind in KINDS.values() if kind.part is Part.TUNED])
    return [won for some in kinds for won in some] + run.map(_won_on_hard, list(range(GENERATED_HARD)))


def chances(run: Run, photos: Sequence[Photo], made: Sequence[Won]) -> dict[str, dict[str, float]]:
    """For each set the chances of the passes, learnt without it.

    Args:
        run: Has the processes.
        photos: All of them.
        made: What `generated` says.
    """
    coded = [photo for photo in photos if photo.has_code]
    by_set: dict[str, list[Won]] = defaultdict(list)
    for photo, won in zip(coded, run.map(_won_on_photo, coded), strict=True):
        by_set[photo.set_name].append(won)
    return {
        without: _learnt([made, [won for name, some in by_set.items() if name != without for won in some]])
        for without in by_set
    }


def plans_with(known: Mapping[str, float]) -> tuple[Plan, ...]:
    """The reader's passes with these chances; those that are not named keep theirs."""
    return tuple(replace(plan, chance=known.get(plan.name, plan.chance)) for plan in passes.PLANS)


def read_with(plans: tuple[Plan, ...], luma: Luma) -> list[bytes]:
    """The kiosk's reader with these passes in the place of its own.

    Args:
        plans: What `plans_with` has made.
        luma: A picture.
    """
    own, passes.PLANS = passes.PLANS, plans
    try:
        return [reading.payload for reading in read_picture(luma)]
    finally:
        passes.PLANS = own


def _learnt(sources: Sequence[Sequence[Won]]) -> dict[str, float]:
    """Chances on generated pictures and on photos, each counting half."""
    rates = []
    for source in sources:
        hard = [won for won in source if won]
        rates.append(
            {
                recipe.plan.name: sum(won[recipe.plan.name] for won in hard) / (len(hard) + DOUBT)
                for recipe in passes.RECIPES
            }
        )
    return {name: max(0.001, float(np.mean([rate[name] for rate in rates]))) for name in rates[0]}


def _won(luma: Luma, right: Callable[[bytes], bool]) -> Won:
    """Every pass on the picture; empty where the cheap pass is enough."""
    if any(right(found.payload) for found in passes.read_cheaply(luma)):
        return {}
    whole = (0, 0, luma.shape[1], luma.shape[0])
    boxes = (whole, *Watch().look(luma).regions[:2])
    return {
        recipe.plan.name: any(
            right(found.payload)
            for box in (boxes if recipe.plan.scope is Scope.REGION else boxes[:1])
            for found in passes.read_region(recipe.plan.name, luma, box)
        )
        for recipe in passes.RECIPES
    }


def _won_on_photo(photo: Photo) -> tuple[Won, Faults]:
    return _won(photo.luma, photo.is_right), Faults()


def _won_on_kind(name: str) -> tuple[list[Won], Faults]:
    return [
        _won(next(iter(each.frames(1))), each.payload.__eq__)
        for each in sightings(KINDS[name], SEED, GENERATED_OF_A_KIND)
    ], Faults()


def _won_on_hard(number: int) -> tuple[Won, Faults]:
    return next(_won(luma, payload.__eq__) for luma, payload in hard_frames(f"{SEED}/{number}", 1)), Faults()
