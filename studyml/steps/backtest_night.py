"""What a night of a backtest did, in a line for the person who waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studyml.errors import StudymlError
from studyml.registry.trials import PROMOTED, RETIRED


@dataclass(frozen=True)
class Lived:
    """What a night did, for a person, and whether it is more than that it judged and scored."""

    line: str
    notable: bool


def tell_night(
    as_of: datetime, result: Mapping[str, Any], failure: StudymlError | None, events: Sequence[str]
) -> Lived:
    """The line about the night of ``as_of``.

    ``result`` is what ``night`` returned, empty where its retraining failed with ``failure``; ``events`` are those of
    its incidents, in words.
    """
    told = []
    trial, retraining = result.get("trial"), result.get("retraining")
    if trial is not None and trial["decision"] in (PROMOTED, RETIRED):
        told.append(f"{trial['decision']} after its trial: {trial['version']}")
    if retraining is not None:
        told.append(f"{retraining['decision']}: {retraining['version']}")
    if failure is not None:
        told.append(f"the retraining failed: {failure}")
    told += events
    judged = [_judged(result["monitoring"])] if result else []
    return Lived(f"{as_of:%Y-%m-%d} {'; '.join(judged + told)}", bool(told))


def _judged(found: Mapping[str, Any]) -> str:
    mae = "" if found["rolling_mae"] is None else f", MAE {found['rolling_mae']:.2f} h"
    return f"{found['verdict'].replace('_', ' ')}{mae} over {found['n']} outcomes"
