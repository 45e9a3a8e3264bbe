"""Alembic migrations of the schemas ``studyml`` and ``analytics``."""
