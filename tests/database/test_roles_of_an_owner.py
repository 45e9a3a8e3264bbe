"""The pipeline's own login may own the database it migrates, as the scratch database of a backtest."""

from studyml.database import migrate
from tests.database.test_migrations import ask


def test_the_pipeline_migrates_a_database_that_it_owns_and_keeps_its_rights(empty_database_url: str) -> None:
    name = empty_database_url.rsplit("/", 1)[1]
    ask(empty_database_url, f"ALTER DATABASE {name} OWNER TO studyml_pipeline")
    as_pipeline = f"{empty_database_url}?options=-crole%3Dstudyml_pipeline"

    migrate.upgrade(as_pipeline)

    assert ask(as_pipeline, "SELECT current_user") == [("studyml_pipeline",)]
    assert migrate.upgrade(as_pipeline) == []
    ask(as_pipeline, "INSERT INTO studyml.topic_subjects VALUES (1, 'x')")
