"""Storage that is a DuckLake: loads, SQL, time travel, who may see what, a crash, other readers."""

import pathlib
import threading

import duckdb
import duckdb_extension_ducklake
import pyarrow as pa
import pytest
import requests
import schemathesis

from server import ARROW, ROOT, Server, StartFailed, ipc, problem, read_arrow, run

[EXTENSION] = pathlib.Path(duckdb_extension_ducklake.__file__).parent.glob(
    "extensions/*/ducklake.duckdb_extension"
)
CONFIG = f"""\
duckdb_extensions: ['{EXTENSION}']
streams:
  trips:
    storage_backend: ducklake:./lake.ducklake
  gates:
    storage_backend: ducklake:./lake.ducklake
    target_table: ops.gates
"""


def rows(start, count):
    return pa.table({"n": range(start, start + count), "s": ["x"] * count})


def post(server, stream, table, **headers):
    return server.session.post(
        f"{server.url}/ingest/{stream}",
        data=ipc(table),
        headers={"content-type": ARROW, **headers},
        timeout=60,
    )


def land(server, stream, table):
    answer = post(server, stream, table)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sql(server, statement, want=200):
    answer = server.session.post(
        f"{server.url}/query",
        data=statement,
        headers={"content-type": "application/sql", "accept": "application/json"},
        timeout=60,
    )
    assert answer.status_code == want, (statement, answer.status_code, answer.text)
    return answer.json()


def get(server, path, want=200, **options):
    answer = server.session.get(server.url + path, timeout=60, **options)
    assert answer.status_code == want, (path, answer.status_code, answer.text)
    return answer


def foreign(directory, statement):
    """What another program reads there, once the server has ended."""
    con = duckdb.connect()
    con.execute(f"LOAD '{EXTENSION}'")
    con.execute(f"ATTACH 'ducklake:{directory}/lake.ducklake' AS lake")
    found = con.execute(statement).fetchall()
    con.close()
    return found


def test_loads_versions_and_time_travel(start):
    server = start(config=CONFIG)
    first = land(server, "trips", rows(0, 100))
    assert first["table"] == "lake.main.trips"
    second = land(server, "trips", rows(100, 5000))
    assert second["version"] > first["version"] > 0
    assert land(server, "lake.main.trips", rows(5100, 1))["version"] == second["version"] + 1
    assert sql(server, "SELECT count(*) AS n FROM lake.trips")[0]["n"] == 5101
    at = f"SELECT count(*) AS n FROM lake.main.trips AT (VERSION => {first['version']})"
    assert sql(server, at)[0]["n"] == 100

    listed = {table["name"] for table in get(server, "/tables").json()["tables"]}
    assert listed == {"lake.main.trips"}
    sql(server, "ALTER TABLE lake.trips ADD COLUMN extra INTEGER")
    now = get(server, "/tables/lake.main.trips").json()
    assert [column["name"] for column in now["columns"]] == ["n", "s", "extra"]
    then = get(server, f"/tables/lake.main.trips?version={first['version']}").json()
    assert then["version"] == first["version"] and then["rows"] == 100
    assert [column["name"] for column in then["columns"]] == ["n", "s"]

    path = f"/tables/lake.main.trips/rows?version={second['version']}"
    arrow = read_arrow(get(server, path, headers={"accept": ARROW}).content)
    assert arrow.num_rows == 5100 and arrow.column_names == ["n", "s"]
    json = get(server, path + "&limit=3", headers={"accept": "application/json"}).json()
    assert len(json) == 3
    csv = get(server, "/tables/lake.main.trips/rows?limit=1", headers={"accept": "text/csv"})
    assert csv.text.splitlines()[0] == "n,s,extra"

    answer = get(server, "/tables/lake.main.trips/versions")
    description = schemathesis.openapi.from_path(str(ROOT / "docs" / "openapi.yaml"))
    description["/tables/{table}/versions"]["GET"].validate_response(answer)
    versions = answer.json()["versions"]
    assert versions[0]["changes"] == ["altered"]
    assert versions[1]["version"] == second["version"] + 1
    assert versions[1]["changes"] == ["inserted"]
    assert "created" in versions[-1]["changes"] and versions[-1]["time"].endswith("Z")
    assert len(get(server, "/tables/lake.main.trips/versions?limit=2").json()["versions"]) == 2


def test_versions_that_are_not_there(start):
    server = start(config=CONFIG)
    land(server, "trips", rows(0, 1))
    land(server, "plain", rows(0, 10))
    text = problem(get(server, "/tables/lake.main.trips/rows?version=99", 404), 404)["detail"]
    assert "no version 99" in text and " to " in text
    get(server, "/tables/lake.main.trips?version=99", 404)
    get(server, "/tables/lake.main.trips?version=0", 404)
    get(server, "/tables/lake.main.none/rows?version=1", 404)
    get(server, "/tables/lake.main.none/versions", 404)
    for path in ("?version=1", "/rows?version=1", "/versions"):
        text = problem(get(server, f"/tables/plain{path}", 400), 400)["detail"]
        assert "keeps no versions" in text
    for value in ("-1", "x", "1.5", "", "99999999999999999999"):
        get(server, f"/tables/lake.main.trips?version={value}", 400)
    assert len(get(server, "/tables/plain/rows").json()) == 10
    assert len(get(server, "/tables/plain/rows?limit=4").json()) == 4
    get(server, "/tables/none/rows", 404)
    get(server, "/tables/plain/else", 404)


def test_modes(start):
    server = start(config=CONFIG)
    land(server, "trips", rows(0, 10))
    land(server, "trips?mode=upsert&key=n", pa.table({"n": [3, 20], "s": ["u", "v"]}))
    ops = pa.table({"n": [4, 5], "s": ["m", "m"], "_op": ["d", "u"]})
    land(server, "trips?mode=merge&key=n", ops)
    assert sql(server, "SELECT count(*) AS n FROM lake.trips")[0]["n"] == 10
    found = sql(server, "SELECT n, s FROM lake.trips WHERE s <> 'x' ORDER BY n")
    assert [(row["n"], row["s"]) for row in found] == [(3, "u"), (5, "m"), (20, "v")]
    land(server, "trips?mode=overwrite", rows(0, 2))
    assert sql(server, "SELECT count(*) AS n FROM lake.trips")[0]["n"] == 2


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1], pa.time64("ns")),
        pa.array([1], pa.duration("us")),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.array([[1, 2]], pa.list_(pa.int32(), 2)),
        pa.array([{"a": 1}], pa.struct([("a", pa.time64("ns"))])),
    ],
    ids=lambda column: str(column.type),
)
def test_types_that_a_lake_would_change(shared_lake, column):
    answer = post(shared_lake, "odd", pa.table({"c": column}))
    assert answer.status_code == 501, answer.text
    assert "cannot land in a lake" in answer.json()["detail"]
    get(shared_lake, "/tables/lake.main.odd", 404)


@pytest.fixture(scope="module")
def shared_lake(tmp_path_factory):
    server = Server(
        tmp_path_factory.mktemp("lake"),
        config=CONFIG + "  odd:\n    storage_backend: ducklake:./lake.ducklake\n",
    )
    yield server
    server.stop()


def test_a_start_without_the_extension_says_how_to_get_it(start):
    with pytest.raises(StartFailed) as failed:
        start(config="storage_backend: ducklake:./lake.ducklake\n")
    assert "pip download --no-deps duckdb-extension-ducklake==1.5.5" in failed.value.stderr


def test_the_default_storage_may_be_a_lake(start, tmp_path):
    config = f"storage_backend: ducklake:./lake.ducklake\nduckdb_extensions: ['{EXTENSION}']\n"
    server = start(config=config)
    assert land(server, "t", rows(0, 7))["table"] == "lake.main.t"
    assert get(server, "/tables/t").json()["name"] == "lake.main.t"
    assert len(get(server, "/tables/t/rows").json()) == 7
    server.stop()
    found = foreign(server.directory, "SELECT count(*), sum(n) FROM lake.t")
    assert found == [(7, 21)]
    foreign(server.directory, "INSERT INTO lake.t SELECT 100, 'other'")
    again = start(config=config)
    assert sql(again, "SELECT max(n) AS n FROM lake.t")[0]["n"] == 100
    land(again, "t", rows(7, 1))
    again.stop()
    local = ("--local", "--config", "given.yaml", "--db", "test.duckdb")
    (again.directory / "more.arrow").write_bytes(ipc(rows(50, 2)))
    landed = run("ingest", *local, "t", "more.arrow", cwd=again.directory)
    assert landed.returncode == 0, landed.stderr
    found = run("query", *local, "SELECT count(*) AS n FROM lake.t", cwd=again.directory)
    assert b"11" in found.stdout, (found.stdout, found.stderr)


CONFINED = [
    "SELECT * FROM __ducklake_metadata_lake.ducklake_data_file",
    "FROM '{d}/lake.ducklake'",
    "FROM '{d}/lake.ducklake.files/main/trips/*.parquet'",
    "FROM 'lake.ducklake.files/main/trips/x.parquet'",
    "FROM '{d}/secret.csv'",
    "FROM '{d}/lake.ducklake.files/../secret.csv'",
    "FROM read_text('{d}/lake.ducklake.files/../secret.csv')",
    "FROM glob('{d}/lake.ducklake.files/*')",
    "COPY lake.trips TO '{d}/lake.ducklake.files/out.csv'",
    "CALL ducklake_add_data_files('lake', 'trips', '{d}/x.parquet')",
    "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "ATTACH 'ducklake:{d}/lake.ducklake.files/x' AS other",
    "DETACH lake",
]


def test_sql_reaches_the_lakes_tables_and_no_file(start):
    server = start(config=CONFIG)
    land(server, "trips", rows(0, 1000))
    (server.directory / "secret.csv").write_text("a\nsecret\n")
    for statement in CONFINED:
        answer = sql(server, statement.format(d=server.directory), 403)
        assert "secret" not in answer["detail"].replace("secret.csv", "")
    assert sql(server, "SELECT count(*) AS n FROM lake.trips")[0]["n"] == 1000


def test_who_may_see_only_some_tables(start):
    config = (
        CONFIG
        + """\
auth:
  tokens:
    one: {token: one-one-one-one-one-one-one-one, scopes: [read, write], tables: [lake.main.trips]}
    two: {token: two-two-two-two-two-two-two-two, scopes: [read, write], tables: [trips]}
    all: {token: all-all-all-all-all-all-all-all, scopes: [read, write, admin]}
"""
    )
    server = start(config=config)

    def ask(who, method, path, **options):
        headers = {"authorization": "Bearer " + "-".join([who] * 8), **options.pop("headers", {})}
        return server.session.request(
            method, server.url + path, headers=headers, timeout=60, **options
        ).status_code

    body = {"data": ipc(rows(0, 5)), "headers": {"content-type": ARROW}}
    assert ask("all", "POST", "/ingest/trips", **body) == 200
    assert ask("one", "POST", "/ingest/trips", **body) == 200
    assert ask("two", "POST", "/ingest/trips", **body) == 403
    for path in ("", "/rows", "/rows?version=1", "/versions"):
        assert ask("one", "GET", "/tables/lake.main.trips" + path) == 200
        assert ask("two", "GET", "/tables/lake.main.trips" + path) == 403
    for statement in ("FROM lake.trips", "INSERT INTO lake.trips VALUES (1, 'x')"):
        options = {"data": statement, "headers": {"content-type": "application/sql"}}
        assert ask("two", "POST", "/query", **options) == 403, statement
        assert ask("all", "POST", "/query", **options) == 200, statement
    options = {
        "data": "CREATE VIEW lake.v AS FROM lake.trips",
        "headers": {"content-type": "application/sql"},
    }
    assert ask("all", "POST", "/query", **options) == 200


def send_until(stop, server, mark, acknowledged):
    """Loads of 300 equal rows, each with a number of its own."""
    session = requests.Session()
    session.trust_env = False
    while not stop.is_set():
        mark += 1
        table = pa.table({"n": [mark] * 300, "s": ["x"] * 300})
        try:
            answer = session.post(
                f"{server.url}/ingest/trips",
                data=ipc(table),
                headers={"content-type": ARROW},
                timeout=30,
            )
        except requests.RequestException:
            return
        if answer.status_code == 200:
            acknowledged.append(mark)


def test_a_crash_leaves_whole_loads(start):
    """Acknowledged loads are there after kill -9, and none is there in part."""
    acknowledged = []
    directory = None
    for round_ in range(3):
        server = start(directory, config=CONFIG)
        directory = server.directory
        stop = threading.Event()
        marks = [round_ * 1_000_000 + worker * 10_000 for worker in range(3)]
        threads = [
            threading.Thread(target=send_until, args=(stop, server, mark, acknowledged))
            for mark in marks
        ]
        for thread in threads:
            thread.start()
        before = len(acknowledged)
        while len(acknowledged) < before + 5 and any(thread.is_alive() for thread in threads):
            stop.wait(0.02)
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
    found = dict(foreign(directory, "SELECT n, count(*) FROM lake.trips GROUP BY n"))
    assert set(found.values()) == {300}
    assert len(acknowledged) >= 15 and set(acknowledged) <= set(found)
