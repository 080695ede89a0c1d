"""A running server for a test: started on a free port, stopped, killed, and asked."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pyarrow as pa
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARROW = "application/vnd.apache.arrow.stream"
PROBLEM = "application/problem+json"
START_S = 60  # sanitizer builds open DuckDB slowly


def binary():
    """The program under test; a missing one is an error, never a skipped test."""
    path = os.environ.get("ARROWPORT_BIN", str(ROOT / "build" / "release" / "arrowport"))
    found = shutil.which(path)
    if found is None:
        raise FileNotFoundError(f"{path} is not there: build it, or name it by ARROWPORT_BIN")
    return os.path.abspath(found)


def environment(extra=None):
    """The environment without the product's own variables, so that a test sets them all."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ARROWPORT_")}
    return {**kept, **(extra or {})}


def run(*args, cwd, env=None, stdin=None, timeout_s=60):
    """One command of the command line, to its end; output as bytes."""
    return subprocess.run(
        [binary(), *map(str, args)],
        cwd=cwd,
        env=environment(env),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=timeout_s,
    )


def ipc(table, max_chunksize=None, **options):
    """A table as the bytes of an IPC stream."""
    sink = pa.BufferOutputStream()
    write_options = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(sink, table.schema, options=write_options) as writer:
        writer.write_table(table, max_chunksize=max_chunksize)
    return sink.getvalue().to_pybytes()


def read_arrow(data):
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


class StartFailed(Exception):
    def __init__(self, code, stderr):
        super().__init__(f"exit code {code}: {stderr}")
        self.code = code
        self.stderr = stderr


class Server:
    """`directory` is its working directory; `db` and `host` None leave them to the
    configuration. The process ends when the test does."""

    def __init__(
        self,
        directory,
        *,
        db="test.duckdb",
        host="127.0.0.1",
        config=None,
        args=(),
        env=None,
        preexec_fn=None,
    ):
        self.directory = pathlib.Path(directory)
        self.stderr_path = self.directory / "stderr.log"
        if config is not None:
            (self.directory / "given.yaml").write_text(config)
            args = ("--config", "given.yaml", *args)
        if db is not None:
            args = ("--db", str(self.directory / db), *args)
        if host is not None:
            args = ("--host", host, *args)
        command = [binary(), "serve", "--port", "0", *map(str, args)]
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                preexec_fn=preexec_fn,
            )
        self.lines = []
        self.port = self._read_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between a test and loopback

    def _read_port(self):
        found = threading.Event()
        port = []

        def drain():
            for line in self.process.stdout:
                text = line.decode(errors="replace").rstrip()
                self.lines.append(text)
                match = re.search(r"listen(?:s|ing) on https?://\S+:(\d+)", text)
                if match and not port:
                    port.append(int(match.group(1)))
                    found.set()
            found.set()

        self.drainer = threading.Thread(target=drain, daemon=True)
        self.drainer.start()
        if not found.wait(START_S):
            self.kill()
            raise StartFailed(None, f"no address within {START_S} s: {self.stderr()}")
        if not port:
            raise StartFailed(self.process.wait(START_S), self.stderr())
        return port[0]

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Ends it as a service manager does; a server that was asked to end says 0
        (a sanitizer's finding at exit would not)."""
        self.session.close()
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the server did not end within 30 s of SIGTERM") from None
        self._join()
        assert self.process.returncode == 0, f"exit code {self.process.returncode}"

    def kill(self):
        if self.alive():
            self.process.kill()
        self.process.wait()
        self._join()

    def _join(self):
        self.drainer.join(10)
        self.process.stdout.close()

    # ---- requests

    def request(self, method, path, **options):
        options.setdefault("timeout", 60)
        return self.session.request(method, self.url + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def ingest(self, name, data, *, query="", content_type=ARROW):
        """`data`: a table, or the bytes of a stream."""
        body = ipc(data) if isinstance(data, pa.Table) else data
        path = "/ingest/" + requests.utils.quote(name, safe="") + query
        return self.post(path, data=body, headers={"Content-Type": content_type})

    def land(self, name, data, **options):
        answer = self.ingest(name, data, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, sql, *, params=None, accept=None):
        headers = {} if accept is None else {"Accept": accept}
        if params is None:
            headers["Content-Type"] = "application/sql"
            return self.post("/query", data=sql.encode(), headers=headers)
        headers["Content-Type"] = "application/json"
        body = json.dumps({"sql": sql, "params": params})
        return self.post("/query", data=body.encode(), headers=headers)

    def rows(self, sql, **options):
        answer = self.query(sql, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def value(self, sql, **options):
        (row,) = self.rows(sql, **options)
        (value,) = row.values()
        return value

    def arrow(self, sql, **options):
        answer = self.query(sql, accept=ARROW, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == ARROW
        return read_arrow(answer.content)

    def has_table(self, name):
        """`name` as a table's bare name in the default schema."""
        sql = "SELECT count(*) AS n FROM information_schema.tables WHERE table_name = ?"
        return self.value(sql, params=[name]) == 1


def wait_until(condition, what):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within 60 s")


def problem(answer, status, *words):
    """Checks that an answer is that error, says `words`, and shows no internals."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["Content-Type"].split(";")[0] == PROBLEM
    body = answer.json()
    assert set(body) >= {"type", "title", "status", "code", "detail"}
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] and body["code"] and body["detail"]
    for word in words:
        assert word.lower() in body["detail"].lower(), f"{word!r} is not in {body['detail']!r}"
    for inner in (".c:", "0x7f", "/src/", "assert"):
        assert inner not in body["detail"], body["detail"]
    return body
