"""More than there is memory for: nobody hears anything but success or "come back later", the
budget is empty afterwards, and the process stays within its limit. The soak does so for longer
(tests/soak/memory.py)."""

import asyncio
import os
import pathlib
import re
import time

import pyarrow as pa
import pytest
from flood import Flood, flood, small, wide
from groups import group

from server import ARROW, run, wait_until

LIMIT_MIB = 128
BESIDE_MIB = 384  # docs/internals/memory.md


def used(server):
    text = server.get("/metrics").text
    return float(re.search(r"^arrowport_memory_budget_used_bytes (\S+)$", text, re.M)[1])


def high_water_mib(server):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", text, re.M)[1]) / 1024


@pytest.mark.asan
@pytest.mark.timeout(240)
def test_a_flood_from_all_sides_is_stood_and_leaves_nothing_behind(start):
    server = start(config=f"memory_limit: {LIMIT_MIB}MiB\n")
    server.land("wide", wide(8))
    for table in ("keys", *(f"many{k}" for k in range(10))):
        server.land(table, pa.table({"id": [1], "value": [1]}))
    done = asyncio.run(flood(server.port, 2, big=1, many=60, upserts=8, parquet=1, readers=4))
    assert not done.wrong, done.wrong[:3]
    assert all(done.counts[side][200] for side in done.counts), done.counts
    wait_until(lambda: used(server) == 0, "the budget is empty")
    assert server.land("after", wide(4))["rows"] == 1000
    if "asan" not in os.environ.get("ARROWPORT_BIN", ""):
        assert high_water_mib(server) < LIMIT_MIB + BESIDE_MIB


async def crowd(port, clients):
    """Each sends most of a batch at once, the rest a little later."""
    self = Flood(port, 60)
    body = small(1000)
    headers = {"Content-Type": ARROW}
    most = 900_000
    return self, await asyncio.gather(
        *(
            self.request("crowd", "POST", "/ingest/t", headers, body, piece=most, pause_s=0.5)
            for _ in range(clients)
        )
    )


@pytest.mark.timeout(240)
def test_of_a_crowd_that_does_not_fit_the_first_get_through(start):
    """Half-sent, they are more than the budget; all were refused if all waited alike."""
    server = start(config="memory_limit: 64MiB\n")
    server.land("t", pa.table({"id": [1], "value": [1]}))
    began = time.monotonic()
    flooded, answers = asyncio.run(crowd(server.port, 90))
    assert not flooded.wrong, flooded.wrong[:3]
    landed = [answer for answer in answers if answer.status == 200]
    assert len(landed) >= 40, flooded.counts
    assert time.monotonic() - began < 60
    rows = 1000 * 1000 // 16
    assert server.value("SELECT count(*) AS n FROM t") == 1 + rows * len(landed)
    wait_until(lambda: used(server) == 0, "the budget is empty")


def test_a_containers_limit_is_halved(start, tmp_path):
    """Where no control group can be made here, the machine's memory decides all the same."""
    with group(512 << 20) as box:
        server = start(preexec_fn=box.join if box else None)
        budget = server.get("/metrics").text
        limit = float(re.search(r"^arrowport_memory_budget_limit_bytes (\S+)$", budget, re.M)[1])
        said = server.stderr()
        server.kill()
    if box:
        assert limit == (64 + 32) * 2**20
        assert "memory limit 256 MiB, by default: half of the control group's 512 MiB" in said
    else:
        assert "memory limit 1 GB" in said or "half of the machine's" in said


def test_more_than_there_is_is_warned_of(start, tmp_path):
    server = start(config="memory_limit: 900TB\n")
    wait_until(lambda: "memory_limit: 900000 GB" in server.stderr(), "a line of the log")
    shown = run("config", "show", "--config", "given.yaml", cwd=server.directory)
    assert b"900TB" in shown.stdout
