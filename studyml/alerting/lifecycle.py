"""The life of an incident: opened, updated, acknowledged, escalated, resolved, and reopened within a cool-off.

A problem that goes on is one incident and one message: a further message comes only when it gets worse (a ticket
becomes a page), when nobody has acknowledged it, when a retraining for it is decided, and when it is over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg2.extensions import connection as Connection

from studyml.alerting.incidents import (
    ESCALATION,
    OF_SEVERAL,
    PAGE,
    TICKET,
    Event,
    Incident,
    add_event,
    close_open,
    list_incidents,
    newest_of_kind,
    open_incident,
    open_of_kind,
    reopen,
    set_acknowledged,
    set_escalated,
    set_untaken,
    update_open,
)
from studyml.alerting.message import AGAIN, WORSE, Message, moment
from studyml.alerting.silences import LONGEST_SILENCE, silenced_until
from studyml.alerting.told import held_back, is_believed_open, paged_at, was_told
from studyml.errors import RegistryError

ACTOR = "studyml"
#: By no more than that do the clocks of machines that are in order differ.
CLOCKS_DIFFER = timedelta(hours=24)


@dataclass(frozen=True)
class Moment:
    """The night that is being judged, and the wall clock at entry."""

    as_of: datetime
    now: datetime

    def is_before(self, night: datetime) -> bool:
        """Whether ``night`` is a later one, and not of a clock that was ahead."""
        return self.as_of < night and self.is_possible(night)

    def newest(self, night: datetime) -> datetime:
        """The later of both nights."""
        return night if self.is_before(night) else self.as_of

    def is_possible(self, noted: datetime) -> bool:
        """Whether a time can have been noted before now: one far ahead of the wall clock was, by a wrong one."""
        return noted <= self.now + CLOCKS_DIFFER


@dataclass(frozen=True)
class Problem:
    """What is wrong: its kind, how urgent it is (page or ticket), and the message about it, given the incident's id.

    ``repeats``: found anew in a night whose incident was closed, it is news, as a task that fails again is.
    ``another``: while an incident of several things is open, this one of them was not told yet.
    """

    kind: str
    severity: str
    message: Callable[[int], Message]
    model_version: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    repeats: bool = False
    another: bool = False


def report_problem(connection: Connection, problem: Problem, at: Moment, *, cool_off: timedelta) -> str:
    """Bring the incident of the problem's kind up to date; return the event: opened, reopened, worsened, told, updated.

    ``told``: the message is sent now, since a silence had held it back or it is about ``another`` thing. An incident
    that holds this night's finding already and was closed stays closed (``known``). The caller commits.
    """
    present = open_of_kind(connection, problem.kind)
    if present is not None:
        return _update(connection, present, problem, at)
    before = newest_of_kind(connection, problem.kind)
    is_known = before is not None and (before.updated_as_of == at.as_of or at.is_before(before.updated_as_of))
    if is_known and not problem.repeats:
        return "known"
    if before is not None and before.is_reopened_at(at.as_of, cool_off):
        title = problem.message(before.id).title
        reopen(
            connection,
            before.id,
            severity=problem.severity,
            title=title,
            figures=problem.figures,
            as_of=at.newest(before.updated_as_of),
        )
        _tell(connection, before.id, problem, at, event="reopened", prefix=AGAIN)
        return "reopened"
    incident_id = open_incident(
        connection,
        kind=problem.kind,
        severity=problem.severity,
        title=problem.message(0).title,
        model_version=problem.model_version,
        figures=problem.figures,
        as_of=at.as_of,
        now=at.now,
    )
    if incident_id is None:
        raise RegistryError(f"an incident of kind {problem.kind} was opened at this moment: run this again.")
    _tell(connection, incident_id, problem, at, event="opened")
    return "opened"


def _update(connection: Connection, present: Incident, problem: Problem, at: Moment) -> str:
    worse = problem.severity == PAGE and present.severity != PAGE
    severity = PAGE if PAGE in (problem.severity, present.severity) else problem.severity
    # A page stays one, also in words; and of several things the one that opened the incident names it.
    follows = worse or (problem.severity == present.severity and problem.kind not in OF_SEVERAL)
    update_open(
        connection,
        present.id,
        severity=severity,
        title=problem.message(present.id).title if follows else present.title,
        model_version=problem.model_version if follows else None,
        figures=problem.figures,
        as_of=at.newest(present.updated_as_of),
    )
    if problem.another:
        set_untaken(connection, present.id)
    if worse:
        _tell(connection, present.id, problem, at, event="updated", prefix=WORSE)
        return "worsened"
    severities = (PAGE,) if severity == PAGE else (PAGE, TICKET)
    silenced = silenced_until(connection, present.kind, now=at.now) is not None
    if problem.another or not (silenced or was_told(connection, present.id, severities)):
        _tell(connection, present.id, problem, at, event="updated")
        return "told"
    if problem.note:
        _log(connection, present.id, "updated", at, problem.note)
    return "updated"


def _tell(
    connection: Connection, incident_id: int, problem: Problem, at: Moment, *, event: str, prefix: str = ""
) -> None:
    message = problem.message(incident_id).marked(prefix)
    send(connection, incident_id, problem.kind, problem.severity, message, at, event=event, note=problem.note)


def send(
    connection: Connection,
    incident_id: int,
    kind: str,
    severity: str,
    message: Message,
    at: Moment,
    *,
    event: str,
    note: str | None = None,
    actor: str = ACTOR,
) -> None:
    """Log an event with its message, which is held back while its kind is silenced. The caller commits."""
    until = silenced_until(connection, kind, now=at.now)
    add_event(
        connection,
        incident_id,
        event=event,
        as_of=at.as_of,
        now=at.now,
        actor=actor,
        note=note if until is None else f"silenced until {until:%Y-%m-%d %H:%M} UTC; {note or message.title}",
        severity=severity,
        subject=message.subject,
        body=message.body,
        held_back=until is not None,
    )


def tell_held_back(connection: Connection, at: Moment, is_news: Callable[[Event], bool] = lambda _: True) -> None:
    """Send what a silence held back and ``is_news`` still, once the silence is over: the newest message of a problem.

    That is one of an open incident, or that one is over which was told before. It says when it was found, and where to
    see what it is now. The caller commits.
    """
    for incident, event in held_back(connection, since=at.now - LONGEST_SILENCE):
        if silenced_until(connection, incident.kind, now=at.now) is None and is_news(event):
            add_event(
                connection,
                incident.id,
                event=event.event if event.event == "resolved" else "updated",
                as_of=event.as_of,
                now=at.now,
                actor=ACTOR,
                note="the silence is over",
                severity=event.severity,
                subject=event.message_subject,
                body=f"{_late(incident, event)}\n\n{event.message_body}",
            )


def _late(incident: Incident, event: Event) -> str:
    is_open = f" It is open still: studyml alerts show {incident.id}" if incident.status == "open" else ""
    return f"From the night of {moment(event.as_of)}, held back by a silence until now.{is_open}"


def report_recovery(
    connection: Connection, kind: str, message: Callable[[Incident], Message], at: Moment, *, note: str
) -> Incident | None:
    """Resolve the open incident of a kind, if any, with a recovery message, and return it. The caller commits.

    An incident that a later night has updated is left alone: an older night run again does not end it.
    """
    present = open_of_kind(connection, kind)
    if present is None or at.is_before(present.updated_as_of):
        return None
    resolve(connection, present, at, actor=ACTOR, note=note, message=message(present))
    return present


def resolve(
    connection: Connection, incident: Incident, at: Moment, *, actor: str, note: str, message: Message | None = None
) -> None:
    """Close an open incident; whoever had a message about it gets ``message``. The caller commits."""
    told = is_believed_open(connection, incident.id)
    close_open(connection, incident.id, as_of=max(at.as_of, incident.opened_as_of), now=at.now)
    if message is None or not told:
        _log(connection, incident.id, "resolved", at, note, actor=actor)
    else:
        send(
            connection,
            incident.id,
            incident.kind,
            incident.severity,
            message,
            at,
            event="resolved",
            note=note,
            actor=actor,
        )


def acknowledge(connection: Connection, incident_id: int, *, name: str, at: Moment) -> None:
    """Record that somebody takes care of an open incident: it is not escalated. The caller commits.

    Raises RegistryError where it is not open.
    """
    set_acknowledged(connection, incident_id, name=name, now=at.now)
    _log(connection, incident_id, "acknowledged", at, f"acknowledged by {name}", actor=name)


def escalate(
    connection: Connection, at: Moment, *, after: timedelta, message: Callable[[Incident], Message]
) -> list[int]:
    """Escalate, once, every open page that nobody acknowledged within ``after``; return their ids. The caller commits.

    Tickets wait: what is not beyond chance wakes nobody by growing old.
    """
    escalated = []
    for incident in list_incidents(connection):
        waiting = incident.acknowledged_at is None and incident.escalated_at is None and incident.severity == PAGE
        if not waiting or silenced_until(connection, incident.kind, now=at.now) is not None:
            continue
        told = paged_at(connection, incident.id)
        if told is not None and at.now - told >= after:
            set_escalated(connection, incident.id, now=at.now)
            send(connection, incident.id, incident.kind, ESCALATION, message(incident), at, event="escalated")
            escalated.append(incident.id)
    return escalated


def _log(connection: Connection, incident_id: int, event: str, at: Moment, note: str, *, actor: str = ACTOR) -> None:
    add_event(connection, incident_id, event=event, as_of=at.as_of, now=at.now, actor=actor, note=note)
