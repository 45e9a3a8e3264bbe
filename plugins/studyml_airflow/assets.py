"""Assets: how the DAGs tell each other that something changed."""

from airflow.sdk import Asset

# Updated by a promotion only, with the version in the event's extra; studyml_score is scheduled on it.
CHAMPION = Asset(name="studyml_champion", uri="studyml://champion", group="studyml")

# Updated when a candidate waits for a person's approval, with the version in the event's extra; studyml_approve is
# scheduled on it.
CANDIDATE = Asset(name="studyml_candidate", uri="studyml://candidate", group="studyml")
