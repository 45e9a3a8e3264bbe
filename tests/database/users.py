"""The roles of our database, and its address for a user."""

ROLES = ("studyml_analyst", "studyml_pipeline", "studyml_ui")


def as_user(url: str, user: str) -> str:
    return f"postgresql://{user}:secret@" + url.split("@", 1)[1]
