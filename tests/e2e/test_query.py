"""/query: statements, parameters, errors; what may be asked by POST and by GET."""

import urllib.parse

import pytest
from wire import Connection, head

from server import ARROW, problem, read_arrow

# ---- parameters


@pytest.mark.parametrize(
    "value, type_name, back",
    [
        (None, "INTEGER", None),
        (True, "BOOLEAN", True),
        (False, "BOOLEAN", False),
        (0, "BIGINT", 0),
        (-(2**63), "BIGINT", -(2**63)),
        (2**63 - 1, "BIGINT", 2**63 - 1),
        (0.1, "DOUBLE", 0.1),
        (1e308, "DOUBLE", 1e308),
        (-0.0, "DOUBLE", -0.0),
        ("", "VARCHAR", ""),
        ("it's; DROP TABLE x --", "VARCHAR", "it's; DROP TABLE x --"),
        ("Ünï 🦆\n\u0001", "VARCHAR", "Ünï 🦆\n\u0001"),
        ("2026-03-01", "DATE", "2026-03-01"),
    ],
)
def test_parameters_arrive_as_values(server, value, type_name, back):
    got = server.value(f"SELECT ?::{type_name} AS v", params=[value])
    assert got == back and type(got) is type(back)


def test_parameters_by_number(server):
    assert server.rows("SELECT $2 AS b, $1 AS a, $2 AS c", params=["x", "y"]) == [
        {"b": "y", "a": "x", "c": "y"}
    ]


@pytest.mark.parametrize(
    "sql, params",
    [("SELECT ?", []), ("SELECT ?", [1, 2]), ("SELECT 1", [1]), ("SELECT ?; SELECT 1", [1])],
)
def test_a_wrong_number_of_parameters_is_refused(server, sql, params):
    problem(server.query(sql, params=params), 400, "param")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"42",
        b'"SELECT 1"',
        b"{}",
        b'{"sql": 1}',
        b'{"sql": null}',
        b'{"params": []}',
        b'{"sql": "SELECT 1", "params": {}}',
        b'{"sql": "SELECT ?", "params": [[1]]}',
        b'{"sql": "SELECT ?", "params": [{}]}',
        b'{"sql": "SELECT 1", "parms": []}',
        b'{"sql": "SELECT 1"} trailing',
        b'{"sql": "SELECT 1\\u0000"}',
        b'{"sql": "\xff"}',
        b'{"sql": "SELECT 1", "sql": "SELECT 2"}',
        b'{"sql": ""}',
        b"[" * 100_000,
        b'{"sql": "SELECT ?", "params": [99999999999999999999]}',
    ],
)
def test_a_json_request_that_is_none_is_refused(server, body):
    answer = server.post("/query", data=body, headers={"Content-Type": "application/json"})
    problem(answer, 400)


# ---- errors


@pytest.mark.parametrize(
    "sql, words",
    [
        ("SELEC 1", ["syntax error", "SELEC"]),
        ("SELECT no_such_column FROM range(3)", ["no_such_column"]),
        ("SELECT * FROM no_such_table", ["no_such_table", "not exist"]),
        ("SELECT no_such_function(1)", ["no_such_function"]),
        ("SELECT 'x'::INTEGER", ["convert"]),
        ("SELECT 1 +", ["syntax error"]),
        ("SELECT (((", ["syntax error"]),
        ("INSERT INTO no_such_table VALUES (1)", ["no_such_table"]),
    ],
)
def test_sql_errors_carry_duckdbs_message(server, sql, words):
    body = problem(server.query(sql), 400, *words)
    assert body["code"] == "INVALID"


def test_sql_errors_carry_their_position(server):
    body = problem(server.query("SELECT 1,\n       2,\n  FORM t"), 400)
    assert "LINE" in body["detail"] or "line 3" in body["detail"], body["detail"]
    body = problem(server.query("SELECT id,\n  wrong\nFROM (SELECT 1 AS id)"), 400, "wrong")
    assert "LINE 2" in body["detail"] or "line 2" in body["detail"], body["detail"]


@pytest.mark.parametrize("sql", ["", " ", ";", ";;", "-- nothing", "/* nothing */"])
def test_no_statement_at_all_is_refused(server, sql):
    problem(server.query(sql), 400)


@pytest.mark.parametrize("sql", [b"SELECT '\xff\xfe'", b"SELECT 1\0", b"\x80"])
def test_sql_that_is_not_text_is_refused(server, sql):
    answer = server.post("/query", data=sql, headers={"Content-Type": "application/sql"})
    problem(answer, 400)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/sql",
        "",
        ARROW,
        "application/jsonish",
    ],
)
def test_a_content_type_that_a_web_page_could_send_is_refused(server, name, content_type):
    answer = server.post(
        "/query", data=f"CREATE TABLE {name} (a INTEGER)", headers={"Content-Type": content_type}
    )
    problem(answer, 415, "application/sql", "application/json")
    assert not server.has_table(name)


def test_a_missing_content_type_is_refused(server):
    with Connection(server) as connection:
        connection.send(head(server, "POST", "/query", "Content-Length: 8") + b"SELECT 1")
        problem(connection.answer(), 415, "application/sql")


def test_charset_utf_8_is_no_obstacle(server):
    for content_type in ("application/sql; charset=utf-8", "application/sql;charset=UTF-8"):
        answer = server.post(
            "/query", data="SELECT 'ü' AS a".encode(), headers={"Content-Type": content_type}
        )
        assert answer.json() == [{"a": "ü"}]


def test_a_deeply_nested_statement_is_an_error_not_a_crash(server):
    for sql in (
        "SELECT " + "(" * 50_000 + "1" + ")" * 50_000,
        "SELECT " + "-" * 3 + "1" + "+1" * 50_000,
        "SELECT " + "NOT " * 50_000 + "true",
    ):
        answer = server.query(sql)
        assert answer.status_code in (200, 400, 413), answer.status_code
    assert server.value("SELECT 1 AS a") == 1


# ---- writing


def test_statements_without_rows_say_how_many_they_changed(server, name):
    assert server.query(f"CREATE TABLE {name} (id BIGINT, word VARCHAR)").status_code == 200
    assert server.rows(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')") == [{"Count": 2}]
    assert server.rows(f"UPDATE {name} SET word = 'c' WHERE id = ?", params=[1]) == [{"Count": 1}]
    assert server.rows(f"DELETE FROM {name} WHERE id = 2 RETURNING word") == [{"word": "b"}]
    assert server.rows(f"SELECT * FROM {name}") == [{"id": 1, "word": "c"}]


def test_a_violated_constraint_is_422_and_changes_nothing(server, name):
    server.rows(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY)")
    server.rows(f"INSERT INTO {name} VALUES (1)")
    problem(server.query(f"INSERT INTO {name} VALUES (2), (1)"), 422)
    assert server.rows(f"SELECT * FROM {name}") == [{"id": 1}]


def test_several_statements_share_a_transaction_and_the_last_answers(server, name):
    assert server.rows(
        f"CREATE TABLE {name} (a INTEGER); INSERT INTO {name} VALUES (1), (2);"
        f" SELECT sum(a)::INTEGER AS s FROM {name};"
    ) == [{"s": 3}]
    problem(server.query(f"INSERT INTO {name} VALUES (3); SELECT * FROM no_such_table"), 400)
    problem(server.query(f"INSERT INTO {name} VALUES (3); SELECT 'x'::INTEGER"), 400)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 2


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "BEGIN TRANSACTION",
        "ABORT",
        "BEGIN; SELECT 1",
        "SELECT 1; COMMIT",
    ],
)
def test_transactions_are_not_the_clients(server, sql):
    answer = server.query(sql)
    assert answer.status_code in (400, 403), answer.text
    problem(answer, answer.status_code, "BEGIN")
    assert server.value("SELECT 1 AS a") == 1


# ---- GET


def get(server, sql, **headers):
    return server.get("/query?sql=" + urllib.parse.quote(sql, safe=""), headers=headers)


def test_get_answers_what_only_reads(server, name):
    server.rows(f"CREATE TABLE {name} AS SELECT 1 AS a")
    assert get(server, f"SELECT a + 1 AS b FROM {name}").json() == [{"b": 2}]
    assert get(server, f"FROM {name}", Accept="text/csv").text == "a\r\n1\r\n"
    assert read_arrow(get(server, f"FROM {name}", Accept=ARROW).content).num_rows == 1
    assert get(server, "SELECT 'a+b ü' AS c").json() == [{"c": "a+b ü"}]
    assert get(server, "EXPLAIN SELECT 1").status_code == 200
    assert get(server, f"DESCRIBE {name}").status_code == 200


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE {} (a INTEGER)",
        "INSERT INTO {} VALUES (2)",
        "DELETE FROM {}",
        "DROP TABLE {}",
        "UPDATE {} SET a = 2",
        "ALTER TABLE {} ADD COLUMN b INTEGER",
        "TRUNCATE {}",
        "SELECT 1; DELETE FROM {}",
        "CREATE VIEW v_{0} AS FROM {0}",
        "EXPLAIN ANALYZE DELETE FROM {}",
        "WITH x AS (SELECT 1) INSERT INTO {} SELECT * FROM x",
        "CREATE SEQUENCE s_{}",
        "VACUUM",
        "PREPARE p_{0} AS DELETE FROM {0}",
        "CHECKPOINT",
        "COMMENT ON TABLE {} IS 'x'",
    ],
)
def test_get_refuses_what_writes(server, name, sql):
    server.rows(f"CREATE TABLE {name} AS SELECT 1 AS a")
    problem(get(server, sql.format(name)), 403)
    assert server.rows(f"SELECT * FROM {name}") == [{"a": 1}]


def test_get_without_a_statement_is_refused(server):
    for path in ("/query", "/query?", "/query?sql=", "/query?sq=SELECT+1", "/query?sql=%"):
        problem(server.get(path), 400)
