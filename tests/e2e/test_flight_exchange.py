"""DoExchange: rows that land and are acknowledged, and rows that go through a statement and come
back."""

import json

import pyarrow as pa
import pyarrow.flight as flight
import pytest

pytestmark = pytest.mark.asan
ROWS = pa.table(
    {"id": pa.array(range(10_000), pa.int64()), "word": [f"w{i % 7}" for i in range(10_000)]}
)


def connect(server):
    return flight.FlightClient(f"grpc://127.0.0.1:{server.port}")


def exchange(client, command, table, batch_rows=1000):
    """What comes back: the table (None without a schema) and the pieces of app_metadata."""
    if isinstance(command, dict):
        command = flight.FlightDescriptor.for_command(json.dumps(command).encode())
    writer, reader = client.do_exchange(command)
    with writer:
        writer.begin(table.schema)
        writer.write_table(table, max_chunksize=batch_rows)
        writer.done_writing()
        batches, notes = [], []
        while True:
            try:
                chunk = reader.read_chunk()
            except StopIteration:
                break
            if chunk.data is not None:
                batches.append(chunk.data)
            if chunk.app_metadata is not None:
                notes.append(json.loads(chunk.app_metadata.to_pybytes()))
    return batches, notes


def test_rows_come_back_as_a_statement_makes_them(start):
    client = connect(start())
    batches, _ = exchange(
        client,
        {
            "sql": "SELECT word, count(*) AS n, sum(id) AS ids FROM input GROUP BY word "
            "ORDER BY word"
        },
        ROWS,
    )
    found = pa.Table.from_batches(batches).to_pylist()
    assert [row["word"] for row in found] == [f"w{i}" for i in range(7)]
    assert sum(row["n"] for row in found) == 10_000
    assert sum(int(row["ids"]) for row in found) == 10_000 * 9_999 // 2


def test_an_echo_is_a_statement_too(start):
    client = connect(start())
    batches, _ = exchange(client, {"sql": "FROM input"}, ROWS)
    assert pa.Table.from_batches(batches).equals(ROWS)


def test_nothing_of_the_rows_stays(start):
    server = start()
    client = connect(server)
    for _ in range(3):
        exchange(client, {"sql": "SELECT count(*) FROM input"}, ROWS)
    assert not server.has_table("input")
    assert list(client.list_flights()) == []


def test_rows_that_land_are_acknowledged(start):
    server = start()
    client = connect(server)
    _, notes = exchange(client, flight.FlightDescriptor.for_path("events"), ROWS)
    assert notes[-1]["committed"] == {"batches": 10, "rows": 10_000}
    assert notes[-1]["durable"] is True
    assert server.value("SELECT count(*) FROM events") == 10_000


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"sql": "SELECT nothing FROM input"}, "nothing"),
        ({"sql": "SELEKT"}, "SELEKT"),
        ({"sql": "FROM input", "mode": "append"}, "nothing else"),
        ({"stream_nam": "events"}, "did you mean"),
        ({}, "stream_name"),
    ],
)
def test_what_is_wrong_is_told(start, command, says):
    client = connect(start())
    with pytest.raises((pa.ArrowInvalid, flight.FlightServerError), match=says):
        exchange(client, command, ROWS)
