"""The configuration changes under a running server: by its file, and by SIGHUP."""

import json
import os
import signal

import pyarrow as pa
import pytest
from wire import Connection, ingest_head, ingest_request

from server import ipc, wait_until

pytestmark = pytest.mark.asan

SMALL = pa.table({"id": pa.array(range(1000), pa.int64())})


def streams(table):
    return f"streams: {{x: {{target_table: {table}}}}}\n"


def logged(server, *words):
    lines = (json.loads(line) for line in server.stderr().splitlines() if line.startswith("{"))
    return [
        line["message"]
        for line in lines
        if line["area"] == "config" and all(word in line["message"] for word in words)
    ]


def metric(server, name):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(name + " ") or line.startswith(name + "{"):
            yield line


def in_place(path, text):
    path.write_text(text)


def renamed(path, text):
    """As most editors do: a new file takes the old one's name."""
    new = path.with_name(".new")
    new.write_text(text)
    new.rename(path)


def backed_up(path, text):
    """As others do: the old one is moved away first, and for a moment there is none."""
    path.rename(path.with_name("given.yaml~"))
    path.write_text(text)


@pytest.mark.parametrize("write", [in_place, renamed, backed_up])
def test_a_file_that_changes_is_taken_up(start, tmp_path, write):
    server = start(config=streams("first"))
    path = tmp_path / "given.yaml"
    for table in ("second", "third", "fourth"):
        before = len(logged(server, "read anew"))
        write(path, streams(table))
        wait_until(lambda b=before: len(logged(server, "read anew")) > b, "it is read anew")
        wait_until(lambda t=table: server.land("x", SMALL)["table"] == t, f"rows go to {table}")


def test_a_link_that_is_turned_is_taken_up(start, tmp_path):
    """As Kubernetes changes what it mounts: given.yaml -> ..data/given.yaml, ..data -> here."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "linked.yaml").write_text(streams(version))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "linked.yaml").symlink_to("..data/linked.yaml")
    server = start(args=("--config", "linked.yaml"))
    assert server.land("x", SMALL)["table"] == "one"
    (tmp_path / "..new").symlink_to("two")
    os.rename(tmp_path / "..new", tmp_path / "..data")
    wait_until(lambda: server.land("x", SMALL)["table"] == "two", "the other file is read")


def test_a_streams_file_that_changes_is_taken_up(start, tmp_path):
    (tmp_path / "streams.yaml").write_text(streams("first"))
    server = start(config="streams_path: streams.yaml\n")
    assert server.land("x", SMALL)["table"] == "first"
    renamed(tmp_path / "streams.yaml", streams("second"))
    wait_until(lambda: server.land("x", SMALL)["table"] == "second", "it is read anew")


def test_sighup_reads_the_file_although_nothing_has_changed(start):
    server = start(config=streams("first"))
    for k in range(3):
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda k=k: len(logged(server, "read anew")) > k, "it is read anew")
    assert server.land("x", SMALL)["table"] == "first"
    assert next(metric(server, 'arrowport_config_reloads_total{outcome="ok"}')).endswith(" 3")


def test_connections_and_requests_in_flight_go_on(start, tmp_path):
    """A request keeps the configuration that it began with; its connection stays."""
    server = start(config=streams("first"))
    body = ipc(SMALL)
    with Connection(server) as connection:
        connection.send(ingest_head(server, "x", f"Content-Length: {len(body)}") + body[:100])
        assert server.get("/healthz").status_code == 200
        renamed(tmp_path / "given.yaml", streams("second"))
        wait_until(lambda: logged(server, "read anew"), "the file is read anew")
        assert server.land("x", SMALL)["table"] == "second"
        connection.send(body[100:])
        assert connection.answer().json()["table"] == "first"
        connection.send(ingest_request(server, "x", body))
        assert connection.answer().json()["table"] == "second"
    assert server.value("SELECT count(*) AS n FROM first") == 1000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("streams: {x: {target_table: other}}\nstreems: {}\n", ("given.yaml:2:1", "streems")),
        ("streams: {x: {target_table: other}}\nport: many\n", ("given.yaml:2:7", "port")),
        ("streams: {x: {target_table: other\n", ("given.yaml:",)),
        ("streams: {x: {storage_backend: nowhere}}\n", ("nowhere",)),
        ("\x00\x01\x02", ("given.yaml",)),
    ],
)
def test_an_invalid_file_is_refused_whole(start, tmp_path, text, words):
    server = start(config=streams("first"))
    renamed(tmp_path / "given.yaml", text)
    wait_until(lambda: logged(server, "refused", *words), "the log says what is wrong, and where")
    assert server.land("x", SMALL)["table"] == "first"
    assert list(metric(server, "arrowport_config_last_reload_successful")) == [
        "arrowport_config_last_reload_successful 0"
    ]
    if words[0].count(":") == 2:
        _, line, column = words[0].split(":")
        (place,) = metric(server, "arrowport_config_refused")
        assert f'line="{line}"' in place and f'column="{column}"' in place
    renamed(tmp_path / "given.yaml", streams("second"))
    wait_until(lambda: server.land("x", SMALL)["table"] == "second", "a good one is taken again")
    assert list(metric(server, "arrowport_config_last_reload_successful")) == [
        "arrowport_config_last_reload_successful 1"
    ]


@pytest.mark.parametrize("harm", ["gone", "a folder", "a gigabyte", "a pipe"])
def test_a_file_that_is_none_any_more_is_refused(start, tmp_path, harm):
    server = start(config=streams("first"))
    path = tmp_path / "given.yaml"
    path.unlink()
    if harm == "a folder":
        path.mkdir()
    elif harm == "a gigabyte":
        with open(path, "wb") as file:
            file.truncate(1 << 30)
    elif harm == "a pipe":
        os.mkfifo(path)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: logged(server, "refused"), "it is refused")
    assert server.land("x", SMALL)["table"] == "first"


def test_settings_that_need_a_restart_are_named(start, tmp_path):
    server = start(config=streams("first"))
    renamed(
        tmp_path / "given.yaml",
        streams("second") + "memory_limit: 512MiB\nthreads: 3\nduckdb_extensions: [json]\n",
    )
    wait_until(lambda: logged(server, "read anew"), "it is read anew")
    for setting in ("memory_limit", "threads", "duckdb_extensions"):
        assert logged(server, setting, "started again"), server.stderr()
    assert not logged(server, "db_path")  # a flag, which is stronger than the file
    assert server.land("x", SMALL)["table"] == "second"


def test_limits_and_the_log_follow(start, tmp_path):
    server = start(config="http: {body_bytes_max: 0}\n")
    assert server.land("x", SMALL)["rows"] == 1000
    renamed(tmp_path / "given.yaml", "http: {body_bytes_max: 1000}\nlog_level: warning\n")
    wait_until(
        lambda: (server.session.close(), server.ingest("x", SMALL).status_code)[1] == 413,
        "bodies of more than 1000 bytes are refused",
    )
