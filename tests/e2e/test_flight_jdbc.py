"""The server as the Java JDBC driver of Flight SQL sees it. One run of tests/services/Jdbc.java
asks everything, since a Java program takes long to start; the tests look at what it found."""

import decimal
import json

import pyarrow as pa
import pytest
from certs import Authority
from services import flight_peers
from test_access import hash_of

from server import Server

pytestmark = pytest.mark.timeout(240)

TOKEN = "jdbc-0123456789abcdef"
AUTH = f"""
auth:
  tokens:
    jdbc: {{token: {TOKEN}, scopes: [read]}}
  users:
    anna: {{password_hash: '{hash_of("secret")}', scopes: [read]}}
"""
TABLES = """
CREATE TABLE jdbc_m (id BIGINT, word VARCHAR NOT NULL, price DECIMAL(9,2), moment TIMESTAMP,
  day DATE, PRIMARY KEY (id));
CREATE TABLE jdbc_f (m BIGINT REFERENCES jdbc_m (id));
CREATE VIEW jdbc_mv AS SELECT id FROM jdbc_m;
CREATE TABLE typed AS SELECT * FROM (VALUES
  (1, true, 1::TINYINT, 2::SMALLINT, 3::INTEGER, 4::BIGINT, 5::UTINYINT, 6::USMALLINT, 7::UINTEGER,
   8::UBIGINT, 1.5::FLOAT, 2.5::DOUBLE, -12.34::DECIMAL(9,2),
   12345678901234567890123456789.123456789::DECIMAL(38,9), 'wörd', '\\x00\\xFF'::BLOB,
   DATE '2024-02-29', TIME '12:34:56.123456', TIMESTAMP '2024-02-29 12:34:56.123456',
   TIMESTAMPTZ '2024-02-29 12:34:56.123456+00', TIMESTAMP_S '2024-02-29 12:34:56',
   TIMESTAMP_MS '2024-02-29 12:34:56.789', TIMESTAMP_NS '2024-02-29 12:34:56.123456789',
   [1, NULL, 3], ['a', 'b'], {'x': 1, 'y': 'z'}, MAP {'k': 1},
   '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID)) t(nr, bool, i8, i16, i32, i64, u8, u16, u32, u64,
   f32, f64, d9, d38, txt, data, day, clock, ts, tstz, ts_s, ts_ms, ts_ns, ints, texts, pair, dict,
   uuid);
INSERT INTO typed (nr) VALUES (2)
"""
LANDED = pa.table(
    {
        "n": pa.array([1, 2, None], pa.int64()),
        "d": pa.array(
            [decimal.Decimal("1.50"), None, decimal.Decimal("-0.01")], pa.decimal128(9, 2)
        ),
        "s": pa.array(["a", None, "ü"]),
    }
)


def url(server, *properties, host="127.0.0.1", encrypted=False):
    given = [f"useEncryption={'true' if encrypted else 'false'}", *properties]
    return f"jdbc:arrow-flight-sql://{host}:{server.port}/?" + "&".join(given)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(f"jdbc{i}") for i in range(3)]
    servers = []
    try:
        ca = Authority(folders[2])
        files = ca.issue("server")
        tls = f"tls: {{cert: {files.cert}, key: {files.key}}}\n"
        servers.append(Server(folders[0], db="shop.duckdb"))
        servers.append(Server(folders[1], config=AUTH))
        servers.append(Server(folders[2], config=tls + AUTH))
        plain, guarded, secret = servers
        answer = plain.query(TABLES)
        assert answer.status_code == 200, answer.text
        plain.land("landed", LANDED)
        trusted = f"tlsRootCerts={ca.cert}"
        asked = {
            "statement": url(plain),
            "prepared": url(plain),
            "metadata": url(plain),
            "types": url(plain),
            "rows": url(plain),
            "auth": [
                url(guarded, "user=anna", "password=secret"),
                url(guarded, f"token={TOKEN}"),
                url(guarded, "user=anna", "password=wrong"),
                url(guarded, "token=wrong-0123456789abcdef"),
                url(guarded),
            ],
            "tls": [
                url(secret, trusted, f"token={TOKEN}", host="localhost", encrypted=True),
                url(secret, trusted, "user=anna", "password=secret", encrypted=True),
                url(secret, "useSystemTrustStore=true", f"token={TOKEN}", encrypted=True),
            ],
            "catalog": [url(plain, "catalog=shop"), url(plain, "catalog=nowhere")],
        }
        answer = json.loads(flight_peers.jdbc("Jdbc.java", json.dumps(asked), timeout_s=200))
        answer["landed by it"] = plain.rows("SELECT * FROM jdbc_p WHERE id = 1")
        yield answer
    finally:
        for server in servers:
            server.stop()


def test_statements(found):
    told = found["statement"]
    assert (told["create"], told["insert"], told["update"], told["delete"]) == (0, 3, 2, 1)
    assert told["is_query"] is True and told["rows"] == [[1, "b"], [3, "wörd"]]
    assert told["is_update"] is False and told["update_count"] == 1
    assert told["none"] == [] and told["many"] == [[499999500000]]
    assert told["sum"] == 44999850000
    assert told["after"] == [[3]]


@pytest.mark.parametrize(
    "sql, words",
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT * FROM nowhere", "Table with name nowhere does not exist"),
        ("SELECT 'x'::INTEGER", "Could not convert string 'x'"),
    ],
)
def test_errors_say_what_is_wrong(found, sql, words):
    assert words in found["statement"][sql]["error"]


def test_prepared_statements(found):
    told = found["prepared"]
    assert (told["parameters"], told["inserted"], told["nulls"]) == (10, 1, 1)
    moment, clock = "2024-02-29 12:34:56.123", "12:34:56"
    first, second = told["rows"]
    assert first[:4] == [1, "wörd", "12.50", "2024-02-29"]
    assert first[4] == moment
    assert first[5:9] == [True, 1.5, "\x00ÿ", 2**63 - 1]
    assert first[9] == clock
    assert second == [2] + [None] * 9
    assert told["batch"] == 1000
    assert (told["from 10"], told["from 510"]) == ([[1000, 667]], [[500, 333]])
    assert told["columns"] == [["id", 4], ["word", 12], ["price", 3]]
    assert told["found"] == [[1, "wörd", "12.50"]]
    assert "Table with name nowhere does not exist" in told["wrong"]["error"]
    # What went in by JDBC is the same by HTTP.
    assert found["landed by it"] == [
        {
            "id": 1,
            "word": "wörd",
            "price": "12.50",
            "day": "2024-02-29",
            "moment": moment.replace(" ", "T") + "000",
            "yes": True,
            "x": 1.5,
            "data": "AP8=",
            "big": 2**63 - 1,
            "clock": clock + ".000000",
        }
    ]


def test_what_landed_by_http_is_the_same_by_jdbc(found):
    assert found["rows"] == [[1, "1.50", "a"], [2, None, None], [None, "-0.01", "ü"]]


def test_metadata_of_the_server(found):
    told = found["metadata"]
    assert told["product"] == "Arrowport" and told["version"][0].isdigit()
    for name in ("transactions", "keywords", "outer", "group_by", "nulls_at_end", "entry", "union"):
        assert told[name] is True, name
    assert told["read_only"] is False
    assert told["quote"] == '"'
    assert (told["catalog_term"], told["schema_term"]) == ("catalog", "schema")
    assert told["statement_length"] == 4 << 20
    assert {"abs", "sqrt", "round"} <= set(told["numeric"].split(", "))
    assert {"concat", "lower", "length"} <= set(told["strings"].split(", "))


def test_metadata_of_tables(found):
    told = found["metadata"]
    assert told["catalogs"] == [["shop"]]
    assert told["schemas"] == [["main", "shop"]]
    assert told["table_types"] == [["LOCAL TEMPORARY"], ["TABLE"], ["VIEW"]]
    table, view = (["shop", "main", n, k] for n, k in (("jdbc_m", "TABLE"), ("jdbc_mv", "VIEW")))
    assert told["tables"] == [table, view]
    assert told["views"] == [["jdbc_mv"]]
    # Name, JDBC's type, ours, digits or characters, digits behind the point, nullable, where.
    assert told["columns"] == [
        ["id", -5, "BIGINT", 19, 0, 0, 1],
        ["word", 12, "VARCHAR", 2147483647, None, 0, 2],
        ["price", 3, "DECIMAL(9,2)", 9, 2, 1, 3],
        ["moment", 93, "TIMESTAMP", 26, 6, 1, 4],
        ["day", 91, "DATE", 10, 0, 1, 5],
    ]
    assert told["primary"] == [["jdbc_m", "id", 1]]
    assert told["imported"] == [["jdbc_m", "id", "jdbc_f", "m"]]
    assert told["exported"] == [["jdbc_f", 3]]
    assert told["cross"] == [["jdbc_m", "jdbc_f"]]


TYPED = {
    "bool": (16, True),
    "i8": (-6, 1),
    "i16": (5, 2),
    "i32": (4, 3),
    "i64": (-5, 4),
    "u8": (-6, 5),
    "u16": (5, 6),
    "u32": (4, 7),
    "u64": (-5, 8),
    "f32": (6, 1.5),
    "f64": (8, 2.5),
    "d9": (3, "-12.34"),
    "d38": (3, "12345678901234567890123456789.123456789"),
    "txt": (12, "wörd"),
    "data": (-3, "\x00ÿ"),
    "day": (91, "2024-02-29"),
    "clock": (92, "12:34:56.123"),  # java.sql.Time has no more digits
    "ts": (93, "2024-02-29 12:34:56.123456"),
    "tstz": (2014, "2024-02-29 12:34:56.123456"),
    "ts_s": (93, "2024-02-29 12:34:56.0"),
    "ts_ms": (93, "2024-02-29 12:34:56.789"),
    "ts_ns": (93, "2024-02-29 12:34:56.123456789"),
    "ints": (2003, [1, None, 3]),
    "texts": (2003, ["a", "b"]),
    "pair": (2000, '{"x":1,"y":"z"}'),
    "dict": (2000, '{"k":1}'),
    "uuid": (12, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
}


def test_every_type_and_its_null(found):
    told = {name: (c["type"], *c["values"]) for name, c in found["types"].items() if name != "nr"}
    assert told == {name: (*pair, None) for name, pair in TYPED.items()}


def test_users_and_tokens(found):
    user, token, wrong_password, wrong_token, nobody = found["auth"]
    assert user == token == [["test", 42]]
    assert "there is no user of this name and password" in wrong_password["error"]
    assert "none that this server knows" in wrong_token["error"]
    assert "wants to know who asks" in nobody["error"]


def test_tls(found):
    token, user, untrusted = found["tls"]
    assert token == user == [["test", 42]]
    assert "unable to find valid certification path" in untrusted["error"]


def test_the_catalog_of_the_url(found):
    there, nowhere = found["catalog"]
    assert there == [["shop", 42]]
    assert "Cannot set session option for catalog" in nowhere["error"]
