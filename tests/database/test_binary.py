"""The binary COPY format, held against the real server in both directions."""

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from psycopg2 import sql

from studyml.database.binary import (
    SIGNATURE,
    TRAILER,
    Columns,
    CopyStream,
    copy_out,
    copy_out_blocks,
    decode,
    encode,
    encode_text,
    encode_text_array,
)
from studyml.database.binary import (
    copy_in as append,
)
from studyml.database.connection import Connection, connect
from studyml.errors import DatabaseError

FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT64 = st.floats(width=64)  # NaN, infinities, -0.0 and subnormal numbers included
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SHAPE = {"id": ">i8", "hours": ">f8", "code": ">i4"}


def stream(rows: list[tuple[int, float, int]]) -> bytes:
    """What the server sends for rows of SHAPE."""
    body = b"".join(struct.pack(">hiqidii", 3, 8, a, 8, b, 4, c) for a, b, c in rows)
    return SIGNATURE + body + TRAILER


def copy_in(connection: Connection, table: str, *blocks: bytes) -> None:
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT binary)", CopyStream(iter(blocks)))


def fetch(connection: Connection, query: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[object, ...]] = cursor.fetchall()
    connection.rollback()
    return rows


@FAST
@given(
    rows=st.lists(st.tuples(INT64, FLOAT64, st.booleans()), max_size=20), text=TEXT, texts=st.lists(TEXT, max_size=5)
)
def test_the_server_stores_exactly_the_numbers_and_texts_that_were_encoded(
    connection: Connection, rows: list[tuple[int, float, bool]], text: str, texts: list[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE target (n bigint, x float8, yes bool, word text, words text[], nothing float8)"
            " ON COMMIT DROP"
        )
    block = encode(
        {
            "n": np.array([row[0] for row in rows], np.int64),
            "x": np.array([row[1] for row in rows], np.float64),
            "yes": np.array([row[2] for row in rows], bool),
            "word": encode_text(text),
            "words": encode_text_array(texts),
            "nothing": None,
        },
        len(rows),
    )
    copy_in(connection, "target", block)
    found = fetch(connection, "SELECT n, float8send(x), yes, word, words, nothing FROM target")
    assert [(n, bytes(x), yes, *rest) for n, x, yes, *rest in found] == [  # type: ignore[arg-type]
        (n, struct.pack(">d", x), yes, text, texts, None) for n, x, yes in rows
    ]


@FAST
@given(rows=st.lists(st.tuples(INT64, FLOAT64, st.integers(-(2**31), 2**31 - 1)), max_size=20))
def test_what_the_server_sends_is_read_bit_by_bit(connection: Connection, rows: list[tuple[int, float, int]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE origin (id bigint, hours float8, code int) ON COMMIT DROP")
        cursor.executemany("INSERT INTO origin VALUES (%s, %s, %s)", rows)
    found = copy_out(connection, sql.SQL("SELECT id, hours, code FROM origin ORDER BY ctid").format(), SHAPE)
    connection.rollback()
    # float8 keeps no NaN payload through text, so NaN is compared as NaN.
    assert found["id"].tolist() == [row[0] for row in rows]
    assert found["code"].tolist() == [row[2] for row in rows]
    np.testing.assert_array_equal(found["hours"], np.array([row[1] for row in rows], np.float64))
    assert all(values.dtype.isnative for values in found.values())


def test_a_null_inside_fails_loudly_and_never_shifts_what_follows(connection: Connection) -> None:
    for query in ("SELECT 1::bigint, NULL::float8, 3::int", "SELECT 1::bigint, NULL::float8, NULL::int"):
        with pytest.raises(DatabaseError):
            copy_out(connection, sql.SQL(query).format(), SHAPE)


def test_nulls_whose_bytes_add_up_to_a_whole_row_are_noticed() -> None:
    # 34 bytes a row of SHAPE; 17 rows of two bytes make one, and only the length words tell.
    with pytest.raises(DatabaseError, match="width"):
        decode(memoryview(SIGNATURE + bytes(34) + TRAILER), SHAPE)


@pytest.mark.parametrize("query", ["SELECT 1::bigint, 2::float8", "SELECT 1::bigint, 2::float4, 3::bigint"])
def test_other_columns_than_expected_fail_loudly(connection: Connection, query: str) -> None:
    with pytest.raises(DatabaseError):
        copy_out(connection, sql.SQL(query).format(), SHAPE)


def test_no_rows_are_empty_arrays() -> None:
    found = decode(memoryview(stream([])), SHAPE)
    assert {name: (len(values), str(values.dtype)) for name, values in found.items()} == {
        "id": (0, "int64"),
        "hours": (0, "float64"),
        "code": (0, "int32"),
    }


@given(cut=st.integers(0, 120))
def test_a_stream_that_ends_early_fails(cut: int) -> None:
    whole = stream([(1, 2.0, 3), (4, 5.0, 6), (7, 8.0, 9)])
    with pytest.raises(DatabaseError):
        decode(memoryview(whole[: min(cut, len(whole) - 1)]), SHAPE)


@given(raw=st.binary(max_size=200))
def test_no_bytes_at_all_make_anything_but_rows_or_an_error(raw: bytes) -> None:
    for given_bytes in (raw, SIGNATURE + raw, SIGNATURE + raw + TRAILER):
        try:
            found = decode(memoryview(given_bytes), SHAPE)
        except DatabaseError:
            continue
        assert len(found["id"]) * 34 == len(given_bytes) - len(SIGNATURE) - len(TRAILER)


@given(position=st.integers(0, 2), where=st.sampled_from([0, 1, 2, 5, 14, 17, 26, 29]), bit=st.integers(0, 7))
def test_a_changed_count_or_length_fails(position: int, where: int, bit: int) -> None:
    raw = bytearray(stream([(1, 2.0, 3), (4, 5.0, 6), (7, 8.0, 9)]))
    raw[len(SIGNATURE) + 34 * position + where] ^= 1 << bit
    with pytest.raises(DatabaseError, match="width"):
        decode(memoryview(raw), SHAPE)


@given(blocks=st.lists(st.binary(max_size=30), max_size=8), sizes=st.lists(st.integers(1, 40), min_size=1))
def test_the_copy_stream_gives_every_byte_once_whatever_sizes_are_asked_for(
    blocks: list[bytes], sizes: list[int]
) -> None:
    copied, at = CopyStream(iter(blocks)), 0
    read = b""
    while piece := copied.read(sizes[at % len(sizes)]):
        read, at = read + piece, at + 1
    assert read == SIGNATURE + b"".join(blocks) + TRAILER
    assert copied.read(1) == b""
    everything = CopyStream(iter(blocks))
    assert b"".join(iter(everything.read, b"")) == read


@given(values=arrays.arrays(np.int64, st.integers(0, 50)))
def test_encoding_does_not_depend_on_the_memory_order_of_the_values(values: np.ndarray) -> None:
    spread = np.stack([values, values], axis=1)[:, 0]
    swapped = values.astype(">i8")
    assert (
        encode({"n": values}, len(values)) == encode({"n": spread}, len(values)) == encode({"n": swapped}, len(values))
    )


def test_a_text_of_no_letters_is_empty_and_not_null(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE words (word text, words text[]) ON COMMIT DROP")
    copy_in(connection, "words", encode({"word": encode_text(""), "words": encode_text_array([])}, 2))
    assert fetch(connection, "SELECT word, words FROM words") == [("", []), ("", [])]


def test_bytes_that_the_server_refuses_are_a_sentence(shared_url: str) -> None:
    with pytest.raises(DatabaseError, match="refused or lost a statement"), connect(shared_url) as connection:
        copy_in(connection, "studyml.topic_subjects", b"not rows at all")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9])
def test_a_result_in_blocks_is_the_whole_result_in_its_order(connection: Connection, count: int) -> None:
    query = sql.SQL("SELECT g::bigint, g / 2.0::float8 FROM generate_series(1, {}) AS g ORDER BY g").format(
        sql.Literal(count)
    )
    blocks: list[list[int]] = []

    def take(columns: Columns) -> None:
        assert columns["half"].tolist() == [each / 2 for each in columns["id"].tolist()]
        blocks.append(columns["id"].tolist())

    copy_out_blocks(connection, query, {"id": ">i8", "half": ">f8"}, take, rows=3)

    assert [len(block) for block in blocks] == [3] * (count // 3) + [count % 3] * (count % 3 > 0)
    assert [number for block in blocks for number in block] == list(range(1, count + 1))


def test_a_null_among_blocks_is_noticed(connection: Connection) -> None:
    query = sql.SQL("SELECT nullif(g, 5)::bigint FROM generate_series(1, 9) AS g").format()

    with pytest.raises(DatabaseError):
        copy_out_blocks(connection, query, {"id": ">i8"}, lambda _: None, rows=2)


def test_what_the_consumer_of_a_block_raises_is_not_swallowed(connection: Connection) -> None:
    def refuse(_: Columns) -> None:
        raise DatabaseError("the server went away.")

    with pytest.raises(DatabaseError, match="went away"):
        copy_out_blocks(connection, sql.SQL("SELECT 1::bigint").format(), {"id": ">i8"}, refuse, rows=1)


def test_rows_are_appended_with_a_column_that_is_null_in_each(connection: Connection) -> None:
    columns = {"session_id": np.arange(45_000), "as_of": np.zeros(45_000, np.int64), "version": None}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE studyml.copied (session_id bigint, as_of timestamptz, version text)")

    append(connection, "copied", columns, 45_000)
    append(connection, "copied", {"session_id": np.zeros(0, np.int64)}, 0)

    counts = "count(*), count(DISTINCT session_id), count(version), min(as_of) = '2000-01-01+00'"
    assert fetch(connection, f"SELECT {counts} FROM studyml.copied") == [(45_000, 45_000, 0, True)]
