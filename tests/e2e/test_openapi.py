"""docs/openapi.yaml describes the server that runs: requests made from it, valid and
not, by schemathesis; every answer is checked against it. The same requests each run."""

import base64
import io

import pyarrow as pa
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from server import ARROW, ROOT

DESCRIPTION = ROOT / "docs" / "openapi.yaml"


def _stream(rows, whole):
    sink = io.BytesIO()
    table = pa.table({"id": pa.array(rows, pa.int64())})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue() if whole else sink.getvalue()[:-9]


_int64 = st.integers(-(2**63), 2**63 - 1)
schemathesis.openapi.media_type(
    ARROW,
    st.one_of(
        st.builds(_stream, st.lists(_int64, max_size=20), st.booleans()), st.binary(max_size=200)
    ),
)
schemathesis.openapi.media_type(
    "application/sql",
    st.one_of(
        st.sampled_from(
            [
                "SELECT 42 AS answer",
                "SELECT * FROM range(10)",
                "SELECT 1/0 AS x",
                "CREATE OR REPLACE TABLE made (a INTEGER)",
                "SELEC",
                "INSTALL x",
                "SELECT [1, 2] AS l, {'a': 1} AS s",
            ]
        ),
        st.text(max_size=40),
    ).map(lambda sql: sql.encode("utf-8", "surrogatepass")),
)


schema = schemathesis.openapi.from_path(str(DESCRIPTION))


@schema.parametrize()
@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_what_its_description_says(server, case):
    case.call_and_validate(
        base_url=server.url,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            negative_data_rejection,
            unsupported_method,
            allow_header_conformance,
        ],
    )


def answers(server):
    """(operation, its answer), one for each form that a sound request is answered in."""
    sql = {"Content-Type": "application/sql"}
    server.rows("CREATE OR REPLACE TABLE described AS SELECT 1 AS a, 'x' AS b")
    yield "POST /ingest/{stream}", server.ingest("described_too", _stream([1, 2], True))
    body = {
        "config": {"target_table": "described_too"},
        "batch": {"data": base64.b64encode(_stream([3], True)).decode()},
    }
    yield "POST /stream/{stream}", server.post("/stream/s", json=body)
    for accept in (ARROW, "application/json", "application/x-ndjson", "text/csv"):
        headers = {**sql, "Accept": accept}
        yield "POST /query", server.post("/query", data=b"FROM described", headers=headers)
        headers = {"Accept": accept}
        yield "GET /query", server.get("/query", params={"sql": "FROM described"}, headers=headers)
    yield "POST /query", server.query("SELECT ? AS a", params=[None])
    yield "POST /query", server.query("DROP TABLE described_too")
    yield "GET /streams", server.get("/streams")
    yield "GET /tables", server.get("/tables")
    yield "GET /tables/{table}", server.get("/tables/described")
    yield "GET /tables/{table}/rows", server.get("/tables/described/rows?limit=2")
    yield "GET /healthz", server.get("/healthz")
    yield "GET /readyz", server.get("/readyz")
    yield "GET /metrics", server.get("/metrics")
    yield "GET /version", server.get("/version")


def test_sound_answers_are_as_described(server):
    seen = set()
    for label, answer in answers(server):
        assert answer.status_code == 200, (label, answer.text)
        method, path = label.split()
        schema[path][method].validate_response(answer)
        seen.add(label)
    seen.add("GET /tables/{table}/versions")  # of lakes: test_ducklake.py
    assert seen == {operation.ok().label for operation in schema.get_all_operations()}


@pytest.mark.parametrize("status", [400, 403, 404, 406, 413, 415, 422, 501])
def test_refusals_are_as_described(server, name, status):
    wide = pa.table({"id": [1], "surplus": [1]})
    label, answer = {
        400: lambda: ("POST /query", server.query("SELEC")),
        403: lambda: ("POST /query", server.query("INSTALL httpfs")),
        404: lambda: ("GET /tables/{table}", server.get(f"/tables/{name}")),
        406: lambda: ("POST /query", server.query("SELECT 1", accept="image/png")),
        413: lambda: ("POST /query", server.query("SELECT '" + "x" * (5 << 20) + "'")),
        415: lambda: ("POST /ingest/{stream}", server.ingest(name, b"", content_type="text/csv")),
        422: lambda: (
            server.rows(f"CREATE TABLE {name} (id BIGINT)"),
            ("POST /ingest/{stream}", server.ingest(name, wide)),
        )[1],
        501: lambda: (
            "POST /ingest/{stream}",
            server.ingest(name, pa.table({"d": pa.array([1], pa.duration("ns"))})),
        ),
    }[status]()
    assert answer.status_code == status, answer.text
    method, path = label.split()
    schema[path][method].validate_response(answer)


def test_the_description_names_every_route_and_no_other(server):
    described = yaml.safe_load(DESCRIPTION.read_text())["paths"]
    assert set(described) == {
        "/ingest/{stream}",
        "/stream/{stream}",
        "/query",
        "/streams",
        "/tables",
        "/tables/{table}",
        "/tables/{table}/rows",
        "/tables/{table}/versions",
        "/healthz",
        "/readyz",
        "/metrics",
        "/version",
    }
    for path, item in described.items():
        concrete = path.replace("{stream}", "x").replace("{table}", "x")
        answer = server.request("PUT", concrete)
        assert answer.status_code == 405
        allowed = {m.strip().lower() for m in answer.headers["Allow"].split(",")} - {"head"}
        assert allowed == set(item) & {"get", "post", "put", "delete", "patch"}
