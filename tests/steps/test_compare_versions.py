"""Two versions side by side: what differs, and which is closer on rows that both predicted unseen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from studyml.settings import Settings
from studyml.steps.compare_versions import compare_versions
from tests.conftest import NOW
from tests.steps.retraining import champions, constant_network, query, retrained

__all__ = ["constant_network"]


@pytest.fixture
def two(lived: Settings, constant_network: Callable[[float], None]) -> tuple[Settings, str, str]:
    """Settings, a champion, and a version that was judged against it, of other hyperparameters."""
    constant_network(20.0)
    changed = lived.model_copy(update={"recipe": "guide", "architecture": "mlp"})
    decided = retrained(changed, now=NOW + timedelta(minutes=1))
    assert decided is not None
    return lived, champions(lived)[0], decided["version"]


def of(found: dict[str, Any], section: str) -> dict[str, tuple[Any, Any]]:
    return {
        each["name"]: (each["first"], each["second"]) for each in found["differences"] if each["section"] == section
    }


def test_only_what_differs_is_listed_with_both_values(two: tuple[Settings, str, str]) -> None:
    settings, first, second = two

    found = compare_versions(settings, first, second)

    assert of(found, "version")["status"] == ("champion", "rejected")
    assert of(found, "hyperparameter")["name"][1] == "guide"
    assert of(found, "setting")["recipe"] == ("auto", "guide")
    assert of(found, "gate")["beats_median"] == ("passed", "failed")
    assert "mae" in of(found, "metric")
    assert of(found, "data")["training_rows"][0] < of(found, "data")["training_rows"][1]
    assert of(found, "library") == {}
    assert all(each["first"] != each["second"] for each in found["differences"])


def test_both_are_held_against_each_other_on_the_rows_of_the_gate(two: tuple[Settings, str, str]) -> None:
    settings, first, second = two

    found = compare_versions(settings, first, second)["paired"]
    turned = compare_versions(settings, second, first)["paired"]

    ((mae, champion_mae, rows),) = query(
        settings,
        "SELECT (metrics ->> 'mae')::float8, (metrics ->> 'champion_mae')::float8, holdout_rows"
        " FROM studyml.model_versions WHERE version = %s",
        (second,),
    )
    assert found["rows"] == rows
    assert (found["first_mae"], found["second_mae"]) == (pytest.approx(champion_mae), pytest.approx(mae))
    assert found["ratio"] == pytest.approx(mae / champion_mae)
    assert found["upper_bound"] > found["ratio"]
    assert (turned["first_mae"], turned["second_mae"]) == (found["second_mae"], found["first_mae"])


def test_where_neither_was_judged_against_the_other_the_common_holdout_counts(two: tuple[Settings, str, str]) -> None:
    settings, first, second = two
    query(settings, "UPDATE studyml.model_versions SET metrics = metrics - 'champion_version'")

    found = compare_versions(settings, first, second)["paired"]

    assert 0 < found["rows"] <= query(settings, "SELECT min(holdout_rows) FROM studyml.model_versions")[0][0]


def test_a_version_with_itself_has_no_difference(two: tuple[Settings, str, str]) -> None:
    settings, first, _ = two

    found = compare_versions(settings, first, first)

    assert found["differences"] == []
    assert found["paired"]["ratio"] == 1


def test_files_that_are_gone_or_damaged_are_noted_and_the_registry_still_compared(
    two: tuple[Settings, str, str],
) -> None:
    settings, first, second = two
    query(settings, "UPDATE studyml.model_versions SET artifact_uri = NULL WHERE version = %s", (first,))
    (settings.artifact_root / second / "model.onnx").write_bytes(b"")

    found = compare_versions(settings, first, second)

    assert first in found["notes"][0]
    assert "model.onnx" in found["notes"][1]
    assert found["paired"] is None
    assert "mae" in of(found, "metric")
