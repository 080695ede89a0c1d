"""Flight SQL's metadata, asked by hand (the raw schemas and rows) and by ADBC's driver."""

import adbc_driver_flightsql.dbapi as adbc
import pyarrow as pa
import pyarrow.flight as fl
import pytest

PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."

TABLES = """
CREATE SCHEMA s;
CREATE TABLE trips (id BIGINT PRIMARY KEY, fare DECIMAL(9,2) NOT NULL, note VARCHAR);
COMMENT ON COLUMN trips.fare IS 'in euro';
CREATE TABLE s.stops (a INTEGER, b INTEGER, name VARCHAR, PRIMARY KEY (b, a));
CREATE TABLE s.visits (x INTEGER, y INTEGER, FOREIGN KEY (x, y) REFERENCES s.stops (b, a));
CREATE VIEW far AS SELECT id FROM trips WHERE fare > 10
"""


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    """One field of a protobuf message: text, bytes, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def command(name, *fields):
    """A command of Flight SQL: an Any that holds the message."""
    message = b"".join(field(number, value) for number, value in fields)
    return field(1, PREFIX + name) + field(2, message)


class Raw:
    def __init__(self, port, token=None):
        self.client = fl.FlightClient(f"grpc://127.0.0.1:{port}")
        headers = [(b"authorization", b"Bearer " + token.encode())] if token else []
        self.options = fl.FlightCallOptions(timeout=60, headers=headers)

    def ask(self, name, *fields):
        """What DoGet gives; its schema is what GetFlightInfo and GetSchema have told."""
        descriptor = fl.FlightDescriptor.for_command(command(name, *fields))
        info = self.client.get_flight_info(descriptor, self.options)
        assert len(info.endpoints) == 1
        reader = self.client.do_get(info.endpoints[0].ticket, self.options)
        table = reader.read_all()
        told = self.client.get_schema(descriptor, self.options).schema
        assert table.schema.equals(info.schema, check_metadata=True)
        assert table.schema.equals(told, check_metadata=True)
        table.validate(full=True)
        return table

    def rows(self, name, *fields):
        return [tuple(row.values()) for row in self.ask(name, *fields).to_pylist()]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from server import Server

    server = Server(tmp_path_factory.mktemp("metadata"), db="shop.duckdb")
    answer = server.query(TABLES)
    assert answer.status_code == 200, answer.text
    yield server
    server.stop()


@pytest.fixture
def raw(served):
    return Raw(served.port)


@pytest.fixture
def connection(served):
    with adbc.connect(f"grpc://127.0.0.1:{served.port}", autocommit=True) as opened:
        yield opened


def not_null(name, kind):
    return pa.field(name, kind, nullable=False)


TEXT = pa.utf8()
KEYS = pa.schema(
    [
        pa.field("pk_catalog_name", TEXT),
        pa.field("pk_db_schema_name", TEXT),
        not_null("pk_table_name", TEXT),
        not_null("pk_column_name", TEXT),
        pa.field("fk_catalog_name", TEXT),
        pa.field("fk_db_schema_name", TEXT),
        not_null("fk_table_name", TEXT),
        not_null("fk_column_name", TEXT),
        not_null("key_sequence", pa.int32()),
        pa.field("fk_key_name", TEXT),
        pa.field("pk_key_name", TEXT),
        not_null("update_rule", pa.uint8()),
        not_null("delete_rule", pa.uint8()),
    ]
)
TABLES_SCHEMA = pa.schema(
    [
        pa.field("catalog_name", TEXT),
        pa.field("db_schema_name", TEXT),
        not_null("table_name", TEXT),
        not_null("table_type", TEXT),
    ]
)
INFO = pa.schema(
    [
        not_null("info_name", pa.uint32()),
        pa.field(
            "value",
            pa.dense_union(
                [
                    pa.field("string_value", TEXT),
                    pa.field("bool_value", pa.bool_()),
                    pa.field("bigint_value", pa.int64()),
                    pa.field("int32_bitmask", pa.int32()),
                    pa.field("string_list", pa.list_(pa.field("string_data", TEXT))),
                    pa.field(
                        "int32_to_int32_list_map",
                        pa.map_(pa.int32(), pa.list_(pa.field("$data$", pa.int32()))),
                    ),
                ]
            ),
        ),
    ]
)

STOPS = [
    ("shop", "s", "stops", "b", "shop", "s", "visits", "x", 1),
    ("shop", "s", "stops", "a", "shop", "s", "visits", "y", 2),
]
NAMES = ("visits_x_y_b_a_fkey", "stops_b_a_pkey", 3, 3)


@pytest.mark.asan
def test_results_have_the_schemas_and_order_of_the_specification(raw):
    assert raw.ask("CommandGetCatalogs").schema == pa.schema([not_null("catalog_name", TEXT)])
    assert raw.rows("CommandGetCatalogs") == [("shop",)]
    assert raw.rows("CommandGetDbSchemas") == [("shop", "main"), ("shop", "s")]
    assert raw.rows("CommandGetDbSchemas", (1, "shop"), (2, "_")) == [("shop", "s")]
    assert raw.rows("CommandGetDbSchemas", (1, "")) == []

    assert raw.ask("CommandGetTables").schema == TABLES_SCHEMA
    assert raw.rows("CommandGetTables") == [
        ("shop", "main", "far", "VIEW"),
        ("shop", "main", "trips", "TABLE"),
        ("shop", "s", "stops", "TABLE"),
        ("shop", "s", "visits", "TABLE"),
    ]
    assert raw.rows("CommandGetTables", (3, "%r%"), (4, "TABLE"), (4, "none")) == [
        ("shop", "main", "trips", "TABLE")
    ]
    assert raw.rows("CommandGetTableTypes") == [("LOCAL TEMPORARY",), ("TABLE",), ("VIEW",)]

    keys = raw.ask("CommandGetPrimaryKeys", (3, "stops"))
    assert keys.schema.names[-2:] == ["key_name", "key_sequence"]
    assert raw.rows("CommandGetPrimaryKeys", (1, "shop"), (2, "s"), (3, "stops")) == [
        ("shop", "s", "stops", "b", "stops_b_a_pkey", 1),
        ("shop", "s", "stops", "a", "stops_b_a_pkey", 2),
    ]
    assert raw.ask("CommandGetExportedKeys", (3, "stops")).schema == KEYS
    wanted = [row + NAMES for row in STOPS]
    assert raw.rows("CommandGetExportedKeys", (3, "stops")) == wanted
    assert raw.rows("CommandGetImportedKeys", (3, "visits")) == wanted
    assert raw.rows("CommandGetCrossReference", (3, "stops"), (6, "visits")) == wanted
    assert raw.rows("CommandGetCrossReference", (3, "visits"), (6, "stops")) == []
    # Without the tables that the command must name, there is nothing.
    assert raw.rows("CommandGetPrimaryKeys") == []


@pytest.mark.asan
def test_tables_come_with_their_schemas(raw):
    table = raw.ask("CommandGetTables", (3, "trips"), (5, 1))
    assert table.schema == TABLES_SCHEMA.append(not_null("table_schema", pa.binary()))
    schema = pa.ipc.read_schema(pa.py_buffer(table["table_schema"][0].as_py()))
    assert schema.remove_metadata() == pa.schema(
        [
            not_null("id", pa.int64()),
            not_null("fare", pa.decimal128(9, 2)),
            pa.field("note", TEXT),
        ]
    )
    said = {
        key.decode().removeprefix("ARROW:FLIGHT:SQL:"): value.decode()
        for key, value in schema.field("fare").metadata.items()
    }
    assert said == {
        "CATALOG_NAME": "shop",
        "DB_SCHEMA_NAME": "main",
        "SCHEMA_NAME": "main",
        "TABLE_NAME": "trips",
        "TYPE_NAME": "DECIMAL(9,2)",
        "PRECISION": "9",
        "SCALE": "2",
        "IS_AUTO_INCREMENT": "0",
        "IS_CASE_SENSITIVE": "0",
        "IS_READ_ONLY": "0",
        "IS_SEARCHABLE": "1",
        "REMARKS": "in euro",
    }


@pytest.mark.asan
def test_what_the_server_says_of_itself(raw):
    table = raw.ask("CommandGetSqlInfo")
    assert table.schema == INFO
    info = dict(raw.rows("CommandGetSqlInfo"))
    assert sorted(info) == [*range(12), 100, 101, *range(500, 577)] == list(info)
    assert info[0] == "Arrowport" and info[3] is False and info[6] is None
    assert info[8] == 1 and info[100] == 600_000 and info[101] == 60_000
    assert "QUALIFY" in info[508] and "substring" in info[510]
    casts = dict(info[517])
    assert set(casts) == set(range(20)) and 7 in casts[0] and 7 not in casts[1]
    some = raw.rows("CommandGetSqlInfo", (1, 501), (1, 4711), (1, 0), (1, 501))
    assert some == [(0, "Arrowport"), (501, True)]
    with pytest.raises(pa.ArrowInvalid, match="infos are asked for"):
        raw.rows("CommandGetSqlInfo", *[(1, 0)] * 1001)


def test_types_are_described(raw):
    table = raw.ask("CommandGetXdbcTypeInfo")
    assert table.schema.field("create_params").type == pa.list_(not_null("item", TEXT))
    types = {row["type_name"]: row for row in table.to_pylist()}
    order = [(row["data_type"], row["type_name"]) for row in types.values()]
    assert order == sorted(order) and len(order) == 28
    assert types["DECIMAL"]["create_params"] == ["precision", "scale"]
    assert types["UBIGINT"]["unsigned_attribute"] and types["UBIGINT"]["column_size"] == 20
    names = [row[0] for row in raw.rows("CommandGetXdbcTypeInfo", (1, -5))]
    assert names == ["BIGINT", "UBIGINT"]


@pytest.mark.asan
def test_broken_messages_are_refused(raw):
    broken = field(1, PREFIX + "CommandGetTables") + field(2, b"\xff\xff\xff")
    with pytest.raises(pa.ArrowInvalid, match="no CommandGetTables"):
        raw.client.get_flight_info(fl.FlightDescriptor.for_command(broken), raw.options)
    with pytest.raises(pa.ArrowInvalid):
        raw.rows("CommandGetPrimaryKeys", (3, b"\xff\xfe"))
    assert raw.rows("CommandGetTables", (2, b"\xff%"), (3, b"\xc3")) == []


def test_only_what_the_caller_may_read_is_shown(start):
    config = """
auth:
  tokens:
    all: {token: all-tables-0123456789, scopes: [read, write, admin]}
    some: {token: some-tables-0123456789, scopes: [read], tables: ["s.*"]}
    writer: {token: write-only-0123456789, scopes: [write]}
"""
    server = start(config=config, db="shop.duckdb")
    server.session.headers["Authorization"] = "Bearer all-tables-0123456789"
    answer = server.query(TABLES)
    assert answer.status_code == 200, answer.text
    some = Raw(server.port, "some-tables-0123456789")
    assert [row[1:3] for row in some.rows("CommandGetTables")] == [("s", "stops"), ("s", "visits")]
    assert some.rows("CommandGetDbSchemas") == [("shop", "s")]
    assert some.rows("CommandGetPrimaryKeys", (3, "trips")) == []
    info = dict(some.rows("CommandGetSqlInfo", (1, 3), (1, 10), (1, 502), (1, 506)))
    assert info == {3: True, 10: False, 502: False, 506: False}
    writer = Raw(server.port, "write-only-0123456789")
    with pytest.raises(fl.FlightUnauthorizedError):
        writer.rows("CommandGetTables")
    # What tells of no table is told to those who may not read, too: ADBC asks it when it connects.
    assert dict(writer.rows("CommandGetSqlInfo", (1, 3), (1, 10))) == {3: False, 10: True}
    assert len(writer.rows("CommandGetTableTypes")) == 3
    assert len(writer.rows("CommandGetXdbcTypeInfo")) > 10
    with pytest.raises(fl.FlightUnauthenticatedError):
        Raw(server.port).rows("CommandGetSqlInfo")


# ---- ADBC


def objects(connection, **options):
    return connection.adbc_get_objects(**options).read_all().to_pylist()


def test_adbc_reads_objects_at_every_depth(connection):
    [catalog] = objects(connection, depth="catalogs")
    assert catalog["catalog_name"] == "shop"
    [catalog] = objects(connection, depth="db_schemas")
    assert [s["db_schema_name"] for s in catalog["catalog_db_schemas"]] == ["main", "s"]
    [catalog] = objects(connection, depth="tables", table_types_filter=["VIEW"])
    main = catalog["catalog_db_schemas"][0]
    assert [t["table_name"] for t in main["db_schema_tables"]] == ["far"]
    [catalog] = objects(connection, depth="all", table_name_filter="tr%")
    [trips] = catalog["catalog_db_schemas"][0]["db_schema_tables"]
    columns = trips["table_columns"]
    assert [c["column_name"] for c in columns] == ["id", "fare", "note"]
    assert [c["xdbc_type_name"] for c in columns] == ["BIGINT", "DECIMAL(9,2)", "VARCHAR"]
    assert columns[0]["xdbc_scope_catalog"] == "shop"
    assert columns[0]["xdbc_scope_schema"] == "main"


def test_adbc_reads_schemas_types_and_info(connection):
    schema = connection.adbc_get_table_schema("trips", db_schema_filter="main")
    assert schema.field("fare").type == pa.decimal128(9, 2)
    assert not schema.field("fare").nullable
    with pytest.raises(adbc.ProgrammingError):
        connection.adbc_get_table_schema("none")
    assert connection.adbc_get_table_types() == ["LOCAL TEMPORARY", "TABLE", "VIEW"]
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Arrowport"
    assert info["vendor_arrow_version"] == "1.5.0"


def test_temporary_tables_are_seen_in_their_session_alone(served, connection):
    cookies = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    uri = f"grpc://127.0.0.1:{served.port}"
    with adbc.connect(uri, db_kwargs=cookies, autocommit=True) as own:
        own.adbc_connection.set_options(**{"adbc.connection.catalog": "shop"})  # begins a session
        with own.cursor() as cursor:
            cursor.adbc_statement.set_sql_query("CREATE TEMP TABLE scratch (i INTEGER NOT NULL)")
            cursor.adbc_statement.execute_update()
        shown = objects(own, depth="tables", table_types_filter=["LOCAL TEMPORARY"])
        assert [c["catalog_name"] for c in shown] == ["shop", "temp"]
        [schema] = shown[1]["catalog_db_schemas"]
        assert [t["table_name"] for t in schema["db_schema_tables"]] == ["scratch"]
        assert own.adbc_get_table_schema("scratch").names == ["i"]
        assert [c["catalog_name"] for c in objects(connection, depth="catalogs")] == ["shop"]
