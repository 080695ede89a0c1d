"""SQL from outside reaches the tables and nothing else: no file, no network, no
extension, no setting."""

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
