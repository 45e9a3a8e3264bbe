"""PostgreSQL's binary COPY format, read into and written from NumPy structured arrays.

Only rows of fixed width, so that decoding is one view on the bytes; every field count and every length word is
checked, since one NULL would shift all that follows (format: PostgreSQL manual, COPY, Binary Format).
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.errors import DatabaseError

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
#: Rows of one encoded block of ``copy_in``: what is copied stays small beside what is kept.
_BLOCK_ROWS = 20_000

Columns = Mapping[str, NDArray[np.generic]]


def copy_out(connection: Connection, query: sql.Composed, types: Mapping[str, str]) -> dict[str, NDArray[np.generic]]:
    """Run ``query`` through COPY and return one native array per column, in the order of ``types``.

    ``types`` maps column names to big-endian dtypes such as ``>i8``; no value may be NULL. Raises DatabaseError
    where the server's rows do not have exactly this shape.
    """
    buffer = io.BytesIO()
    with connection.cursor() as cursor:
        cursor.copy_expert(sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query), buffer)
    return decode(buffer.getbuffer(), types)


def copy_out_blocks(
    connection: Connection,
    query: sql.Composed,
    types: Mapping[str, str],
    consume: Callable[[Columns], None],
    *,
    rows: int,
) -> None:
    """As ``copy_out``, but hand over ``rows`` rows at a time, in their order: memory does not grow with the result."""
    blocks = _Blocks(types, consume, rows)
    with connection.cursor() as cursor:
        cursor.copy_expert(sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query), blocks)
    blocks.finish()


class _Blocks(io.RawIOBase):
    """Collects a binary COPY stream and decodes it piece by piece."""

    def __init__(self, types: Mapping[str, str], consume: Callable[[Columns], None], rows: int) -> None:
        super().__init__()
        self._types, self._consume = types, consume
        self._size = _layout(types).itemsize * rows
        self._buffer = io.BytesIO()
        self._begun = False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._buffer.write(data)
        if self._buffer.tell() >= len(SIGNATURE) + self._size + len(TRAILER):
            raw = self._buffer.getvalue()
            end = self._size + (0 if self._begun else len(SIGNATURE))
            self._hand_over(raw[:end])
            self._buffer = io.BytesIO()
            self._buffer.write(raw[end:])
        return len(data)

    def finish(self) -> None:
        """Decode what is left."""
        raw = self._buffer.getvalue()
        if not raw.endswith(TRAILER):
            raise DatabaseError("the source's rows ended in the middle of one: run this again.")
        if len(raw) > len(TRAILER) + (0 if self._begun else len(SIGNATURE)):
            self._hand_over(raw[: -len(TRAILER)])

    def _hand_over(self, raw: bytes) -> None:
        framed = (SIGNATURE if self._begun else b"") + raw + TRAILER
        self._begun = True
        self._consume(decode(memoryview(framed), self._types))


def copy_in(connection: Connection, table: str, columns: "Mapping[str, NDArray[np.generic] | None]", rows: int) -> None:
    """Append ``rows`` rows to a table of the schema studyml through COPY; a column that is None is NULL in each."""
    if rows == 0:
        return

    def block(at: int) -> bytes:
        cut = {name: None if each is None else each[at : at + _BLOCK_ROWS] for name, each in columns.items()}
        return encode(cut, min(_BLOCK_ROWS, rows - at))

    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        sql.Identifier("studyml", table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(query, CopyStream(map(block, range(0, rows, _BLOCK_ROWS))), size=1 << 18)


def array_literal(values: NDArray[np.generic]) -> "sql.Literal[str]":
    """Numbers as the text of a PostgreSQL array; cast it where it is used."""
    return sql.Literal("{" + ",".join(map(repr, values.tolist())) + "}")


def decode(raw: memoryview, types: Mapping[str, str]) -> dict[str, NDArray[np.generic]]:
    """The columns of a binary COPY stream; raises DatabaseError where a row has another shape than ``types``."""
    layout = _layout(types)
    body = raw[len(SIGNATURE) : len(raw) - len(TRAILER)]
    framed = len(raw) >= len(SIGNATURE) + len(TRAILER) and bytes(raw[: len(SIGNATURE)]) == SIGNATURE
    if not framed or bytes(raw[-2:]) != TRAILER or len(body) % layout.itemsize:
        raise DatabaseError("the source returned rows of another shape than the data contract: a value is NULL inside.")
    rows = np.frombuffer(body, dtype=layout)
    lengths_right = all(bool((rows[f"{name}:length"] == np.dtype(kind).itemsize).all()) for name, kind in types.items())
    if not (lengths_right and bool((rows["count"] == len(types)).all())):
        raise DatabaseError("the source returned a field of another width than the data contract expects.")
    return {name: rows[name].astype(np.dtype(kind).newbyteorder("=")) for name, kind in types.items()}


def _layout(types: Mapping[str, str]) -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for name, kind in types.items():
        fields += [(f"{name}:length", ">i4"), (name, kind)]
    return np.dtype(fields)


def encode_text(value: str) -> bytes:
    """A text value's bytes, as a constant of ``encode``."""
    return value.encode()


def encode_text_array(values: Sequence[str]) -> bytes:
    """A text[] value's bytes (array_send in PostgreSQL's arrayfuncs.c), as a constant of ``encode``."""
    text_oid = (25).to_bytes(4, "big")
    if not values:
        return bytes(8) + text_oid
    items = b"".join(len(item.encode()).to_bytes(4, "big") + item.encode() for item in values)
    return (
        (1).to_bytes(4, "big") + bytes(4) + text_oid + len(values).to_bytes(4, "big") + (1).to_bytes(4, "big") + items
    )


def encode(columns: Mapping[str, "NDArray[np.generic] | bytes | None"], size: int) -> bytes:
    """Rows of a binary COPY, without signature and trailer.

    Each column is an array of ``size`` values (int64, float64 or bool), the bytes of a value that is the same on
    every row, or None for NULL on every row.
    """
    fields: list[tuple[str, object]] = [("count", ">i2")]
    for name, values in columns.items():
        fields.append((f"{name}:length", ">i4"))
        if isinstance(values, bytes):
            fields.append((name, f"V{len(values)}"))
        elif values is not None:
            fields.append((name, values.dtype.newbyteorder(">")))
    rows = np.zeros(size, dtype=np.dtype(fields))
    rows["count"] = len(columns)
    for name, values in columns.items():
        if values is None:
            rows[f"{name}:length"] = -1
        elif isinstance(values, bytes):
            rows[f"{name}:length"] = len(values)
            rows[name] = np.void(values)
        else:
            rows[f"{name}:length"] = values.dtype.itemsize
            rows[name] = values
    return rows.tobytes()


class CopyStream(io.RawIOBase):
    """A readable stream of signature, the encoded blocks and trailer, for ``cursor.copy_expert``."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = _framed(blocks)
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes at most, empty at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        end = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:end], self._rest[end:]
        return bytes(taken)


def _framed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield SIGNATURE
    yield from blocks
    yield TRAILER
