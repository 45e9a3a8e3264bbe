"""Other thresholds over nights that were judged."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from studyml.monitoring.what_if import CONFIRMED, SUSPECTED, WhatIf
from studyml.monitoring.what_if import what_if as replayed

START = datetime(2026, 1, 1, 1, tzinfo=UTC)


def nights(*found: tuple[int, float | None], ratios: tuple[float, ...] = ()) -> list[dict[str, Any]]:
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


def test_a_night_with_too_few_outcomes_neither_opens_nor_resolves() -> None:
    found = what_if(
        nights((60, 1.4), (15, 1.0), (9, 1.0), (15, 1.0), (60, 1.4), (15, None)), ratio=1.2, minimum_outcomes=10
    )

    assert len(one(found, 1.2, 10).opened) == 2
    assert len(one(found, 1.2, 20).opened) == 1
    assert one(found, 1.2, 50).judged == 2


def test_equal_to_the_limit_is_not_above() -> None:
    assert one(what_if(nights((60, 1.1)), ratio=1.2, minimum_outcomes=10), 1.1, 10).above == 0


def test_what_was_set_is_among_the_pairs() -> None:
    found = what_if(nights((60, 1.4)), ratio=1.35, minimum_outcomes=30)

    assert [each for each in found if each.is_set] == [one(found, 1.35, 30)]


def test_the_confirmed_rule_is_there_where_nights_stored_it_under_the_limit_of_each_night() -> None:
    found = what_if(nights((60, 1.4), (15, 1.4), (60, 1.4), ratios=(1.22, 1.4, 1.3)), ratio=1.5, minimum_outcomes=10)

    assert [each.minimum_outcomes for each in found if each.rule == CONFIRMED] == [10, 20, 50]
    assert (one(found, None, 10).above, one(found, None, 20).above) == (2, 1)
    assert [each.is_set for each in found if each.rule == CONFIRMED] == [True, False, False]
    assert {each.rule for each in what_if(nights((60, 1.4)), ratio=1.2, minimum_outcomes=10)} == {SUSPECTED}


@given(st.lists(st.tuples(st.integers(0, 80), st.none() | st.floats(0, 3)), max_size=40))
def test_a_higher_ratio_is_never_above_on_more_nights(drawn: list[tuple[int, float | None]]) -> None:
    found = what_if(nights(*drawn), ratio=1.2, minimum_outcomes=10)

    for minimum in (10, 20, 50):
        above = [one(found, ratio, minimum).above for ratio in (1.1, 1.2, 1.3, 1.5)]
        assert above == sorted(above, reverse=True)
        assert all(len(one(found, ratio, minimum).opened) <= one(found, ratio, minimum).above for ratio in (1.1, 1.5))
