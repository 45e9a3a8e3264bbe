"""A whole night in one process."""

from studyml.settings import Settings
from studyml.steps.night import night
from studyml.steps.report import report
from tests.conftest import END, NOW, silent


def test_the_second_night_observes_judges_and_scores_what_the_first_one_predicted(lived: Settings) -> None:
    result = night(lived, as_of=END, now=NOW, progress=silent)

    assert result["replay"] is False
    assert result["observed"]["new"] > 0
    assert result["monitoring"]["n"] == result["observed"]["new"]
    assert result["scoring"]["written"] == result["scoring"]["planned"] > 0
    assert report(lived)["finished"] is True
