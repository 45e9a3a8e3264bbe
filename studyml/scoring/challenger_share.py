"""Which students are served the challenger: a hash of the student's id, the same everywhere and for ever."""

import hashlib

import numpy as np
from numpy.typing import NDArray

_BYTES = 8
_WHOLE = 2 ** (8 * _BYTES)


def served_by_challenger(student_id: NDArray[np.int64], challenger: str, share: float) -> NDArray[np.bool_]:
    """The rows [n] whose student is served the version ``challenger``: about a ``share`` (0 to 1) of the students.

    The first 8 bytes (big-endian) of the SHA-256 of "version:id" in ASCII, held against share * 2^64: no process,
    machine or year changes it, and a higher share keeps those that a lower one chose. The version is in the hash so
    that each trial has students of its own: nobody is always the one that new versions are tried on.

    >>> served_by_challenger(np.array([1, 2, 3]), "v_20260101_000000", 1.0).tolist()
    [True, True, True]
    """
    limit = int(share * _WHOLE)
    if limit >= _WHOLE:
        return np.ones(len(student_id), bool)
    students, rows = np.unique(student_id, return_inverse=True)
    digests = b"".join(_digest(challenger, each) for each in students.tolist())
    chosen: NDArray[np.bool_] = np.frombuffer(digests, ">u8") < np.uint64(limit)
    return chosen[rows.ravel()]


def _digest(challenger: str, student: int) -> bytes:
    return hashlib.sha256(f"{challenger}:{student}".encode("ascii")).digest()[:_BYTES]
