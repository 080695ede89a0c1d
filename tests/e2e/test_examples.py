"""The examples run as they stand and give the right answers."""

import os
import re
import subprocess
import sys

import pyarrow.compute as pc

from server import ROOT


def test_the_shell_example_finds_the_worst_hours(server, flights):
    for _ in range(2):  # it may be run again
        done = subprocess.run(
            ["bash", ROOT / "examples" / "flights.sh"],
            capture_output=True,
            text=True,
            env={**os.environ, "ARROWPORT_URL": server.url},
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"rows":200000' in done.stdout.replace(" ", "")
    lines = done.stdout.replace("\r", "").splitlines()
    rows = [line.split(",") for line in lines[lines.index("hour,flights,minutes") + 1 :]]
    hours = flights.append_column("hour", pc.floor(flights["time"]))
    want = hours.group_by("hour").aggregate([("delay", "count"), ("delay", "mean")])
    want = want.filter(pc.greater(want["delay_count"], 1000)).sort_by(
        [("delay_mean", "descending")]
    )
    assert [(int(h), int(n)) for h, n, _ in rows] == [
        (int(r["hour"]), r["delay_count"]) for r in want.slice(0, 3).to_pylist()
    ]
    assert [float(m) for _, _, m in rows] == [
        round(r["delay_mean"], 1) for r in want.slice(0, 3).to_pylist()
    ]


def test_the_python_example_counts_late_flights_by_distance(server, flights):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "flights.py", server.url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^ *(\d+) +([\d,]+) +([\d.]+) %$", done.stdout, re.M)
    assert sum(int(n.replace(",", "")) for _, n, _ in rows) == 200_000
    near = flights.filter(pc.less(flights["distance"], 500))
    late = pc.sum(pc.greater(near["delay"], 15)).as_py()
    assert rows[0] == ("0", f"{near.num_rows:,}", str(round(100 * late / near.num_rows, 1)))
