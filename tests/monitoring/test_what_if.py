"""Other thresholds over nights that were judged."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.monitoring.what_if import CONFIRMED, SUSPECTED, WhatIf
from studyml.monitoring.what_if import what_if as replayed

START = datetime(2026, 1, 1, 1, tzinfo=UTC)


def nights(*found: tuple[int, float | None], ratios: tuple[float | None, ...] = ()) -> list[dict[str, Any]]:
    return [
        {
            "as_of": START + timedelta(days=day),
            "n": n,
            "rolling_mae": mae,
            "baseline_mae": 1.0,
            "error_ratio": ratios[day] if ratios else None,
            "error_ratio_limit": 1.25 if ratios else None,
        }
        for day, (n, mae) in enumerate(found)
    ]


def what_if(nights: list[dict[str, Any]], ratio: float, minimum_outcomes: int) -> list[WhatIf]:
    return replayed(
        nights,
        ratio=ratio,
        minimum_outcomes=minimum_outcomes,
        nights_to_recover=lambda times_reopened: 2 << times_reopened,
        cool_off=timedelta(days=7),
    )


def one(found: list[WhatIf], ratio: float | None, minimum: int) -> WhatIf:
    (match,) = [each for each in found if (each.ratio, each.minimum_outcomes) == (ratio, minimum)]
    return match


def test_an_incident_opens_with_the_first_night_above_and_again_after_two_nights_that_are_not() -> None:
    maes = (1.0, 1.4, 1.4, 1.1, 1.4, 1.1, 1.1, 1.4)
    found = one(what_if(nights(*((60, mae) for mae in maes)), ratio=1.2, minimum_outcomes=10), 1.2, 10)

    assert (found.judged, found.above, found.is_set) == (8, 4, True)
    assert found.opened == (START + timedelta(days=1), START + timedelta(days=7))


def test_what_comes_back_within_the_cool_off_takes_twice_as_many_nights_to_be_over() -> None:
    maes = (1.4, 1.0, 1.0, 1.4, 1.0, 1.0, 1.0, 1.4, 1.0, 1.0, 1.0, 1.0, *(1.0,) * 7, 1.4, 1.0, 1.0, 1.4)
    found = one(what_if(nights(*((60, mae) for mae in maes)), ratio=1.2, minimum_outcomes=10), 1.2, 10)

    assert [(each - START).days for each in found.opened] == [0, 3, 19, 22]


@pytest.mark.parametrize(
    ("above", "opened"),
    [
        ((0, 9, 12), [0, 9]),  # it came back seven days after it was over, and then took four nights
        ((0, 10, 13), [0, 10, 13]),  # a day later it was news, which takes two
        ((0, 3, 8, 15), [0, 3, 8]),  # the second time back it takes eight
        ((0, 20, 24, 27), [0, 20, 24]),  # counted from when it was over the last time
    ],
)
def test_how_long_it_takes_to_be_over_is_counted_from_when_it_was_over_the_last_time(
    above: tuple[int, ...], opened: list[int]
) -> None:
    found = what_if(nights(*((60, 1.4 if day in above else 1.0) for day in range(30))), ratio=1.2, minimum_outcomes=10)

    assert [(each - START).days for each in one(found, 1.2, 10).opened] == opened


def test_as_many_outcomes_as_are_asked_for_are_enough() -> None:
    found = what_if(nights((20, 1.4)), ratio=1.2, minimum_outcomes=10)

    assert [one(found, 1.2, minimum).judged for minimum in (10, 20, 50)] == [1, 1, 0]


@pytest.mark.parametrize("mae", [math.nan, math.inf, None])
def test_a_night_whose_error_is_no_number_is_not_judged(mae: float | None) -> None:
    assert one(what_if(nights((60, mae)), ratio=1.2, minimum_outcomes=10), 1.2, 10).judged == 0


def test_a_night_with_too_few_outcomes_neither_opens_nor_resolves() -> None:
    found = what_if(
        nights((60, 1.4), (15, 1.0), (9, 1.0), (15, 1.0), (60, 1.4), (15, None)), ratio=1.2, minimum_outcomes=10
    )

    assert len(one(found, 1.2, 10).opened) == 2
    assert len(one(found, 1.2, 20).opened) == 1
    assert one(found, 1.2, 50).judged == 2


def test_equal_to_the_limit_is_not_above() -> None:
    equal = nights((60, 1.1), (60, math.nextafter(1.1, 2)), ratios=(1.25, 1.25))
    found = what_if(equal, ratio=1.2, minimum_outcomes=10)

    assert (one(found, 1.1, 10).above, one(found, None, 10).above) == (0, 0)


def test_what_was_set_is_among_the_pairs() -> None:
    found = what_if(nights((60, 1.4)), ratio=1.35, minimum_outcomes=30)

    assert [each for each in found if each.is_set] == [one(found, 1.35, 30)]


def test_the_confirmed_rule_is_there_where_nights_stored_it_under_the_limit_of_each_night() -> None:
    found = what_if(nights((60, 1.4), (15, 1.4), (60, 1.4), ratios=(1.22, 1.4, 1.3)), ratio=1.5, minimum_outcomes=10)

    assert [each.minimum_outcomes for each in found if each.rule == CONFIRMED] == [10, 20, 50]
    assert (one(found, None, 10).above, one(found, None, 20).above) == (2, 1)
    assert [each.is_set for each in found if each.rule == CONFIRMED] == [True, False, False]
    assert {each.rule for each in what_if(nights((60, 1.4)), ratio=1.2, minimum_outcomes=10)} == {SUSPECTED}


def test_a_night_that_stored_no_error_ratio_is_not_judged_by_the_confirmed_rule() -> None:
    found = what_if(nights((60, 1.4), (60, 1.4), ratios=(None, 1.3)), ratio=1.2, minimum_outcomes=10)

    assert (one(found, None, 10).judged, one(found, None, 10).above) == (1, 1)


@given(st.lists(st.tuples(st.integers(0, 80), st.none() | st.floats(0, 3)), max_size=40))
def test_a_higher_ratio_is_never_above_on_more_nights(drawn: list[tuple[int, float | None]]) -> None:
    found = what_if(nights(*drawn), ratio=1.2, minimum_outcomes=10)

    for minimum in (10, 20, 50):
        above = [one(found, ratio, minimum).above for ratio in (1.1, 1.2, 1.3, 1.5)]
        assert above == sorted(above, reverse=True)
        assert all(len(one(found, ratio, minimum).opened) <= one(found, ratio, minimum).above for ratio in (1.1, 1.5))
