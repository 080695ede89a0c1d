#!/usr/bin/env python3
"""Lands 200,000 real flights in a table and asks whether long flights are late more often.

make run                                 # in another terminal
python3 examples/flights.py [URL]        # needs pyarrow; default http://127.0.0.1:8888
"""

import pathlib
import sys
import urllib.request

import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
FLIGHTS = pathlib.Path(__file__).parents[1] / "tests" / "data" / "flights" / "flights-200k.arrow"


def post(url, body, content_type, accept="application/json"):
    request = urllib.request.Request(url, body, {"Content-Type": content_type, "Accept": accept})
    return urllib.request.urlopen(request)


def ingest(server, stream, table):
    """Posts a table as an Arrow stream; the rows are durable when this returns."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with post(f"{server}/ingest/{stream}", sink.getvalue().to_pybytes(), ARROW) as answer:
        return answer.read().decode()


def query(server, sql):
    """An answer as a pyarrow table; types are exact."""
    with post(f"{server}/query", sql.encode(), "application/sql", ARROW) as answer:
        return pa.ipc.open_stream(answer).read_all()


def main():
    server = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8888"
    with pa.memory_map(str(FLIGHTS)) as source:
        flights = pa.ipc.open_file(source).read_all()
    query(server, "DROP TABLE IF EXISTS flights_py")
    print(ingest(server, "flights_py", flights))

    answer = query(
        server,
        """
        SELECT distance // 500 * 500 AS miles, count(*) AS flights,
               round(100 * avg((delay > 15)::INTEGER), 1) AS late_percent
        FROM flights_py GROUP BY miles ORDER BY miles""",
    )
    print("miles    flights   late")
    for row in answer.to_pylist():
        print(f"{row['miles']:>5} {row['flights']:>10,} {row['late_percent']:>5} %")


if __name__ == "__main__":
    main()
