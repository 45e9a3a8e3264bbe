"""A person's word on the candidate that waits: approve it, reject it, or say nothing until the deadline."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from studyml.database.connection import Connection, advisory_lock
from studyml.errors import NotWaitingError
from studyml.registry.approvals import note_answer, waiting, waits_since
from studyml.registry.versions import Version, champion, find, promote, reject
from studyml.settings import Settings
from studyml.steps.evaluate_candidate import judge_published
from studyml.steps.opening import own_database
from studyml.steps.recipients import redacted
from studyml.steps.serving import open_version

_logger = logging.getLogger("studyml")


def waiting_candidate(settings: Settings, version: str | None = None) -> dict[str, str] | None:
    """``version``, ``subject``, ``body`` (Markdown) and ``deadline`` (ISO 8601) of the candidate that waits, or None.

    With ``version``: None also where another one waits.
    """
    with own_database(settings) as connection:
        found, present = waiting(connection), champion(connection)
        if found is None or version not in (None, found.version):
            return None
        since, why = _since(connection, found)
    deadline = since + timedelta(hours=settings.approval_hours)
    subject = f"Shall {found.version} serve in place of {present.version if present else 'none'}?"
    body = _text(found, present, why=why, deadline=deadline)
    return {"version": found.version, "subject": subject, "body": body, "deadline": deadline.isoformat()}


def approve_version(settings: Settings, version: str, *, now: datetime, actor: str, reason: str) -> dict[str, Any]:
    """Promote the waiting ``version``; return its ``decision``, ``promoted`` or ``rejected``, and the reasons.

    Where the champion changed since it was judged, it is judged again, and rejected if it does not pass. Approved
    twice, it stays what it is. Raises NotWaitingError where it does not wait, ArtifactError where it is damaged.
    """
    actor, reason = redacted(settings, actor), redacted(settings, reason)
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        found, present = find(connection, version), champion(connection)
        if found.status == "champion":
            return {"version": version, "decision": "promoted", "promoted": True, "reasons": []}
        _require_waiting(found)
        replacing = None if present is None else present.version
        failed: list[str] = []
        if found.metrics.get("champion_version") != replacing:
            failed = [each.reason for each in judge_published(settings, connection, found, present) if not each.passed]
        if failed:
            reject(connection, version)
            note_answer(connection, version, f"approved by {actor}, judged again and rejected: {'; '.join(failed)}")
            connection.commit()
            _logger.warning("%s rejected in spite of the approval: %s", version, "; ".join(failed))
            return {"version": version, "decision": "rejected", "promoted": False, "reasons": failed}
        open_version(settings, found)
        promote(
            connection,
            version,
            replacing=replacing,
            as_of=now,
            now=now,
            actor=actor,
            reason=reason,
            statuses=("awaiting_approval",),
        )
        note_answer(connection, version, f"approved by {actor}: {reason}")
        connection.commit()
    return {"version": version, "decision": "promoted", "promoted": True, "reasons": [reason]}


def reject_version(settings: Settings, version: str, *, actor: str, reason: str) -> bool:
    """Reject the waiting ``version``, the champion stays; False where it is decided already."""
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        if find(connection, version).status != "awaiting_approval":
            return False
        _reject(connection, version, redacted(settings, actor), redacted(settings, reason))
        connection.commit()
    return True


def expire_waiting(settings: Settings, connection: Connection, *, now: datetime) -> str | None:
    """Reject the candidate that has waited beyond its deadline; return it. The caller commits."""
    found = waiting(connection)
    if found is None or now - _since(connection, found)[0] < timedelta(hours=settings.approval_hours):
        return None
    _reject(connection, found.version, "studyml", f"nobody approved it within {settings.approval_hours:g} hours")
    return found.version


def _since(connection: Connection, found: Version) -> tuple[datetime, str]:
    """From when its time runs, however late the question is asked, and why its retraining was due."""
    since, why = waits_since(connection, found.version) or (found.trained_at, "it was due")
    return since.astimezone(UTC), why


def _reject(connection: Connection, version: str, actor: str, reason: str) -> None:
    reject(connection, version)
    note_answer(connection, version, f"rejected by {actor}: {reason}")
    _logger.info("%s rejected by %s: %s; the champion stays", version, actor, reason)


def _require_waiting(found: Version) -> None:
    if found.status != "awaiting_approval":
        raise NotWaitingError(
            f"{found.version} does not wait for approval, its status is {found.status}: see 'studyml versions list'."
        )


def _text(found: Version, present: Version | None, *, why: str, deadline: datetime) -> str:
    """The evaluation for the person who decides, in Markdown."""
    gates = [f"- {'passed' if gate['passed'] else 'FAILED'}: {gate['reason']}" for gate in found.gates]
    lines = [
        f"**{found.version}** ({found.architecture}, recipe {found.recipe}) passed {len(gates)} gates and waits for"
        f" your answer. It was trained on {found.training_rows} sessions at"
        f" {found.trained_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, because: {why}.",
        "",
        f"On {found.holdout_rows} held-out sessions its MAE is **{_hours(found.metrics.get('mae'))}** (RMSE"
        f" {_hours(found.metrics.get('rmse'))}). {_beside(found, present)}",
        "",
        *gates,
        "",
        "What your answer does:",
        "",
        f"- Approve: {found.version} becomes champion, and the newest night is predicted again.",
        f"- Reject: the champion stays, and {found.version} does not come back by itself.",
        f"- No answer until {deadline:%Y-%m-%d %H:%M} UTC: as Reject.",
        "",
        f"The report with its plots: `studyml versions report {found.version}`.",
    ]
    return "\n".join(lines)


def _beside(found: Version, present: Version | None) -> str:
    if present is None:
        return "There is no champion."
    judged_against, mae = found.metrics.get("champion_version"), found.metrics.get("champion_mae")
    if judged_against != present.version:
        return (
            f"The champion is **{present.version}** by now, and it was judged against {judged_against or 'none'}:"
            " approving judges it again first."
        )
    if mae is None:
        return (
            f"The champion **{present.version}** learned from some of these sessions: below is how it does on others."
        )
    return f"The champion **{present.version}** has **{_hours(mae)}** on the same sessions."


def _hours(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f} h"
