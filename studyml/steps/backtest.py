"""Replay history night by night in a scratch database, with the steps of a real night, and report what they did."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg2

from studyml.alerting.message import title_of
from studyml.database.backtest_results import events_of
from studyml.database.connection import Connection, advisory_lock, connect
from studyml.database.hidden_labels import reveal_labels
from studyml.database.nights import newest_finished
from studyml.database.scratch import drop_scratch, empty_scratch
from studyml.errors import DatabaseError, LockBusyError, StudymlError
from studyml.settings import Settings
from studyml.steps.backtest_night import Lived, tell_night
from studyml.steps.backtest_report import write_report
from studyml.steps.backtest_workspace import (
    ARTIFACTS,
    Request,
    Workspace,
    open_workspace,
    refuse_impossible,
    workspace_address,
)
from studyml.steps.night import night

#: A killed backtest's last statement may still be running.
_LOCK_SECONDS = 30


class Progress(Protocol):
    """Who wants to know how far a backtest is."""

    def begin(self, nights: int, done: int) -> None:
        """There are so many nights, of which some are lived already."""

    def step(self, words: str) -> None:
        """What is being done now."""

    def lived(self, line: str, *, notable: bool) -> None:
        """One more night is lived; notable where a model or an incident changed."""


def backtest(
    settings: Settings, request: Request, *, keep: bool, now: datetime, progress: Progress
) -> tuple[dict[str, Any], Path]:
    """Live every night that is not lived yet, write the report; return what ``backtest.json`` holds, and the folder.

    The study app's tables are read once, our own schema not at all, and nothing is sent. Killed and run again, it goes
    on with the night that was not finished. At the end the scratch database is dropped (a ``--workspace`` emptied) and
    the versions that were trained are deleted, unless ``keep``. Raises InputError where database, folder or dates
    cannot be used, LockBusyError where another backtest runs there or writes into the folder.
    """
    refuse_impossible(request, now)
    url = workspace_address(settings, request.workspace)
    with _alone(url, settings, progress) as scratch, ExitStack() as held:
        progress.step("copying the study app's tables")
        workspace = open_workspace(settings, request, scratch, url, now, held)
        _live(workspace, scratch, progress)
        progress.step("writing the report")
        document = write_report(workspace, scratch, kept=keep)
        scratch.commit()
        if not keep:
            shutil.rmtree(workspace.folder / ARTIFACTS, ignore_errors=True)
            empty_scratch(scratch)
    if not keep and request.workspace is None:
        drop_scratch(settings.database)
    return document, workspace.folder


@contextmanager
def _alone(url: str, settings: Settings, progress: Progress) -> Iterator[Connection]:
    with connect(url, statement_timeout_seconds=settings.statement_timeout_seconds) as connection, ExitStack() as stack:
        try:
            stack.enter_context(advisory_lock(connection, "backtest", wait_seconds=0))
        except LockBusyError:
            progress.step(f"waiting, {_LOCK_SECONDS} s at most, for another backtest that runs in this database")
            _wait(stack, connection)
        yield connection


def _wait(stack: ExitStack, connection: Connection) -> None:
    """Take the lock once the other backtest ends; raises LockBusyError where it does not, or drops the database."""
    try:
        stack.enter_context(advisory_lock(connection, "backtest", wait_seconds=_LOCK_SECONDS))
    except LockBusyError:
        raise LockBusyError(
            "another backtest runs in this database: run this again when it has ended, or give each a database of its"
            " own with --workspace."
        ) from None
    except psycopg2.OperationalError:
        raise LockBusyError("another backtest has just ended and dropped its database: run this again.") from None


def _live(workspace: Workspace, scratch: Connection, progress: Progress) -> None:
    newest = newest_finished(scratch)
    scratch.commit()
    waiting = [each for each in workspace.nights if newest is None or each > newest]
    progress.begin(len(workspace.nights), len(workspace.nights) - len(waiting))
    for as_of in waiting:
        reveal_labels(scratch, as_of)
        scratch.commit()
        lived = _one_night(workspace.settings, scratch, as_of, progress)
        progress.lived(lived.line, notable=lived.notable)


def _one_night(settings: Settings, scratch: Connection, as_of: datetime, progress: Progress) -> Lived:
    result: dict[str, Any] = {}
    failure = None
    try:
        result = night(
            settings, as_of=as_of, now=as_of, progress=lambda words: progress.step(f"{as_of:%Y-%m-%d} {words}")
        )
    except DatabaseError:
        raise
    except StudymlError as error:
        # A night goes on when its retraining fails: it is finished.
        if newest_finished(scratch) != as_of:
            raise
        failure = error
    finally:
        scratch.rollback()
    events = [f"incident {event}: {title_of(subject)}" for event, subject in events_of(scratch, as_of)]
    scratch.commit()
    return tell_night(as_of, result, failure, events)
