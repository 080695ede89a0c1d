"""What the long runs share: a server of their own, and the line that they end with."""

import datetime
import os
import pathlib
import subprocess
import sys
import threading

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from server import Server, ipc  # noqa: E402, F401


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next(
            (line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")),
            "?",
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GB"


def commit():
    done = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return done.stdout.strip() or "no commit"


def result(command, text):
    """One row of tests/soak/RESULTS.md."""
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    print(f"| {date} | {commit()} | {machine()} | `{command}` | {text} |", flush=True)


class Watch(threading.Thread):
    """Resident megabytes, ten times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.seen, self.over = [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.seen.append(self.process.memory_info().rss / 1e6)

    def stop(self):
        self.over.set()
        self.join()
        return self.seen or [self.process.memory_info().rss / 1e6]
