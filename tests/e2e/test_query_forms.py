"""/query: the forms that an answer may have; each is read back and compared."""

import base64
import csv
import io
import json

import pyarrow as pa
import pytest

from server import ARROW, problem, read_arrow

MIXED = """
SELECT id, big::BIGINT AS big, word, share::DOUBLE AS share, day::DATE AS day, flag,
       price::DECIMAL(9,3) AS price
FROM (VALUES
  (1, 9223372036854775807, 'plain',   '1.5',       '2026-03-01', true,  '12.340'),
  (2, -9223372036854775808, 'a,"b"\n', 'nan',       '0001-01-01', false, '-0.001'),
  (3, NULL,                NULL,      NULL,        NULL,         NULL,  NULL),
  (4, 0,                   '',        '-infinity', '9999-12-31', true,  '0'),
  (5, 1,                   'Ünï 🦆',   '0.1',       '1969-12-31', false, '999999.999')
) t(id, big, word, share, day, flag, price) ORDER BY id"""
MIXED_JSON = [
    {
        "id": 1,
        "big": 9223372036854775807,
        "word": "plain",
        "share": 1.5,
        "day": "2026-03-01",
        "flag": True,
        "price": "12.340",
    },
    {
        "id": 2,
        "big": -9223372036854775808,
        "word": 'a,"b"\n',
        "share": "NaN",
        "day": "0001-01-01",
        "flag": False,
        "price": "-0.001",
    },
    {"id": 3, "big": None, "word": None, "share": None, "day": None, "flag": None, "price": None},
    {
        "id": 4,
        "big": 0,
        "word": "",
        "share": "-Infinity",
        "day": "9999-12-31",
        "flag": True,
        "price": "0.000",
    },
    {
        "id": 5,
        "big": 1,
        "word": "Ünï 🦆",
        "share": 0.1,
        "day": "1969-12-31",
        "flag": False,
        "price": "999999.999",
    },
]


def test_json_is_the_default(server):
    for accept in (None, "*/*", "application/*", "application/json", "text/html, */*;q=0.1"):
        answer = server.query(MIXED, accept=accept)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].split(";")[0] == "application/json"
        assert json.loads(answer.content) == MIXED_JSON


def test_ndjson_has_an_object_a_line(server):
    answer = server.query(MIXED, accept="application/x-ndjson")
    assert answer.headers["Content-Type"].split(";")[0] == "application/x-ndjson"
    assert answer.content.endswith(b"\n")
    lines = answer.content.decode().split("\n")[:-1]
    assert [json.loads(line) for line in lines] == MIXED_JSON


def test_csv_follows_rfc_4180(server):
    answer = server.query(MIXED, accept="text/csv")
    assert answer.headers["Content-Type"].split(";")[0] == "text/csv"
    text = answer.content.decode()
    assert text.startswith("id,big,word,share,day,flag,price\r\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 6
    assert rows[2] == [
        "2",
        "-9223372036854775808",
        'a,"b"\n',
        "NaN",
        "0001-01-01",
        "false",
        "-0.001",
    ]
    assert rows[5][2] == "Ünï 🦆"
    # An absent value and an empty text are told apart by quotes.
    lines = text.split("\r\n")
    assert "3,,,,,," in lines
    assert any(line.startswith('4,0,"",') for line in lines)


def test_arrow_is_exact(server):
    got = server.arrow(MIXED)
    assert got.schema == pa.schema(
        [
            ("id", pa.int32()),
            ("big", pa.int64()),
            ("word", pa.string()),
            ("share", pa.float64()),
            ("day", pa.date32()),
            ("flag", pa.bool_()),
            ("price", pa.decimal128(9, 3)),
        ]
    )
    assert got["big"].to_pylist() == [r["big"] for r in MIXED_JSON]
    assert str(got["price"][0].as_py()) == "12.340"


def test_nested_values_in_text_forms(server):
    sql = "SELECT [1, NULL] AS l, {'a': 'x', 'b': [true]} AS s, MAP {'k': 1} AS m, 'ab'::BLOB AS b"
    (row,) = server.rows(sql)
    assert row == {
        "l": [1, None],
        "s": {"a": "x", "b": [True]},
        "m": [{"key": "k", "value": 1}],
        "b": base64.b64encode(b"ab").decode(),
    }
    answer = server.query(sql, accept="text/csv")
    header, line = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert header == ["l", "s", "m", "b"]
    assert [json.loads(cell) for cell in line[:3]] == [row["l"], row["s"], row["m"]]


def test_a_result_without_rows_keeps_its_form(server):
    sql = "SELECT 1 AS a, 'x' AS b WHERE false"
    assert server.rows(sql) == []
    assert server.query(sql, accept="application/x-ndjson").content == b""
    assert server.query(sql, accept="text/csv").content == b"a,b\r\n"
    assert server.arrow(sql).equals(
        pa.table({"a": pa.array([], pa.int32()), "b": pa.array([], pa.string())})
    )


def test_two_columns_of_one_name_both_arrive(server):
    assert server.rows("SELECT 1 AS a, 2 AS a") == [{"a": 1, "a_1": 2}]
    assert server.arrow("SELECT 1 AS a, 2 AS a").num_columns == 2


@pytest.mark.parametrize(
    "accept, form",
    [
        (f"{ARROW}, application/json;q=0.5", ARROW),
        (f"{ARROW};q=0.1, text/csv;q=0.9", "text/csv"),
        ("text/*", "text/csv"),
        ("application/json;q=0, text/csv;q=0.1", "text/csv"),
        ("APPLICATION/X-NDJSON", "application/x-ndjson"),
    ],
)
def test_accept_is_weighed_as_http_says(server, accept, form):
    answer = server.query("SELECT 1 AS a", accept=accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == form


@pytest.mark.parametrize(
    "accept", ["application/xml", "image/*", "text/html", "application/json;q=0"]
)
def test_a_form_that_is_not_there_is_refused_with_those_that_are(server, accept):
    problem(
        server.query("SELECT 1", accept=accept),
        406,
        ARROW,
        "application/json",
        "application/x-ndjson",
        "text/csv",
    )


def test_a_refused_form_means_a_statement_that_did_not_run(server, name):
    problem(server.query(f"CREATE TABLE {name} (a INTEGER)", accept="image/png"), 406)
    assert not server.has_table(name)


@pytest.mark.parametrize(
    "value, text",
    [
        ("repeat('9', 38)::HUGEINT", "9" * 38),
        ("('1' || repeat('0', 38))::HUGEINT", "1" + "0" * 38),
        ("'-170141183460469231731687303715884105728'::HUGEINT", str(-(2**127))),
        ("'340282366920938463463374607431768211455'::UHUGEINT", str(2**128 - 1)),
        ("'infinity'::DATE", "infinity"),
        ("'-infinity'::TIMESTAMP", "-infinity"),
        ("'290000-12-22 (BC)'::DATE", "-289999-12-22"),
        ("'24:00:00'::TIME", "24:00:00.000000"),
    ],
)
def test_what_arrow_cannot_say_is_said_in_text_or_refused(server, value, text):
    """No value may come out as another one."""
    answer = server.query(f"SELECT {value} AS v", accept=ARROW)
    if answer.status_code != 200:
        problem(answer, 422, "v")
    elif "HUGEINT" in value:
        assert str(read_arrow(answer.content)["v"][0]) == text
    answer = server.query(f"SELECT {value} AS v")
    if answer.status_code != 200:
        problem(answer, 422, "v")
    else:
        assert answer.json() == [{"v": text}]
