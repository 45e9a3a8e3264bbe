"""The rows a version was trained and judged on, kept as Parquet under the artifact root, named by their content."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import numpy as np

from studyml.errors import ArtifactError
from studyml.frame import MISSING, UNSEEN, Frame

FOLDER = "snapshots"


def content_hash(frame: Frame) -> str:
    """SHA-256 over the columns in order of name: the same rows give the same hash on every machine."""
    digest = hashlib.sha256()
    for name in sorted(frame.columns):
        values = np.ascontiguousarray(frame[name])
        digest.update(f"{name}:{values.dtype.str}:{frame.vocabularies.get(name, '')}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def write_snapshot(root: Path, frame: Frame) -> str:
    """Store the rows, whole or not at all; return their content hash. Raises ArtifactError where the disk refuses.

    One that is there already is written again: that mends a damaged file, and marks it as in use.
    """
    import pandas as pd

    frame = _canonical(frame)
    sha256 = content_hash(frame)
    final = snapshot_path(root, sha256)
    table = pd.DataFrame({name: _readable(frame, name) for name in frame.columns})
    temporary = aside(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(temporary, index=False)
        os.replace(temporary, final)
    except OSError as error:
        raise ArtifactError(
            f"the snapshot {final} cannot be written ({error.strerror}): check STUDYML_ARTIFACT_ROOT."
        ) from None
    return sha256


def read_snapshot(root: Path, sha256: str) -> Frame:
    """The stored rows; raises ArtifactError where they are missing or are not those of this hash."""
    import pandas as pd
    import pyarrow as pa

    path = snapshot_path(root, sha256)
    if not path.is_file():
        raise ArtifactError(f"the snapshot {path} is missing: train again.")
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError):
        raise ArtifactError(f"the snapshot {path} is damaged: train again.") from None
    columns, vocabularies = {}, {}
    for name in table.columns:
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            levels = [str(level) for level in table[name].cat.categories]
            vocabularies[name] = tuple(level for level in levels if level != _UNSEEN_LEVEL)
            codes = table[name].cat.codes.to_numpy().astype(np.int32)
            columns[name] = np.where(codes == len(vocabularies[name]), UNSEEN, codes).astype(np.int32)
        else:
            columns[name] = table[name].to_numpy()
    frame = Frame(columns, vocabularies)
    if content_hash(frame) != sha256:
        raise ArtifactError(f"the snapshot {path} is damaged: train again.")
    return frame


def _canonical(frame: Frame) -> Frame:
    """The same rows with vocabularies of their own levels in order of name, whatever else the source holds."""
    columns = {name: values.astype(values.dtype.newbyteorder("<")) for name, values in frame.columns.items()}
    vocabularies = {}
    for name, levels in frame.vocabularies.items():
        codes = frame[name].astype(np.int64)
        present = sorted({levels[code] for code in np.unique(codes) if code >= 0})
        numbers = {level: number for number, level in enumerate(present)}
        # One more entry at each end: the codes for missing and unseen stay as they are.
        table = np.array([*(numbers.get(level, MISSING) for level in levels), UNSEEN, MISSING], np.int32)
        columns[name], vocabularies[name] = table[codes], tuple(present)
    return Frame(columns, vocabularies)


def remove_snapshots(root: Path, *, kept: Iterable[str], older_than: float) -> list[str]:
    """Delete the snapshots that are not ``kept`` and were last written before ``older_than`` (seconds since 1970)."""
    names = {f"{sha256}.parquet" for sha256 in kept}
    surplus = [
        path
        for path in sorted((root / FOLDER).glob("*"))
        if path.name not in names and path.stat().st_mtime < older_than
    ]
    for path in surplus:
        path.unlink()
    return [path.name for path in surplus]


def snapshot_path(root: Path, sha256: str) -> Path:
    """Where the snapshot of this content is kept."""
    return root / FOLDER / f"{sha256}.parquet"


def aside(path: Path) -> Path:
    """A name beside ``path`` that no other writer has: on a shared disk also processes share their numbers."""
    return path.with_suffix(f".{uuid4().hex}.part")


#: Stored for a category that the vocabulary does not hold; the last level, so that codes keep their meaning.
_UNSEEN_LEVEL = "\x00unseen"


def _readable(frame: Frame, name: str) -> object:
    import pandas as pd

    if name not in frame.vocabularies:
        return frame[name]
    vocabulary = frame.vocabularies[name]
    codes = frame[name].astype(np.int64)
    codes = np.where(codes == UNSEEN, len(vocabulary), np.where(codes == MISSING, -1, codes))
    return pd.Categorical.from_codes(codes.tolist(), categories=pd.Index([*vocabulary, _UNSEEN_LEVEL]))
