"""The peer: Python's duckdb in its own process, over the same Arrow table.

    peer_duckdb.py insert STREAM DATABASE      DATABASE may be :memory:
    peer_duckdb.py fetch STREAM

Times one statement over a table that is in memory already; prints a JSON object.
"""

import json
import os
import resource
import sys
import time

import dataset
import duckdb


def timed(work):
    before = os.times()
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    after = os.times()
    return result, {
        "seconds": seconds,
        "cpu_seconds": after.user + after.system - before.user - before.system,
    }


def insert(table, database):
    connection = duckdb.connect(database)
    connection.register("source", table)
    connection.execute("CREATE TABLE t AS SELECT * FROM source LIMIT 0")
    _, figures = timed(lambda: connection.execute("INSERT INTO t SELECT * FROM source"))
    (rows,) = connection.execute("SELECT count(*) FROM t").fetchone()
    return {**figures, "rows": rows}


def fetch(table):
    connection = duckdb.connect()
    connection.register("source", table)
    connection.execute("CREATE TABLE t AS SELECT * FROM source")
    fetched, figures = timed(lambda: connection.execute("SELECT * FROM t").fetch_arrow_table())
    return {**figures, "rows": fetched.num_rows}


if __name__ == "__main__":
    what, stream, *rest = sys.argv[1:]
    figures = {"insert": insert, "fetch": fetch}[what](dataset.load(stream), *rest)
    figures["rss_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))
