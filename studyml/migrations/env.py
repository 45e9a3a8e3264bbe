"""Alembic environment: online only, on the connection that ``studyml.database.migrate`` hands over."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
# Two upgrades at once wait for each other instead of failing half-way.
connection.execute(text("SELECT pg_advisory_lock(1400137060)"))
connection.execute(text("DO $$ BEGIN IF to_regnamespace('studyml') IS NULL THEN CREATE SCHEMA studyml; END IF; END $$"))
connection.commit()
context.configure(connection=connection, version_table_schema="studyml", transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
connection.execute(text("SELECT pg_advisory_unlock(1400137060)"))
connection.commit()
