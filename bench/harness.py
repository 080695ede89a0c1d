"""Processes that are measured: started fresh, watched, ended."""

import functools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "bench"
ARROW = "application/vnd.apache.arrow.stream"


def binary():
    path = os.environ.get("ARROWPORT_BIN", str(ROOT / "build" / "release" / "arrowport"))
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is not there: build it (make build), or name it by ARROWPORT_BIN")
    return os.path.abspath(path)


class Process:
    """A server that says `listening on http://127.0.0.1:PORT`, in a folder of its own."""

    def __init__(self, command, environment=None, talks=False):
        """`talks`: what it writes on its standard output is its log, more than a pipe holds."""
        self.directory = tempfile.mkdtemp(prefix="work-", dir=OUT)
        command = [str(part).replace("{dir}", self.directory) for part in command]
        self.log = open(os.path.join(self.directory, "log"), "w+")
        self.process = subprocess.Popen(
            command,
            cwd=self.directory,
            stdout=self.log if talks else subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.port = None

    def __enter__(self):
        for line in self.process.stdout:
            match = re.search(r"listen(?:s|ing) on https?://127\.0\.0\.1:(\d+)", line)
            if match:
                self.port = int(match.group(1))
                return self
        self.log.seek(0)
        said = self.log.read()
        self.__exit__()
        raise SystemExit(f"{self.process.args[0]} ended: {said}")

    def wait_for_port(self, port, seconds=60):
        """For servers that do not say where they listen."""
        for _ in range(seconds * 10):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                self.port = port
                return self
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"nothing listens on port {port}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def memory_mb(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve(*arguments, database=":memory:", **environment):
    return Process(
        [binary(), "serve", "--host", "127.0.0.1", "--port", "0", "--db", database, *arguments],
        {"ARROWPORT_COMPRESSION": "none", **environment},
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tool(name, *arguments):
    """One of the small C programs; its JSON object."""
    done = subprocess.run([OUT / name, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{name} {arguments[:2]}: {done.stderr}")
    return json.loads(done.stdout)


@functools.cache
def build_tool(name):
    """One that is made of our own objects: built as a release is; its path."""
    folder = OUT / "build"
    folder.mkdir(parents=True, exist_ok=True)
    for command in (
        ["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"],
        ["cmake", "--build", folder, "--target", f"bench_{name}"],
    ):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
    return folder / "bench" / name


def python(script, *arguments):
    """A script of this folder in a process of its own; its JSON object."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / script), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"{script} {arguments}: {done.stderr}")
    return json.loads(done.stdout)
