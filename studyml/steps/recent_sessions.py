"""A few thousand sessions of the source with their features, by id: what monitoring looks at beside the errors."""

import numpy as np
from numpy.typing import NDArray

from studyml.database.connection import Connection
from studyml.database.source import read_sessions_by_id, read_students, read_topics
from studyml.database.vocabularies import read_vocabularies
from studyml.features.definition import assemble
from studyml.frame import Frame

#: Sessions at most that are looked at: more would say the same.
MOST_SESSIONS = 20_000


def read_assembled(source: Connection, schema: str, ids: NDArray[np.int64]) -> Frame:
    """The sessions with these ids (ascending) as scoring assembles them, but for those without student or topic.

    The vocabularies hold the levels of these very rows, whatever any model knows.
    """
    vocabularies = read_vocabularies(source, schema, ids={"study_sessions": ids})
    sessions = read_sessions_by_id(source, schema, vocabularies, ids)
    students, topics = (np.unique(sessions[name]).astype(np.int64) for name in ("student_id", "topic_id"))
    vocabularies |= read_vocabularies(source, schema, ids={"students": students, "topics": topics})
    assembled = assemble(
        sessions,
        read_students(source, schema, vocabularies, ids=students),
        read_topics(source, schema, vocabularies, ids=topics),
    )
    return assembled.frame.take(~assembled.refused)
