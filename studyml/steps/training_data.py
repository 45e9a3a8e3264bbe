"""The rows of one retraining: the ledger's labels joined with the source's features, refused rows named."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from studyml.database.connection import Connection
from studyml.database.quarantine import QuarantinedRow
from studyml.database.source import read_sessions, read_students, read_topics
from studyml.database.vocabularies import read_vocabularies
from studyml.features.definition import FEATURES, Assembled, assemble
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.frame import Frame, to_microseconds
from studyml.monitoring.ledger import sessions_with_outcome, training_labels
from studyml.settings import Settings
from studyml.steps.opening import read_source
from studyml.steps.read_history import with_training_history

LABEL = "actual_duration"
#: What a snapshot keeps: the keys, the date, the 15 features, the history and the label, and the sequences where they
#: were read. Never a name or an address.
SNAPSHOT_COLUMNS = ("id", "student_id", "topic_id", "session_date", *FEATURES, *HISTORY_FEATURES, LABEL)


@dataclass(frozen=True)
class TrainingData:
    """Labelled sessions, oldest first, with features and ``actual_duration`` in hours; and the rows refused.

    The history columns of a row, where it has any, say what was known in the newest night before its session.
    """

    frame: Frame
    refused: tuple[QuarantinedRow, ...]


def snapshot_columns(frame: Frame) -> tuple[str, ...]:
    """The columns of a training frame that its snapshot keeps."""
    return (*SNAPSHOT_COLUMNS, *(name for name in SEQUENCE_FEATURES if name in frame.columns))


def read_training_data(
    settings: Settings,
    connection: Connection,
    *,
    as_of: datetime,
    through_outcome_id: int,
    history: bool = True,
    sequences: bool = False,
) -> TrainingData:
    """Read what may be learned from at ``as_of``: the outcomes up to one, with features as known before a session.

    Sessions before the setting ``training_from`` are left out: their outcomes count in the history alone.
    ``history`` adds the HISTORY_FEATURES; ``sequences`` adds the SEQUENCE_FEATURES, too: only a network that reads
    sequences needs them.
    """
    ids, hours = training_labels(connection, through_outcome_id=through_outcome_id)

    def read(source: Connection) -> Assembled:
        schema = settings.source_schema
        vocabularies = read_vocabularies(source, schema)
        sessions = read_sessions(source, schema, vocabularies, through=as_of)
        sessions = sessions.take(np.isin(sessions["id"], ids))
        students, topics = read_students(source, schema, vocabularies), read_topics(source, schema, vocabularies)
        return assemble(sessions, students, topics)

    assembled = read_source(settings, read)
    frame = assembled.frame
    labels = hours[np.searchsorted(ids, frame["id"])] if len(frame) else np.zeros(0)
    frame = frame.with_columns(**{LABEL: labels})
    reasons = {**assembled.refusals, **assembled.impossible}
    refused = tuple(
        QuarantinedRow("study_sessions", str(frame["id"][row]), _column_of(reason), reason)
        for reason, rows in reasons.items()
        for row in np.flatnonzero(rows)
    )
    usable = np.logical_not(np.logical_or.reduce([np.zeros(len(frame), bool), *reasons.values()]))
    kept = frame.take(usable)
    kept = kept.take(np.lexsort((kept["id"], kept["session_date"])))
    if settings.training_start is not None:
        kept = kept.take(kept["session_date"].astype(np.int64) >= to_microseconds(settings.training_start))
    if history or sequences:
        kept = with_training_history(connection, kept, through_outcome_id=through_outcome_id, sequences=sequences)
    return TrainingData(kept, refused)


def _column_of(reason: str) -> str:
    """The column that a reason is about: it begins with its name, or is about a key ("its student does not …")."""
    first, second, *_ = reason.split(" ")
    return f"{second}_id" if first == "its" else first


def too_few_since(settings: Settings, connection: Connection, as_of: datetime) -> str | None:
    """How many labelled sessions there are since ``training_from``, in words, where they are too few to learn from."""
    start = settings.training_start
    if start is None:
        return None
    count = len(sessions_with_outcome(connection, after=start - timedelta(microseconds=1), as_of=as_of))
    if count >= settings.retrain_min_labels:
        return None
    return (
        f"{count} labelled sessions since {settings.training_from}, {settings.retrain_min_labels} needed"
        " (STUDYML_TRAINING_FROM)"
    )
