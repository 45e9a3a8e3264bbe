"""Airflow for the tests of the plugins: the same empty home as for those of the DAGs."""

import tests.dags.airflow_environment  # noqa: F401
