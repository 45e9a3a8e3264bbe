"""Where a backtest lives its nights: its database with the hidden labels, its folder, and what it was begun with."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from studyml import __version__
from studyml.database.connection import Connection, describe
from studyml.database.hidden_labels import arrivals, copy_source, hide_labels
from studyml.database.migrate import upgrade
from studyml.database.scratch import SOURCE_SCHEMA, create_scratch, empty_scratch, find_parameters, mark
from studyml.errors import InputError, LockBusyError
from studyml.settings import Settings
from studyml.steps.opening import read_source

#: When a night begins, as ``studyml_nightly`` is scheduled.
NIGHT_STARTS = time(1, tzinfo=UTC)
ARTIFACTS, JSON, PAGE = "artifacts", "backtest.json", "backtest.html"
#: A backtest knows its own folder again by this file, which names the database that it lives in.
_FOLDER_MARK = ".studyml-backtest"
#: Addresses that a real night calls, and that of a backtest must not.
CALLED = ("alert_urls", "ticket_urls", "escalation_urls", "heartbeat_url")
#: Settings that say where things are, not what would have happened.
_ELSEWHERE = {
    *("database_url", "source_url", "source_schema", "artifact_root", "artifact_cache"),
    *CALLED,
    *("runbook_url", "airflow_url", "statement_timeout_seconds", "lock_timeout_seconds", "scoring_range_sessions"),
    *("keep_versions", "keep_served_days", "prediction_retention_days", "code_version"),
}


@dataclass(frozen=True)
class Request:
    """What a person asked for; None is the default. ``first`` and ``last`` are the dates of nights."""

    first: date | None
    last: date | None
    label_delay_hours: float
    folder: Path | None
    workspace: str | None
    restart: bool = False


@dataclass(frozen=True)
class Workspace:
    """Settings of the nights, the nights, the folder of the report, and what the backtest was begun with."""

    settings: Settings
    nights: tuple[datetime, ...]
    folder: Path
    parameters: Mapping[str, Any]


def open_workspace(
    settings: Settings, request: Request, connection: Connection, url: str, now: datetime, held: ExitStack
) -> Workspace:
    """Go on with the backtest of the scratch database at ``url``, or begin one; ``connection`` is open there.

    Nobody else writes into its folder until ``held`` is left. Raises InputError where the database or the folder holds
    anything else, or a backtest with other parameters, LockBusyError where another one writes into the folder.
    """
    parameters = find_parameters(connection)
    if parameters is not None and request.restart:
        empty_scratch(connection)
        parameters = None
    if parameters is None:
        parameters = _begin(settings, request, connection, now)
        folder = _own_folder(parameters, held)
        _clear(folder, describe(url))
    else:
        _refuse_another(settings, request, parameters, describe(url))
        folder = _own_folder(parameters, held)
    connection.commit()
    upgrade(url)
    first, last = (date.fromisoformat(parameters[name]) for name in ("from", "to"))
    nights = tuple(night_of(first + timedelta(days=day)) for day in range((last - first).days + 1))
    return Workspace(settings_of_nights(settings, url, folder), nights, folder, parameters)


def workspace_address(settings: Settings, given: str | None) -> str:
    """The address of the scratch database; without one given it is made beside our own."""
    if given is None:
        return create_scratch(settings.database)
    if not given.startswith(("postgresql://", "postgres://")):
        raise InputError("--workspace must look like postgresql://user:password@host:5432/name.")
    return given


def settings_of_nights(settings: Settings, url: str, folder: Path) -> Settings:
    """The settings with which a night is lived in the scratch database: nothing leads out of it, nobody is told."""
    return settings.model_copy(
        update={
            "database_url": SecretStr(url),
            "source_url": None,
            "source_schema": SOURCE_SCHEMA,
            "source_timezone": "UTC",
            "artifact_root": folder / ARTIFACTS,
            **dict.fromkeys(CALLED, SecretStr("")),
        }
    )


def night_of(day: date) -> datetime:
    """The night that begins on a day, UTC."""
    return datetime.combine(day, NIGHT_STARTS)


def _begin(settings: Settings, request: Request, scratch: Connection, now: datetime) -> dict[str, Any]:
    """Copy the source with all labels hidden, and mark the database: all of it or nothing."""

    def copy(source: Connection) -> dict[str, int]:
        scratch.rollback()
        return asdict(copy_source(source, settings.source_schema, scratch))

    rows = read_source(settings, copy)
    hide_labels(scratch, timedelta(hours=request.label_delay_hours))
    first, last = _dates(settings, request, scratch, now)
    folder = (request.folder or Path(f"backtest_{first}_{last}")).resolve()
    parameters = {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "label_delay_hours": request.label_delay_hours,
        "folder": str(folder),
        "source": _source_words(settings),
        "settings": _told(settings),
        "studyml": __version__,
        "rows": rows,
    }
    mark(scratch, parameters)
    return parameters


def _dates(settings: Settings, request: Request, scratch: Connection, now: datetime) -> tuple[date, date]:
    """The first and the last night; by default from when a network can be trained to when the last label arrived."""
    known = arrivals(scratch, settings.retrain_min_labels)
    if known is None:
        raise InputError("no session of the source has a usable label: there is nothing to replay.")
    today = now.date()
    enough, newest = (_next_night(moment) for moment in known)
    last = request.last or min(newest, today)
    first = request.first or min(enough, last)
    _require_order(first, last)
    return first, last


def refuse_impossible(request: Request, now: datetime) -> None:
    """Raise InputError for dates and a folder that cannot be used, before anything is made or read."""
    if request.last is not None and request.last > now.date():
        raise InputError(f"--to {request.last} is in the future: replay up to {now.date()}.")
    if request.first is not None:
        _require_order(request.first, request.last or now.date())
    if request.folder is not None:
        _require_own(request.folder)


def _require_order(first: date, last: date) -> None:
    if first > last:
        raise InputError(f"--from {first} is after --to {last}: give an earlier --from or a later --to.")


def _require_own(folder: Path) -> None:
    try:
        marked = (folder / _FOLDER_MARK).is_file()
        if folder.exists() and not marked and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} holds something that is not a backtest's: name another folder with --out.")
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): name another folder with --out.") from None


def _next_night(moment: datetime) -> date:
    moment = moment.astimezone(UTC)
    return moment.date() if moment <= night_of(moment.date()) else moment.date() + timedelta(days=1)


def _own_folder(parameters: Mapping[str, Any], held: ExitStack) -> Path:
    """Make the folder where it is not there, and keep it; raises InputError where it is somebody's."""
    folder = Path(parameters["folder"])
    _require_own(folder)
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FOLDER_MARK).touch()
    held.enter_context(_alone_in(folder))
    return folder


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other backtests out of the folder, by a lock that ends with the process."""
    with ExitStack() as stack:
        with _writable(folder):
            file = stack.enter_context((folder / _FOLDER_MARK).open("a", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockBusyError(
                    f"another backtest writes into {folder}: run this again when it has ended, or name another folder"
                    " with --out."
                ) from None
        yield


def _clear(folder: Path, place: str) -> None:
    """Take the folder over for the backtest in ``place``; raises InputError where that of another is not finished."""
    with _writable(folder):
        owner = (folder / _FOLDER_MARK).read_text(encoding="utf-8").strip()
        if owner not in ("", place) and not (folder / JSON).exists():
            raise InputError(
                f"{folder} holds what the backtest in {owner} has begun and not finished: finish that one, delete the"
                " folder, or name another with --out."
            )
        shutil.rmtree(folder / ARTIFACTS, ignore_errors=True)
        for name in (JSON, PAGE):
            (folder / name).unlink(missing_ok=True)
        (folder / _FOLDER_MARK).write_text(f"{place}\n", encoding="utf-8")


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): name another folder with --out.") from None


def _told(settings: Settings) -> dict[str, Any]:
    """The settings that decide what happens in a night; none of them is a secret."""
    told: dict[str, Any] = json.loads(settings.model_dump_json(exclude=_ELSEWHERE))
    return told


def _source_words(settings: Settings) -> str:
    return f"{describe(settings.source)}, schema {settings.source_schema}"


def _refuse_another(settings: Settings, request: Request, begun: Mapping[str, Any], place: str) -> None:
    asked = {
        "--from": (begun["from"], request.first and request.first.isoformat()),
        "--to": (begun["to"], request.last and request.last.isoformat()),
        "--label-delay": (begun["label_delay_hours"], request.label_delay_hours),
        "--out": (begun["folder"], request.folder and str(request.folder.resolve())),
    }
    asked = {name: (before, before if now is None else now) for name, (before, now) in asked.items()}
    asked["the source"] = (begun["source"], _source_words(settings))
    asked["the version of studyml"] = (begun["studyml"], __version__)
    told = _told(settings)
    asked |= {f"STUDYML_{name.upper()}": (value, told.get(name)) for name, value in begun["settings"].items()}
    for name, (before, now) in asked.items():
        if before != now:
            raise InputError(
                f"the backtest in {place} was begun with another {name.removeprefix('the ')} ({before}, now {now}): run"
                " it with the same, or begin anew with --restart."
            )
