"""What surrounds a run: locks, signals, private files, the Makefile's own sentences."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from studyml.development.airflow_environment import AirflowSettings, airflow_environment, studyml_environment
from studyml.development.data_sources import DataSource, fill
from studyml.development.state import DevelopmentError, exclusive, make_private_folder, read_json, write_json

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"

HOLDER = """
import sys, time
from pathlib import Path
from studyml.development.state import exclusive
with exclusive(Path(sys.argv[1]), wait_seconds=0, busy="busy"):
    print("held", flush=True)
    time.sleep(60)
"""

STOPPED = """
import os, signal, time
from studyml.development.run import _stoppable
with _stoppable():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)  # a second signal, while everything is being stopped
        print("stopped", flush=True)
"""


def test_only_one_run_works_in_a_checkout_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(DevelopmentError, match="another one"),
            exclusive(lock, wait_seconds=0.2, busy="another one"),
        ):
            pass
        holder.kill()
    with exclusive(lock, wait_seconds=0, busy="another one"):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_in_order(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopped\n"
    assert process.returncode == 128 + number


def test_state_files_are_private_and_damage_is_read_as_nothing(tmp_path: Path) -> None:
    folder = make_private_folder(tmp_path / "state")
    write_json(folder / "x.json", {"a": 1})
    assert read_json(folder / "x.json") == {"a": 1}
    assert stat.S_IMODE((folder / "x.json").stat().st_mode) == 0o600
    (folder / "x.json").write_text('{"a": ')
    assert read_json(folder / "x.json") == {}
    assert read_json(folder / "missing.json") == {}


def test_the_callers_own_installation_does_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STUDYML_DATABASE_URL", "STUDYML_SOURCE_URL", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW_HOME"):
        monkeypatch.setenv(name, "somebody-elses")
    monkeypatch.setenv("STUDYML_BASELINE_MAE", "0.5")
    url = "postgresql://u:p@127.0.0.1:1/studyml"
    assert studyml_environment(tmp_path, url, tmp_path)["STUDYML_DATABASE_URL"] == url
    settings = AirflowSettings(tmp_path, url, url, tmp_path, tmp_path, tmp_path)
    environment = airflow_environment(settings, 8080)
    assert "somebody-elses" not in environment.values()
    assert environment["STUDYML_BASELINE_MAE"] == "0.5"
    assert "STUDYML_DATABASE_URL" not in environment
    assert environment["AIRFLOW_CONN_STUDYML_DB"] == url
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert "u:p" not in repr(settings)


def test_a_failed_load_passes_its_sentence_on(empty_database_url: str, tmp_path: Path) -> None:
    environment = studyml_environment(tmp_path, empty_database_url, tmp_path)
    with pytest.raises(DevelopmentError, match=r"students\.csv does not exist"):
        fill(DataSource("x", "y", tmp_path), empty_database_url, environment, lambda line: None)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_python_of_the_wrong_version_is_one_clear_sentence(tmp_path: Path) -> None:
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("")
    shutil.copy(MAKEFILE, tmp_path)
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["make", "run", "PYTHON=false"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stderr.startswith("error: studyml needs Python 3.11, 3.12 or 3.13")
    assert not (tmp_path / ".venv").exists()
