"""docs/openapi.yaml describes the server that runs: requests made from it, valid and
not, by schemathesis; every answer is checked against it. The same requests each run."""

import io

import pyarrow as pa
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
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
            unsupported_method,
        ],
    )


def test_the_description_names_every_route_and_no_other(server):
    described = yaml.safe_load(DESCRIPTION.read_text())["paths"]
    assert set(described) == {
        "/ingest/{stream}",
        "/query",
        "/streams",
        "/tables",
        "/tables/{table}",
        "/healthz",
        "/version",
    }
    for path, item in described.items():
        concrete = path.replace("{stream}", "x").replace("{table}", "x")
        answer = server.request("PUT", concrete)
        assert answer.status_code == 405
        allowed = {m.strip().lower() for m in answer.headers["Allow"].split(",")} - {"head"}
        assert allowed == set(item) & {"get", "post", "put", "delete", "patch"}
