"""Columns of rows as NumPy arrays: what one part hands to the next.

Numbers are float64 with NaN where a value is missing, ids int64, times int64 microseconds since 2000-01-01 UTC
(PostgreSQL's own clock), categories int32 codes into a vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

#: Codes of a category that is empty, or that the vocabulary does not hold.
MISSING, UNSEEN = -1, -2
#: A time or an id that is NULL in the source.
NULL_INTEGER = np.iinfo(np.int64).min

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Frame:
    """Columns of equal length, and for each category its vocabulary."""

    columns: Mapping[str, NDArray[np.generic]]
    vocabularies: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self.columns[name]

    def take(self, rows: NDArray[np.generic]) -> "Frame":
        """The given rows: a boolean mask or integer positions."""
        return Frame({name: values[rows] for name, values in self.columns.items()}, self.vocabularies)

    def with_columns(self, **columns: NDArray[np.generic]) -> "Frame":
        """The same rows with columns added or replaced."""
        return Frame({**self.columns, **columns}, self.vocabularies)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 2000-01-01 UTC.

    >>> to_microseconds(datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(microseconds: int) -> datetime:
    """The UTC instant of PostgreSQL's microseconds.

    >>> to_datetime(1000000).isoformat()
    '2000-01-01T00:00:01+00:00'
    """
    return _EPOCH + timedelta(microseconds=int(microseconds))
