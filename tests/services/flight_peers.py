"""Servers of Flight SQL that others have written, for a test's time: each is started on a free port
of loopback, in a folder of its own, and ends with the `with`.

scripts/fetch-peers builds and downloads them; roapi comes with the tests' Python packages. One that
is not there is an error that says so, never a skipped test."""

import contextlib
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / ".deps" / "peers"
JARS = PEERS / "jars"
HERE = pathlib.Path(__file__).resolve().parent
START_S = 60
# Arrow's memory needs it; the rest makes short programs start sooner.
JAVA = (
    "java",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Xmx512m",
)


def program(name):
    """One that scripts/fetch-peers has built."""
    path = PEERS / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run scripts/fetch-peers")
    return str(path)


def class_path(*, driver):
    """The JDBC driver, which brings all that it needs (and Jackson, for what our program says), or
    everything but it."""
    name = "flight-sql-jdbc-driver"
    jars = sorted(jar for jar in JARS.glob("*.jar") if driver == jar.name.startswith(name))
    found = [str(jar) for jar in [*jars, *(JARS.glob("jackson-*.jar") if driver else ())]]
    if not found:
        raise FileNotFoundError(f"{JARS} does not have what is needed: run scripts/fetch-peers")
    return ":".join(found)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    def __init__(self, process, port, log):
        self.process = process
        self.port = port
        self.log = log
        self.url = f"grpc://127.0.0.1:{port}"

    def text(self):
        return self.log.read_text(errors="replace")[-5000:]

    def _accepts(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def wait(self):
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.process.args[0]} ended: {self.text()}")
            if self.port == 0:  # it says itself which one it has taken
                told = re.search(r"listening on (\d+)", self.text())
                if told:
                    self.port = int(told.group(1))
                    self.url = f"grpc://127.0.0.1:{self.port}"
            elif self._accepts():
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.process.args[0]}: not within {START_S} s: {self.text()}")


@contextlib.contextmanager
def _running(command, directory, port):
    log = pathlib.Path(directory) / "peer.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    peer = Peer(process, port, log)
    try:
        peer.wait()
        yield peer
    finally:
        process.kill()
        process.wait()


def sqlite(directory):
    """arrow-go's example over SQLite: tables intTable and foreignTable."""
    port = free_port()
    command = [program("sqlite_flightsql_server"), "-host", "127.0.0.1", "-port", str(port)]
    return _running(command, directory, port)


def roapi(directory, **files):
    """DataFusion behind tonic: `files` are its tables."""
    found = shutil.which("roapi", path=str(pathlib.Path(sys.executable).parent))
    if found is None:
        raise FileNotFoundError("roapi is not among the tests' packages: scripts/install-test-deps")
    port = free_port()
    command = [found, "--addr-http", f"127.0.0.1:{free_port()}"]
    command += ["--addr-postgres", f"127.0.0.1:{free_port()}"]
    command += ["--addr-flight-sql", f"127.0.0.1:{port}"]
    for name, path in files.items():
        command += ["--table", f"{name}={path}"]
    return _running(command, directory, port)


def derby(directory):
    """Arrow's Java example over Apache Derby: tables intTable and foreignTable."""
    command = [*JAVA, "-cp", class_path(driver=False), str(HERE / "DerbyServer.java")]
    return _running(command, directory, 0)


def jdbc(source, *args, timeout_s=110):
    """A program of ours that uses the JDBC driver, to its end: what it wrote."""
    command = [*JAVA, "-cp", class_path(driver=True), str(HERE / source), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stderr[-8000:] + done.stdout[-2000:]
    return done.stdout
