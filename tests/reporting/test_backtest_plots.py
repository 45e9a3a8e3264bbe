"""The pictures of a backtest can be drawn of any document that has something to draw."""

from typing import Any

import pytest

from studyml.reporting.backtest_plots import PICTURES, can_draw, months, timeline
from tests.reporting.backtest_documents import document, incident, night, retraining, silent_document
from tests.reporting.test_plots import ink


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("found", [document(), silent_document(), document(nights=[])], ids=["some", "little", "none"])
def test_what_can_be_drawn_is_drawn(name: str, found: dict[str, Any]) -> None:
    if can_draw(name, found):
        assert ink(PICTURES[name][0](found)) > 0.005


def test_one_month_alone_is_no_picture() -> None:
    served = document()["served"]

    assert not can_draw("months", document(served=served | {"months": served["months"][:1]}))
    assert can_draw("months", document())


def test_the_timeline_names_lines_incidents_and_decisions() -> None:
    resolved = incident(resolved_as_of="2026-02-04T01:00:00+00:00")
    rejected = retraining(decision="rejected")

    figure = timeline(document(incidents=[resolved, incident()], retrainings=[retraining(), rejected]))

    named = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert named == ["incident open", "served", "median", "estimate", "guide's limit", "promoted", "rejected"]


def test_an_error_above_the_limit_is_inside_the_picture() -> None:
    (errors, _) = timeline(document(nights=[night(1, rolling_mae=9.0), night(2)])).axes

    assert errors.get_ylim()[1] > 9


def test_many_months_are_drawn_and_a_few_of_them_named() -> None:
    many = [{"month": f"20{n:02d}-01", "n": 1, "served": 1.0, "median": 1.0, "estimate": 1.0} for n in range(60)]

    (axes,) = months(document(served=document()["served"] | {"months": many})).axes

    assert len(axes.patches) == 180
    assert len(axes.get_xticks()) <= 18
