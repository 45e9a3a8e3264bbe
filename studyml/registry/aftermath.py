"""What became of a decided retraining: its version serves, is on trial, waits for a person, or was put aside."""

from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from studyml.registry.deployments import deployments
from studyml.registry.retraining import FAILED, RetrainingRun
from studyml.registry.versions import find

REJECTED, SERVED, ON_TRIAL, WAITING, TRIED, DECLINED = "rejected", "served", "on_trial", "waiting", "tried", "declined"


@dataclass(frozen=True)
class Aftermath:
    """One of the words above, or the decision of a run that failed; and why, where its version was put aside.

    ``served``: it is or was champion; ``tried``: its trial ended without that; ``declined``: nobody approved it.
    """

    word: str
    reasons: list[str]


def aftermath(connection: Connection, run: RetrainingRun) -> Aftermath:
    """How it stands now with a decided run."""
    said = [reason for reason in run.reasons if not reason.endswith("stays champion")]
    if run.decision in (*FAILED, REJECTED):
        return Aftermath(str(run.decision), said)
    if run.version is None or any(each.to_version == run.version for each in deployments(connection)):
        return Aftermath(SERVED, [])
    status = find(connection, run.version).status
    if run.decision == "challenger":
        ended = status != "challenger"
        return Aftermath(TRIED, _end_of_trial(connection, run.version)) if ended else Aftermath(ON_TRIAL, [])
    if run.decision == "awaiting_approval" and status != "awaiting_approval":
        return Aftermath(DECLINED, said[-1:])  # the answer was added to the run's reasons
    return Aftermath(WAITING if run.decision == "awaiting_approval" else SERVED, [])


def _end_of_trial(connection: Connection, version: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reason FROM studyml.deployments WHERE action = 'retire' AND from_version = %s"
            " ORDER BY id DESC LIMIT 1",
            (version,),
        )
        return [str(reason) for (reason,) in cursor.fetchall()]
