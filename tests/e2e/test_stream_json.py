"""POST /stream/{stream}: the JSON form that clients of earlier servers send."""

import base64
import io
import json
import threading
import time

import polars as pl
import pyarrow as pa
import pytest

from server import ipc

pytestmark = pytest.mark.asan


def b64(data):
    return base64.b64encode(data).decode()


def small(rows=3):
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "word": pa.array([f"w{n}" for n in range(rows)], pa.string()),
        }
    )


def body_of(table, target, *, schema=True, data=None, **config):
    """As those clients build it."""
    batch = {"arrow_schema": b64(table.schema.serialize().to_pybytes())} if schema else {}
    batch["data"] = b64(ipc(table) if data is None else data)
    return {"config": {"target_table": target, **config}, "batch": batch}


def send(server, stream, body, **options):
    if not isinstance(body, (bytes, io.IOBase)) and not hasattr(body, "__next__"):
        body = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    return server.post(f"/stream/{stream}", data=body, headers=headers, **options)


def detail(answer, code, *words):
    assert answer.status_code == code, f"{answer.status_code}: {answer.text}"
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    body = answer.json()
    assert set(body) == {"detail"} and isinstance(body["detail"], str)
    for word in words:
        assert word.lower() in body["detail"].lower(), f"{word!r} is not in {body['detail']!r}"


def test_the_answer_is_what_those_clients_read(server, name):
    answer = send(server, "some_stream", body_of(small(), name, chunk_size=1000))
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert set(got) == {"status", "stream", "rows_processed", "storage_backend", "message"}
    assert (got["status"], got["stream"], got["rows_processed"]) == ("success", "some_stream", 3)
    assert got["storage_backend"] == "duckdb" and isinstance(got["message"], str)
    assert server.arrow(f"SELECT * FROM {name} ORDER BY id").equals(small())
    assert not server.has_table("some_stream")


def test_what_their_models_dump_is_taken(server, name):
    config = {
        "storage_backend": None,
        "chunk_size": 10000,
        "compression": {"algorithm": "zstd", "level": 3},
        "delta_options": {
            "partition_by": ["id"],
            "z_order_by": [],
            "target_file_size": 134217728,
            "compression": "snappy",
            "schema_mode": "merge",
        },
    }
    answer = send(server, "s", body_of(small(), name, **config))
    assert answer.status_code == 200, answer.text
    config["compression"] = config["delta_options"] = None
    assert send(server, "s", body_of(small(), name, **config)).status_code == 200
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 6


def orders(body):
    """The same members in every order."""
    config, batch = json.dumps(body["config"]), body["batch"]
    inner = [f'"{key}":"{value}"' for key, value in batch.items()]
    for first in (inner, inner[::-1]):
        text = '"batch":{' + ",".join(first) + "}"
        yield '{"config":' + config + "," + text + "}"
        yield "{" + text + ',"config":' + config + "}"


def test_members_may_come_in_any_order(server, name):
    for text in orders(body_of(small(), name)):
        assert send(server, "s", text.encode()).json()["rows_processed"] == 3
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 12


def test_data_without_its_schema_takes_arrow_schema(server, name):
    table = small(5000)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        head = sink.tell() or None
        writer.write_table(table, max_chunksize=700)
    data = sink.getvalue()
    schema = table.schema.serialize().to_pybytes()
    assert head is None or data.startswith(schema)
    assert data.startswith(schema)
    body = body_of(table, name, data=data[len(schema) :])
    for text in orders(body):
        assert send(server, "s", text.encode()).json()["rows_processed"] == 5000
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 20000
    without = body_of(table, name, schema=False, data=data[len(schema) :])
    detail(send(server, "s", without), 400, "schema")


def test_arrow_schema_may_be_missing_and_the_marker_too(server, name):
    assert send(server, "s", body_of(small(), name, schema=False)).status_code == 200
    unfinished = ipc(small())[:-8]
    assert send(server, "s", body_of(small(), name, data=unfinished)).status_code == 200
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 6
    detail(send(server, "s", body_of(small(), name, data=unfinished[:-8])), 400, "truncated")


def test_another_schema_than_that_of_the_data_is_refused(server, name):
    body = body_of(small(), name)
    other = pa.schema([("id", pa.int32()), ("word", pa.string())])
    body["batch"]["arrow_schema"] = b64(other.serialize().to_pybytes())
    for text in orders(body):
        detail(send(server, "s", text.encode()), 400, "arrow_schema", "id")
    assert not server.has_table(name)


def test_a_large_body_streams_in_bounded_memory(start, flights):
    """The body is larger than the whole budget of what is on its way."""
    server = start(config="memory_limit: 300MB\n")
    many = pa.concat_tables([flights] * 40)
    data = base64.b64encode(ipc(many, max_chunksize=65536))
    assert len(data) > 85_000_000
    schema = b64(many.schema.serialize().to_pybytes())

    def chunks():
        yield b'{"config":{"target_table":"t"},"batch":{"arrow_schema":"' + schema.encode()
        yield b'","data":"'
        for i in range(0, len(data), 1 << 20):
            yield data[i : i + (1 << 20)]
        yield b'"}}'

    answer = send(server, "s", chunks())
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows_processed"] == len(many)
    assert server.value("SELECT count(*) AS n FROM t") == len(many)


def test_data_before_config_waits_within_the_budget(start, flights):
    server = start(config="memory_limit: 256MB\n")
    few = body_of(pa.concat_tables([flights] * 4), "t")
    text = json.dumps({"batch": few["batch"], "config": few["config"]})
    assert send(server, "s", text.encode()).json()["rows_processed"] == 800_000
    many = pa.concat_tables([flights] * 40)
    more = body_of(many, "t", data=ipc(many, max_chunksize=65536))
    text = json.dumps({"batch": more["batch"], "config": more["config"]})
    detail(send(server, "s", text.encode()), 413, "config", "first")
    assert server.value("SELECT count(*) AS n FROM t") == 800_000
    assert send(server, "s", few).status_code == 200  # nothing is left behind


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda b: b["config"].pop("target_table"), 400, ["target_table"]),
        (lambda b: b.pop("config"), 400, ["config"]),
        (lambda b: b.pop("batch"), 400, ["batch"]),
        (lambda b: b["batch"].pop("data"), 400, ["data"]),
        (lambda b: b["batch"].update(data="invalid"), 400, ["data", "base64"]),
        (lambda b: b["batch"].update(data="bm8gYXJyb3c="), 400, ["arrow"]),
        (lambda b: b["batch"].update(arrow_schema="bm8gYXJyb3c="), 400, ["arrow_schema"]),
        (lambda b: b["batch"].update(arrow_schema="invalid"), 400, ["arrow_schema"]),
        (lambda b: b["batch"].update(data=""), 400, ["empty"]),
        (lambda b: b["config"].update(target_table="a.b.c.d"), 400, ["target_table"]),
        (lambda b: b["config"].update(target_table=7), 400, ["target_table"]),
        (lambda b: b["config"].update(target_tabel="x"), 400, ["target_table"]),
        (lambda b: b["config"].update(storage_backend="delta"), 501, ["delta", "duckdb"]),
        (lambda b: b["config"].update(chunk_size=0), 400, ["chunk_size"]),
        (lambda b: b["config"].update(chunk_size=1.5), 400, ["chunk_size"]),
        (lambda b: b["config"].update(chunk_size="many"), 400, ["chunk_size"]),
        (lambda b: b["config"].update(compression={"algorithm": "gzip"}), 400, ["algorithm"]),
        (lambda b: b["config"].update(compression={"level": 99}), 400, ["level"]),
        (lambda b: b["config"].update(compression=[]), 400, ["compression"]),
        (lambda b: b["config"].update(delta_options={"schema_mode": "no"}), 400, ["schema_mode"]),
        (lambda b: b["config"].update(delta_options={"x": 1}), 400, ["delta_options", "x"]),
        (lambda b: b.update(extra=1), 400, ["extra"]),
    ],
)
def test_what_is_wrong_with_a_body_is_said(server, name, change, code, words):
    body = body_of(small(), name)
    change(body)
    detail(send(server, "s", body), code, *words)
    assert not server.has_table(name)
    assert not server.has_table("s")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"nope", b'{"config":{}} x', b"\xff"])
def test_what_is_no_json_is_refused(server, text):
    detail(send(server, "s", text), 400)


def test_everybody_who_refuses_on_this_path_says_detail(server):
    detail(server.get("/stream/s"), 405, "POST")
    detail(server.post("/stream/", data=b"{}"), 404)
    detail(server.post("/stream/a/b", data=b"{}"), 404)
    detail(server.post("/stream/s", data=b"{}", headers={"Content-Type": "text/plain"}), 415)
    detail(send(server, "s", b"{}", headers={"Origin": "http://evil.example"}), 403)
    assert "code" in server.get("/streams/s").json()  # not a path of theirs


def test_a_configured_stream_gives_backend_and_the_body_gives_the_table(start):
    server = start(config="streams:\n  quiet: {target_table: elsewhere, storage_backend: 'null'}\n")
    answer = send(server, "quiet", body_of(small(), "t"))
    assert answer.json()["storage_backend"] == "null"
    assert not server.has_table("t") and not server.has_table("elsewhere")
    answer = send(server, "quiet", body_of(small(), "t", storage_backend="duckdb"))
    assert answer.json()["storage_backend"] == "duckdb"
    assert server.has_table("t") and not server.has_table("elsewhere")


def test_streams_of_polars_and_compressed_ones(server, name):
    frame = pl.DataFrame({"id": range(3000), "word": [f"w{i % 97}" for i in range(3000)]})
    for codec in ("uncompressed", "zstd", "lz4"):
        sink = io.BytesIO()
        frame.write_ipc_stream(sink, compression=codec)
        body = {
            "config": {"target_table": f"{name}_{codec}"},
            "batch": {"data": b64(sink.getvalue())},
        }
        assert send(server, "s", body).json()["rows_processed"] == 3000
        back = server.arrow(f"SELECT * FROM {name}_{codec} ORDER BY id")
        assert pl.from_arrow(back).equals(frame)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_bodies_that_http_has_compressed_land(server, name, coding):
    body = json.dumps(body_of(small(20_000), name)).encode()
    packed = pa.compress(body, codec=coding, asbytes=True)
    answer = send(server, "s", packed, headers={"Content-Encoding": coding})
    assert answer.status_code == 200, answer.text
    assert server.arrow(f"SELECT * FROM {name} ORDER BY id").equals(small(20_000))
    # What HTTP itself refuses says more than `detail`, and that too.
    for wrong, code in ((coding, 400), ("br", 415)):
        answer = send(server, "s", body, headers={"Content-Encoding": wrong})
        assert (answer.status_code, "Encoding" in answer.json()["detail"]) == (code, True)


def test_bytes_that_come_one_by_one_are_the_same(server, name):
    body = json.dumps(body_of(small(), name)).encode()

    def slowly():
        for i in range(0, len(body), 7):
            yield body[i : i + 7]

    assert send(server, "s", slowly()).json()["rows_processed"] == 3
    assert server.arrow(f"SELECT * FROM {name} ORDER BY id").equals(small())


def test_a_client_that_leaves_in_mid_body_leaves_nothing(server, name):
    body = json.dumps(body_of(small(50_000), name)).encode()

    def broken():
        yield body[: len(body) // 2]
        raise ConnectionAbortedError

    with pytest.raises((ConnectionAbortedError, OSError)):
        send(server, "s", broken())
    time.sleep(0.2)
    assert not server.has_table(name)


def test_many_at_once(server, name):
    body = json.dumps(body_of(small(2000), name)).encode()
    assert send(server, "s", body).status_code == 200
    codes = []
    threads = [
        threading.Thread(target=lambda: codes.append(send(server, "s", body).status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 8
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 18_000
