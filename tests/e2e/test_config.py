"""Configuration: the text's example, what wins over what, and mistakes that are told at
the start, with where they are and what to write instead."""

import json
import os
import socket
import subprocess
import time

import pyarrow as pa
import pytest

from server import StartFailed, binary, environment, run

# The example of the configuration's reference, as it stands there.
EXAMPLE = """\
db_path: ./warehouse.duckdb
storage_backend: duckdb  # NEW: or 'delta'
delta_config:  # NEW: Delta Lake configuration
  table_path: ./delta_tables
  version_retention_hours: 168  # 7 days
  checkpoint_interval: 10
  enable_cdc: false
compression:
  algorithm: zstd  # or lz4
  level: 3
streams:
  lineitem:
    target_table: lineitem
    storage_backend: delta  # NEW: Override per stream
    chunk_size: 122880  # Aligned with DuckDB row group size
  sensors:
    target_table: sensor_readings
    compression:
      algorithm: lz4  # Override per stream
duckdb_extensions: [httpfs, parquet, arrow]
"""


def settings(tmp_path, *arguments, env=None):
    """What holds, as `arrowport config` says: key -> (value, origin)."""
    done = run("config", "show", "--json", *arguments, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr.decode()
    return {s["key"]: (s["value"], s["origin"]) for s in json.loads(done.stdout)["settings"]}


def refused(start, **options):
    with pytest.raises(StartFailed) as failed:
        start(**options)
    assert failed.value.code is not None and failed.value.code > 0
    return failed.value.stderr


def test_the_example_parses_as_it_stands(tmp_path):
    (tmp_path / "arrowport.yaml").write_text(EXAMPLE)
    held = settings(tmp_path)
    assert held["storage_backend"] == ("duckdb", "file")
    assert held["delta_config.version_retention_hours"] == (168, "file")
    assert held["compression.algorithm"] == ("zstd", "file")
    assert held["streams.lineitem.storage_backend"] == ("delta", "file")
    assert held["streams.lineitem.chunk_size"] == (122880, "file")
    assert held["streams.sensors.target_table"] == ("sensor_readings", "file")
    assert held["streams.sensors.compression.algorithm"] == ("lz4", "file")
    assert held["duckdb_extensions"] == (["httpfs", "parquet", "arrow"], "file")
    assert held["db_path"][0].endswith("warehouse.duckdb")
    assert held["port"] == (8888, "default")


def test_the_example_is_refused_at_start_by_the_backend_that_is_not_there(start):
    said = refused(start, config=EXAMPLE, db=None)
    assert "lineitem" in said and "delta" in said


def test_an_extension_that_is_not_there_is_named_at_the_start(start, tmp_path):
    for extension, word in (
        ("httpfs", "give the path of its file"),
        (f"{tmp_path}/x.duckdb_extension", "No such file"),
        (f"{tmp_path}/given.yaml", "ends in .duckdb_extension"),
    ):
        said = refused(start, config=f"duckdb_extensions: ['{extension}']\n")
        assert "duckdb_extensions" in said and extension in said and word in said


def test_the_example_with_a_backend_that_is_there_starts(start, tmp_path):
    server = start(
        config=EXAMPLE.replace("storage_backend: delta", "storage_backend: duckdb").replace(
            "httpfs, ", ""
        ),
        db=None,
    )
    answer = server.land("sensors", pa.table({"id": [1]}))
    assert answer["table"].endswith("sensor_readings")
    assert (tmp_path / "warehouse.duckdb").exists()


def test_a_default_backend_that_is_not_there_is_refused_by_name(start):
    said = refused(start, config="storage_backend: delta\n")
    assert "delta" in said and "duckdb" in said


def test_the_file_beside_is_read_and_config_names_another(tmp_path):
    (tmp_path / "arrowport.yaml").write_text("port: 1001\n")
    (tmp_path / "other.yaml").write_text("port: 1002\n")
    assert settings(tmp_path)["port"] == (1001, "file")
    assert settings(tmp_path, "--config", "other.yaml")["port"] == (1002, "file")
    (tmp_path / "arrowport.yaml").unlink()
    assert settings(tmp_path)["port"] == (8888, "default")


def test_flag_over_environment_over_file_over_default(start, tmp_path):
    env = {"ARROWPORT_DB": str(tmp_path / "environment.duckdb")}
    config = f"db_path: {tmp_path}/file.duckdb\n"
    for options, made in (
        ({"db": "flag.duckdb", "env": env, "config": config}, "flag.duckdb"),
        ({"db": None, "env": env, "config": config}, "environment.duckdb"),
        ({"db": None, "config": config}, "file.duckdb"),
        ({"db": None}, "data/arrowport.duckdb"),
    ):
        server = start(**options)
        server.land("x", pa.table({"id": [1]}))
        server.stop()
        assert (tmp_path / made).exists(), made


@pytest.mark.parametrize(
    "variable, value, key, held",
    [
        ("ARROWPORT_DB", "/tmp/x.duckdb", "db_path", "/tmp/x.duckdb"),
        ("ARROWPORT_PORT", "1234", "port", 1234),
        ("ARROWPORT_COMPRESSION", "zstd:9", "compression.level", 9),
        ("ARROWPORT_COMPRESSION", "lz4", "compression.algorithm", "lz4"),
        ("ARROWPORT_COMPRESSION", "none", "compression.algorithm", "none"),
        ("ARROWPORT_STORAGE_BACKEND", "null", "storage_backend", "null"),
    ],
)
def test_each_variable_is_read(tmp_path, variable, value, key, held):
    (tmp_path / "arrowport.yaml").write_text(
        "db_path: file.duckdb\nport: 1\ncompression: {algorithm: zstd, level: 1}\n"
        "storage_backend: duckdb\n"
    )
    assert settings(tmp_path, env={variable: value})[key] == (held, "environment")


@pytest.mark.parametrize(
    "variable, value",
    [
        ("ARROWPORT_PORT", "http"),
        ("ARROWPORT_PORT", "70000"),
        ("ARROWPORT_PORT", "-1"),
        ("ARROWPORT_COMPRESSION", "gzip"),
        ("ARROWPORT_COMPRESSION", "zstd:99"),
        ("ARROWPORT_STORAGE_BACKEND", "mysql"),
        ("ARROWPORT_STREAMS_PATH", "not-there.yaml"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(start, variable, value):
    said = refused(start, env={variable: value}) if variable != "ARROWPORT_PORT" else None
    if said is None:  # the flag that a test's server gets is stronger, but not deaf
        said = refused(start, env={variable: value})
    assert value.split(":")[-1] in said or variable in said


def test_streams_may_live_in_a_file_of_their_own(start, tmp_path):
    (tmp_path / "streams.yaml").write_text("streams:\n  a:\n    target_table: b\n")
    server = start(env={"ARROWPORT_STREAMS_PATH": str(tmp_path / "streams.yaml")})
    assert [s["name"] for s in server.get("/streams").json()["streams"]] == ["a"]
    server.land("a", pa.table({"id": [1]}))
    assert server.value("SELECT count(*) AS n FROM b") == 1


def test_the_file_of_streams_holds_only_streams(start, tmp_path):
    (tmp_path / "streams.yaml").write_text("port: 1\nstreams: {}\n")
    said = refused(start, env={"ARROWPORT_STREAMS_PATH": str(tmp_path / "streams.yaml")})
    assert "port" in said and "streams.yaml" in said


@pytest.mark.parametrize(
    "config, words",
    [
        ("db_pth: x\n", ["db_pth", "db_path"]),
        ("streams:\n  a:\n    taget_table: b\n", ["taget_table", "target_table"]),
        ("compression: {algoritm: zstd}\n", ["algoritm", "algorithm"]),
        ("delta_config: {enable_cdf: true}\n", ["enable_cdf", "enable_cdc"]),
        ("port: eighty\n", ["port", "eighty"]),
        ("port: 99999\n", ["port", "65535"]),
        ("port: 1\nport: 2\n", ["port"]),
        ("compression: brotli\n", ["brotli", "zstd"]),
        ("streams: [a, b]\n", ["streams"]),
        ("streams:\n  a: b\n", ["a"]),
        ("streams:\n  a:\n    target_table: 'x..y'\n", ["x..y"]),
        ("streams:\n  a:\n    chunk_size: 0\n", ["chunk_size"]),
        ("memory_limit: lots\n", ["memory_limit", "lots"]),
        ("host: everywhere\n", ["everywhere", "0.0.0.0"]),
        ("just text\n", []),
        ("a: [1, 2\n", []),
        ("\tport: 1\n", []),
        ("port: 1\0\n", []),
        ("port: &a 1\nx: *a\n", []),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_way_out(start, config, words):
    said = refused(start, config=config)
    for word in ["given.yaml", *words]:
        assert word in said, said


def test_a_configuration_that_is_not_there_is_refused_by_name(start):
    said = refused(start, args=("--config", "nowhere.yaml"))
    assert "nowhere.yaml" in said


def test_an_unknown_flag_is_refused_with_a_suggestion(start):
    said = refused(start, args=("--memry-limit", "1GB"))
    assert "--memry-limit" in said


def test_a_port_that_is_taken_is_told_with_its_setting(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("serve", "--port", port, "--db", tmp_path / "x.duckdb", cwd=tmp_path)
    assert done.returncode not in (0, None) and done.returncode > 0
    said = done.stderr.decode()
    assert str(port) in said and "--port" in said and "ARROWPORT_PORT" in said


@pytest.mark.parametrize("args, address", [
    ([], "00000000"), (["--host", "127.0.0.1"], "0100007F"), (["--host", "localhost"], "0100007F")])
def test_it_listens_where_it_is_told(args, address, start):
    server = start(args=args, host=None)
    with open("/proc/net/tcp") as table:
        local = [line.split()[1] for line in table if line.split()[3] == "0A"]
    port = f":{server.port:04X}"
    assert [a for a in local if a.endswith(port)] == [address + port]


def test_compression_of_results_and_budget_are_settings(start):
    """A small budget refuses what cannot fit, and serves what does."""
    server = start(config="memory_limit: 64MiB\ncompression: none\n")
    words = pa.table({"w": pa.array(["x" * 1000] * 60_000)})  # one batch of 60 MB
    answer = server.ingest("big", words)
    assert answer.status_code in (413, 429), answer.text
    assert server.land("small", words.slice(0, 1000))["rows"] == 1000
    assert not server.has_table("big")


# ---- files that are no configurations ------------------------------------------------------


def checked(tmp_path, *args, **options):
    done = run("config", "check", *args, cwd=tmp_path, timeout_s=60, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.asan
def test_a_file_cut_at_every_byte_is_refused_or_means_what_is_left(tmp_path):
    """Half of a file that somebody writes: no crash, and nothing that the whole does not say but
    the value that was cut."""
    (tmp_path / "whole.yaml").write_text(EXAMPLE)
    whole = settings(tmp_path, "--config", "whole.yaml")
    for cut in range(0, len(EXAMPLE), 7):
        (tmp_path / "cut.yaml").write_text(EXAMPLE[:cut])
        done = run("config", "show", "--json", "--config", "cut.yaml", cwd=tmp_path)
        if done.returncode != 0:
            assert done.returncode == 2 and "cut.yaml:" in done.stderr.decode()
            continue
        got = {s["key"]: s["value"] for s in json.loads(done.stdout)["settings"]
               if s["origin"] == "file"}
        different = [key for key, value in got.items() if whole.get(key, (None,))[0] != value]
        assert len(different) <= 1, (cut, different)


@pytest.mark.asan
@pytest.mark.parametrize("data, words", [
    (b"\x7fELF\x02\x01\x01\x00" * 100, ["control character"]),
    (b"port: 1\xff\n", ["UTF-8"]),
    ("port: 1\n".encode("utf-16"), ["UTF-8"]),
    (b"port: 1\r\nport: 2\r\n", ["2:1", "'port' is given twice"]),
    (b"[" * 100_000, ["1:1"]),
    (b"{" * 100_000, ["1:2"]),
    (b"streams: " + b"{a: " * 50_000, ["bad.yaml:1:"]),
    (b"- " * 100_000, ["1:1"]),
    (b"a: &a [x]\n", ["unknown key"]),
    (b"allowed_hosts: &a [x, x]\nallowed_origins: [*a, *a]\n", ["anchors"]),
    (b"allowed_hosts: [" + b"x, " * 5000 + b"x]\n", ["allowed_hosts", "1000 items"]),
    (b"a" * 200_000 + b": 1\n", ["bad.yaml:1:"]),
    (b"db_path: " + b"a" * 200_000 + b"\n", ["db_path", "65536"]),
    (b"port: 1\n---\nport: 2\n", ["second document"]),
    (b"#" * (1 << 20) + b"#\n", ["1048576"]),
])
def test_a_file_that_is_no_configuration_is_refused_with_its_place(data, words, tmp_path):
    (tmp_path / "bad.yaml").write_bytes(data)
    code, out, err = checked(tmp_path, "bad.yaml")
    assert code in (2, 13) and out == "" and "bad.yaml" in err
    for word in words:
        assert word in err, err


def test_crlf_means_what_lf_means(tmp_path):
    (tmp_path / "lf.yaml").write_text(EXAMPLE)
    (tmp_path / "crlf.yaml").write_bytes(EXAMPLE.replace("\n", "\r\n").encode())
    assert settings(tmp_path, "--config", "lf.yaml") == settings(tmp_path, "--config", "crlf.yaml")


@pytest.mark.asan
def test_what_is_no_file_is_refused_without_waiting_or_reading_it_whole(tmp_path):
    with open(tmp_path / "huge.yaml", "wb") as file:
        file.truncate(1 << 30)
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for path, code, words in [
        ("huge.yaml", 13, ["1073741824", "is it a configuration?"]),
        ("folder.yaml", 2, ["directory"]),
        ("fifo.yaml", 14, ["fifo.yaml", "5 s"]),
        ("/dev/zero", 13, ["/dev/zero", "1048576"]),
        ("nowhere.yaml", 4, ["nowhere.yaml"]),
    ]:
        began = time.monotonic()
        got, _, err = checked(tmp_path, path)
        assert got == code, err
        assert time.monotonic() - began < 30
        for word in words:
            assert word in err, err
    assert checked(tmp_path, "/dev/null")[0] == 0


def test_a_pipe_of_the_shell_is_read(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"{binary()} config show --json <(sleep 0.2; echo 'port: 77')"],
        cwd=tmp_path, env=environment(), capture_output=True, timeout=60)
    held = {s["key"]: s["value"] for s in json.loads(done.stdout)["settings"]}
    assert held["port"] == 77


# ---- config check --------------------------------------------------------------------------


def certificate(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
         "-days", "2"],
        cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "key.pem").chmod(0o600)


def test_check_says_ok_or_where_it_is_wrong(tmp_path):
    (tmp_path / "a.yaml").write_text("host: 127.0.0.1\nstreams: {a: {}, b: {}}\n")
    assert checked(tmp_path, "a.yaml") == (0, "a.yaml: ok, 2 streams\n", "")
    assert checked(tmp_path, "--config", "a.yaml") == (0, "a.yaml: ok, 2 streams\n", "")
    (tmp_path / "a.yaml").write_text("port: 1\nprt: 2\n")
    code, out, err = checked(tmp_path, "a.yaml")
    assert code == 2 and out == "" and "a.yaml:2:1: unknown key 'prt'; did you mean 'port'?" in err
    code, out, err = checked(tmp_path, "a.yaml", "--json")
    said = json.loads(out)
    assert code == 2 and said["ok"] is False and said["error"]["status"] == "INVALID"
    assert said["error"]["exit_code"] == 2 and "a.yaml:2:1" in said["error"]["text"]
    assert checked(tmp_path, "a.yaml", "--config", "b.yaml")[0] == 2


def test_check_looks_at_the_files_that_are_named(tmp_path):
    certificate(tmp_path)
    (tmp_path / "a.yaml").write_text("host: 127.0.0.1\ntls: {cert: cert.pem, key: key.pem}\n")
    assert checked(tmp_path, "a.yaml")[0] == 0
    for text, words in [
        ("tls: {cert: none.pem, key: key.pem}\n", ["none.pem"]),
        ("tls: {cert: cert.pem, key: none.pem}\n", ["none.pem"]),
        ("tls: {cert: key.pem, key: cert.pem}\n", ["tls"]),
        ("tls: {cert: cert.pem, key: key.pem, client_ca: none.pem}\n", ["none.pem"]),
        ("duckdb_extensions: [./none.duckdb_extension]\n", ["none.duckdb_extension"]),
        ("streams_path: none.yaml\n", ["none.yaml"]),
        ("auth: {tokens: {a: {token_file: none}}}\n", ["none"]),
        ("auth: {tokens: {a: {token_env: NOT_THERE}}}\n", ["NOT_THERE"]),
    ]:
        (tmp_path / "a.yaml").write_text("host: 127.0.0.1\n" + text)
        code, _, err = checked(tmp_path, "a.yaml")
        assert code != 0, text
        for word in words:
            assert word in err, err


SECRET = "s3cret-that-nobody-may-see-0123456789"


@pytest.mark.parametrize("text, mode, words", [
    ("host: 0.0.0.0\n", 0o644, ["serves only this one"]),
    (f"host: 0.0.0.0\nauth: {{tokens: {{a: {{token: {SECRET}}}}}}}\n", 0o600, ["unencrypted"]),
    (f"host: 127.0.0.1\nauth: {{tokens: {{a: {{token: {SECRET}}}}}}}\n", 0o644, ["chmod 600"]),
    (f"host: 127.0.0.1\nauth: {{tokens: {{a: {{token: {SECRET}}}}}}}\n", 0o600, []),
    ("host: 127.0.0.1\nallowed_hosts: ['*']\n", 0o644, ["DNS rebinding"]),
    ("host: 127.0.0.1\nmemory_limit: 1000TB\n", 0o644, ["memory_limit"]),
    ("host: 127.0.0.1\n", 0o644, []),
])
def test_check_warns_of_what_is_risky_and_shows_no_secret(text, mode, words, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "a.yaml").chmod(mode)
    code, out, err = checked(tmp_path, "a.yaml")
    assert code == 0, err
    assert out.count("warning") == len(words)
    for word in words:
        assert word in out
    _, listed, _ = checked(tmp_path, "a.yaml", "--json")
    assert len(json.loads(listed)["warnings"]) == len(words)
    shown = run("config", "show", "a.yaml", cwd=tmp_path).stdout.decode()
    as_json = run("config", "show", "--json", "a.yaml", cwd=tmp_path).stdout.decode()
    for said in (out, err, listed, shown, as_json):
        assert SECRET not in said
    if SECRET in text:
        assert "(hidden)" in shown and "(hidden)" in as_json


def test_the_printed_defaults_are_the_defaults(tmp_path):
    (tmp_path / "d.yaml").write_bytes(run("config", "defaults", cwd=tmp_path).stdout)
    by_file = settings(tmp_path, "--config", "d.yaml")
    by_default = settings(tmp_path)
    assert {k: v for k, (v, _) in by_file.items()} == {k: v for k, (v, _) in by_default.items()}
    assert {o for _, o in by_default.values()} == {"default"}
