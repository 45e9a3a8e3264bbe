"""The state folder of a checkout: secrets, ports, logs and data of what ``make run`` starts."""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studyml.errors import StudymlError

LOOPBACK = "127.0.0.1"


class DevelopmentError(StudymlError):
    """PostgreSQL, Airflow or a night could not be started, reached or finished on this machine."""


def project_root() -> Path:
    """Folder of the checkout; raises DevelopmentError when studyml was installed without its DAGs."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "dags").is_dir():
        raise DevelopmentError(f"{root} has no folder dags: run this command from a checkout of studyml.")
    return root


def default_state_dir() -> Path:
    """The checkout's own state folder, ``.studyml``."""
    return project_root() / ".studyml"


def make_private_folder(path: Path) -> Path:
    """Create ``path`` for its owner only (mode 0700) and return it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise DevelopmentError(f"{path} cannot be created ({error.strerror}): make its folder writable.") from error
    return path


def write_private(path: Path, text: str) -> None:
    """Write ``text`` whole or not at all, readable by the owner only (mode 0600)."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object kept in ``path``; empty when the file is missing or was damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Keep ``value`` in ``path``, whole or not at all (mode 0600)."""
    write_private(path, json.dumps(value, indent=1) + "\n")


def remembered_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """The secret kept in ``path`` (mode 0600), made on first use."""
    if not path.exists():
        write_private(path, make() + "\n")
    return path.read_text(encoding="utf-8").strip()


def is_free(port: int) -> bool:
    """Whether nothing listens on ``port`` of this machine."""
    with socket.socket() as probe:
        # A server restarted within a minute must get its port back although old connections still linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def remembered_port(path: Path, preferred: int | None = None) -> int:
    """The port kept in ``path`` while it is free; else ``preferred``, else any free one, kept from now on."""
    kept = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if kept.isdigit() and is_free(int(kept)):
        return int(kept)
    if preferred is not None and is_free(preferred):
        port = preferred
    else:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
    write_private(path, f"{port}\n")
    return port


@contextmanager
def exclusive(path: Path, *, wait_seconds: float, busy: str) -> Iterator[None]:
    """Hold the lock file ``path``; raises DevelopmentError(``busy``) when another process keeps it for longer.

    The operating system lets go of it when its holder dies, however it dies.
    """
    make_private_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DevelopmentError(busy) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def tail(path: Path, lines: int = 5) -> str:
    """The last ``lines`` lines of a log, for a message."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 16_384))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.strip().splitlines()[-lines:])
