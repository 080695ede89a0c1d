"""The command line: each command against a running server, its output and its exit code."""

import io
import json

import pyarrow as pa
import pytest

from server import ipc, read_arrow, run

OK, INVALID, SCHEMA, NOT_FOUND, DENIED, UNAVAILABLE, UNSUPPORTED = 0, 2, 3, 4, 5, 8, 10
TABLE = pa.table({"id": pa.array([1, 2, None], pa.int64()), "word": ["a", 'b,"c"', None]})


@pytest.fixture
def arrowport(server, tmp_path):
    """Runs a command against the shared server; checks its exit code, returns its output."""

    def call(*arguments, code=OK, stdin=None, env=None, url=server.url):
        environment = {"ARROWPORT_URL": url, **(env or {})}
        done = run(*arguments, cwd=tmp_path, env=environment, stdin=stdin)
        said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert done.returncode == code, said
        if code != OK:
            assert done.stdout == b""
            assert done.stderr.startswith(b"arrowport: ")
            return done.stderr.decode()
        return done.stdout

    return call


def write_file(path, table):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


# ---- ingest


def test_ingest_takes_files_and_streams_told_apart_by_their_bytes(
    server, arrowport, name, tmp_path
):
    write_file(tmp_path / "file.arrow", TABLE)
    (tmp_path / "stream.bin").write_bytes(ipc(TABLE))
    arrowport("ingest", name, "file.arrow", "stream.bin")
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 6
    arrowport("ingest", name, "-", stdin=ipc(TABLE))
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 9


def test_ingest_says_what_landed(arrowport, name, flights_path):
    said = arrowport("ingest", name, flights_path).decode()
    assert "200,000 rows" in said and name in said
    line = json.loads(arrowport("ingest", name, flights_path, "--json"))
    assert line["rows"] == 200_000 and line["table"].endswith(name)
    assert arrowport("ingest", "--quiet", name, flights_path) == b""


@pytest.mark.parametrize("codec", ["zstd", "zstd:9", "lz4", "none"])
def test_ingest_compresses_what_it_sends(server, arrowport, name, flights_path, flights, codec):
    arrowport("ingest", name, flights_path, "--compression", codec)
    assert server.value(f"SELECT sum(distance)::BIGINT AS s FROM {name}") == sum(
        flights["distance"].to_pylist()
    )


@pytest.mark.parametrize(
    "code, content, word",
    [
        (INVALID, b"", "empty"),
        (INVALID, b"no Arrow", ""),
        (INVALID, ipc(TABLE)[:-8], "end-of-stream"),
        (INVALID, ipc(TABLE)[:-20], ""),
    ],
)
def test_ingest_refuses_what_is_not_whole(server, arrowport, name, tmp_path, code, content, word):
    (tmp_path / "broken").write_bytes(content)
    assert word in arrowport("ingest", name, "broken", code=code)
    assert word in arrowport("ingest", name, "-", code=code, stdin=content)
    assert not server.has_table(name)


def test_ingest_tells_what_the_server_refuses(server, arrowport, name, tmp_path):
    write_file(tmp_path / "a.arrow", TABLE)
    write_file(tmp_path / "b.arrow", pa.table({"surplus": [1]}))
    write_file(tmp_path / "c.arrow", pa.table({"n": pa.array([1], pa.duration("ns"))}))
    arrowport("ingest", name, "a.arrow")
    assert "surplus" in arrowport("ingest", name, "b.arrow", code=SCHEMA)
    assert "duration[ns" in arrowport("ingest", name + "c", "c.arrow", code=UNSUPPORTED)
    assert "missing.arrow" in arrowport("ingest", name, "missing.arrow", code=NOT_FOUND)


def test_a_server_that_is_not_there_is_told_with_its_address(arrowport, tmp_path):
    write_file(tmp_path / "a.arrow", TABLE)
    for arguments in (("ingest", "t", "a.arrow"), ("query", "SELECT 1"), ("tables",), ("streams",)):
        said = arrowport(*arguments, code=UNAVAILABLE, url="http://127.0.0.1:9")
        assert "127.0.0.1:9" in said


def test_local_needs_no_server(arrowport, tmp_path):
    write_file(tmp_path / "a.arrow", TABLE)
    arrowport("ingest", "--local", "--db", "mine.duckdb", "t", "a.arrow", url="http://127.0.0.1:9")
    out = arrowport(
        "query",
        "--local",
        "--db",
        "mine.duckdb",
        "SELECT count(*) AS n FROM t",
        "--format",
        "json",
        url="http://127.0.0.1:9",
    )
    assert json.loads(out) == [{"n": 3}]
    assert (tmp_path / "mine.duckdb").exists()


def test_local_does_not_touch_a_database_that_a_server_holds(start, tmp_path):
    server = start()
    server.land("t", TABLE)
    done = run("query", "--local", "--db", tmp_path / "test.duckdb", "SELECT 1", cwd=tmp_path)
    assert done.returncode == 6  # CONFLICT
    assert b"test.duckdb" in done.stderr and str(server.process.pid).encode() in done.stderr


# ---- query


def test_query_in_every_format(arrowport, server, name):
    server.land(name, TABLE)
    sql = f"SELECT * FROM {name} ORDER BY id"
    rows = TABLE.to_pylist()
    assert json.loads(arrowport("query", sql, "--format", "json")) == rows
    assert json.loads(arrowport("query", sql, "--json")) == rows
    lines = arrowport("query", sql, "-f", "ndjson").splitlines()
    assert [json.loads(line) for line in lines] == rows
    want_csv = b'id,word\r\n1,a\r\n2,"b,""c"""\r\n,\r\n'
    assert arrowport("query", sql, "--format", "csv") == want_csv
    assert arrowport("query", sql) == want_csv  # not a terminal
    assert read_arrow(arrowport("query", sql, "--format", "arrow")).equals(TABLE)
    table = arrowport("query", sql, "--format", "table").decode()
    assert "id" in table and "word" in table and 'b,"c"' in table


def test_query_reads_sql_from_standard_input_and_files(arrowport, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT 42 AS a\n")
    assert arrowport("query", "-", stdin=b"SELECT 42 AS a") == b"a\r\n42\r\n"
    assert arrowport("query", "--file", "q.sql") == b"a\r\n42\r\n"


def test_query_takes_parameters(arrowport):
    out = arrowport(
        "query",
        "SELECT ? AS a, ? AS b, ? AS c, ? AS d",
        "-p",
        "42",
        "-p",
        "true",
        "--param",
        "null",
        "--param=it's",
        "--format",
        "json",
    )
    assert json.loads(out) == [{"a": 42, "b": True, "c": None, "d": "it's"}]


def test_query_tells_what_is_wrong(arrowport):
    assert "no_such_table" in arrowport("query", "SELECT * FROM no_such_table", code=INVALID)
    arrowport("query", "SELECT * FROM read_text('/etc/passwd')", code=DENIED)
    arrowport("query", code=INVALID)
    assert "xml" in arrowport("query", "SELECT 1", "--format", "xml", code=INVALID)


def test_a_table_does_not_let_data_talk_to_the_terminal(arrowport):
    out = arrowport("query", "SELECT 'a' || chr(27) || '[31mred' AS c", "--format", "table")
    assert b"\x1b" not in out


def test_a_pipe_from_query_to_ingest(arrowport, server, name):
    stream = arrowport("query", "SELECT i AS id FROM range(100000) t(i)", "--format", "arrow")
    arrowport("ingest", name, "-", stdin=stream)
    assert server.value(f"SELECT sum(id)::BIGINT AS s FROM {name}") == 4_999_950_000


# ---- the others


def test_tables_lists_and_describes(arrowport, server, name):
    server.land(name, TABLE)
    assert name in arrowport("tables").decode()
    described = arrowport("tables", name).decode()
    assert "word" in described and "VARCHAR" in described
    assert json.loads(arrowport("tables", name, "--json"))["columns"][0]["type"] == "BIGINT"
    assert "nowhere" in arrowport("tables", "nowhere", code=NOT_FOUND)


def test_streams_lists_those_of_the_server(start, tmp_path):
    server = start(config="streams:\n  sensors:\n    target_table: readings\n")
    done = run("streams", "--url", server.url, cwd=tmp_path)
    assert done.returncode == 0
    assert b"sensors" in done.stdout and b"readings" in done.stdout
    done = run("streams", "--json", "--url", server.url, cwd=tmp_path)
    assert json.loads(done.stdout)["streams"][0]["name"] == "sensors"


def test_sinks_lists_and_describes(arrowport):
    listed = arrowport("sinks").decode()
    assert "duckdb" in listed and "null" in listed
    assert {s["name"] for s in json.loads(arrowport("sinks", "--json"))["sinks"]} >= {
        "duckdb",
        "null",
    }
    assert "append" in arrowport("sinks", "duckdb").decode()
    arrowport("sinks", "nowhere", code=NOT_FOUND)


def test_version_says_its_own_and_duckdbs(arrowport, server):
    version = server.get("/version").json()
    assert arrowport("version").decode().startswith(f"arrowport {version['version']} ")
    assert version["duckdb"] in arrowport("version", "--all").decode()
    assert json.loads(arrowport("version", "--json"))["version"] == version["version"]


def test_config_defaults_are_a_configuration(arrowport, tmp_path):
    (tmp_path / "arrowport.yaml").write_bytes(arrowport("config", "defaults"))
    arrowport("config", "check")
    assert "8888" in arrowport("config", "show").decode()


def test_config_check_refuses_what_serve_would(arrowport, tmp_path):
    (tmp_path / "arrowport.yaml").write_text("streams:\n  a:\n    storage_backend: delta\n")
    said = arrowport("config", "check", code=UNSUPPORTED)
    assert "'a'" in said and "delta" in said
    (tmp_path / "arrowport.yaml").write_text("prot: 1\n")
    assert "port" in arrowport("config", "check", code=INVALID)


@pytest.mark.parametrize(
    "command", ["serve", "ingest", "query", "streams", "tables", "sinks", "config", "version"]
)
def test_every_command_has_help(arrowport, command):
    said = arrowport(command, "--help").decode()
    assert said.startswith(f"arrowport {command}") and "Options" in said
    assert arrowport("help", command).decode() == said
    assert command in arrowport("--help").decode()


@pytest.mark.parametrize(
    "arguments, word",
    [
        ((), "Commands"),
        (("sever",), "serve"),
        (("query", "--fromat", "csv", "SELECT 1"), "--format"),
        (("ingest", "t"), "FILE"),
        (("tables", "a", "b"), "b"),
        (("query", "--format"), "--format"),
        (("version", "--json=1"), "--json"),
    ],
)
def test_a_slip_of_the_tongue_is_told_with_what_was_meant(tmp_path, arguments, word):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == INVALID and done.stdout == b""
    assert word in done.stderr.decode()


def test_output_that_nobody_takes_is_an_error(server, tmp_path):
    import subprocess

    from server import binary

    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [binary(), "query", "--url", server.url, "FROM range(100000)"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            timeout=60,
        )
    assert done.returncode > 0
    assert io.BytesIO(done.stderr).read().startswith(b"arrowport: ")
