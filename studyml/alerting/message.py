"""The form of every message: what broke, facts in a list, what the system did, what to do next, and links.

Plain text that also reads well as a mail and in Slack: short lines, no markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

#: Services cut longer ones.
_LONGEST_SUBJECT = 120
_SENDER = "studyml: "
#: What marks the title of a problem that came back, and of one that got worse.
AGAIN, WORSE = "again: ", "worse: "


@dataclass(frozen=True)
class Message:
    """A message; ``title`` is its subject without the name of the system (``title_of``)."""

    title: str
    body: str

    @property
    def subject(self) -> str:
        """The subject, short enough for every service."""
        whole = f"{_SENDER}{self.title}"
        return whole if len(whole) <= _LONGEST_SUBJECT else whole[: _LONGEST_SUBJECT - 1] + "…"

    def marked(self, prefix: str) -> "Message":
        """The same with words before its title."""
        return replace(self, title=prefix + self.title)


@dataclass(frozen=True)
class Links:
    """Where a message sends its reader: the runbook, and the Airflow UI or an empty text."""

    runbook_url: str
    airflow_url: str

    def lines(self, section: str, dag_id: str, run_id: str | None = None, report: str | None = None) -> list[str]:
        """The last lines of a message."""
        found = [f"Runbook: {self.runbook_url}#{section}"]
        if self.airflow_url:
            place = f"{self.airflow_url.rstrip('/')}/dags/{dag_id}"
            found.append(f"Airflow: {place}/runs/{run_id}" if run_id else f"Airflow: {place}")
        if report:
            found.append(f"Report: {report}")
        return found


def compose(
    title: str,
    *,
    summary: str,
    facts: Sequence[str] = (),
    done: Sequence[str] = (),
    steps: Sequence[str] = (),
    links: Sequence[str] = (),
) -> Message:
    """Put a message together; parts that are empty are left out."""
    parts = [
        [summary],
        [f"- {fact}" for fact in facts],
        list(done),
        ["Next:", *(f"{number}. {step}" for number, step in enumerate(steps, 1))] if steps else [],
        list(links),
    ]
    return Message(title, "\n\n".join("\n".join(part) for part in parts if part))


def title_of(subject: str) -> str:
    """The title of a message with this subject, without what marks it as news about an older one.

    >>> title_of(Message("a task failed", "").marked(AGAIN).subject)
    'a task failed'
    """
    return subject.removeprefix(_SENDER).removeprefix(AGAIN).removeprefix(WORSE)


def is_worse(subject: str) -> bool:
    """Whether a message with this subject says that an open problem got worse."""
    return subject.startswith(_SENDER + WORSE)


def moment(instant: datetime) -> str:
    """An instant as people read it.

    >>> moment(datetime(2026, 3, 1, 1))
    '2026-03-01 01:00 UTC'
    """
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def have_it(incident_id: int) -> str:
    """The step with which a person takes an incident on; before it has an id (0) the step says so."""
    return f"Say that you have it: studyml alerts ack {incident_id or 'ID'}"


def trial_message(now: datetime) -> Message:
    """The message of ``studyml alerts test``."""
    return Message("test message", f"This is a test, sent {moment(now)}. Nothing is wrong.")
