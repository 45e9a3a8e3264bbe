"""Why one planned session got its prediction: each feature's share of it, in hours."""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg2.extensions import connection as Connection

from studyml.database.predictions import newest_scored_night
from studyml.database.source import read_sessions, read_students, read_topics
from studyml.errors import RegistryError
from studyml.evaluation.importance import OF_ONE, shap_values
from studyml.features.definition import assemble, reading_vocabularies
from studyml.frame import MISSING, UNSEEN, Frame
from studyml.registry.versions import find
from studyml.reporting.feature_words import UNKNOWN_LEVEL, Value, feature_words
from studyml.settings import Settings
from studyml.steps.explain import (
    Learned,
    base_columns,
    describe,
    fallback_words,
    feature_groups,
    predictor,
    read_learned,
)
from studyml.steps.opening import own_database, read_source
from studyml.steps.plan_scoring import scoring_window
from studyml.steps.read_history import with_history_at
from studyml.steps.serving import ServedModel, open_version

#: A prediction that is further from the served one than this was made from other inputs, hours.
_SAME_HOURS = 1e-3


def explain_session(
    settings: Settings, *, session_id: int, version: str | None, as_of: datetime | None
) -> dict[str, Any]:
    """The served prediction of a session in the newest scored night (or that of ``as_of``), taken apart.

    Keys beside the version's: session_id, as_of, session_date, base_hours and contributions (feature, values, words,
    hours; the largest first), which sum to predicted_hours; lower_hours and upper_hours (80 %) and lower_hours_90 and
    upper_hours_90, None where the version has no such interval; served_hours, served_by, input_warnings; for a
    fallback no contributions but ``words``.
    Another ``version`` is asked what it would have predicted. Raises RegistryError where there is no such prediction.
    """
    with own_database(settings) as connection:
        night = _night(connection, as_of)
        served = _served(connection, night, session_id)
        found = find(connection, version or served["served_by"])
        model = open_version(settings, found)
        row = _row(settings, connection, night, model, session_id)
    predictions = model.predict(row)
    hours = float(predictions.hours[0])
    document = (
        describe(found)
        | served
        | {
            "session_id": session_id,
            "as_of": night.isoformat(),
            "predicted_hours": hours,
            "lower_hours": _only(predictions.lower),
            "upper_hours": _only(predictions.upper),
            "lower_hours_90": _only(predictions.lower_90),
            "upper_hours_90": _only(predictions.upper_90),
            "inputs_changed": found.version == served["served_by"]
            and abs(hours - served["served_hours"]) > _SAME_HOURS,
        }
    )
    if found.is_fallback:
        return document | {"words": f"{found.version} is a fallback: {fallback_words(found, model)}"}
    return document | _contributions(model, row, read_learned(settings, found))


def _only(hours: NDArray[np.float64] | None) -> float | None:
    return None if hours is None else float(hours[0])


def _contributions(model: ServedModel, row: Frame, learned: Learned) -> dict[str, Any]:
    groups = feature_groups(model.encoder)
    bare, fitting = base_columns(row, groups), base_columns(learned.fitting, groups)
    explained = shap_values(predictor(model), bare, fitting, groups, OF_ONE)
    found = []
    for feature, hours in zip(explained.groups, explained.values[0].tolist(), strict=True):
        values = {column: _value(row, column) for column in groups[feature]}
        shown = {column: None if value == UNKNOWN_LEVEL else value for column, value in values.items()}
        found.append({"feature": feature, "values": shown, "words": feature_words(feature, values), "hours": hours})
    return {
        "base_hours": explained.base_hours,
        "background_rows": min(len(fitting), OF_ONE.background_rows),
        "contributions": sorted(found, key=lambda each: -abs(each["hours"])),
    }


def _value(row: Frame, column: str) -> Value:
    value = row[column][0]
    if column not in row.vocabularies:
        return float(value) if np.isfinite(value) else None
    if value == MISSING:
        return None
    return UNKNOWN_LEVEL if value == UNSEEN else row.vocabularies[column][int(value)]


def _row(settings: Settings, connection: Connection, night: datetime, model: ServedModel, session_id: int) -> Frame:
    """The session's features as scoring reads them, one row."""
    vocabularies = reading_vocabularies(model.encoder.categories)
    after, through = scoring_window(settings, night)
    schema = settings.source_schema
    assembled = read_source(
        settings,
        lambda source: assemble(
            read_sessions(source, schema, vocabularies, after=after, through=through, ids=(session_id, session_id)),
            read_students(source, schema, vocabularies),
            read_topics(source, schema, vocabularies),
        ),
    )
    if len(assembled.frame) == 0:
        raise RegistryError(
            f"session {session_id} was deleted or moved to another date after the night of {_words(night)}: what its"
            " prediction was made from is gone."
        )
    if assembled.refused.any():
        reasons = ", ".join(assembled.refusals)
        raise RegistryError(f"session {session_id} has a prediction, but {reasons} any more: there is nothing to show.")
    return with_history_at(connection, assembled.frame, as_of=night, features=model.encoder.features)


def _night(connection: Connection, as_of: datetime | None) -> datetime:
    newest = newest_scored_night(connection)
    if newest is None:
        raise RegistryError("no night has been scored yet: run 'studyml night'.")
    if as_of is None:
        return newest[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM studyml.scoring_runs WHERE as_of = %s AND status = 'complete' LIMIT 1", (as_of,))
        if cursor.fetchone() is None:
            raise RegistryError(
                f"no night of {_words(as_of)} was scored: the newest one is that of {_words(newest[0])}."
            )
    return as_of


def _served(connection: Connection, night: datetime, session_id: int) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT session_date, model_version, predicted_hours, input_warnings FROM studyml.predictions"
            " WHERE as_of = %s AND session_id = %s AND served",
            (night, session_id),
        )
        row = cursor.fetchone()
        if row is None:
            cursor.execute(
                "SELECT reason FROM studyml.refused_sessions WHERE as_of = %s AND session_id = %s", (night, session_id)
            )
            refused = cursor.fetchone()
            cursor.execute("SELECT EXISTS (SELECT FROM studyml.predictions WHERE as_of = %s)", (night,))
            kept = bool((cursor.fetchone() or (False,))[0])
    if row is None:
        raise RegistryError(_no_prediction(session_id, night, None if refused is None else str(refused[0]), kept))
    date, version, hours, warnings = row
    return {
        "session_date": date.isoformat(),
        "served_by": str(version),
        "served_hours": float(hours),
        "input_warnings": list(warnings or []),
    }


def _no_prediction(session_id: int, night: datetime, reason: str | None, kept: bool) -> str:
    if reason is not None:
        return f"session {session_id} got no prediction in the night of {_words(night)}: {reason}."
    if not kept:
        return f"no predictions of the night of {_words(night)} are kept: take a newer night."
    return (
        f"session {session_id} was not planned in the night of {_words(night)}: analytics.study_time_predictions lists"
        " the sessions that were."
    )


def _words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
