"""/metrics as Prometheus reads it, /readyz as a load balancer does."""

import re
import shutil
import subprocess
import threading

import pyarrow as pa
import pytest

from server import ROOT, binary, ipc, problem, wait_until

TABLE = pa.table({"id": pa.array(range(1000), pa.int64()), "t": ["x" * 50] * 1000})


def exposition(server):
    answer = server.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    answer.encoding = "utf-8"
    return answer.text


def samples(server):
    """{'name{labels}': value} of all samples."""
    lines = [line for line in exposition(server).splitlines() if not line.startswith("#")]
    found = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    assert len(found) == len(lines), "a sample is there twice"
    return found


def requests_of(endpoint, stream, outcome):
    return (
        f'arrowport_requests_total{{endpoint="{endpoint}",stream="{stream}",outcome="{outcome}"}}'
    )


def check_with_promtool(text):
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not installed (scripts/packages.txt)"
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_promtool_has_nothing_to_say(server, name):
    check_with_promtool(exposition(server))
    server.land(name, TABLE)
    server.ingest(name, pa.table({"surplus": [1]}))
    server.rows("SELECT 1 AS a")
    server.get("/nothing")
    check_with_promtool(exposition(server))


def test_what_landed_is_counted(start):
    server = start()
    body = ipc(TABLE, max_chunksize=250, compression="zstd")
    server.land("s", body)
    server.land("s", body)
    found = samples(server)
    labels = '{stream="s",backend="duckdb"}'
    assert found[f"arrowport_ingest_loads_total{labels}"] == 2
    assert found[f"arrowport_ingest_rows_total{labels}"] == 2000
    assert found[f"arrowport_ingest_batches_total{labels}"] == 8
    assert found[f"arrowport_ingest_wire_bytes_total{labels}"] == 2 * len(body)
    memory = found[f"arrowport_ingest_memory_bytes_total{labels}"]
    assert 2 * 58_000 <= memory <= 2 * 80_000
    ratio = found["arrowport_ingest_compression_ratio"]
    assert ratio == pytest.approx(memory / (2 * len(body)), rel=1e-3)
    assert found['arrowport_transactions_total{backend="duckdb",outcome="committed"}'] == 2
    assert found['arrowport_transaction_duration_seconds_count{backend="duckdb"}'] == 2
    assert found[requests_of("/ingest/{stream}", "s", "ok")] == 2
    assert found['arrowport_request_duration_seconds_count{endpoint="/ingest/{stream}"}'] == 2


def test_what_did_not_land_is_counted_and_names_nothing(start):
    server = start(config="streams:\n  known:\n    target_table: t\n")
    server.rows("CREATE TABLE t (id BIGINT)")
    problem(server.ingest("known", TABLE), 422)
    problem(server.ingest("wholly-unknown", b"no stream"), 400)
    problem(server.ingest("bad\nname", TABLE), 400)
    found = samples(server)
    assert found[requests_of("/ingest/{stream}", "known", "client_error")] == 1
    assert found['arrowport_schema_mismatches_total{stream="known"}'] == 1
    assert found[requests_of("/ingest/{stream}", "", "client_error")] == 2
    text = exposition(server)
    assert "wholly" not in text and "bad" not in text


def test_a_constraint_that_fails_is_a_failed_transaction(start):
    server = start()
    server.rows("CREATE TABLE t (id BIGINT PRIMARY KEY, t VARCHAR)")
    server.land("t", TABLE)
    problem(server.ingest("t", TABLE), 422)
    found = samples(server)
    assert found['arrowport_transactions_total{backend="duckdb",outcome="committed"}'] == 1
    assert found['arrowport_transactions_total{backend="duckdb",outcome="failed"}'] == 1
    assert found['arrowport_ingest_rows_total{stream="t",backend="duckdb"}'] == 1000


def test_names_are_escaped(start):
    server = start(config="streams:\n  'a\"b\\c':\n    target_table: t\n")
    server.land('a"b\\c', TABLE)
    text = exposition(server)
    assert 'arrowport_ingest_rows_total{stream="a\\"b\\\\c",backend="duckdb"} 1000' in text
    check_with_promtool(text)


def test_answers_of_queries_are_counted(start):
    server = start()
    rows = server.arrow("SELECT * FROM range(300000)").num_rows
    csv = server.query("SELECT * FROM range(10)", accept="text/csv")
    problem(server.query("SELEC"), 400)
    found = samples(server)
    assert found['arrowport_query_rows_total{format="arrow"}'] == rows == 300000
    assert found['arrowport_query_bytes_total{format="arrow"}'] > 8 * 300000
    assert found['arrowport_query_answers_total{format="csv"}'] == 1
    assert found['arrowport_query_rows_total{format="csv"}'] == 10
    assert found['arrowport_query_bytes_total{format="csv"}'] == len(csv.content)
    assert found["arrowport_queries_running"] == 0
    assert found[requests_of("/query", "", "ok")] == 2
    assert found[requests_of("/query", "", "client_error")] == 1


def test_the_process_is_described(server):
    found = samples(server)
    assert found["arrowport_process_resident_memory_bytes"] > 1 << 20
    assert 3 < found["arrowport_process_open_fds"] < found["arrowport_process_max_fds"]
    assert found["arrowport_memory_budget_limit_bytes"] > 0
    assert found["arrowport_process_threads"] > 1
    (build,) = [key for key in found if key.startswith("arrowport_build_info")]
    assert server.get("/version").json()["version"] in build


def test_every_name_is_documented_and_no_other(server):
    given = set(re.findall(r"^# TYPE (\w+) ", exposition(server), re.M))
    document = (ROOT / "docs" / "metrics.md").read_text()
    tables = [line for line in document.splitlines() if line.startswith("| `arrowport_")]
    documented = set()
    for line in tables:
        documented |= set(re.findall(r"`(arrowport_\w+)`", line.split("|")[1]))
    assert given == documented


def test_reasons_are_documented(server):
    given = {key.split('"')[1] for key in samples(server) if "refused_total" in key}
    document = (ROOT / "docs" / "metrics.md").read_text()
    assert given == set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", document, re.M))


# ---- readiness


def test_a_server_whose_storage_answers_is_ready(server):
    answer = server.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert server.request("HEAD", "/readyz").status_code == 200
    assert server.get("/healthz").json() == {"status": "ok"}


def test_many_who_ask_at_once_are_all_answered(start):
    server = start()
    codes = []

    def ask():
        import requests

        codes.extend(requests.get(server.url + "/readyz", timeout=60).status_code for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 100
    assert samples(server)["arrowport_requests_in_flight"] == 0


def test_a_database_that_cannot_be_opened_is_not_ready(start, tmp_path):
    (tmp_path / "broken.duckdb").write_bytes(b"\0" * 8 + b"DUCK" + b"\xff" * 20000)
    server = start(db="broken.duckdb")
    body = problem(server.get("/readyz"), 503, "the storage cannot be used")
    assert "broken.duckdb" not in body["detail"]
    assert server.get("/healthz").status_code == 200
    wait_until(lambda: "not ready" in server.stderr(), "the log says why")
    wait_until(lambda: "broken.duckdb" in server.stderr(), "a line of the log")


SLOW_LIBRARY = """
#include <unistd.h>
__attribute__((constructor)) static void slow(void) { sleep(9); }
"""


# ThreadSanitizer ends a program that unloads a library of a name that it was told to leave alone;
# nothing but `make soak` runs that build.
not_under_tsan = pytest.mark.skipif("tsan" in binary().split("/"), reason="a library is unloaded")


@not_under_tsan
def test_storage_that_does_not_answer_in_time_is_not_ready(start, tmp_path):
    """A library that takes 9 seconds to load stands for a disk that hangs."""
    (tmp_path / "slow.c").write_text(SLOW_LIBRARY)
    library = tmp_path / "libduckdb.so"
    command = ["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "slow.c"]
    subprocess.run(command, check=True)
    server = start(env={"DUCKDB_ROOT": str(tmp_path)})
    problem(server.get("/readyz"), 503, "does not answer")
    # While it still hangs nobody waits, and the event loop is free.
    assert server.get("/healthz").elapsed.total_seconds() < 3
    answer = server.get("/readyz")
    assert answer.status_code == 503
    wait_until(
        lambda: "cannot be used" in server.get("/readyz").text, "the library is found to be none"
    )


@not_under_tsan
def test_a_client_that_leaves_while_it_waits_does_no_harm(start, tmp_path):
    (tmp_path / "slow.c").write_text(SLOW_LIBRARY.replace("9", "2"))
    library = tmp_path / "libduckdb.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "slow.c"], check=True)
    server = start(env={"DUCKDB_ROOT": str(tmp_path)})
    import requests

    with pytest.raises(requests.exceptions.Timeout):
        requests.get(server.url + "/readyz", timeout=0.3)
    problem(server.get("/readyz"), 503)
    assert server.alive()


# ---- who may ask

AUTH = """\
auth:
  tokens:
    reader: {token: reader-0123456789abcdef}
    writer: {token: writer-0123456789abcdef, scopes: [write]}
"""


def bearer(name):
    return {"Authorization": f"Bearer {name}-0123456789abcdef"}


def test_metrics_need_the_scope_read_and_probes_nothing(start):
    server = start(config=AUTH)
    problem(server.get("/metrics"), 401)
    problem(server.get("/metrics", headers=bearer("nobody")), 401)
    problem(server.get("/metrics", headers=bearer("writer")), 403)
    answer = server.get("/metrics", headers=bearer("reader"))
    assert answer.status_code == 200
    assert 'arrowport_refused_total{reason="credentials"} 2' in answer.text
    assert 'arrowport_refused_total{reason="scope"} 1' in answer.text
    assert "0123456789abcdef" not in answer.text
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {"status": "ready"}


def test_a_refused_configuration_is_told(start, tmp_path):
    server = start(config="log_level: info\n")
    assert samples(server)["arrowport_config_last_reload_successful"] == 1
    first = samples(server)["arrowport_config_last_reload_success_timestamp_seconds"]
    (tmp_path / "given.yaml").write_text("log_level: loud\n")
    wait_until(
        lambda: samples(server)["arrowport_config_last_reload_successful"] == 0, "it is refused"
    )
    (place,) = [key for key in samples(server) if key.startswith("arrowport_config_refused")]
    assert place.startswith('arrowport_config_refused{file="given.yaml",line="1",column="')
    check_with_promtool(exposition(server))
    (tmp_path / "given.yaml").write_text("log_level: warning\n")
    wait_until(
        lambda: samples(server)["arrowport_config_last_reload_successful"] == 1, "it is taken"
    )
    found = samples(server)
    assert found['arrowport_config_reloads_total{outcome="refused"}'] >= 1
    assert found['arrowport_config_reloads_total{outcome="ok"}'] >= 1
    assert found["arrowport_config_last_reload_success_timestamp_seconds"] > first


def test_the_log_follows_the_configuration(start, tmp_path):
    server = start(config="log_level: error\nlog_format: json\n")
    server.get("/streams")
    (tmp_path / "given.yaml").write_text("log_level: info\nlog_format: text\n")

    def is_text():
        server.get("/streams")
        return " info    http: request request_id=" in server.stderr()

    wait_until(is_text, "the log is text")
    assert '"message":"request"' not in server.stderr()
