"""The command line: an example for every command, JSON for programs, one sentence for a mistake."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from studyml import cli, terminal
from studyml.database.schema import REVISION
from studyml.development.cli import dev_app
from studyml.development.postgres import Server
from studyml.errors import InputError
from studyml.settings import Settings
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.logs import ask, session, write_logs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process as the shell would; (exit status, stdout, stderr)."""
    monkeypatch.setattr(terminal, "wall_clock", lambda: NOW)
    monkeypatch.setattr(cli, "wall_clock", lambda: NOW)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["studyml", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(caught.value.code or 0), out, err

    return run


def use(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", settings.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(settings.artifact_root))


@pytest.fixture
def empty(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    use(monkeypatch, settings)
    return settings


@pytest.fixture
def one_night(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    use(monkeypatch, lived)
    return lived


def refusal(result: tuple[int, str, str]) -> str:
    """The one sentence on stderr of a command that failed."""
    status, out, err = result
    assert status == 1
    assert out == ""
    message = err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert message.endswith((".", "?"))
    return message.removeprefix("error: ")


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def all_commands() -> list[tuple[tuple[str, ...], click.Command]]:
    return list(commands(typer.main.get_command(cli.app)))


class TestHelp:
    def test_the_commands_are_those_of_the_design(self) -> None:
        found = {" ".join(path) for path, _ in all_commands()}
        assert found >= {
            *("db upgrade", "load", "simulate", "night", "observe", "monitor", "retrain", "score", "tune", "report"),
            *("doctor", "maintain", "explain"),
            *("versions list", "versions show", "versions verify", "versions report", "versions promote"),
            *("versions diff", "versions live", "versions rollback", "versions prune"),
            *("alerts list", "alerts test", "alerts resolve", "alerts deliver", "alerts deliveries", "alerts retry"),
        }

    @pytest.mark.parametrize("path", [" ".join(path) for path, _ in all_commands()])
    def test_every_command_shows_an_example_of_itself(self, run: Run, path: str) -> None:
        status, out, err = run(*path.split(), "--help")
        assert (status, err) == (0, "")
        words = " ".join(out.split())
        assert f"Example: studyml {path}".strip() in words

    def test_every_option_and_argument_is_explained(self) -> None:
        for path, command in all_commands():
            for parameter in command.params:
                assert getattr(parameter, "help", None), (path, parameter.name)

    @pytest.mark.parametrize("arguments", [[], ["versions"], ["alerts"], ["db"], ["dev"]])
    def test_a_group_alone_shows_its_help(self, run: Run, arguments: list[str]) -> None:
        _, out, err = run(*arguments)
        assert "Usage: studyml" in out + err

    def test_the_developers_commands_are_there(self) -> None:
        assert set(typer.main.get_command(dev_app).commands) >= {"run", "up", "down", "postgres"}  # type: ignore[attr-defined]


class TestUsageErrors:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["nights"],
            ["load"],
            ["load", "a", "b"],
            ["simulate", "--sessions", "many"],
            ["tune", "--trials", "0"],
            ["versions", "show"],
            ["alerts", "resolve", "one", "--note", "x"],
            ["alerts", "resolve", "1"],
            ["score", "--as-off", "2026-03-01"],
        ],
    )
    def test_exit_with_status_2(self, run: Run, arguments: list[str]) -> None:
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert "Usage: studyml" in err


class TestMistakes:
    @pytest.mark.parametrize(
        "arguments",
        [
            *("db upgrade", "load .", "simulate", "night", "observe", "monitor", "retrain", "score", "report"),
            *("maintain", "tune", "explain", "doctor", "versions list", "versions verify", "versions report"),
            *("versions live", "versions prune", "versions rollback --reason x", "versions diff a b"),
            *("alerts list", "alerts test", "alerts deliver", "alerts deliveries", "alerts retry 1"),
        ],
    )
    def test_without_settings_the_missing_one_is_named(self, run: Run, arguments: str) -> None:
        assert refusal(run(*arguments.split())).startswith("STUDYML_DATABASE_URL is not set")

    @pytest.mark.parametrize("arguments", ["load .", "observe", "score", "report", "versions list"])
    def test_an_unmigrated_database_names_the_command(
        self, run: Run, arguments: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(write_logs(tmp_path))
        monkeypatch.setenv("STUDYML_DATABASE_URL", empty_database_url)
        assert "run 'studyml db upgrade'" in refusal(run(*arguments.split()))

    def test_an_unreachable_database_is_named_without_its_password(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STUDYML_DATABASE_URL", "postgresql://ann:topsecret@127.0.0.1:1/study")
        for arguments in ("db upgrade", "score"):
            message = refusal(run(*arguments.split()))
            assert "PostgreSQL at 127.0.0.1:1/study cannot be reached" in message
            assert "topsecret" not in message

    @pytest.mark.parametrize(
        "as_of",
        [
            *("yesterday", "", "2026-13-01", "2026-03-01T25:00", "1", "2026-03-03", "9999-12-31", "1899-12-31"),
            *("0001-01-01", "9999-12-31T23:59-12:00", "0001-01-01T00:00+12:00"),
        ],
    )
    @pytest.mark.parametrize("command", ["night", "report"])
    def test_a_night_that_cannot_be_meant_is_refused(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, command: str, as_of: str
    ) -> None:
        monkeypatch.setenv("STUDYML_DATABASE_URL", "postgresql://127.0.0.1:1/never-asked")
        assert f"--as-of '{as_of}'" in refusal(run(command, "--as-of", as_of))

    def test_a_night_before_the_first_load_says_how_to_load(self, run: Run, empty: Settings) -> None:
        assert "studyml load" in refusal(run("night"))

    def test_a_report_before_the_first_night_says_how_to_live_one(self, run: Run, empty: Settings) -> None:
        assert "run 'studyml night'" in refusal(run("report"))

    @pytest.mark.parametrize(
        "arguments",
        [
            *("versions show v_20260101_000000", "versions verify", "versions report", "alerts resolve 7 --note x"),
            *("versions report v_20260101_000000", "explain", "explain --version v_20260101_000000"),
            *("versions rollback --reason x", "versions rollback v_20260101_000000 --reason x", "versions live"),
            *("versions diff v_20260101_000000 v_20260101_000001", "retrain --reproduce v_20260101_000000"),
        ],
    )
    def test_what_does_not_exist_is_named(self, run: Run, empty: Settings, arguments: str) -> None:
        refusal(run(*arguments.split()))

    @pytest.mark.parametrize(
        ("arguments", "option"),
        [
            (["alerts", "resolve", "1", "--note", " "], "--note"),
            (["versions", "promote", "v", "--reason", ""], "--reason"),
            (["versions", "rollback", "--reason", " "], "--reason"),
        ],
    )
    def test_a_blank_reason_is_no_record(self, run: Run, empty: Settings, arguments: list[str], option: str) -> None:
        assert f"{option} is blank" in refusal(run(*arguments))

    def test_an_alert_without_an_address_names_the_setting(self, run: Run, empty: Settings) -> None:
        assert "STUDYML_ALERT_URLS" in refusal(run("alerts", "test"))

    def test_a_simulation_that_cannot_be_names_the_option(self, run: Run, empty: Settings) -> None:
        assert "--shift needs --shift-day" in refusal(run("simulate", "--shift", "1.4"))

    def test_a_second_simulation_is_refused(self, run: Run, empty: Settings) -> None:
        assert run("simulate", "--sessions", "20")[0] == 0
        assert "already holds" in refusal(run("simulate"))


class TestLoading:
    def test_says_what_was_kept_refused_unusual_and_ignored(self, run: Run, empty: Settings, tmp_path: Path) -> None:
        sessions = [session(1, actual_duration=13), *(session(n, topic_id=9) for n in range(2, 10))]
        sessions[0]["mood"] = "[bold]good[/]"
        status, out, err = run("load", write_logs(tmp_path, sessions=sessions))
        assert status == 0
        assert re.search(r"study_sessions.csv +9 +1 +8", out)
        assert "study_sessions.csv: 1 unusual values of actual_duration, kept" in out
        assert "column mood is not in the data contract and was ignored" in out
        assert "row 2 quarantined: topic_id 9 has no row in topics that could be used" in out
        assert "3 more, see studyml.quarantined_rows" in out
        assert "loading study_sessions.csv" in err

    def test_a_simulation_written_to_files_can_be_loaded(self, run: Run, empty: Settings, tmp_path: Path) -> None:
        status, out, _ = run("simulate", "--sessions", "30", "--out", tmp_path / "new")
        assert (status, "30 simulated sessions" in out) == (0, True)
        assert ask(empty.source, "SELECT to_regclass('students')") == [(None,)]
        assert run("load", tmp_path / "new")[0] == 0
        assert ask(empty.source, "SELECT count(actual_duration) FROM study_sessions") == [(30,)]


class TestOneNight:
    def test_the_output_for_programs_is_json_and_nothing_else(self, run: Run, one_night: Settings) -> None:
        night = FIRST_NIGHT.isoformat()
        documents: dict[str, Any] = {}
        for arguments in (
            "report",
            f"observe --as-of {night}",
            f"monitor --as-of {night}",
            f"score --as-of {night}",
            "versions list",
            "versions report",
            "versions verify",
            "versions live",
            "versions prune --dry-run",
            "alerts list --all",
            "doctor",
        ):
            status, out, err = run(*arguments.split(), "--json")
            assert (status, arguments) == (1 if arguments == "doctor" else 0, arguments), err
            documents[arguments.partition(" --")[0]] = json.loads(out, parse_constant=pytest.fail)
        assert documents["report"]["as_of"] == night
        assert documents["score"]["written"] == documents["score"]["planned"] > 0
        assert documents["observe"]["new"] == 0
        assert documents["versions list"][0]["status"] == "champion"
        assert documents["versions report"]["version"] == documents["versions list"][0]["version"]
        assert {"as_of", "scope", "rolling_mae", "rolling_rmse", "n", "coverage", "verdict"} <= set(
            documents["monitor"][0]
        )
        assert {check["name"] for check in documents["doctor"]} >= {"database", "source", "artifacts", "champion"}

    def test_the_output_for_people_is_short(self, run: Run, one_night: Settings) -> None:
        night = FIRST_NIGHT.isoformat()
        for arguments, words in (
            ("report", "champion"),
            (f"report --as-of {night}", "decision"),
            ("versions list", "champion"),
            ("versions verify", "is whole."),
            ("versions report", "evaluation.html"),
            ("versions live", "was live, since"),
            ("versions prune --dry-run", "0 versions and 0 snapshots would be removed."),
            ("alerts list", "No open incident."),
            (f"score --as-of {night}", "predictions written"),
            (f"monitor --as-of {night}", "insufficient_data"),
            (f"observe --as-of {night}", "new"),
        ):
            status, out, _ = run(*arguments.split())
            assert status == 0
            assert words in out
            assert len(out.splitlines()) < 40

    def test_a_version_can_be_shown(self, run: Run, one_night: Settings) -> None:
        [version] = json.loads(run("versions", "list", "--json")[1])
        assert json.loads(run("versions", "show", version["version"], "--json")[1]) == version
        status, shown, _ = run("versions", "show", version["version"])
        assert status == 0
        for words in ("champion", version["metrics"]["snapshot_sha256"], version["gates"][0]["reason"], "promote"):
            assert words in shown

    def test_the_doctor_fails_while_something_is_not_in_place(
        self, run: Run, one_night: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        status, out, _ = run("doctor")
        assert status == 1
        assert "STUDYML_ALERT_URLS is not set" in out
        monkeypatch.setenv("STUDYML_ALERT_URLS", "json://127.0.0.1/")
        assert run("doctor")[0] == 0
        assert run("doctor", "--night")[0] == 0

    def test_a_night_of_the_future_is_not_lived(self, run: Run, one_night: Settings) -> None:
        refusal(run("night", "--as-of", END.replace(year=2062).isoformat()))
        assert ask(one_night.database, "SELECT max(as_of) FROM studyml.nights") == [(FIRST_NIGHT,)]


class TestTheProcess:
    """The same through a real process, as a shell starts it."""

    @staticmethod
    def studyml(*arguments: str, **environment: str) -> tuple[int, str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STUDYML_")}
        command = [str(Path(sys.executable).with_name("studyml")), *arguments]
        done = subprocess.run(
            command, env=kept | environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return done.returncode, done.stdout, done.stderr

    def test_help_needs_no_settings(self) -> None:
        status, out, err = self.studyml("--help")
        assert (status, err) == (0, "")
        assert "Example: studyml night" in out

    def test_a_mistake_is_one_line_on_stderr_and_status_1(self) -> None:
        assert self.studyml("score") == (
            1,
            "",
            "error: STUDYML_DATABASE_URL is not set: set it in the environment (see .env.example).\n",
        )

    def test_a_wrong_password_is_one_line(self, postgres_server: Server) -> None:
        url = f"postgresql://postgres:topsecret@{postgres_server.host}:{postgres_server.port}/studyml"
        status, out, err = self.studyml("observe", STUDYML_DATABASE_URL=url)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert "password authentication failed" in err
        assert "topsecret" not in err

    def test_a_database_is_made_ready_from_nothing(self, empty_database_url: str) -> None:
        status, out, err = self.studyml("db", "upgrade", STUDYML_DATABASE_URL=empty_database_url)
        assert (status, out) == (0, f"The schema studyml is at revision {REVISION}.\n")
        assert err == ""


class TestAsOf:
    @given(moment=st.datetimes(min_value=NOW.replace(tzinfo=None, year=1901), max_value=NOW.replace(tzinfo=None)))
    def test_any_iso_time_of_the_past_is_read_as_utc_unless_it_says(self, moment: Any) -> None:
        assert terminal.parse_as_of(moment.isoformat(), NOW).replace(tzinfo=None) == moment
        assert terminal.parse_as_of(moment.isoformat() + "+02:00", NOW) < terminal.parse_as_of(moment.isoformat(), NOW)

    def test_without_one_it_is_now(self) -> None:
        assert terminal.parse_as_of(None, NOW) == NOW

    @given(text=st.text(max_size=20))
    def test_no_text_at_all_makes_anything_but_a_night_or_a_sentence(self, text: str) -> None:
        try:
            found = terminal.parse_as_of(text, NOW)
        except InputError:
            return
        assert found.tzinfo is not None


def test_a_number_that_json_does_not_have_becomes_null(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"a": [float("nan"), {"b": float("inf")}, 1.5], "c": (NOW, Path("x"))})
    assert json.loads(capsys.readouterr().out) == {"a": [None, {"b": None}, 1.5], "c": [str(NOW), "x"]}
