"""`arrowport ingest`: files of every kind by every way, what is wrong with them, and servers that
want to know who comes, or that hold the database."""

import json
import os
import pty
import re
import select
import subprocess
import threading
import time

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from arrow_tools import written

from server import binary, environment, ipc, run

INVALID, NOT_FOUND, DENIED, CONFLICT, UNAUTHENTICATED = 2, 4, 5, 6, 17
ROWS = 5000


def said(done):
    return done.stderr.decode()


def good(done):
    assert done.returncode == 0, said(done)
    return done.stdout.decode()


@pytest.fixture(scope="module")
def table():
    return pa.table({
        "id": pa.array(range(ROWS), pa.int64()),
        "name": pa.array([None if i % 7 == 0 else f"n{i}" for i in range(ROWS)]),
        "value": pa.array([i / 8 for i in range(ROWS)], pa.float64()),
    })


KINDS = ["parquet", "csv", "csv.gz", "ndjson", "arrow", "arrows"]


@pytest.mark.asan
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["path", "pipe", "fifo"])
def test_every_kind_lands_as_it_is_in_its_order(kind, way, server, name, table, tmp_path):
    path = written(table, kind, tmp_path / f"data.{kind}")
    args = ["ingest", name, "--url", server.url]
    if way == "path":
        done = run(*args, path, cwd=tmp_path)
    elif way == "pipe":
        more = ["--format", "csv"] if kind.startswith("csv") else []
        done = run(*args, "-", *more, cwd=tmp_path, stdin=path.read_bytes())
    else:
        fifo = tmp_path / f"fifo.{kind}"
        os.mkfifo(fifo)
        feeder = threading.Thread(target=lambda: fifo.write_bytes(path.read_bytes()), daemon=True)
        feeder.start()
        done = run(*args, fifo, cwd=tmp_path)
        feeder.join(30)
    assert f"{ROWS:,} rows" in good(done)
    assert server.arrow(f"SELECT * FROM {name} ORDER BY rowid").equals(table)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_lands_without_a_server(kind, table, tmp_path):
    path = written(table, kind, tmp_path / f"data.{kind}")
    answer = json.loads(good(run("ingest", "--local", "t", path, "--json", cwd=tmp_path)))
    assert answer["rows"] == ROWS and answer["table"] == "t"
    got = run("query", "--local", "FROM t", "--format", "arrow", cwd=tmp_path).stdout
    assert pa.ipc.open_stream(got).read_all().equals(table)


@pytest.mark.parametrize("file, as_format", [
    ("data", None), ("data.txt", None), ("data.csv", None), ("data.bin", "parquet")])
def test_what_a_file_holds_is_more_than_its_name(file, as_format, server, name, table, tmp_path):
    """A Parquet file is one whatever it is called."""
    written(table, "parquet", tmp_path / file)
    more = [] if as_format is None else ["--format", as_format]
    assert "5,000 rows" in good(
        run("ingest", name, file, *more, "--url", server.url, cwd=tmp_path))


@pytest.mark.parametrize("file", ["a*[1]?.csv", "year=2024/a.csv", "it's.csv", "~.csv", "-.csv",
                                  "s3:/x.csv", "%2e.csv"])
def test_a_file_s_name_means_nothing_but_the_file(file, tmp_path):
    (tmp_path / "a-1-2.csv").write_text("id,other\n7,8\n")
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("id,name\n1,a\n2,b\n")
    good(run("ingest", "--local", "t", f"./{file}", cwd=tmp_path))
    rows = json.loads(good(run("query", "--local", "FROM t", "--json", cwd=tmp_path)))
    assert rows == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


def test_types_of_csv_are_found_or_all_text(tmp_path):
    (tmp_path / "a.csv").write_text("id,day,flag,zip\n1,2024-02-29,true,00123\n2,,false,4\n")
    good(run("ingest", "--local", "t", "a.csv", cwd=tmp_path))
    good(run("ingest", "--local", "u", "a.csv", "--all-text", cwd=tmp_path))

    def types(of):
        rows = json.loads(good(run("query", "--local", f"DESCRIBE {of}", "--json", cwd=tmp_path)))
        return [row["column_type"] for row in rows]

    assert types("t") == ["BIGINT", "DATE", "BOOLEAN", "VARCHAR"]  # 00123 is no number
    assert types("u") == ["VARCHAR"] * 4
    rows = json.loads(good(run("query", "--local", "SELECT zip FROM u", "--json", cwd=tmp_path)))
    assert rows == [{"zip": "00123"}, {"zip": "4"}]


BROKEN = {
    "line.csv": ("id,name\n" + "".join(f"{i},n{i}\n" for i in range(30_000)) + "x,y\n",
                 ["line.csv", "30002", "id"]),
    "latin.csv": (b"a,b\n1,\xff\xfe\n", ["latin.csv", "Line: 2", "utf-8"]),
    "cut.ndjson": ('{"id":1}\n{"id":2\n', ["cut.ndjson", "line"]),
    "array.json": ('[{"id":1}]\n', ["array.json"]),
    "cut.parquet": (b"PAR1" + b"\0" * 1000, ["cut.parquet"]),
    "text.txt": ("id,name\n1,a\n", ["text.txt", "--format csv"]),
    "text.arrow": ("id,name\n1,a\n", ["text.arrow", "byte"]),
    "empty.csv": ("", ["empty.csv", "empty"]),
    "empty": ("", ["empty"]),
}


@pytest.mark.asan
@pytest.mark.parametrize("file", BROKEN)
@pytest.mark.parametrize("local", [False, True])
def test_a_broken_file_is_told_with_its_name_and_place_and_nothing_lands(
    file, local, server, name, tmp_path
):
    data, words = BROKEN[file]
    (tmp_path / file).write_bytes(data if isinstance(data, bytes) else data.encode())
    where = ["--local"] if local else ["--url", server.url]
    done = run("ingest", name, file, *where, cwd=tmp_path)
    assert done.returncode == INVALID, said(done)
    for word in words:
        assert word in said(done)
    for word in ("/proc/", "read_csv", "read_json", "read_parquet", "LINE 1", "ignore_errors"):
        assert word not in said(done)
    if not local:
        assert not server.has_table(name)


@pytest.mark.parametrize("args, words, code", [
    (["."], ["folder"], INVALID),
    (["nowhere.parquet"], ["nowhere.parquet"], NOT_FOUND),
    (["a.csv", "--format", "xml"], ["'xml'", "parquet"], INVALID),
    (["a.csv", "--mode", "replace"], ["'replace'", "overwrite"], INVALID),
    (["a.csv", "--mode", "upsert"], ["--key"], INVALID),
    (["a.csv", "--key", "id"], ["--mode"], INVALID),
    (["a.csv", "--mode", "upsert", "--key", "id,,x"], ["--key"], INVALID),
    (["a.csv", "--token", "a", "--user", "b"], ["one of"], INVALID),
    (["a.csv", "--token-file", "none"], ["--token-file", "none"], NOT_FOUND),
])
def test_mistakes_of_ingest_are_told(args, words, code, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    done = run("ingest", "t", *args, "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == code, said(done)
    for word in words:
        assert word in said(done)


@pytest.mark.parametrize("local", [False, True])
def test_modes_and_keys(local, start, tmp_path):
    where = ["--local", "--db", "local.duckdb"] if local else ["--url", start().url]

    def land(rows, *args):
        (tmp_path / "a.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
        good(run("ingest", "t", "a.ndjson", *args, *where, cwd=tmp_path))
        return json.loads(good(
            run("query", "SELECT * FROM t ORDER BY ALL", "--json", *where, cwd=tmp_path)))

    assert land([{"a": 1, "b": 1, "v": "x"}, {"a": 1, "b": 2, "v": "y"}]) == [
        {"a": 1, "b": 1, "v": "x"}, {"a": 1, "b": 2, "v": "y"}]
    assert land([{"a": 1, "b": 2, "v": "z"}], "--mode", "upsert", "--key", "a,b") == [
        {"a": 1, "b": 1, "v": "x"}, {"a": 1, "b": 2, "v": "z"}]
    assert land([{"a": 1, "b": 3, "v": "w"}], "--mode=upsert", "-k", "a", "-k", "b")[-1] == {
        "a": 1, "b": 3, "v": "w"}
    assert land([{"a": 9, "b": 9, "v": "9"}], "-m", "overwrite") == [{"a": 9, "b": 9, "v": "9"}]


# ---- a server that holds the database ---------------------------------------------------------


def test_a_server_that_holds_the_database_is_gone_through(start, tmp_path):
    server = start()
    server.land("x", pa.table({"id": [1]}))  # opens the database
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    local = ("--local", "--db", "test.duckdb", "--url", server.url)
    done = run("ingest", "t", "a.csv", *local, cwd=tmp_path)
    assert "2 rows" in good(done)
    assert f"the server at {server.url} holds 'test.duckdb': going through it" in said(done)
    assert server.rows("SELECT count(*) AS n FROM t") == [{"n": 2}]
    done = run("query", "SELECT max(id) AS s FROM t", "--json", *local, cwd=tmp_path)
    assert json.loads(good(done)) == [{"s": 2}] and "going through it" in said(done)
    quiet = run("ingest", "t", "a.csv", "--quiet", *local, cwd=tmp_path)
    assert good(quiet) == "" and said(quiet) == ""


def test_another_server_is_not_taken_for_the_one_that_holds_it(start, tmp_path):
    holder = start()
    (tmp_path / "other").mkdir()
    other = start(directory=tmp_path / "other", db="other.duckdb")
    holder.land("x", pa.table({"id": [1]}))
    (tmp_path / "a.csv").write_text("id\n1\n")
    done = run(
        "ingest", "t", "a.csv", "--local", "--db", "test.duckdb", "--url", other.url, cwd=tmp_path)
    assert done.returncode == CONFLICT
    assert str(holder.process.pid) in said(done) and other.url in said(done)
    assert not other.has_table("t") and not holder.has_table("t")


# ---- who we are --------------------------------------------------------------------------------


TOKEN = "t0ken-that-nobody-may-see"


@pytest.fixture
def guarded(start):
    return start(
        config="auth:\n  tokens:\n    ci: {token_env: T, scopes: [read, write]}\n",
        env={"T": TOKEN})


def test_a_token_comes_by_option_file_or_environment(guarded, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "a.csv").write_text("id\n1\n")
    for args, env in [
        (["--token", TOKEN], {}), (["--token-file", "token"], {}), ([], {"ARROWPORT_TOKEN": TOKEN})
    ]:
        for command in (["ingest", "t", "a.csv"], ["query", "FROM t"], ["tables"], ["streams"]):
            good(run(*command, *args, "--url", guarded.url, cwd=tmp_path, env=env))
    nobody = run("tables", "--url", guarded.url, cwd=tmp_path)
    assert nobody.returncode == UNAUTHENTICATED and "--token-file" in said(nobody)
    wrong = run("tables", "--token", TOKEN + "x", "--url", guarded.url, cwd=tmp_path)
    assert wrong.returncode == UNAUTHENTICATED and TOKEN not in said(wrong)


def test_a_secret_goes_unencrypted_to_other_machines_only_with_a_warning(tmp_path):
    done = run("tables", "--token", TOKEN, "--url", "http://192.0.2.1:1", "--set",
               "query_timeout_s=1", cwd=tmp_path, timeout_s=30)
    assert "unencrypted" in said(done) and TOKEN not in said(done)


def test_a_user_without_a_password_and_a_terminal_is_told(tmp_path):
    done = subprocess.run(
        [binary(), "tables", "--user", "anna"], cwd=tmp_path, env=environment(),
        stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, timeout=60)
    assert done.returncode == INVALID and b"ARROWPORT_PASSWORD" in done.stderr


# ---- progress -----------------------------------------------------------------------------------


def on_terminal(args, cwd, feed=None, env=None):
    """What is written to a terminal by a command whose standard input is `feed`, in pieces."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", "100", "-opost"], stdin=slave, check=True)
    process = subprocess.Popen(
        [binary(), *map(str, args)], cwd=cwd, env=environment({"TERM": "xterm", **(env or {})}),
        stdin=subprocess.PIPE, stdout=slave, stderr=slave)
    os.close(slave)

    def pour():
        for piece in feed or []:
            process.stdin.write(piece)
            process.stdin.flush()
            time.sleep(0.35)
        process.stdin.close()

    feeder = threading.Thread(target=pour, daemon=True)
    feeder.start()
    read = b""
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        read += piece
    os.close(master)
    feeder.join(30)
    return process.wait(30), read.decode()


def screen(text):
    """What is left of one line that is drawn anew and erased."""
    lines = [""]
    for part in re.split(r"(\r\x1b\[K|\n)", text):
        if part == "\n":
            lines.append("")
        elif part == "\r\x1b[K":
            lines[-1] = ""
        else:
            lines[-1] += part
    return lines


def test_progress_is_shown_at_a_terminal_and_erased(server, name, tmp_path):
    whole = ipc(pa.table({"id": list(range(100_000))}), max_chunksize=10_000)
    pieces = [whole[i:i + len(whole) // 4 + 1] for i in range(0, len(whole), len(whole) // 4 + 1)]
    args = ["ingest", name, "-", "--url", server.url]
    code, text = on_terminal(args, tmp_path, pieces)
    assert code == 0, text
    assert re.search(r"standard input: [\d,]+ rows, [\d.]+ MB, \d+ MB/s", text)
    assert screen(text)[0].startswith("standard input: 100,000 rows in 10 batches landed")
    for more in (["--quiet"], ["--json"]):
        code, text = on_terminal([*args, *more], tmp_path, pieces)
        assert code == 0 and "MB/s" not in text and "\x1b" not in text
    code, text = on_terminal(args, tmp_path, pieces, env={"TERM": "dumb"})
    assert code == 0 and "\r\x1b" not in text


def test_progress_of_a_file_says_how_much_is_left(tmp_path):
    count = 3_000_000
    with pa.ipc.new_file(tmp_path / "a.arrow", pa.schema([("s", pa.string())])) as writer:
        batch = pa.record_batch({"s": [f"value {i}" for i in range(count // 30)]})
        for _ in range(30):
            writer.write_batch(batch)
    code, text = on_terminal(["ingest", "--local", "t", "a.arrow"], tmp_path)
    assert code == 0, text
    assert re.search(
        r"a\.arrow: \[[#.]{20}\] +\d+ %, [\d,]+ rows, [\d,]+ rows/s, \d+:\d\d left", text)
    assert screen(text)[0].startswith("a.arrow: 3,000,000 rows")


def test_progress_that_fails_leaves_nothing_but_the_error(server, name, tmp_path):
    whole = ipc(pa.table({"id": list(range(100_000))}), max_chunksize=10_000)[:-8]
    pieces = [whole[:len(whole) // 2], whole[len(whole) // 2:]]
    code, text = on_terminal(["ingest", name, "-", "--url", server.url], tmp_path, pieces)
    assert code == INVALID
    assert "arrowport:" in screen(text)[0] and "MB/s" not in screen(text)[0]
