"""What a version is made of: rows, code, settings, seed, libraries, DAG run."""

import platform
import subprocess
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

from studyml import __version__
from studyml.registry.retraining import RetrainingRun
from studyml.settings import Settings

LIBRARIES = ("tensorflow", "keras", "onnx", "onnxruntime", "scikit-learn", "numpy")
#: Settings that say where things are, and may hold a password: never recorded.
_PLACES = ("_url", "_urls", "_root", "_cache")
_GIT_SECONDS = 5


def lineage(
    settings: Settings, run: RetrainingRun, snapshot: str | None, names: tuple[str, ...] = LIBRARIES
) -> dict[str, Any]:
    """What ``metadata.json`` and ``model_versions`` hold of how a version came about; no secret and no address."""
    return {
        "snapshot_sha256": snapshot,
        "code_version": code_version(settings),
        "settings": recorded_settings(settings),
        "seed": settings.seed,
        "libraries": libraries(names),
        "retraining_run_id": run.id,
        "dag_run_id": run.dag_run_id,
    }


def libraries(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """The versions that predictions depend on."""
    found = {name: library_version(name) for name in names}
    return {"studyml": __version__, "python": platform.python_version(), "machine": platform.machine(), **found}


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """The effective settings that are neither secrets nor places."""
    document: dict[str, Any] = settings.model_dump(mode="json")
    return {name: value for name, value in document.items() if not name.endswith(_PLACES)}


def code_version(settings: Settings) -> str:
    """The package's version and, where it is known, the commit: of the setting, else of the checkout that runs."""
    commit = settings.code_version or _checkout()
    return f"{__version__}+{commit}" if commit else __version__


def _checkout() -> str:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
