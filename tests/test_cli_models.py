"""The command ``studyml explain``: sentences for people, JSON for programs, one sentence for a mistake."""

import json
import re
import sys
from collections.abc import Callable

import pytest

from studyml import cli, cli_models
from studyml.settings import Settings
from tests.conftest import FIRST_NIGHT, NOW
from tests.scoring.world import query, scalar

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process as the shell would; (exit status, stdout, stderr)."""
    monkeypatch.setattr(cli_models, "wall_clock", lambda: NOW)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["studyml", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(caught.value.code or 0), out, err

    return run


@pytest.fixture
def one_night(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STUDYML_DATABASE_URL", lived.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(lived.artifact_root))
    return lived


def first_planned(settings: Settings) -> int:
    return int(scalar(settings, "SELECT min(session_id) FROM analytics.study_time_predictions"))


def test_the_whole_is_a_sentence_and_a_table_with_the_most_important_first(run: Run, one_night: Settings) -> None:
    status, out, err = run("explain")
    assert status == 0
    assert re.match(r"v_\S+ \(.*\) is off by \d\.\d{3} h on average over its \d+ newest sessions", out)
    growth = [float(each) for each in re.findall(r"([+-]\d\.\d{3}) ± \d\.\d{3} h +\d\.\d{3} h", out)]
    assert len(growth) >= 3
    assert growth == sorted(growth, reverse=True)
    assert out.index("estimated_base_time") < out.index("difficulty_level")
    assert "breaks_taken is not used: never known before a session." in out
    assert "held-out sessions" in err


def test_one_session_is_sentences_that_sum_up(run: Run, one_night: Settings) -> None:
    session = first_planned(one_night)
    status, out, _ = run("explain", "--session", session)
    assert status == 0
    assert out.startswith(f"Session {session} of ")
    assert re.search(r"topic's estimate [\d.]+ h: [+-]\d+\.\d\d h", out)
    base = float(re.findall(r"mean prediction of 100 training sessions: (\d+\.\d\d) h", out)[0])
    shares = [float(each) for each in re.findall(r": ([+-]\d+\.\d\d) h", out)]
    prediction = float(re.findall(r"prediction: (\d+\.\d\d) h, in 80 % of cases between \d+\.\d\d and", out)[0])
    assert re.search(r", in 90 % between \d+\.\d\d and \d+\.\d\d h$", out, re.MULTILINE)
    assert base + sum(shares) == pytest.approx(prediction, abs=0.006 * (len(shares) + 2))
    assert prediction == pytest.approx(
        scalar(one_night, "SELECT predicted_hours FROM studyml.predictions WHERE session_id = %s", session), abs=0.006
    )


def test_both_are_json_for_programs(run: Run, one_night: Settings) -> None:
    whole = json.loads(run("explain", "--json")[1], parse_constant=pytest.fail)
    assert {"version", "mae", "rows", "importance", "dropped"} <= set(whole)
    assert set(whole["importance"]) >= {"permutation", "shap", "weights"}
    night = FIRST_NIGHT.isoformat()
    single = run("explain", "--session", first_planned(one_night), "--as-of", night, "--json")[1]
    document = json.loads(single, parse_constant=pytest.fail)
    assert document["as_of"] == night
    assert {"feature", "values", "words", "hours"} == set(document["contributions"][0])


def test_a_change_since_the_night_and_a_warning_are_notes(run: Run, one_night: Settings) -> None:
    query(one_night, "UPDATE topics SET estimated_base_time = estimated_base_time * 3")
    query(one_night, "UPDATE studyml.predictions SET input_warnings = ARRAY['energy_level is impossible']")
    out = run("explain", "--session", first_planned(one_night))[1]
    assert "note: the study app changed what this rests on since; that night served" in out
    assert "note: energy_level is impossible" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--version v_1", "there is no version v_1"),
        ("--session 1", "session 1 was not planned"),
        ("--session 1 --as-of 2026-02-23", "no night of 2026-02-23 00:00 UTC was scored"),
        ("--as-of 2030-01-01", "--as-of '2030-01-01'"),
        ("--as-of 2020-01-01", "no version served at 2020-01-01"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, one_night: Settings, arguments: str, said: str) -> None:
    status, out, err = run("explain", *arguments.split())
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert err.strip().endswith(".")


def test_without_settings_the_missing_one_is_named(run: Run) -> None:
    status, _, err = run("explain")
    assert status == 1
    assert err.startswith("error: STUDYML_DATABASE_URL is not set")
