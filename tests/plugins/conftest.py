"""Airflow for the tests of the plugins: the same empty home as for those of the DAGs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dags"))

import airflow_environment  # noqa: F401
