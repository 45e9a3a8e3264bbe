"""Who may import whom (design section 8), how long modules and functions may be, and what scoring never loads."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "studyml"
FOLDERS = {
    *("database", "features", "model", "evaluation", "registry", "scoring", "monitoring", "alerting", "reporting")
}
#: What every folder may import; the rest of the top level belongs to the entry points.
COMMON = {
    "studyml",
    "studyml.contract",
    "studyml.errors",
    "studyml.frame",
    "studyml.hyperparameters",
    "studyml.interval",
}
HEAVY = {
    "shap",
    "tensorflow",
    "keras",
    "sklearn",
    "pandas",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "tf2onnx",
    "joblib",
    "pyarrow",
}
LONGEST_MODULE, LONGEST_FUNCTION = 300, 45

SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Absolute names of the modules imported anywhere inside ``node``."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, "relative import"
            yield from (f"{each.module}.{alias.name}" for alias in each.names)


def at_import(tree: ast.Module) -> Iterator[str]:
    """Modules imported as soon as the module itself is: outside of functions."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imported(node)


def top(name: str) -> str:
    return name.split(".")[0]


def ours(node: ast.AST) -> set[str]:
    """Modules (or folders) of studyml imported in ``node``: studyml.X."""
    return {".".join(name.split(".")[:2]) for name in imported(node) if top(name) == "studyml"}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def area(path: Path) -> str:
    """The folder of studyml that a file lies in; empty at the top level."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", [each for each in SOURCES if area(each) in FOLDERS], ids=label)
def test_siblings_do_not_import_each_other(path: Path) -> None:
    allowed = COMMON | {f"studyml.{area(path)}", "studyml.__version__"}
    assert ours(parse(path)) <= allowed


@pytest.mark.parametrize("path", sorted((PACKAGE / "steps").glob("*.py")), ids=label)
def test_steps_import_folders_and_no_entry_point(path: Path) -> None:
    entry_points = {
        "studyml.cli",
        "studyml.cli_alerts",
        "studyml.cli_backtest",
        "studyml.cli_models",
        "studyml.cli_serving",
        "studyml.cli_versions",
        "studyml.terminal",
        "studyml.development",
    }
    assert entry_points.isdisjoint(ours(parse(path)))


@pytest.mark.parametrize("path", [each for each in SOURCES if not area(each)], ids=label)
def test_the_top_level_imports_no_folder_but_the_commands_their_steps(path: Path) -> None:
    commands = path.name.startswith("cli") or path.name == "terminal.py"
    folders = {f"studyml.{folder}" for folder in FOLDERS - ({"reporting"} if commands else set())}
    if not commands:
        folders |= {"studyml.steps", "studyml.development"}
    assert folders.isdisjoint(ours(parse(path)))


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_nothing_in_the_package_imports_airflow(path: Path) -> None:
    assert "airflow" not in {top(name) for name in imported(parse(path))}


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_tensorflow_is_imported_in_the_folder_model_only_and_only_inside_functions(path: Path) -> None:
    tree = parse(path)
    if area(path) != "model":
        assert {"tensorflow", "keras"}.isdisjoint(top(name) for name in imported(tree))
    if area(path) != "migrations":
        assert HEAVY.isdisjoint(top(name) for name in at_import(tree))


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_only_the_command_line_knows_what_is_for_development(path: Path) -> None:
    if area(path) != "development" and path.name != "cli.py":
        assert "studyml.development" not in ours(parse(path))


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=label)
def test_dags_import_the_plugin_and_inside_tasks_the_steps(path: Path) -> None:
    tree = parse(path)
    assert ours(tree) <= {"studyml.steps"}
    assert "studyml" not in {top(name) for name in at_import(tree)}


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=label)
def test_the_plugin_imports_nothing_heavy_when_a_dag_file_is_parsed(path: Path) -> None:
    names = {top(name) for name in at_import(parse(path))}
    assert (HEAVY | {"psycopg2"}).isdisjoint(names)
    assert ours(parse(path)) <= {"studyml.steps", "studyml.settings", "studyml.errors", "studyml.contract"}


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_no_private_name_of_another_module_is_imported(path: Path) -> None:
    private = [name for name in imported(parse(path)) if name.rsplit(".", 1)[1:] and name.rsplit(".", 1)[1][0] == "_"]
    assert [name for name in private if not name.endswith("__")] == []


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "dags").glob("*.py"))], ids=label)
def test_modules_and_functions_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    long = {
        each.name: length
        for each in ast.walk(parse(path))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (each.end_lineno or 0) - each.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_the_wall_clock_is_read_by_entry_points_only(path: Path) -> None:
    """Everything else is told what time it is, so that any night can be lived again."""
    if path.name == "terminal.py" or area(path) == "development":
        return
    calls = {
        ast.unparse(each.func)
        for each in ast.walk(parse(path))
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)
    }
    assert {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}.isdisjoint(calls)


def loaded(script: str) -> set[str]:
    """The top-level modules in a fresh process after ``script``."""
    script += (
        "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {top(name) for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "script",
    [
        "import studyml.steps.score",
        "import studyml.steps.rollback_version",
        "import sys; sys.argv = ['studyml', 'score', '--help']\n"
        "from studyml.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass",
    ],
    ids=["scoring", "a rollback", "the command"],
)
def test_scoring_never_loads_what_training_needs(script: str) -> None:
    forbidden = {
        "tensorflow",
        "keras",
        "sklearn",
        "pandas",
        "matplotlib",
        "pyarrow",
        "sqlalchemy",
        "alembic",
        "apprise",
        "joblib",
        "s3fs",
        "botocore",
    }
    assert forbidden.isdisjoint(loaded(script))


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_only_what_is_for_people_can_unpickle(path: Path) -> None:
    """Scoring, gates and rollback reach no module that could load a pickle."""
    picklers = {"joblib", "pickle", "dill", "cloudpickle", "shelve"}
    if label(path) not in ("studyml/model/sklearn_artifacts.py", "studyml/steps/load_pickles.py"):
        assert picklers.isdisjoint(top(name) for name in imported(parse(path)))
        assert "studyml.steps.load_pickles" not in {name.rpartition(".")[0] for name in imported(parse(path))}


def test_help_loads_no_database_driver_and_no_arrays() -> None:
    script = (
        "import sys; sys.argv = ['studyml', '--help']\n"
        "from studyml.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert {"numpy", "psycopg2", "onnxruntime"}.isdisjoint(loaded(script))
