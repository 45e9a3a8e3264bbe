"""The version of a made-up ledger: published as the product publishes, so that nights find its reference and hash.

It has one file, the reference, made of the newest served outcomes of the ledger: what drift is looked for with. A
network would only be read by scoring, which is no part of a night's observing and judging.
"""

from datetime import timedelta
from pathlib import Path

import numpy as np
from psycopg2.extras import Json

from benchmarks.ledger_of_years import END, PER_NIGHT, VERSION
from studyml.database.served import served_outcomes
from studyml.monitoring.degradation import expected_error
from studyml.registry.store import ArtifactStore, begin_build, publish
from studyml.registry.versions import commit_artifact
from studyml.settings import load_settings
from studyml.steps.opening import own_database, read_source
from studyml.steps.recent_sessions import MOST_SESSIONS, read_assembled
from studyml.steps.reference import write_reference
from studyml.steps.training_data import LABEL


def publish_version(url: str, artifact_root: Path) -> None:
    """Build, seal and publish the champion's folder below ``artifact_root``, and store its hash and expected error."""
    settings = load_settings(database_url=url, artifact_root=artifact_root)
    store = ArtifactStore(artifact_root)
    with own_database(settings) as connection:
        days = timedelta(days=MOST_SESSIONS // PER_NIGHT + 1)
        found = served_outcomes(connection, version=VERSION, after=END - days, as_of=END, most=MOST_SESSIONS)
        ids, predicted, actual = (found[name] for name in ("session_id", "predicted", "actual"))
        frame = read_source(settings, lambda source: read_assembled(source, settings.source_schema, ids))
        assert np.array_equal(frame["id"], ids), "every session of the ledger has a student and a topic"
        write_reference(
            begin_build(store, VERSION),
            frame.with_columns(**{LABEL: actual.astype(np.float64)}),
            predicted=predicted.astype(np.float64),
        )
        uri, manifest_sha256 = publish(store, VERSION)
        commit_artifact(connection, VERSION, manifest_sha256=manifest_sha256, artifact_uri=uri)
        student, date = (frame[name].astype(np.int64) for name in ("student_id", "session_date"))
        expected = expected_error(actual.astype(np.float64), predicted.astype(np.float64), student, date)
        assert expected is not None, "the ledger has errors"
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE studyml.model_versions SET metrics = metrics || %s WHERE version = %s",
                (Json({"relative_error": expected.to_json()}), VERSION),
            )
        connection.commit()
