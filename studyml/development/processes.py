"""Processes that outlive the command that started them: told apart from later owners of the same pid, and stopped."""

import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

# In the environment of everything that is started for a state folder; survives any number of forks.
MARKER = "STUDYML_DEVELOPMENT_STATE"


@dataclass(frozen=True)
class ProcessId:
    """A pid with the start time (seconds since 1970) that tells it from a later process of the same number."""

    name: str
    pid: int
    started: float

    @classmethod
    def of(cls, name: str, pid: int) -> "ProcessId":
        """Describe a process that runs now."""
        return cls(name, pid, psutil.Process(pid).create_time())

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ProcessId":
        """Inverse of ``to_json``."""
        return cls(str(value["name"]), int(value["pid"]), float(value["started"]))

    def to_json(self) -> dict[str, Any]:
        """A form for a state file."""
        return asdict(self)

    def is_running(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            # The system counts in clock ticks, and its clock may be set: a second apart is the same process.
            return bool(abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def runs_in(pid: int, folder: Path) -> bool:
    """Whether ``pid`` is a PostgreSQL server whose working folder, and so its data, is ``folder``."""
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and Path(process.cwd()) == folder.resolve()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return False  # another user's process: not our server


def exists(pid: int) -> bool:
    """Whether any process has this number now."""
    return bool(psutil.pid_exists(pid))


def marked(state_dir: Path) -> list[psutil.Process]:
    """Every process, except this one, that carries the marker of ``state_dir`` in its environment."""
    wanted = str(state_dir.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARKER) == wanted:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue  # gone, or another user's
    return found


def families(parents: Iterable[ProcessId]) -> list[psutil.Process]:
    """``parents`` that still run, each followed by all of its descendants."""
    found = []
    for parent in parents:
        if parent.is_running():
            try:
                process = psutil.Process(parent.pid)
                found += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
    return found


def stop(processes: list[psutil.Process], *, patience_seconds: float) -> None:
    """Ask all to end (SIGTERM); kill what is left after ``patience_seconds``."""
    _signal(processes, signal.SIGTERM)
    _, left = psutil.wait_procs(processes, timeout=patience_seconds)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
