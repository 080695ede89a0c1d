"""SQL from outside reaches the tables and nothing else: no file, no network, no
extension, no setting."""

import pathlib

import duckdb_extension_httpfs
import pytest

from server import problem

SECRET = "a secret that no answer may hold"

# {d}: the server's own folder, which holds its database, its configuration, `secret.txt`.
READS = [
    "SELECT * FROM read_text('{d}/secret.txt')",
    "SELECT * FROM read_text('secret.txt')",
    "SELECT * FROM read_blob('{d}/secret.txt')",
    "SELECT * FROM read_csv('{d}/secret.txt')",
    "SELECT * FROM read_csv_auto('{d}/*.txt')",
    "SELECT * FROM read_json('{d}/secret.json')",
    "SELECT * FROM read_json_objects('{d}/secret.json')",
    "SELECT * FROM read_ndjson('{d}/secret.json')",
    "SELECT * FROM read_parquet('{d}/x.parquet')",
    "SELECT * FROM parquet_scan('{d}/x.parquet')",
    "SELECT * FROM parquet_metadata('{d}/x.parquet')",
    "SELECT * FROM parquet_schema('{d}/x.parquet')",
    "SELECT * FROM sniff_csv('{d}/secret.txt')",
    "SELECT * FROM glob('{d}/*')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '{d}/secret.txt'",
    "SELECT * FROM '{d}/secret.csv'",
    "FROM 'secret.csv'",
    "FROM '/etc/passwd'",
    "FROM '{d}/secret.json'",
    "SELECT * FROM read_text('file://{d}/secret.txt')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text('/dev/stdin')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT * FROM 'https://127.0.0.1:1/x.parquet'",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM query('FROM read_text(''{d}/secret.txt'')')",
    "SELECT * FROM query_table('{d}/secret.csv')",
    "CREATE TABLE stolen AS FROM read_text('{d}/secret.txt')",
    "CREATE VIEW stolen AS FROM read_text('{d}/secret.txt'); FROM stolen",
    "CREATE MACRO steal() AS TABLE FROM read_text('{d}/secret.txt'); FROM steal()",
    "INSERT INTO mine SELECT content FROM read_text('{d}/secret.txt')",
    "SELECT (SELECT content FROM read_text('{d}/secret.txt'))",
    "EXPLAIN ANALYZE SELECT * FROM read_text('{d}/secret.txt')",
    "COPY mine FROM '{d}/secret.csv'",
    "IMPORT DATABASE '{d}'",
    "SELECT * FROM duckdb_scan('{d}/other.duckdb', 'main', 't')",
]
WRITES = [
    "COPY mine TO '{d}/out.csv'",
    "COPY (SELECT 1) TO '{d}/out.csv'",
    "COPY mine TO '/tmp/arrowport-out.parquet' (FORMAT parquet)",
    "COPY mine TO '/dev/stdout'",
    "COPY mine TO 'out.json' (FORMAT json)",
    "EXPORT DATABASE '{d}/export'",
    "COPY FROM DATABASE test TO other",
    "PRAGMA enable_profiling; PRAGMA profiling_output='{d}/out.json'; SELECT 1",
    "SET profiling_output='{d}/out.json'",
    "SET log_query_path='{d}/out.log'",
    "CALL enable_logging(storage='file', storage_path='{d}/out')",
]
ATTACHES = [
    "ATTACH '{d}/other.duckdb' AS other",
    "ATTACH '{d}/other.duckdb' AS other (READ_ONLY)",
    "ATTACH ':memory:' AS scratch",
    "ATTACH 'http://127.0.0.1:1/x.duckdb' AS remote",
    "ATTACH 'dbname=postgres' AS pg (TYPE postgres)",
    "ATTACH '{d}/other.sqlite' (TYPE sqlite)",
    "DETACH test",
    "CREATE DATABASE other",
]
EXTENSIONS = [
    "INSTALL httpfs",
    "FORCE INSTALL httpfs",
    "INSTALL httpfs FROM community",
    "INSTALL '{d}/x.duckdb_extension'",
    "LOAD httpfs",
    "LOAD '{d}/x.duckdb_extension'",
    "LOAD json",
    "UPDATE EXTENSIONS",
    "CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "DROP SECRET s",
]
SETTINGS = [
    "SET enable_external_access = true",
    "SET GLOBAL enable_external_access = true",
    "PRAGMA enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "RESET enable_external_access",
    "SET allowed_directories = ['/']",
    "SET allowed_paths = ['/etc/passwd']",
    "SET allow_unsigned_extensions = true",
    "SET autoinstall_known_extensions = true",
    "SET memory_limit = '1TB'",
    "PRAGMA memory_limit = '1TB'",
    "SET threads = 1000",
    "SET SESSION temp_directory = '{d}/x'",
    "SET home_directory = '{d}'",
    "SET extension_directory = '{d}'",
    "SET secret_directory = '{d}'",
    "SET search_path = 'x'",
    "SET schema = 'pg_catalog'",
    "SET LOCAL threads = 1",
    "USE memory",
    "PRAGMA disable_checkpoint_on_shutdown",
    "SELECT set_config('threads', '1000', false)",
    "SELECT 1; SET threads = 1000",
]


@pytest.fixture
def closed(start, tmp_path):
    for kind in ("txt", "csv", "json"):
        text = f'"{SECRET}"\n'
        (tmp_path / f"secret.{kind}").write_text(text)
    server = start()
    server.rows("CREATE TABLE mine AS SELECT 'kept' AS word")
    return server


def refused(server, statements, *, allowed=(400, 403, 501)):
    settings = server.rows("SELECT name, value FROM duckdb_settings() ORDER BY name")
    files = sorted(p.name for p in server.directory.iterdir())
    wrong = []
    for statement in statements:
        sql = statement.format(d=server.directory)
        answer = server.query(sql)
        if answer.status_code not in allowed:
            wrong.append((sql, answer.status_code, answer.text[:300]))
        else:
            problem(answer, answer.status_code)
        assert SECRET not in answer.text, sql
        assert SECRET not in server.query(sql, accept="text/csv").text, sql
    assert not wrong, wrong
    assert server.rows("SELECT * FROM mine") == [{"word": "kept"}]
    assert server.rows("SELECT name, value FROM duckdb_settings() ORDER BY name") == settings
    assert sorted(p.name for p in server.directory.iterdir()) == files


def test_sql_reads_no_file(closed):
    refused(closed, READS)


def test_sql_writes_no_file(closed):
    refused(closed, WRITES)


def test_sql_attaches_no_database(closed):
    refused(closed, ATTACHES)


def test_sql_loads_no_extension(closed):
    refused(closed, EXTENSIONS)


def test_sql_changes_no_setting(closed):
    refused(closed, SETTINGS)


@pytest.mark.parametrize(
    "sql, word",
    [
        ("SELECT * FROM read_text('/etc/passwd')", ""),
        ("ATTACH '/tmp/x.duckdb'", ""),
        ("COPY (SELECT 1) TO '/tmp/x'", ""),
        ("INSTALL httpfs", ""),
        ("SET threads = 9", ""),
    ],
)
def test_what_is_out_of_reach_is_denied_not_called_an_error(server, sql, word):
    assert problem(server.query(sql), 403, word)["code"] == "DENIED"


def test_the_environment_is_out_of_reach(server):
    for sql in ("SELECT getenv('HOME')", "SELECT getvariable('HOME') AS v"):
        answer = server.query(sql)
        if answer.status_code == 200:
            assert answer.json() == [{"v": None}]
        else:
            problem(answer, answer.status_code)


def test_one_request_sees_nothing_that_another_left_in_its_session(server):
    """Sessions are shared in turn: variables, prepared statements, temporary tables and
    the like of one client must not meet the next one."""
    for sql in (
        "SET VARIABLE whisper = 42",
        "PREPARE whisper AS SELECT 42",
        "CREATE TEMP TABLE whisper AS SELECT 42 AS a",
        "CREATE TEMP MACRO whisper() AS 42",
    ):
        server.query(sql)
    for _ in range(8):
        assert server.value("SELECT getvariable('whisper') AS v") is None
        problem(server.query("EXECUTE whisper"), server.query("EXECUTE whisper").status_code)
        problem(server.query("FROM whisper"), 400)
        problem(server.query("SELECT whisper()"), 400)


# ---- with an extension that brings the network ---------------------------------------

HTTPFS = pathlib.Path(duckdb_extension_httpfs.__file__).parent
NETWORK = [
    "SELECT * FROM read_text('http://127.0.0.1:{port}/healthz')",
    "SELECT * FROM read_blob('http://127.0.0.1:{port}/healthz')",
    "SELECT * FROM read_csv('http://127.0.0.1:{port}/healthz')",
    "SELECT * FROM read_json('http://127.0.0.1:{port}/healthz')",
    "SELECT * FROM 'http://127.0.0.1:{port}/x.parquet'",
    "SELECT * FROM 'https://127.0.0.1:{port}/x.parquet'",
    "SELECT * FROM read_text('s3://bucket/x')",
    "SELECT * FROM read_text('s3a://bucket/x')",
    "SELECT * FROM read_text('gcs://bucket/x')",
    "SELECT * FROM read_text('r2://bucket/x')",
    "SELECT * FROM read_text('hf://datasets/x/y')",
    "SELECT * FROM glob('s3://bucket/*')",
    "ATTACH 'http://127.0.0.1:{port}/x.duckdb' AS remote",
    "COPY mine TO 's3://bucket/x.parquet'",
    "COPY mine TO 'http://127.0.0.1:{port}/ingest/x'",
    "SET s3_endpoint = '127.0.0.1:{port}'",
    "SET http_proxy = '127.0.0.1:{port}'",
    "CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "CREATE OR REPLACE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "CREATE TEMPORARY SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "create\tsecret IF NOT EXISTS s (TYPE http, BEARER_TOKEN 'x')",
    "CREATE /* table */ SECRET s (TYPE http, BEARER_TOKEN 'x')",
    "CREATE -- table\nSECRET s (TYPE http, BEARER_TOKEN 'x')",
    "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "CREATE SECRET (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "SELECT 1; CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "DROP SECRET s",
    "DROP TEMPORARY SECRET s",
]


def extension_path():
    (path,) = HTTPFS.rglob("httpfs.duckdb_extension")
    return path


@pytest.fixture
def connected(start, tmp_path):
    for kind in ("txt", "csv", "json"):
        (tmp_path / f"secret.{kind}").write_text(f'"{SECRET}"\n')
    server = start(config=f"duckdb_extensions: ['{extension_path()}', parquet, icu]\n")
    server.rows("CREATE TABLE mine AS SELECT 'kept' AS word")
    return server


def test_an_extension_of_the_configuration_is_loaded(connected):
    settings = "SELECT count(*) AS n FROM duckdb_settings() WHERE name = 's3_endpoint'"
    assert connected.value(settings) == 1


def test_a_network_extension_brings_no_network_into_reach(connected):
    statements = [s.replace("{port}", str(connected.port)) for s in NETWORK]
    refused(connected, statements)
    assert connected.value("SELECT count(*) AS n FROM duckdb_secrets()") == 0


def test_a_network_extension_loosens_nothing_else(connected):
    refused(connected, READS + WRITES)
    refused(connected, ATTACHES + EXTENSIONS + SETTINGS)


def test_tables_may_be_called_secret(server, name):
    server.rows(f"CREATE TABLE {name}_secret (secret INTEGER); DROP TABLE {name}_secret")
    server.rows(f"CREATE SCHEMA {name}; CREATE TABLE {name}.secret (secret INTEGER)")
    server.rows(f"DROP TABLE {name}.secret")


# ---- whatever the scope ------------------------------------------------------------------

TOKENS = """
auth:
  tokens:
    reader: {token: reader-reader-reader, scopes: [read]}
    writer: {token: writer-writer-writer, scopes: [read, write]}
    owner: {token: owner-owner-owner, scopes: [admin]}
    some: {token: some-some-some-some, scopes: [read, write], tables: [mine, 'sales.*']}
"""


@pytest.fixture
def guarded(start, tmp_path):
    for kind in ("txt", "csv", "json"):
        (tmp_path / f"secret.{kind}").write_text(f'"{SECRET}"\n')
    server = start(config=TOKENS)
    as_(server, "owner-owner-owner")
    server.rows(
        "CREATE TABLE mine AS SELECT 'kept' AS word; CREATE TABLE private AS SELECT 42 AS a;"
        "CREATE SCHEMA sales; CREATE TABLE sales.orders AS SELECT 7 AS a;"
        "CREATE VIEW window_in AS FROM private"
    )
    return server


def as_(server, token):
    server.session.headers["Authorization"] = f"Bearer {token}"


@pytest.mark.parametrize(
    "who", ["reader-reader-reader", "owner-owner-owner", "some-some-some-some"]
)
def test_no_scope_reaches_the_servers_own_files(guarded, who):
    own = [
        f"SELECT * FROM {function}('{{d}}/{name}')"
        for function in ("read_text", "read_blob", "read_csv", "read_json", "read_parquet", "glob")
        for name in ("given.yaml", "test.duckdb", "test.duckdb.wal", "../../../etc/passwd")
    ]
    own += ["ATTACH '{d}/test.duckdb' AS again", "SELECT * FROM '{d}/test.duckdb.wal'"]
    wrong = []
    for statement in READS + WRITES + own:
        as_(guarded, who)
        sql = statement.format(d=guarded.directory)
        answer = guarded.query(sql)
        if answer.status_code not in (400, 403, 501):
            wrong.append((sql, answer.status_code, answer.text[:200]))
        assert SECRET not in answer.text and "owner-owner" not in answer.text, sql
    assert not wrong, wrong


def test_scopes_of_statements(guarded):
    cases = [
        ("reader-reader-reader", "SELECT count(*) FROM private", 200),
        ("reader-reader-reader", "INSERT INTO mine VALUES ('x')", 403),
        ("reader-reader-reader", "DELETE FROM mine", 403),
        ("reader-reader-reader", "CREATE TABLE x (a INTEGER)", 403),
        ("writer-writer-writer", "INSERT INTO mine VALUES ('x')", 200),
        ("writer-writer-writer", "UPDATE mine SET word = 'y' WHERE word = 'x'", 200),
        ("writer-writer-writer", "CREATE TABLE x (a INTEGER)", 403),
        ("writer-writer-writer", "DROP TABLE mine", 403),
        ("writer-writer-writer", "ALTER TABLE mine ADD COLUMN z INTEGER", 403),
        ("writer-writer-writer", "SELECT 1; DROP TABLE mine", 403),
        ("writer-writer-writer", "CHECKPOINT", 403),
        ("owner-owner-owner", "CREATE TABLE x (a INTEGER); DROP TABLE x", 200),
    ]
    for token, sql, status in cases:
        as_(guarded, token)
        answer = guarded.query(sql)
        assert answer.status_code == status, (token, sql, answer.text)


def test_patterns_of_tables_hold_in_sql(guarded):
    as_(guarded, "some-some-some-some")
    for sql in (
        "FROM mine",
        "FROM MAIN.MINE",
        "FROM sales.orders",
        "FROM Sales.Orders o JOIN sales.orders USING (a)",
        "INSERT INTO mine VALUES ('x')",
        "DELETE FROM mine WHERE word = 'x'",
        "INSERT INTO sales.orders VALUES (8)",
    ):
        assert guarded.query(sql).status_code == 200, (sql, guarded.query(sql).text)
    for sql in (
        "FROM private",
        "FROM window_in",
        "SELECT count(*) FROM private",
        "WITH x AS (FROM private) FROM x",
        "FROM mine WHERE EXISTS (FROM private)",
        "INSERT INTO mine SELECT a::VARCHAR FROM private",
        "INSERT INTO private VALUES (1)",
        "DELETE FROM private",
        "FROM duckdb_tables()",
        "FROM information_schema.tables",
        "SHOW TABLES",
        "DESCRIBE private",
        "SUMMARIZE private",
        "PRAGMA storage_info('private')",
        "FROM pragma_storage_info('private')",
        "FROM query_table('private')",
        "EXPLAIN FROM private",
    ):
        answer = guarded.query(sql)
        assert answer.status_code in (400, 403), (sql, answer.text)
        assert "42" not in answer.text


def test_errors_tell_no_paths_of_the_server(guarded):
    as_(guarded, "reader-reader-reader")
    for sql in ("FROM duckdb_extensions()", "LOAD httpfs", "FROM read_text('secret.txt')"):
        assert "/" not in problem(guarded.query(sql), 403)["detail"], sql
