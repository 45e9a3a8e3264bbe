"""``studyml backtest``: dates in words, progress on stderr, one JSON document or a summary on stdout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from studyml import cli, cli_backtest
from studyml.database.connection import advisory_lock, connect
from studyml.database.scratch import create_scratch
from studyml.settings import Settings
from tests.conftest import NOW
from tests.steps.backtests import log

__all__ = ["log"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(log: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command in this process and in an empty folder, without a network; (exit status, stdout, stderr)."""
    monkeypatch.setattr(cli_backtest, "wall_clock", lambda: NOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDYML_DATABASE_URL", log.database)
    monkeypatch.setenv("STUDYML_RETRAIN_MIN_LABELS", "10000")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["studyml", "backtest", *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capfd.readouterr()
        return status, out, err

    return run


def test_it_tells_every_night_and_ends_with_a_summary_and_where_the_report_is(run: Run, tmp_path: Path) -> None:
    status, out, err = run("--from", "2026-02-12", "--to", "2026-02-14")

    assert status == 0, err
    assert [line[:10] for line in err.splitlines() if line.startswith("2026-")] == [
        f"2026-02-{day}" for day in (12, 13, 14)
    ]
    assert "observed" not in err  # the log of each step
    assert out.startswith("In 3 nights this would have paged you ")
    assert "1.2 (set)" in out
    assert out.splitlines()[-1] == f"The report: {tmp_path / 'backtest_2026-02-12_2026-02-14' / 'backtest.html'}"


def test_without_a_terminal_it_says_what_it_waits_for(run: Run, log: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studyml.steps.backtest._LOCK_SECONDS", 0)
    with connect(create_scratch(log.database)) as connection, advisory_lock(connection, "backtest"):
        status, _, err = run("--from", "2026-02-12", "--to", "2026-02-12")

    assert status == 1
    assert "waiting, 0 s at most, for another backtest that runs in this database\n" in err


def test_a_ticket_that_became_a_page_says_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    night = "T01:00:00+00:00"
    incident = {"opened_as_of": f"2026-02-12{night}", "resolved_as_of": None, "title": "it is bad", "severity": "page"}
    document = {"headline": "", "findings": [], "served": {"n": 0}, "thresholds": []}

    for since in (12, 14):
        cli_backtest._show({**document, "incidents": [{**incident, "severity_since": f"2026-02-{since}{night}"}]})

    printed = capsys.readouterr().out
    assert "page, opened 2026-02-12, still open: it is bad\n" in printed
    assert "page since 2026-02-14, opened 2026-02-12, still open: it is bad\n" in printed


def test_json_is_one_document_and_the_files_are_where_they_were_asked_for(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("--from", "2026-02-12", "--to", "2026-02-12", "--out", "here", "--label-delay", 48, "--json")

    assert status == 0
    document = json.loads(out)
    assert (document["from"], document["label_delay_hours"]) == ("2026-02-12", 48)
    assert json.loads((tmp_path / "here" / "backtest.json").read_text()) == document


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "soon"), "error: --from 'soon' is not a date: write it as 2026-03-01."),
        (("--to", "2026-13-01"), "error: --to '2026-13-01' is not a date"),
        (("--workspace", "mysql://x"), "error: --workspace must look like postgresql://"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, arguments: tuple[str, ...], words: str) -> None:
    status, out, err = run(*arguments)

    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith(words)
    assert "Traceback" not in err
