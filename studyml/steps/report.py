"""What happened in a night, in one document: the data behind every summary."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from studyml.alerting.incidents import Incident, list_events, list_incidents
from studyml.alerting.told import as_told
from studyml.database.connection import Connection
from studyml.database.nights import newest_night
from studyml.database.quarantine import count_quarantined
from studyml.errors import RegistryError
from studyml.monitoring.verdicts import stored_verdict
from studyml.registry.retraining import latest_run
from studyml.registry.trials import trial_night
from studyml.registry.versions import Version, champion_at, find
from studyml.settings import Settings
from studyml.steps.opening import artifact_store, own_database

_METRICS = (
    "mae",
    "rmse",
    "median_mae",
    "estimate_mae",
    "log_linear_mae",
    "random_split_mae",
    "champion_mae",
    "holdout_rows",
)


def report(settings: Settings, *, as_of: datetime | None = None) -> dict[str, Any]:
    """The night of ``as_of``, by default the newest; raises RegistryError where it was not lived.

    Of the newest night the incidents that are open now are listed, of an earlier one those that were open after it.
    """
    with own_database(settings) as connection:
        night = _night(connection, as_of)
        moment: datetime = night["as_of"]
        version = champion_at(connection, moment)
        incidents = _incidents(connection, moment)
        return {
            **night,
            "as_of": moment.isoformat(),
            "retraining": _retraining(connection, moment),
            "trial": _trial(connection, moment),
            "scoring": _scoring(connection, moment),
            "monitoring": stored_verdict(connection, moment),
            "champion": None if version is None else _champion(version),
            "quarantined": count_quarantined(connection),
            "incidents": [
                {"id": each.id, "kind": each.kind, "title": each.title, "opened_as_of": each.opened_as_of.isoformat()}
                for each in incidents
            ],
            "where": {
                "predictions": "analytics.study_time_predictions",
                "artifacts": artifact_store(settings).address,
                "runbook": settings.runbook_url,
            },
        }


def _night(connection: Connection, as_of: datetime | None) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of, replay, coalesce(finished_at >= started_at, false), dag_run_id FROM studyml.nights"
            " WHERE %(as_of)s::timestamptz IS NULL OR as_of = %(as_of)s ORDER BY as_of DESC LIMIT 1",
            {"as_of": as_of},
        )
        row = cursor.fetchone()
    if row is None:
        named = "no night was lived yet" if as_of is None else f"there was no night of {as_of.isoformat()}"
        raise RegistryError(f"{named}: run 'studyml night'.")
    return {"as_of": row[0], "replay": row[1], "finished": row[2], "dag_run_id": row[3]}


def _incidents(connection: Connection, as_of: datetime) -> list[Incident]:
    if as_of == newest_night(connection):
        return list_incidents(connection)
    found = list_incidents(connection, only_open=False)
    told = (as_told(each, list_events(connection, each.id), as_of) for each in found if each.opened_as_of <= as_of)
    return [each for each in told if each is not None]


def _retraining(connection: Connection, as_of: datetime) -> dict[str, Any] | None:
    run = latest_run(connection, as_of)
    if run is None:
        return None
    metrics = {} if run.version is None else find(connection, run.version).metrics
    return {
        "decision": run.decision,
        "reasons": run.reasons,
        "reason": run.reason,
        "note": run.note,
        "new_labels": run.new_labels,
        "needed": run.labels_needed,
        "version": run.version,
        "metrics": {name: metrics.get(name) for name in _METRICS},
    }


def _trial(connection: Connection, as_of: datetime) -> dict[str, Any] | None:
    found = trial_night(connection, as_of)
    return None if found is None else asdict(found)


def _scoring(connection: Connection, as_of: datetime) -> dict[str, Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT planned, written, refused, status, versions FROM studyml.scoring_runs WHERE as_of = %s"
            " ORDER BY (status = 'complete') DESC, id DESC LIMIT 1",
            (as_of,),
        )
        row = cursor.fetchone()
    return None if row is None else dict(zip(("planned", "written", "refused", "status", "versions"), row, strict=True))


def _champion(version: Version) -> dict[str, Any]:
    kept = {
        name: value for name, value in asdict(version).items() if name in ("version", "architecture", "is_fallback")
    }
    return kept | {"mae": version.metrics.get("mae")}
