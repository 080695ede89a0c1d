"""/streams, /tables, /healthz, /version: what is there."""

import pyarrow as pa
import requests

from server import problem, run

STREAMS = """
streams:
  sensors:
    target_table: sensor_readings
    chunk_size: 245760
  "odd name":
    target_table: '"with.dot"'
  waste:
    storage_backend: 'null'
"""


def test_healthz_says_ok(server):
    answer = server.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


def test_version_is_the_programs_own(server, tmp_path):
    answer = server.get("/version").json()
    assert answer["duckdb"] == "v1.5.5"
    assert answer["duckdb"] == server.value("SELECT version() AS v")
    assert answer["version"] in run("version", cwd=tmp_path).stdout.decode()


def test_streams_are_those_of_the_configuration(start):
    server = start(config=STREAMS)
    streams = {s["name"]: s for s in server.get("/streams").json()["streams"]}
    assert set(streams) == {"sensors", "odd name", "waste"}
    assert streams["sensors"]["target_table"] == "sensor_readings"
    assert streams["sensors"]["storage_backend"] == "duckdb"
    assert streams["odd name"]["target_table"] == '"with.dot"'
    assert streams["waste"]["storage_backend"] == "null"


def test_without_a_configuration_there_are_no_streams(server):
    assert server.get("/streams").json() == {"streams": []}


def test_a_configured_stream_lands_in_its_table(start):
    server = start(config=STREAMS)
    table = pa.table({"id": pa.array([1, 2], pa.int64())})
    answer = server.land("sensors", table)
    assert (answer["stream"], answer["rows"]) == ("sensors", 2)
    assert answer["table"].endswith("sensor_readings")
    server.land("odd name", table)
    assert (
        server.arrow('SELECT * FROM sensor_readings UNION ALL SELECT * FROM "with.dot"').num_rows
        == 4
    )
    # Any other name is a table's.
    server.land("sensor_readings", table)
    assert server.value("SELECT count(*) AS n FROM sensor_readings") == 4
    assert not server.has_table("sensors")


def test_a_stream_of_the_null_backend_is_checked_and_dropped(start):
    server = start(config=STREAMS)
    table = pa.table({"id": pa.array(range(200_000), pa.int64()), "w": ["x"] * 200_000})
    answer = server.land("waste", table)
    assert answer["rows"] == 200_000
    assert server.get("/tables").json() == {"tables": []}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    for broken in (b"", body[:-8], body[:-1], body[:1000], b"x" + body, body + b"x"):
        problem(server.ingest("waste", broken), 400)
    # Checked means checked: offsets of a text column that run backwards are refused.
    offsets = body.rfind(b"".join(i.to_bytes(4, "little") for i in range(100, 110)))
    assert offsets > 0
    bent = bytearray(body)
    bent[offsets : offsets + 4] = (50).to_bytes(4, "little")
    problem(server.ingest("waste", bytes(bent)), 400)


def test_the_null_backend_may_be_the_default(start):
    server = start(config="storage_backend: 'null'\n")
    assert server.land("anything", pa.table({"id": [1, 2, 3]}))["rows"] == 3
    assert server.get("/tables").status_code in (200, 501)


def test_tables_are_listed_by_names_that_can_be_asked_for(start):
    server = start()
    assert server.get("/tables").json() == {"tables": []}
    for name in ("plain", '"with.dot"', "with space", '"with""quote"', "表"):
        server.land(name, pa.table({"id": [1, 2]}))
    server.rows("CREATE SCHEMA other; CREATE TABLE other.inner_one AS SELECT 1 AS a")
    tables = server.get("/tables").json()["tables"]
    assert len(tables) == 6
    for table in tables:
        answer = server.get("/tables/" + requests.utils.quote(table["name"], safe=""))
        assert answer.status_code == 200, (table, answer.text)
        described = answer.json()
        assert described["name"] == table["name"]
        assert described["rows"] == table["rows"]
        assert len(described["columns"]) == 1


def test_a_table_is_described_with_types_and_nullability(server, name):
    server.rows(
        f'CREATE TABLE {name} (id BIGINT NOT NULL, "a ""b""" DECIMAL(18,3), '
        f"l INTEGER[], s STRUCT(x INTEGER, y VARCHAR))"
    )
    answer = server.get(f"/tables/{name}").json()
    assert answer["name"].split(".")[-1] == name
    assert answer["rows"] == 0
    assert answer["columns"] == [
        {"name": "id", "type": "BIGINT", "nullable": False},
        {"name": 'a "b"', "type": "DECIMAL(18,3)", "nullable": True},
        {"name": "l", "type": "INTEGER[]", "nullable": True},
        {"name": "s", "type": "STRUCT(x INTEGER, y VARCHAR)", "nullable": True},
    ]


def test_a_table_that_is_not_there_is_404_by_name(server, name):
    problem(server.get(f"/tables/{name}"), 404, name)
    problem(server.get(f"/tables/no_schema.{name}"), 404)


def test_rows_follow_what_lands(server, name):
    server.land(name, pa.table({"id": list(range(1000))}))
    assert server.get(f"/tables/{name}").json()["rows"] == 1000
    server.land(name, pa.table({"id": list(range(500))}))
    assert server.get(f"/tables/{name}").json()["rows"] == 1500
