"""The command line: what people type, what they get, and what the exit code says."""

import json
import os
import pathlib
import pty
import re
import select
import shlex
import subprocess
import sys

import pyarrow as pa
import pytest

from server import ROOT, binary, environment, ipc, run

COMMANDS = (
    "serve ingest query flight inspect convert streams tables sinks config hash-password "
    "completion version help"
).split()
INVALID, NOT_FOUND, CONFLICT, UNAVAILABLE, UNSUPPORTED, IO = 2, 4, 6, 8, 10, 12


def said(done):
    return done.stderr.decode()


def good(done):
    assert done.returncode == 0, said(done)
    return done.stdout.decode()


def at(server):
    return ("--url", server.url)


def rows_of(server, sql, cwd):
    return json.loads(good(run("query", sql, "--json", *at(server), cwd=cwd)))


def on_terminal(*args, cwd, columns, env=None):
    """What a command writes to a terminal so many columns wide."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "-opost"], stdin=slave, check=True)
    process = subprocess.Popen(
        [binary(), *map(str, args)], cwd=cwd, env=environment(env), stdin=slave, stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    read = b""
    while select.select([master], [], [], 30)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other side is gone
            break
        if not piece:
            break
        read += piece
    os.close(master)
    return process.wait(30), read.decode()


# ---- help, mistakes -------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_documentation(command, tmp_path):
    text = good(run(command, "--help", cwd=tmp_path))
    assert text == good(run("help", command, cwd=tmp_path))
    assert f"```text\n{text}```" in (ROOT / "docs" / "cli.md").read_text(), (
        f"docs/cli.md does not hold what `arrowport help {command}` prints"
    )


def test_help_lists_every_command(tmp_path):
    text = good(run("help", cwd=tmp_path))
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", text, re.M)
    nothing = run(cwd=tmp_path)
    assert nothing.returncode == INVALID and said(nothing) == text


@pytest.mark.parametrize(
    "args, words",
    [
        (["quary", "x"], ["'quary'", "did you mean 'query'"]),
        (["frobnicate"], ["'frobnicate'", "arrowport help"]),
        (["help", "srve"], ["did you mean 'serve'"]),
        (["query", "x", "--fromat", "csv"], ["'--fromat'", "did you mean --format"]),
        (["query", "x", "-z"], ["'-z'", "arrowport query --help"]),
        (["query", "x", "--format"], ["--format needs a value"]),
        (["query", "x", "--json=1"], ["--json takes no value"]),
        (["query", "x", "--format", "xml"], ["'xml'", "ndjson"]),
        (["query", "x", "--rows", "none"], ["'--rows'", "whole number"]),
        (["query"], ["give the SQL"]),
        (["query", "x", "y"], ["'y' is one word too many"]),
        (["query", "x", "--file", "y"], ["once"]),
        (["ingest", "x"], ["arrowport ingest STREAM FILE..."]),
        (["serve", "--prt", "1"], ["'--prt'", "did you mean --port"]),
        (["streams", "--http.idle_timeout_ms=1"], ["did you mean --http-idle-timeout-ms"]),
        (["streams", "--htp-idle-timeout-ms=1"], ["did you mean --http-idle-timeout-ms"]),
        (["streams", "--frobnicate=secret"], ["'--frobnicate'", "arrowport help settings"]),
        (["streams", "--no-port"], ["'--no-port'"]),
        (["streams", "--http-idle-timeout-ms"], ["--http-idle-timeout-ms N"]),
        (["streams", "--http-idle-timeout-ms", "x"], ["--http-idle-timeout-ms:", "whole number"]),
        (["streams", "--delta-config-enable-cdc=x"], ["true or false"]),
        (["streams", "--allowed-origins", "x,http://y"], ["--allowed-origins", "'x'"]),
        (["streams", "--set", "port"], ["--set takes KEY=VALUE"]),
        (["streams", "--set", "prt=1"], ["'prt'", "did you mean 'port'"]),
        (["streams", "--url", "ftp://x"], ["--url", "http://HOST:PORT"]),
        (["config", "chek"], ["did you mean check"]),
        (["tables", ""], ["empty"]),
    ],
)
def test_a_mistake_is_told_with_a_way_out(args, words, tmp_path):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == INVALID
    assert done.stdout == b""
    for word in words:
        assert word in said(done)


def settings_by(tmp_path, *args):
    shown = json.loads(good(run("config", "show", "--json", *args, cwd=tmp_path)))["settings"]
    return {setting["key"]: (setting["value"], setting["origin"]) for setting in shown}


def test_every_setting_has_a_flag_of_the_same_name(tmp_path):
    """Each flag is given its own default, which must be taken and be seen as a flag's."""
    options = set(re.findall(r"^  --(\S+)", good(run("help", "settings", cwd=tmp_path)), re.M))
    held = settings_by(tmp_path)
    assert len(held) > 40
    for key in held:
        assert re.sub(r"[._]", "-", key) in options
    given = [
        part
        for key, (value, _) in held.items()
        if value is not None and not isinstance(value, (bool, list))
        for part in (f"--{re.sub('[._]', '-', key)}", value)
    ]
    by_flag = settings_by(tmp_path, *given)
    assert {key: value for key, (value, _) in by_flag.items()} == {
        key: value for key, (value, _) in held.items()}
    assert sum(origin == "flag" for _, origin in by_flag.values()) == len(given) / 2


@pytest.mark.parametrize("args, key, value", [
    (["--delta-config-enable-cdc"], "delta_config.enable_cdc", True),
    (["--delta-config-enable-cdc=yes"], "delta_config.enable_cdc", True),
    (["--no-delta-config-enable-cdc"], "delta_config.enable_cdc", False),
    (["--delta-config-enable-cdc", "--no-delta-config-enable-cdc"], "delta_config.enable_cdc",
     False),
    (["--allowed-hosts", "a,b"], "allowed_hosts", ["a", "b"]),
    (["--allowed-hosts", "a", "--allowed-hosts=b"], "allowed_hosts", ["a", "b"]),
    (["--http-idle-timeout-ms=7", "--http-idle-timeout-ms", "8"], "http.idle_timeout_ms", 8),
    (["--set", "http.idle_timeout_ms=9"], "http.idle_timeout_ms", 9),
    (["--compression", "lz4"], "compression.algorithm", "lz4"),
    (["--compression-level", "7"], "compression.level", 7),
])
def test_flags_of_settings_are_taken_in_all_their_forms(args, key, value, tmp_path):
    assert settings_by(tmp_path, *args)[key] == (value, "flag")


def test_help_all_adds_the_settings(tmp_path):
    text = good(run("serve", "--help-all", cwd=tmp_path))
    assert text.startswith(good(run("serve", "--help", cwd=tmp_path)))
    assert good(run("help", "settings", cwd=tmp_path)) in text
    assert "--http-idle-timeout-ms N" in text and "ARROWPORT_HTTP_IDLE_TIMEOUT_MS" in text


def test_exit_codes_are_those_of_the_documentation(tmp_path):
    text = good(run("help", "exit-codes", cwd=tmp_path))
    rows = re.findall(r"^ +(\d+)  (\w+) +(.+)$", text, re.M)
    assert len(rows) == 17
    documented = (ROOT / "docs" / "cli.md").read_text()
    for row in rows:
        assert "| {} | {} | {} |".format(*row) in documented


@pytest.mark.parametrize("env, colour", [
    ({"TERM": "xterm"}, True),
    ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ({"TERM": "dumb"}, False),
])
def test_colour_is_for_terminals_that_want_it(env, colour, tmp_path):
    code, text = on_terminal("frobnicate", cwd=tmp_path, columns=80, env=env)
    assert code == INVALID and ("\x1b[31m" in text) == colour
    assert "\x1b" not in said(run("frobnicate", cwd=tmp_path, env=env))


@pytest.mark.parametrize("args", [["tables"], ["streams"], ["query", "SELECT 1"]])
def test_no_server_is_told_with_what_to_do(args, tmp_path):
    done = run(*args, "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == UNAVAILABLE
    assert "http://127.0.0.1:1" in said(done) and "arrowport serve" in said(done)


def test_a_missing_libcurl_is_told_with_its_package(tmp_path):
    (tmp_path / "libcurl.so.4").write_bytes(b"")
    env = {"LD_LIBRARY_PATH": str(tmp_path)}
    done = run("tables", cwd=tmp_path, env=env)
    assert done.returncode == UNAVAILABLE and "libcurl4" in said(done)
    assert "arrowport 0." in good(run("version", cwd=tmp_path, env=env))


def test_output_that_nobody_takes_is_an_error(tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [binary(), "config", "show"], cwd=tmp_path, env=environment(), stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == IO and b"standard output" in done.stderr


# ---- ingest -----------------------------------------------------------------------------


def flights_as(kind, flights, tmp_path):
    path = tmp_path / f"flights.{kind}"
    if kind == "file":
        with pa.ipc.new_file(path, flights.schema) as writer:
            writer.write_table(flights, max_chunksize=70000)
    else:
        path.write_bytes(ipc(flights, max_chunksize=70000))
    return path


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("way", ["path", "redirected", "pipe"])
@pytest.mark.parametrize("more", [[], ["--compression", "lz4"]])
def test_a_file_or_a_stream_lands_whatever_way_it_comes(
    kind, way, more, server, name, flights, tmp_path
):
    path = flights_as(kind, flights, tmp_path)
    args = ["ingest", name, path if way == "path" else "-", *more, *at(server)]
    if way == "redirected":
        with open(path, "rb") as file:
            done = subprocess.run(
                [binary(), *map(str, args)], cwd=tmp_path, env=environment(), stdin=file,
                capture_output=True,
            )
    else:
        done = run(*args, cwd=tmp_path, stdin=path.read_bytes() if way == "pipe" else None)
    assert f"200,000 rows in 3 batches landed in table {name}" in good(done)
    assert server.arrow(f"SELECT * FROM {name}").equals(flights)


def test_ingest_says_what_the_server_said(server, name, tmp_path):
    (tmp_path / "a.arrows").write_bytes(ipc(pa.table({"id": [1, 2]})))
    answer = json.loads(good(run("ingest", name, "a.arrows", "--json", *at(server), cwd=tmp_path)))
    assert (answer["table"], answer["rows"], answer["batches"]) == (name, 2, 1)
    assert good(run("ingest", name, "a.arrows", "--quiet", *at(server), cwd=tmp_path)) == ""


def test_a_broken_stream_is_refused_with_its_place_and_nothing_lands(server, name, tmp_path):
    whole = ipc(pa.table({"id": list(range(100_000))}), max_chunksize=10_000)
    for cut in (len(whole) - 8, len(whole) // 2, 100):
        (tmp_path / "cut.arrows").write_bytes(whole[:cut])
        for args, stdin in (["cut.arrows"], None), (["-"], whole[:cut]):
            done = run("ingest", name, *args, *at(server), cwd=tmp_path, stdin=stdin)
            assert done.returncode == INVALID
            assert "truncated" in said(done) or "end-of-stream" in said(done)
    (tmp_path / "text.txt").write_text("id,name\n1,a\n" * 100)
    assert run("ingest", name, "text.txt", *at(server), cwd=tmp_path).returncode == INVALID
    (tmp_path / "empty").write_bytes(b"")
    assert "empty" in said(run("ingest", name, "empty", *at(server), cwd=tmp_path))
    assert not server.has_table(name)


def test_each_file_is_a_request_of_its_own(server, name, tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.arrows").write_bytes(ipc(pa.table({"id": [i]})))
    (tmp_path / "1.arrows").write_bytes(ipc(pa.table({"id": [1]}))[:-8])
    done = run("ingest", name, "0.arrows", "1.arrows", "2.arrows", *at(server), cwd=tmp_path)
    assert done.returncode == INVALID
    assert "0.arrows: 1 row in 1 batch landed" in done.stdout.decode()
    assert "1.arrows" in said(done)
    assert server.rows(f"SELECT id FROM {name}") == [{"id": 0}]


def test_a_refusal_of_the_server_is_told_in_its_words(server, name, tmp_path):
    server.land(name, pa.table({"id": [1]}))
    (tmp_path / "other.arrows").write_bytes(ipc(pa.table({"other": ["x"]})))
    done = run("ingest", name, "other.arrows", *at(server), cwd=tmp_path)
    assert done.returncode == 3 and "other" in said(done)
    missing = run("ingest", name, "nowhere.arrow", *at(server), cwd=tmp_path)
    assert missing.returncode == NOT_FOUND and "nowhere.arrow" in said(missing)


def test_hostile_stream_names_arrive_as_they_are(server, name, tmp_path):
    hostile = f'{name} "/?#%41é; --'
    (tmp_path / "a.arrows").write_bytes(ipc(pa.table({"id": [1]})))
    good(run("ingest", "--", hostile, "a.arrows", cwd=tmp_path, env={"ARROWPORT_URL": server.url}))
    listed = json.loads(good(run("tables", "--json", *at(server), cwd=tmp_path)))
    assert any(hostile in table["name"].replace('""', '"') for table in listed["tables"])


# ---- query ---------------------------------------------------------------------------------


def test_every_format_says_the_same(server, tmp_path):
    sql = "SELECT range AS id, 'x' || range AS name FROM range(3)"
    want = [{"id": i, "name": f"x{i}"} for i in range(3)]
    by = {f: run("query", sql, "--format", f, *at(server), cwd=tmp_path) for f in (
        "json", "ndjson", "csv", "arrow", "table")}
    assert json.loads(good(by["json"])) == want
    assert [json.loads(line) for line in good(by["ndjson"]).splitlines()] == want
    assert good(by["csv"]) == "id,name\r\n0,x0\r\n1,x1\r\n2,x2\r\n"
    assert pa.ipc.open_stream(by["arrow"].stdout).read_all().to_pylist() == want
    assert good(by["table"]) == (
        "id | name\n---+-----\n 0 | x0\n 1 | x1\n 2 | x2\n(3 rows)\n"
    )
    assert good(run("query", sql, *at(server), cwd=tmp_path)) == good(by["csv"])


def test_sql_comes_as_a_word_from_a_file_or_from_standard_input(server, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT 42 AS a;\n")
    for args, stdin in (
        (["SELECT 42 AS a"], None),
        (["--file", "q.sql"], None),
        (["-"], b"SELECT 42 AS a"),
    ):
        done = run("query", *args, *at(server), cwd=tmp_path, stdin=stdin)
        assert good(done) == "a\r\n42\r\n"
    assert run("query", "--file", "none.sql", *at(server), cwd=tmp_path).returncode == NOT_FOUND


@pytest.mark.parametrize("local", [False, True])
def test_parameters_are_json_or_text(local, server, tmp_path):
    where = ("--local", "--db", ":memory:") if local else at(server)
    sql = "SELECT ? AS i, ? AS d, ? AS b, ? AS n, ? AS t, ? AS q, ? AS o"
    values = ["41", "1.5", "true", "null", "O'Neil; --", '"7"', "[1]"]
    args = [part for value in values for part in ("-p", value)]
    (row,) = json.loads(good(run("query", sql, *args, "--json", *where, cwd=tmp_path)))
    assert row == {"i": 41, "d": 1.5, "b": True, "n": None, "t": "O'Neil; --", "q": "7", "o": "[1]"}


def test_errors_of_sql_are_told_with_their_place(server, tmp_path):
    done = run("query", "SELECT nope", *at(server), cwd=tmp_path)
    assert done.returncode == INVALID and done.stdout == b""
    assert "nope" in said(done) and "^" in said(done)


def test_a_table_fits_the_terminal_and_lets_nothing_through_to_it(server, tmp_path):
    sql = (
        "SELECT chr(27) || '[31mred' AS esc, 'a' || chr(10) || 'b' AS line, repeat('w', 500) AS "
        "wide, NULL AS nothing, 1.5 AS number"
    )
    code, text = on_terminal("query", sql, *at(server), cwd=tmp_path, columns=60)
    assert code == 0
    assert "\\x1B[31mred" in text and "\x1b" not in text and "a\\nb" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60 and "…" in lines[2] and "NULL" in lines[2]
    code, text = on_terminal("query", "FROM range(1000)", *at(server), cwd=tmp_path, columns=60)
    assert "(1,000 rows, the first 200 shown; --rows shows more)" in text
    code, text = on_terminal(
        "query", "SELECT 1", "--format", "arrow", *at(server), cwd=tmp_path, columns=60)
    assert code == INVALID and "not for a terminal" in text


def test_statements_without_rows_are_done(server, name, tmp_path):
    for sql in (f"CREATE TABLE {name} (a INTEGER)", f"INSERT INTO {name} VALUES (1), (2)"):
        good(run("query", sql, "--format", "table", *at(server), cwd=tmp_path))
    assert rows_of(server, f"FROM {name}", tmp_path) == [{"a": 1}, {"a": 2}]


# ---- the others ------------------------------------------------------------------------------


def test_tables_and_streams_are_listed(start, tmp_path):
    server = start(config="streams: {a: {target_table: s.b, storage_backend: 'null'}}\n")
    server.land("t", pa.table({"id": pa.array([1], pa.int64()), "at": pa.array(["x"])}))
    assert "t     |    1" in good(run("tables", *at(server), cwd=tmp_path))
    columns = good(run("tables", "t", *at(server), cwd=tmp_path))
    assert "id     | BIGINT  | yes" in columns and "at     | VARCHAR | yes" in columns
    assert run("tables", "none", *at(server), cwd=tmp_path).returncode == NOT_FOUND
    listed = good(run("streams", *at(server), cwd=tmp_path))
    assert "a      | s.b   | null" in listed
    local = run("streams", "--local", "--config", "given.yaml", cwd=tmp_path)
    assert good(local) == listed
    by_server = json.loads(good(run("streams", "--json", *at(server), cwd=tmp_path)))
    by_file = run("streams", "--local", "--json", "--config", "given.yaml", cwd=tmp_path)
    assert json.loads(good(by_file)) == by_server


def test_sinks_say_what_they_can_do(tmp_path):
    assert "duckdb" in good(run("sinks", cwd=tmp_path))
    listed = json.loads(good(run("sinks", "--json", cwd=tmp_path)))["sinks"]
    assert {sink["name"] for sink in listed} >= {"duckdb", "null"}
    for sink in listed:
        text = good(run("sinks", sink["name"], cwd=tmp_path))
        for field in sink["settings"]:
            assert field["name"] in text and field["doc"] in text
        assert json.loads(good(run("sinks", sink["name"], "--json", cwd=tmp_path))) == sink
    assert run("sinks", "none", cwd=tmp_path).returncode == NOT_FOUND


def test_the_printed_defaults_are_a_configuration(tmp_path):
    (tmp_path / "arrowport.yaml").write_text(good(run("config", "defaults", cwd=tmp_path)))
    assert "arrowport.yaml: ok, 0 streams" in good(run("config", "check", cwd=tmp_path))
    (tmp_path / "arrowport.yaml").write_text("storage_backend: delta\n")
    done = run("config", "check", cwd=tmp_path)
    assert done.returncode == UNSUPPORTED and "delta" in said(done)


def test_version_says_what_was_built(tmp_path):
    text = good(run("version", cwd=tmp_path))
    assert re.fullmatch(r"arrowport \d+\.\d+\.\d+ \(\S+\)\n", text)
    assert good(run("--version", cwd=tmp_path)) == text
    both = json.loads(good(run("version", "--all", "--json", cwd=tmp_path)))
    assert text.startswith(f"arrowport {both['version']} ({both['commit']})")
    assert both["duckdb"].startswith("v1.")



def test_arrow_that_leaves_is_compressed_as_the_configuration_says(server, tmp_path):
    """What the command line writes is what its user's `compression` says, zstd by default."""
    sizes = {}
    for codec in (None, "lz4", "none"):
        environment = {} if codec is None else {"ARROWPORT_COMPRESSION": codec}
        done = run("query", "SELECT range // 100 AS n FROM range(100000)", "--format", "arrow",
                   *at(server), cwd=tmp_path, env=environment)
        assert done.returncode == 0, said(done)
        (tmp_path / "answer.arrows").write_bytes(done.stdout)
        told = good(run("inspect", "answer.arrows", cwd=tmp_path))
        assert ("zstd" if codec is None else codec) in told.lower() or codec == "none"
        sizes[codec] = len(done.stdout)
        assert pa.ipc.open_stream(done.stdout).read_all().num_rows == 100_000
    assert sizes[None] < sizes["lz4"] < sizes["none"]


# ---- without a server --------------------------------------------------------------------------


def test_what_lands_locally_is_read_locally(flights, flights_path, tmp_path):
    done = run("ingest", "--local", "flights", flights_path, cwd=tmp_path)
    assert "200,000 rows" in good(done)
    assert (tmp_path / "data" / "arrowport.duckdb").exists()
    done = run("query", "--local", "FROM flights", "--format", "arrow", cwd=tmp_path)
    good_bytes = done.stdout
    assert done.returncode == 0, said(done)
    assert pa.ipc.open_stream(good_bytes).read_all().equals(flights)
    (tmp_path / "cut.arrows").write_bytes(ipc(flights)[:-8])
    done = run("ingest", "--local", "cut", "cut.arrows", cwd=tmp_path)
    assert done.returncode == INVALID and "cut.arrows" in said(done)
    assert run("query", "--local", "FROM cut", cwd=tmp_path).returncode != 0


def test_a_database_in_use_is_told_and_left_alone(start, tmp_path):
    server = start()
    server.land("t", pa.table({"id": [1]}))
    (tmp_path / "a.arrows").write_bytes(ipc(pa.table({"id": [2]})))
    for args in (["query", "FROM t"], ["ingest", "t", "a.arrows"]):
        done = run(*args, "--local", "--db", "test.duckdb", cwd=tmp_path)
        assert done.returncode == CONFLICT
        assert "test.duckdb" in said(done) and str(server.process.pid) in said(done)
    assert server.rows("FROM t") == [{"id": 1}]


# ---- serve ---------------------------------------------------------------------------------------


def test_the_lines_that_serve_prints_work_when_they_are_pasted(start, tmp_path):
    server = start()
    server.get("/healthz")  # by now all of it is printed
    printed = [line.strip() for line in server.lines if line.startswith("  ")]
    assert [pathlib.Path(shlex.split(line)[0]).name for line in printed] == [
        "curl", "python3", "arrowport"]
    assert any("test.duckdb" in line for line in server.lines)
    for line in printed:
        line = line.replace("python3", shlex.quote(sys.executable), 1)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, env=environment(),
            capture_output=True, timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout
    assert server.value("SELECT count(*) AS n FROM demo") == 1000
    assert server.value("SELECT count(*) AS n FROM people") == 3
    assert server.value("SELECT count(*) AS n FROM readings") == 1
