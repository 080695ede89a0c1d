"""Names of streams and tables: whatever a name says, it is only a name."""

import pyarrow as pa
import pytest
import requests
from wire import Connection, head

from server import ARROW, ipc, problem

pytestmark = pytest.mark.asan

ROW = pa.table({"id": pa.array([1], pa.int64())})

# Names that are one part as they stand.
PLAIN = [
    "x'; drop table y; --",
    "'); DROP TABLE y; --",
    "select",
    "Ünïcödé 表 🦆",
    "a b\u00a0c",
    "x" * 255,
    "é" * 127,
    "%s%n%x",
    "/etc/passwd",
    "-- comment",
    "/* comment */",
    'x"; drop table y; --',
    'a"b',
    "\\",
    "?",
    "#",
    "a/b",
    "{name}",
    "\u202eright to left",
    "information_schema_",
]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("hostile", PLAIN)
def test_a_hostile_name_is_just_a_table(start, hostile):
    server = start()
    server.rows("CREATE TABLE y AS SELECT 42 AS answer")
    answer = server.land(hostile, ROW)
    assert answer["stream"] == hostile
    assert (
        server.value("SELECT table_name FROM information_schema.tables WHERE table_name <> 'y'")
        == hostile
    )
    assert server.rows(f"SELECT * FROM {quoted(hostile)}") == [{"id": 1}]
    assert server.value("SELECT answer FROM y") == 42
    described = server.get("/tables/" + requests.utils.quote(hostile, safe=""))
    assert described.status_code == 200, described.text
    assert [c["name"] for c in described.json()["columns"]] == ["id"]


@pytest.mark.parametrize(
    "written, table",
    [
        ('"x""; drop table y; --"', 'x"; drop table y; --'),
        ('"dots.are.part"', "dots.are.part"),
        ('"."', "."),
        ('""""', '"'),
        ('main."a.b"', "a.b"),
        ('"main"."a""b"', 'a"b'),
    ],
)
def test_a_quoted_part_may_hold_anything(start, written, table):
    server = start()
    server.rows("CREATE TABLE y AS SELECT 42 AS answer")
    server.land(written, ROW)
    assert (
        server.value("SELECT table_name FROM information_schema.tables WHERE table_name <> 'y'")
        == table
    )
    assert server.value("SELECT answer FROM y") == 42
    listed = [t["name"] for t in server.get("/tables").json()["tables"]]
    assert len(listed) == 2
    # What is listed can be asked for again.
    for shown in listed:
        assert server.get("/tables/" + requests.utils.quote(shown, safe="")).status_code == 200


@pytest.mark.parametrize(
    "bad",
    [
        "a..b",
        ".a",
        "a.",
        "a.b.c.d",
        '"open',
        '"',
        '""',
        '""."a"',
        '"a"b',
        '"a" .b',
        "x" * 256,
        "é" * 128,
        "tab\there",
        "line\nbreak",
        "\x1b[31m",
        "\x7f",
        "\u0085",
    ],
)
@pytest.mark.parametrize("path", ["/ingest/", "/tables/"])
def test_a_name_outside_the_grammar_is_refused(server, bad, path):
    target = path + requests.utils.quote(bad, safe="")
    if path == "/ingest/":
        answer = server.post(target, data=ipc(ROW), headers={"Content-Type": ARROW})
    else:
        answer = server.get(target)
    problem(answer, 400)


@pytest.mark.parametrize(
    "escaped", ["%00", "a%00b", "%", "%4", "%zz", "%ff", "%c3%28", "%ed%a0%80"]
)
def test_bytes_that_are_no_text_are_refused(server, escaped):
    for method, path in (("POST", "/ingest/"), ("GET", "/tables/")):
        with Connection(server) as connection:
            connection.send(
                head(server, method, path + escaped, f"Content-Type: {ARROW}", "Content-Length: 0")
            )
            assert connection.answer(method).status_code == 400


def test_a_dot_alone_is_no_name(server):
    """Sent as it stands: clients resolve such a path before they send it."""
    for dots in ("%2E", ".", "%2E%2E", ".."):
        with Connection(server) as connection:
            connection.send(head(server, "GET", "/tables/" + dots))
            assert connection.answer("GET").status_code in (400, 404)


def test_a_name_is_decoded_once(server, name):
    server.land(f"{name}%2541", ROW)
    assert server.has_table(f"{name}%2541")
    assert not server.has_table(f"{name}%41")
    assert not server.has_table(f"{name}A")


def test_an_ingest_without_a_name_is_not_found(server):
    for path in ("/ingest", "/ingest/"):
        assert server.post(path, data=ipc(ROW), headers={"Content-Type": ARROW}).status_code in (
            400,
            404,
        )


@pytest.mark.parametrize(
    "hostile",
    [
        'x"; drop table y; --',
        "a.b",
        "a b",
        "",
        "select",
        "ß",
        "x" * 300,
        "'",
        '"',
        "%s",
        "a\nb",
        "\u202e",
    ],
)
def test_hostile_column_names_are_just_columns(server, name, hostile):
    table = pa.table({hostile: pa.array([7], pa.int64()), "other": ["x"]})
    answer = server.ingest(name, table)
    if hostile == "":  # SQL has no empty identifier: refused by name, not misread
        problem(answer, answer.status_code)
        assert answer.status_code in (400, 422)
        assert not server.has_table(name)
        return
    assert answer.status_code == 200, answer.text
    assert server.arrow(f"SELECT * FROM {name}").equals(table)
    assert server.rows(f"SELECT * FROM {name}") == [{hostile: 7, "other": "x"}]


def test_columns_that_differ_only_in_case_are_refused_by_name(server, name):
    """DuckDB's identifiers ignore case: two such columns cannot both land."""
    table = pa.table({"Same": pa.array([1]), "same": pa.array([2])})
    problem(server.ingest(name, table), 422, "same")
    assert not server.has_table(name)


def test_a_tables_name_ignores_case_as_duckdb_does(server, name):
    server.land(name, ROW)
    server.land(name.upper(), ROW)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 2


@pytest.mark.parametrize(
    "system",
    [
        "information_schema.tables",
        "pg_catalog.pg_class",
        "main.duckdb_tables",
        "system.main.x",
        "temp.main.x",
    ],
)
def test_system_catalogs_take_no_rows(server, system):
    answer = server.ingest(system, ROW)
    if system == "main.duckdb_tables":  # an ordinary name inside main: a view of the system's there
        assert answer.status_code < 500
        return
    assert 400 <= answer.status_code < 500, answer.text
    problem(answer, answer.status_code)
