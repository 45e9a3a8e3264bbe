"""One step of the histories: what was newly observed, put on top of the sums that are stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studyml.features.history import KINDS
from studyml.features.history_expectation import Expectation, expect
from studyml.features.history_states import POSITION, Observations, find_changes, fold, number_keys

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: (kind, first parts, second parts of distinct keys [k]) -> their stored states [k, 7], zeros where there is none.
StatesReader = Callable[[str, Integers, Integers], Floats]


@dataclass(frozen=True)
class Standing:
    """What is stored of each observation's session [n]: whether it was observed before, and what stands since.

    ``ratio``: NaN where it was removed; ``position`` [n, 4]: of its first observation in its keys, by KINDS.
    """

    known: NDArray[np.bool_]
    ratio: Floats
    expected: Floats
    position: Integers


@dataclass(frozen=True)
class States:
    """The states [k, 7] of keys of one kind after the night that changed them last; ``stored``: had one before."""

    first: Integers
    second: Integers
    night: Integers
    state: Floats
    stored: NDArray[np.bool_]


@dataclass(frozen=True)
class Advanced:
    """The observations with what was expected of them and their positions [n, 4]; the states and sums since."""

    observations: Observations
    position: Integers
    states: Mapping[str, States]
    expectations: list[tuple[int, Expectation]]


def advance(
    observations: Observations,
    inputs: Floats,
    standing: Standing,
    read_states: StatesReader,
    *,
    start: Expectation,
    same_night: tuple[int, Expectation] | None = None,
) -> Advanced:
    """Continue everything with the observations, whose ``expected`` is filled in here.

    ``inputs`` [n, 3]: as ``log_inputs`` gives them; ``same_night``: see ``expect``.
    """
    changes = find_changes(observations.session_id, observations.ratio, standing.known, standing.ratio)
    expected, expectations = expect(
        inputs, changes.count, changes.ratio, observations.night, start=start, same_night=same_night
    )
    if len(observations):
        expected = np.where(standing.known, standing.expected, expected[changes.origin])
    positions, states = [], {}
    for number, kind in enumerate(KINDS):
        (codes,), (first, second) = number_keys(observations.keys(kind))
        before = read_states(kind, first, second)
        timeline = fold(
            codes,
            observations.night,
            changes,
            changes.residual(expected),
            start=before,
            known_position=standing.position[:, number],
        )
        code, night, state = timeline.newest()
        states[kind] = States(first[code], second[code], night, state, before[code, POSITION] > 0)
        positions.append(timeline.position)
    return Advanced(replace(observations, expected=expected), np.column_stack(positions), states, expectations)
