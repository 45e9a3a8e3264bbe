"""What other thresholds would have said of nights that were judged: nothing else is assumed to change.

An incident opens at the first night above a limit, stays open over nights with too few outcomes, and is resolved by as
many nights in a row that are not above as the nights themselves wait for: more, where it came back within the cool-off.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

RATIOS = (1.1, 1.2, 1.3, 1.5)
MINIMUM_OUTCOMES = (10, 20, 50)
#: The guide's rule, and the one that a verdict beyond chance rests on.
SUSPECTED, CONFIRMED = "suspected", "confirmed"


@dataclass(frozen=True)
class WhatIf:
    """One pair of thresholds over all nights: which were above, and on which an incident would have opened.

    ``ratio`` None: the limit that each night stored, beyond chance.
    """

    rule: str
    ratio: float | None
    minimum_outcomes: int
    judged: int
    above: int
    opened: tuple[datetime, ...]
    is_set: bool


def what_if(
    nights: Sequence[Mapping[str, Any]],
    *,
    ratio: float,
    minimum_outcomes: int,
    nights_to_recover: Callable[[int], int],
    cool_off: timedelta,
) -> list[WhatIf]:
    """The verdicts of ``nights`` (rows of ``monitoring_runs``, in order) under every pair of thresholds.

    ``ratio`` and ``minimum_outcomes`` are what was set: they are among the pairs. ``nights_to_recover`` says how many
    nights in a row that are not above resolve an incident that was reopened so many times; it is reopened within
    ``cool_off``. The confirmed rule is there where any night stored its error ratio, under the limit of that night
    alone: a night keeps only the window that decided by it, which says nothing of any other limit.
    """
    ratios, minimums = sorted({*RATIOS, ratio}), sorted({*MINIMUM_OUTCOMES, minimum_outcomes})
    pairs = [
        WhatIf(SUSPECTED, each, minimum, 0, 0, (), is_set=(each, minimum) == (ratio, minimum_outcomes))
        for minimum in minimums
        for each in ratios
    ]
    if any(each["error_ratio"] is not None for each in nights):
        pairs += [WhatIf(CONFIRMED, None, each, 0, 0, (), is_set=each == minimum_outcomes) for each in minimums]
    return [
        _replayed([(night, _is_above(night, pair)) for night in nights], pair, nights_to_recover, cool_off)
        for pair in pairs
    ]


def _replayed(
    nights: Sequence[tuple[Mapping[str, Any], bool | None]],
    pair: WhatIf,
    nights_to_recover: Callable[[int], int],
    cool_off: timedelta,
) -> WhatIf:
    """The pair with its counts, from nights and whether each is above its limits."""
    judged = [(night["as_of"], above) for night, above in nights if above is not None]
    opened: list[datetime] = []
    resolved: datetime | None = None
    is_open, calm, times_reopened = False, 0, 0
    for as_of, above in judged:
        calm = 0 if above else calm + 1
        if above and not is_open:
            is_open = True
            times_reopened = times_reopened + 1 if resolved is not None and as_of - resolved <= cool_off else 0
            opened.append(as_of)
        elif is_open and calm >= nights_to_recover(times_reopened):
            is_open, resolved = False, as_of
    return replace(pair, judged=len(judged), above=sum(above for _, above in judged), opened=tuple(opened))


def _is_above(night: Mapping[str, Any], pair: WhatIf) -> bool | None:
    """Whether the night is above the limits; None where it has too few outcomes or no finite error."""
    mae = night["rolling_mae"]
    if night["n"] < pair.minimum_outcomes or mae is None or not math.isfinite(mae):
        return None
    if pair.ratio is not None:
        return bool(mae > pair.ratio * night["baseline_mae"] + 1e-9)
    error_ratio, limit = night["error_ratio"], night["error_ratio_limit"]
    return None if error_ratio is None or limit is None else bool(error_ratio > limit)
