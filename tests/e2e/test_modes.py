"""POST /ingest/{stream}?mode=&key=: what each mode does to what is there, as DuckDB reads it from
the file once the server has stopped."""

import base64
import concurrent.futures
import datetime
import decimal
import io
import threading
import time

import duckdb
import polars as pl
import pyarrow as pa
import pytest
import requests

from server import ARROW, ipc, problem

D, DT = datetime.date, datetime.datetime


def post(server, stream, data, **query):
    body = ipc(data) if isinstance(data, pa.Table) else data
    return server.post(
        f"/ingest/{stream}", data=body, params=query, headers={"Content-Type": ARROW}
    )


def put(server, stream, data, **query):
    answer = post(server, stream, data, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_file(server, sql):
    """What another program reads from the database file after the server has stopped."""
    server.stop()
    with duckdb.connect(str(server.directory / "test.duckdb"), read_only=True) as own:
        return own.sql(sql).fetchall()


# ---- each mode, by pyarrow and by polars


def polars_bytes(frame):
    sink = io.BytesIO()
    frame.write_ipc_stream(sink)
    return sink.getvalue()


def test_each_mode_leaves_in_the_file_what_it_says(start):
    server = start()
    base = pa.table({"id": [1, 2, 3], "a": ["x", "y", "z"], "b": [10, 20, 30]})
    for mode in ("append", "overwrite", "upsert", "merge"):
        put(server, mode, base)
    more = pl.DataFrame({"id": [3, 4], "b": [33, 44]})
    answer = put(server, "append", polars_bytes(more), mode="append")
    assert (answer["stream"], answer["rows"]) == ("append", 2)
    put(server, "overwrite", polars_bytes(more), mode="overwrite")
    put(server, "upsert", polars_bytes(more), mode="upsert", key="id")
    put(server, "merge", polars_bytes(more), mode="merge", key="id")
    got = in_file(
        server,
        "SELECT 'append' AS m, * FROM append UNION ALL SELECT 'overwrite', * FROM overwrite "
        "UNION ALL SELECT 'upsert', * FROM upsert UNION ALL SELECT 'merge', * FROM merge "
        "ORDER BY ALL",
    )
    old = [(1, "x", 10), (2, "y", 20)]
    want = {
        "append": [*old, (3, "z", 30), (3, None, 33), (4, None, 44)],
        "merge": [*old, (3, "z", 33), (4, None, 44)],
        "overwrite": [(3, None, 33), (4, None, 44)],
        "upsert": [*old, (3, None, 33), (4, None, 44)],
    }
    for mode, rows in want.items():
        assert sorted((r[1:] for r in got if r[0] == mode), key=repr) == sorted(rows, key=repr)


KEYS = {
    "int8": (pa.int8(), [-128, 0, 127], "TINYINT"),
    "int64": (pa.int64(), [-(2**63), 0, 2**63 - 1], "BIGINT"),
    "uint64": (pa.uint64(), [0, 1, 2**64 - 1], "UBIGINT"),
    "bool": (pa.bool_(), [True, False], "BOOLEAN"),
    "double": (pa.float64(), [0.1, float("inf"), -1e300], "DOUBLE"),
    "text": (pa.string(), ["", "a", "ä 🦆 longer than twelve bytes"], "VARCHAR"),
    "large_text": (pa.large_string(), ["", "a", "b"], "VARCHAR"),
    "view": (pa.string_view(), ["", "a", "longer than twelve bytes"], "VARCHAR"),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), ["x", "y", "z"], "VARCHAR"),
    "binary": (pa.binary(), [b"", b"\x00", b"\x00\xff"], "BLOB"),
    "uuid": (pa.binary(16), [bytes(range(16)), bytes(16)], "BLOB"),
    "date": (pa.date32(), [D(1, 1, 1), D(1970, 1, 1), D(9999, 12, 31)], "DATE"),
    "timestamp": (pa.timestamp("us"), [DT(1, 1, 1), DT(2026, 1, 2, 3, 4, 5, 6)], "TIMESTAMP"),
    "instant": (pa.timestamp("us", "UTC"), [DT(2026, 1, 2, 3, 4, 5, 6)], None),
    "time": (pa.time64("us"), [datetime.time(0), datetime.time(23, 59, 59, 999999)], "TIME"),
    "decimal": (
        pa.decimal128(38, 10),
        [decimal.Decimal("-1.0000000001"), decimal.Decimal("9" * 28)],
        "DECIMAL(38,10)",
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type_find_their_rows(server, name, kind):
    arrow_type, values, duck = KEYS[kind]
    keys = pa.array(values, arrow_type)
    count = len(values)
    for mode in ("upsert", "merge"):
        table = f"{name}_{mode}"
        put(server, table, pa.table({"k": keys, "n": [0] * count}), mode=mode, key="k")
        put(server, table, pa.table({"k": keys, "n": range(count)}), mode=mode, key="k")
        got = server.arrow(f"SELECT typeof(k) AS t, k, n FROM {table} ORDER BY n")
        assert got["n"].to_pylist() == list(range(count))
        if duck is not None:
            assert set(got["t"].to_pylist()) == {duck}
            back = [v.as_py() for v in got["k"]]
            assert back == values


def test_uuids_as_text_find_rows_of_a_text_column(server, name):
    import uuid

    ids = [str(uuid.UUID(int=i)) for i in range(100)]
    put(server, name, pa.table({"id": ids, "n": range(100)}), mode="upsert", key="id")
    put(server, name, pa.table({"id": ids[50:], "n": range(50)}), mode="upsert", key="id")
    assert server.rows(f"SELECT count(*) AS c, sum(n)::INTEGER AS s FROM {name}") == [
        {"c": 100, "s": sum(range(50)) * 2}
    ]


def test_a_key_of_several_columns_in_every_spelling(server, name):
    def rows(v):
        return pa.table({"a": [1, 1, 2], "b,c": ["x", "y", "x"], "v": [v, v, v]})

    put(server, name, rows(0), mode="upsert", key=["a", '"b,c"'])
    put(server, name, rows(1), mode="upsert", upsert_key='a,"b,c"')
    put(server, name, rows(2), mode="merge", key_column=['"b,c"', "A"])
    assert server.rows(f"SELECT count(*) AS c, min(v) AS v FROM {name}") == [{"c": 3, "v": 2}]


def test_a_table_with_constraints_defaults_and_a_narrower_load(server, name):
    server.rows(
        f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, a VARCHAR DEFAULT 'none', "
        f"n INTEGER NOT NULL DEFAULT 7, twice BIGINT AS (id * 2))"
    )
    ids = pa.table({"id": pa.array([1, 2], pa.int64())})
    put(server, name, ids.append_column("a", pa.array(["x", "y"])), mode="upsert", key="id")
    put(server, name, ids.slice(1), mode="upsert", key="id")  # the default, not what was there
    both = pa.table({"id": pa.array([1, 3], pa.int64()), "n": pa.array([8, 9], pa.int32())})
    put(server, name, both, mode="merge", key="id")
    assert server.rows(f"SELECT * FROM {name} ORDER BY id") == [
        {"id": 1, "a": "x", "n": 8, "twice": 2},
        {"id": 2, "a": "none", "n": 7, "twice": 4},
        {"id": 3, "a": "none", "n": 9, "twice": 6},
    ]
    null = pa.table({"id": pa.array([1], pa.int64()), "n": pa.array([None], pa.int32())})
    for mode in ("upsert", "merge"):
        problem(post(server, name, null, mode=mode, key="id"), 422, "n")
    assert server.value(f"SELECT sum(n)::BIGINT AS s FROM {name}") == 24


def test_the_last_row_of_a_key_wins_across_threads_and_batches(server, name):
    """So many rows that several threads bring them in."""
    rows = 600_000
    table = pa.table({"id": [i % 1000 for i in range(rows)], "n": range(rows)})
    body = ipc(table, max_chunksize=10_000)
    assert put(server, name, body, mode="upsert", key="id")["rows"] == rows
    assert server.rows(f"SELECT count(*) AS c, min(n) AS low, max(n) AS high FROM {name}") == [
        {"c": 1000, "low": rows - 1000, "high": rows - 1}
    ]
    answer = post(server, name, body, mode="upsert", key="id", on_duplicate="error")
    problem(answer, 422, "row ", "key", name)
    once = table.slice(0, 1000)
    put(server, name, once, mode="merge", key="id", on_duplicate="error")
    assert server.value(f"SELECT max(n) AS high FROM {name}") == 999


def test_an_operation_column_deletes_and_is_no_column(server, name):
    first = pa.table({"id": [1, 2, 3], "v": ["a", "b", "c"], "_op": ["i", None, "u"]})
    put(server, name, first, mode="merge", key="id")
    change = pa.table({"id": [1, 2, 4], "v": ["A", None, "d"], "_op": ["u", "d", "DELETE"]})
    put(server, name, change, mode="merge", key="id")
    assert server.rows(f"SELECT * FROM {name} ORDER BY id") == [
        {"id": 1, "v": "A"},
        {"id": 3, "v": "c"},
    ]
    # Elsewhere it is a column like others.
    problem(post(server, name, change, mode="upsert", key="id"), 422, "_op")
    numbers = pa.table({"id": [1], "_op": [1]})
    problem(post(server, name, numbers, mode="merge", key="id"), 422, "_op", "text")
    server.rows(f'CREATE TABLE {name}_own (id BIGINT, "_op" VARCHAR)')
    both = pa.table({"id": [1], "_op": ["d"]})
    problem(post(server, f"{name}_own", both, mode="merge", key="id"), 422, "_op")
    put(server, f"{name}_own", both, mode="upsert", key="id")


# ---- what is refused


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"mod": "overwrite"}, 400, ["mod", "did you mean mode"]),
        ({"mode": "upsrt", "key": "id"}, 400, ["upsert"]),
        ({"mode": "upsert"}, 400, ["key"]),
        ({"key": "id"}, 400, ["mode=append"]),
        ({"mode": ["append", "overwrite"]}, 400, ["twice"]),
        ({"mode": "upsert", "key": "no"}, 422, ["no", "key"]),
        ({"mode": "upsert", "key": "l"}, 422, ["l", "nested"]),
        ({"mode": "merge", "key": "s"}, 422, ["s", "nested"]),
        ({"mode": "upsert", "key": "id,id"}, 400, ["twice"]),
    ],
)
def test_modes_and_keys_that_mean_nothing(server, name, query, code, words):
    table = pa.table({"id": [1], "l": [[1]], "s": [{"a": 1}]})
    problem(post(server, name, table, **query), code, *words)
    assert not server.has_table(name)


def test_a_null_key_is_named_by_row_and_column_and_lands_nothing(server, name):
    put(server, name, pa.table({"id": [1], "n": [1]}))
    keys = pa.array([*range(5000), None, 7], pa.int64())
    for mode in ("upsert", "merge"):
        answer = post(server, name, pa.table({"id": keys, "n": keys}), mode=mode, key="id")
        problem(answer, 422, "row 5000", '"id"')
    assert server.rows(f"SELECT * FROM {name}") == [{"id": 1, "n": 1}]


def test_a_key_or_column_that_the_table_lacks(server, name):
    put(server, name, pa.table({"id": [1], "n": [1]}))
    for mode in ("upsert", "merge"):
        other = pa.table({"key": [1], "n": [1]})
        problem(post(server, name, other, mode=mode, key="key"), 422, '"key"')
        typed = pa.table({"id": ["1"], "n": [1]})
        problem(post(server, name, typed, mode=mode, key="id"), 422, '"id"')
    server.rows(f"CREATE VIEW {name}_view AS FROM {name}")
    for mode in ("overwrite", "upsert", "merge"):
        query = {"key": "id"} if mode != "overwrite" else {}
        answer = post(server, f"{name}_view", pa.table({"id": [1], "n": [2]}), mode=mode, **query)
        assert 400 <= answer.status_code < 500, answer.text


def test_a_sink_without_a_mode_says_so(start):
    server = start(config="streams:\n  quiet: {storage_backend: 'null'}\n")
    answer = post(server, "quiet", pa.table({"id": [1]}), mode="upsert", key="id")
    problem(answer, 501, "null", "upsert")


def test_a_reader_may_not_write_in_any_mode(start):
    server = start(
        config="auth:\n  tokens:\n    r: {token: readreadreadread, scopes: [read]}\n"
        "    w: {token: writewritewrite1, scopes: [write], tables: [mine]}\n"
    )
    table = pa.table({"id": [1]})
    for token, stream, code in (
        ("readreadreadread", "mine", 403),
        ("writewritewrite1", "other", 403),
        ("writewritewrite1", "mine", 200),
    ):
        server.session.headers["Authorization"] = f"Bearer {token}"
        for mode in ("append", "overwrite", "upsert", "merge"):
            query = {"key": "id"} if mode in ("upsert", "merge") else {}
            answer = post(server, stream, table, mode=mode, **query)
            assert answer.status_code == code, answer.text
        body = {
            "config": {"target_table": stream},
            "batch": {"data": base64.b64encode(ipc(table)).decode()},
        }
        answer = server.post("/stream/any", json=body)
        assert answer.status_code == code, answer.text
        assert code == 200 or set(answer.json()) == {"detail"}


# ---- loads that meet, and crashes


def test_concurrent_upserts_of_the_same_rows_all_land_whole(server, name):
    def one(k):
        table = pa.table({"id": range(2000), "v": [k] * 2000})
        return post(server, name, table, mode="upsert" if k % 2 else "merge", key="id")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(18)))
    assert [a.status_code for a in answers] == [200] * 18, [a.text for a in answers]
    assert server.rows(f"SELECT count(*) AS c, count(DISTINCT v) AS d FROM {name}") == [
        {"c": 2000, "d": 1}
    ]


def test_readers_see_the_old_content_or_the_new(server, name):
    put(server, name, pa.table({"id": range(1000), "v": [0] * 1000}))
    seen, stop = [], threading.Event()

    def read():
        with requests.Session() as session:
            session.trust_env = False
            while not stop.is_set():
                answer = session.post(
                    server.url + "/query",
                    data=f"SELECT count(*) AS c, min(v) AS a, max(v) AS b FROM {name}",
                    headers={"Content-Type": "application/sql"},
                )
                seen.extend(answer.json())

    reader = threading.Thread(target=read)
    reader.start()
    for v in range(1, 11):
        query = {"mode": "overwrite"} if v % 2 else {"mode": "upsert", "key": "id"}
        put(server, name, pa.table({"id": range(1000), "v": [v] * 1000}), **query)
    stop.set()
    reader.join()
    assert seen
    assert all(row["c"] == 1000 and row["a"] == row["b"] for row in seen), seen


def test_a_million_rows_into_more(start):
    server = start()
    rows = 1_000_000
    old = pa.table({"id": pa.array(range(0, 2 * rows, 2)), "v": pa.array([0] * rows)})
    put(server, "t", ipc(old, max_chunksize=100_000))
    new = pa.table({"id": pa.array(range(rows)), "v": pa.array([1] * rows)})
    answer = put(server, "t", ipc(new, max_chunksize=65_536), mode="upsert", key="id")
    assert answer["rows"] == rows
    got = in_file(server, "SELECT count(*), count(DISTINCT id), sum(v) FROM t")
    assert got == [(rows + rows // 2, rows + rows // 2, rows)]


@pytest.mark.parametrize("mode", ["upsert", "merge", "overwrite"])
def test_a_kill_in_the_middle_leaves_the_old_or_the_new(start, tmp_path, mode):
    rows = 200_000
    body = ipc(pa.table({"id": range(rows), "v": [1] * rows}), max_chunksize=10_000)
    query = {"mode": mode} | ({} if mode == "overwrite" else {"key": "id"})
    outcomes = set()
    for attempt in range(4):
        directory = tmp_path / f"{mode}{attempt}"
        directory.mkdir()
        server = start(directory)
        put(server, "t", pa.table({"id": range(rows), "v": [0] * rows}))
        begun = time.monotonic()
        if attempt == 0:  # how long it takes when nobody kills
            put(server, "t", body, **query)
            took = time.monotonic() - begun
        else:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                sent = pool.submit(post, server, "t", body, **query)
                time.sleep(took * attempt * 0.3)
                server.kill()
                try:
                    acknowledged = sent.result().status_code == 200
                except requests.RequestException:
                    acknowledged = False
            again = start(directory)
            (row,) = again.rows("SELECT count(*) AS c, min(v) AS a, max(v) AS b FROM t")
            assert row["c"] == rows and row["a"] == row["b"], row
            assert row["a"] == 1 or not acknowledged
            outcomes.add(row["a"])
            again.stop()
    assert outcomes <= {0, 1}
