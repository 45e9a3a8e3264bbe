"""The benchmark of a night says so where the night left out what it is to measure."""

from typing import Any

import pytest

from benchmarks.monitoring import looked_at

DRIFT = {"compared": 20_000, "predictions": 9_000, "moved": []}
NIGHT = {
    "verdict": "healthy",
    "n": 60_000,
    "coverage": 0.98,
    "error_ratio": 1.0,
    "worst_slices": [],
    "drift": DRIFT,
}


def test_a_whole_night_is_told() -> None:
    assert looked_at(NIGHT) == {
        "verdict": "healthy",
        "n": 60_000,
        "coverage": 0.98,
        "compared": 20_000,
        "moved": [],
        "slices": 0,
    }


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"drift": None}, "drift was not looked for: None"),
        ({"drift": {"error": "no table"}}, "drift was not looked for: .*no table"),
        ({"drift": DRIFT | {"predictions": 0}}, "drift saw 20000 sessions and 0 predictions only"),
        ({"n": 0}, "slices"),
        ({"worst_slices": None}, "slices"),
        ({"error_ratio": None}, "errors were not weighed"),
    ],
)
def test_what_was_left_out_fails_the_benchmark(lacking: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        looked_at(NIGHT | lacking)
