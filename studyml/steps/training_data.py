"""The rows of one retraining: the ledger's labels joined with the source's features, refused rows named."""

from dataclasses import dataclass

import numpy as np

from studyml.database.connection import Connection
from studyml.database.quarantine import QuarantinedRow
from studyml.database.source import read_sessions, read_students, read_topics, read_vocabularies
from studyml.features.definition import FEATURES, Assembled, assemble
from studyml.frame import Frame
from studyml.monitoring.ledger import training_labels
from studyml.registry.retraining import RetrainingRun
from studyml.settings import Settings
from studyml.steps.opening import read_source

LABEL = "actual_duration"
#: What a snapshot keeps: the keys, the date, the 15 features and the label. Never a name or an address.
SNAPSHOT_COLUMNS = ("id", "student_id", "topic_id", "session_date", *FEATURES, LABEL)


@dataclass(frozen=True)
class TrainingData:
    """Labelled sessions, oldest first, with features and ``actual_duration`` in hours; and the rows refused."""

    frame: Frame
    refused: tuple[QuarantinedRow, ...]


def read_training_data(settings: Settings, connection: Connection, run: RetrainingRun) -> TrainingData:
    """Read what the run may learn from: the outcomes up to its ``consumed_through``, as known before each session."""
    ids, hours = training_labels(connection, through_outcome_id=run.consumed_through or 0)

    def read(source: Connection) -> Assembled:
        schema = settings.source_schema
        vocabularies = read_vocabularies(source, schema)
        sessions = read_sessions(source, schema, vocabularies, through=run.as_of)
        sessions = sessions.take(np.isin(sessions["id"], ids))
        students, topics = read_students(source, schema, vocabularies), read_topics(source, schema, vocabularies)
        return assemble(sessions, students, topics)

    assembled = read_source(settings, read)
    frame = assembled.frame
    labels = hours[np.searchsorted(ids, frame["id"])] if len(frame) else np.zeros(0)
    frame = frame.with_columns(**{LABEL: labels})
    reasons = {**assembled.refusals, **assembled.impossible}
    refused = tuple(
        QuarantinedRow("study_sessions", str(frame["id"][row]), reason.split(" ")[0], reason)
        for reason, rows in reasons.items()
        for row in np.flatnonzero(rows)
    )
    usable = np.logical_not(np.logical_or.reduce([np.zeros(len(frame), bool), *reasons.values()]))
    kept = frame.take(usable)
    oldest_first = np.lexsort((kept["id"], kept["session_date"]))
    return TrainingData(kept.take(oldest_first), refused)
