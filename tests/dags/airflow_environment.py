"""Points Airflow at an empty home and at this project's folders; the conftest imports it before any test imports Airflow."""

import os
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DAGS, PLUGINS = PROJECT / "dags", PROJECT / "plugins"

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="studyml-airflow-")
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(PLUGINS)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "false"
for folder in (PROJECT, PLUGINS):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
