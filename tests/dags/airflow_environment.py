"""Points Airflow at an empty home and at this project's folders, before any test imports it."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DAGS, PLUGINS = PROJECT / "dags", PROJECT / "plugins"

if "airflow" in sys.modules:
    raise RuntimeError("Airflow was imported before its home was set: import it in tests, not in a conftest above.")

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="studyml-airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(PLUGINS)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"
for folder in (PROJECT, PLUGINS):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
