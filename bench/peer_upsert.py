"""The peer of upserts: Python's duckdb in its own process, plain SQL over the same Arrow table.

    peer_upsert.py base DATABASE ROWS [key]      makes the table, checkpointed; `key`: a primary key
    peer_upsert.py new STREAM ROWS NEW EXISTING  makes new rows: EXISTING of NEW are in the table
    peer_upsert.py WAY DATABASE STREAM           upserts them, one of WAYS; COMMIT is timed too
    peer_upsert.py check DATABASE STREAM ROWS    that the table holds what it should afterwards

Prints a JSON object. Keys are a permutation of 0, 1, ...: nothing is in their order.
"""

import json
import os
import resource
import sys
import time

import dataset
import duckdb
import numpy as np
import pyarrow as pa

MATCH = "t.id = s.id"
WAYS = {
    "delete using, insert": (
        f"DELETE FROM t USING s WHERE {MATCH}",
        "INSERT INTO t SELECT * FROM s",
    ),
    "delete in, insert": (
        "DELETE FROM t WHERE id IN (SELECT id FROM s)",
        "INSERT INTO t SELECT * FROM s",
    ),
    "merge into": (
        "MERGE INTO t USING s USING (id) WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT",
    ),
    "update from, insert anti join": (
        "UPDATE t SET ts = s.ts, user = s.user, amount = s.amount, category = s.category, "
        f"flag = s.flag FROM s WHERE {MATCH}",
        "INSERT INTO t SELECT * FROM s ANTI JOIN t USING (id)",
    ),
    "stage, delete using, insert": (
        "CREATE TEMP TABLE stage AS SELECT * FROM s",
        "DELETE FROM t USING stage AS s WHERE t.id = s.id",
        "INSERT INTO t SELECT * FROM stage",
    ),
    "insert or replace": ("INSERT OR REPLACE INTO t SELECT * FROM s",),
}
KEYED = ("insert or replace",)  # needs a primary key


def with_keys(rows, keys):
    return dataset.make(rows).set_column(0, "id", pa.array(keys, pa.int64()))


def base(path, rows, *key):
    chance = np.random.default_rng(7)
    table = with_keys(rows, chance.permutation(rows))  # noqa: F841 (DuckDB finds it by its name)
    connection = duckdb.connect(path)
    connection.execute("CREATE TABLE t AS SELECT * FROM table LIMIT 0".replace("table", '"table"'))
    if key:
        connection.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    connection.execute('INSERT INTO t SELECT * FROM "table"')
    connection.execute("CHECKPOINT")
    connection.close()
    return {"rows": rows}


def new(path, rows, count, existing):
    chance = np.random.default_rng(11)
    keys = np.concatenate(
        [
            chance.choice(rows, existing, replace=False),
            np.arange(rows, rows + count - existing),
        ]
    )
    chance.shuffle(keys)
    table = with_keys(count, keys)
    amounts = pa.array(np.full(count, -1.0))  # how `check` tells them from the old ones
    dataset.write(path, table.set_column(3, "amount", amounts))
    return {"rows": count, "existing": existing}


def upsert(way, path, stream):
    connection = duckdb.connect(path)
    connection.execute("SET preserve_insertion_order = false")
    connection.register("s", dataset.load(stream))
    connection.execute("SELECT count(*) FROM t").fetchone()
    before = os.times()
    start = time.perf_counter()
    connection.execute("BEGIN")
    steps = {}
    for sql in (*WAYS[way], "COMMIT"):
        began = time.perf_counter()
        connection.execute(sql)
        steps[sql.split()[0].lower()] = round(time.perf_counter() - began, 4)
    seconds = time.perf_counter() - start
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    return {"seconds": seconds, "steps": steps, "cpu_seconds": cpu}


def check(path, stream, rows):
    source = dataset.load(stream)  # noqa: F841
    connection = duckdb.connect(path)
    found = connection.execute(
        "SELECT count(*), count(DISTINCT id), count(*) FILTER (amount = -1) FROM t"
    ).fetchone()
    new_rows = connection.execute(
        "SELECT count(*) FROM source AS s JOIN t USING (id) WHERE t.amount = s.amount "
        "AND t.user = s.user AND t.ts = s.ts"
    ).fetchone()[0]
    if found != (rows, rows, source.num_rows) or new_rows != source.num_rows:
        raise SystemExit(f"{rows} rows were to be there, {source.num_rows} new: {found} {new_rows}")
    return {"rows": rows}


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    rest = [int(part) if part.isdecimal() else part for part in rest]
    if what in WAYS:
        figures = upsert(what, *rest)
    else:
        figures = {"base": base, "new": new, "check": check}[what](*rest)
    figures["rss_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))
