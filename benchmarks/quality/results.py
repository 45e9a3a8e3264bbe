"""What was measured, as JSON lines: an interrupted run goes on where it was, and predictors can be added later."""

import ast
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """One predictor on one log: its MAE and the reference's (hours, on the test rows), and the seconds of its fit.

    The reference is the best possible prediction, or the best naive one on a real log. ``code`` identifies the
    source that was run. ``mae`` is None where there was nothing to learn from, and ``details`` then say why.
    """

    process: str
    size: int
    seed: int
    predictor: str
    mae: float | None
    reference: float
    seconds: float
    code: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """MAE over the reference's."""
        return None if self.mae is None else self.mae / self.reference

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What was measured, whatever came out."""
        return self.process, self.size, self.seed, self.predictor


def fingerprint(paths: Iterable[str]) -> str:
    """Identifies the code of files and folders (relative to the project), whatever their comments and layout."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        for source in sorted((ROOT / path).rglob("*.py")) if (ROOT / path).is_dir() else [ROOT / path]:
            tree = ast.parse(source.read_text(encoding="utf-8"))
            digest.update(f"{source.relative_to(ROOT)} {_without_docstrings(tree)}".encode())
    return digest.hexdigest()[:12]


def _without_docstrings(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            del node.body[0]
    return ast.dump(tree)


def read_results(path: Path) -> dict[tuple[str, int, int, str], Result]:
    """The newest result of each key; a line that an interruption cut off is left out."""
    found: dict[tuple[str, int, int, str], Result] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            result = Result(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue
        found[result.key] = result
    return found


def append_results(path: Path, results: Sequence[Result]) -> None:
    """Add lines to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * begun + "".join(json.dumps(asdict(result)) + "\n" for result in results))
