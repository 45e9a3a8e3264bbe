"""What other thresholds would have said of nights that were judged: nothing else is assumed to change.

An incident opens at the first night above a limit, stays open over nights with too few outcomes, and is resolved by as
many nights in a row that are not above as the nights themselves wait for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RATIOS = (1.1, 1.2, 1.3, 1.5)
MINIMUM_OUTCOMES = (10, 20, 50)
#: The guide's rule, and the one that a verdict beyond chance rests on.
SUSPECTED, CONFIRMED = "suspected", "confirmed"


@dataclass(frozen=True)
class WhatIf:
    """One pair of thresholds over all nights: which were above, and on which an incident would have opened."""

    rule: str
    ratio: float
    minimum_outcomes: int
    judged: int
    above: int
    opened: tuple[datetime, ...]
    is_set: bool


def what_if(
    nights: Sequence[Mapping[str, Any]], *, ratio: float, minimum_outcomes: int, recovered_nights: int
) -> list[WhatIf]:
    """The verdicts of ``nights`` (rows of ``monitoring_runs``, in order) under every pair of thresholds.

    ``ratio`` and ``minimum_outcomes`` are what was set: they are among the pairs. ``recovered_nights`` in a row that
    are not above resolve an incident. The confirmed rule is there where
    any night stored its error ratio; a ratio below the limit that the night stored changes nothing there.
    """
    ratios, minimums = sorted({*RATIOS, ratio}), sorted({*MINIMUM_OUTCOMES, minimum_outcomes})
    rules = [SUSPECTED, CONFIRMED] if any(each["error_ratio"] is not None for each in nights) else [SUSPECTED]
    return [
        _replayed(nights, rule, each, minimum, recovered_nights, is_set=(each, minimum) == (ratio, minimum_outcomes))
        for rule in rules
        for minimum in minimums
        for each in ratios
    ]


def _replayed(
    nights: Sequence[Mapping[str, Any]], rule: str, ratio: float, minimum: int, recovered_nights: int, *, is_set: bool
) -> WhatIf:
    judged, above, opened = 0, 0, []
    calm = recovered_nights  # nights in a row that were not above: no incident is open
    for night in nights:
        found = _is_above(night, rule, ratio, minimum)
        if found is None:
            continue
        judged += 1
        above += found
        if found and calm >= recovered_nights:
            opened.append(night["as_of"])
        calm = 0 if found else calm + 1
    return WhatIf(rule, ratio, minimum, judged, above, tuple(opened), is_set)


def _is_above(night: Mapping[str, Any], rule: str, ratio: float, minimum: int) -> bool | None:
    """Whether the night is above the limits; None where it has too few outcomes or no finite error."""
    mae = night["rolling_mae"]
    if night["n"] < minimum or mae is None or not math.isfinite(mae):
        return None
    if rule == SUSPECTED:
        return bool(mae > ratio * night["baseline_mae"] + 1e-9)
    error_ratio, limit = night["error_ratio"], night["error_ratio_limit"]
    return None if error_ratio is None or limit is None else bool(error_ratio > max(ratio, limit))
