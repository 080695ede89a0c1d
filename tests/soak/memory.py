"""More than there is memory for, from all sides at once.

    memory.py [--seconds 60] [--limit 512MiB ...]

The server runs in a control group of 512 MiB, with the memory_limit that it chooses for itself,
then with limits of 256 MB, 512 MB and 1 GB. Compressed uploads of wide strings, a thousand
connections that each send a batch of a megabyte slowly, 64 upserts at once, Parquet answers and
readers that hardly read go on for `--seconds` each. No request may be answered otherwise than with
success or "come back later"; the kernel may end nothing; resident memory stays under the limit and
what the process takes besides; afterwards the budget is empty and the server works as before.

Where no control group can be made the first part says so and only its memory is watched."""

import argparse
import asyncio
import contextlib
import os
import pathlib
import sys
import tempfile
import time

import pyarrow as pa
from shared import ROOT, Server, result

# isort: split
from flood import flood, wide
from groups import group

# What the process takes besides (docs/internals/memory.md); rows of kilobytes are the worst.
BESIDE_MB = 384 * 1.048576
MERGING_MB = 800  # from such a limit on DuckDB merges row groups
BESIDE_MERGING_MB = 768 * 1.048576
UNITS = {"MB": 1e6, "GB": 1e9, "MiB": 2**20}


def high_water_mb(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(x.split()[1]) / 976.5625 for x in text.splitlines() if x.startswith("VmHWM"))


def number(server, name):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(f"arrowport_{name} "):
            return float(line.split()[1])
    raise KeyError(name)


def settle(server):
    """What is in use once nobody asks for anything any more."""
    for _ in range(300):
        used = number(server, "memory_budget_used_bytes")
        if used == 0:
            break
        time.sleep(0.1)
    return used


def limit_mb(text):
    unit = next(u for u in ("MiB", "MB", "GB") if text.endswith(u))
    return float(text.removesuffix(unit)) * UNITS[unit] / 1e6


def try_one(directory, limit, box, seconds):
    """Returns what went wrong, and what to say."""
    lines = "http: {body_bytes_per_timeout: 1}\n"
    server = Server(
        directory,
        config=lines + (f"memory_limit: {limit}\n" if limit else ""),
        preexec_fn=box.join if box else None,
    )
    wrong = []
    try:
        server.land("wide", wide(40))
        for table in ("keys", *(f"many{k}" for k in range(10))):
            server.land(table, pa.table({"id": [1], "value": [1]}))
        done = asyncio.run(flood(server.port, seconds))
        wrong += done.wrong[:5]
        if not server.alive():
            wrong.append(f"the server ended: {server.process.returncode}")
        used = settle(server)
        if used != 0:
            wrong.append(f"{used:.0f} bytes of the budget were never given back")
        server.land("after", wide(5))
        peak = high_water_mb(server.process.pid)
        most = limit_mb(limit or "256MiB")  # half of the group's
        most += BESIDE_MB if most < MERGING_MB else BESIDE_MERGING_MB
        if peak > most:
            wrong.append(f"{peak:.0f} MB resident, {most:.0f} at most")
        counts = ", ".join(
            f"{side} {'/'.join(f'{n} {code}' for code, n in sorted(c.items(), key=str))}"
            for side, c in sorted(done.counts.items())
        )
        text = f"{peak:.0f} of {most:.0f} MB; {counts}"
        for side in done.counts:
            if done.counts[side][200] == 0:
                why = [n for n in done.refusals.most_common() if n[0][0] == side][:2]
                wrong.append(f"no request of '{side}' came through: {why}")
    except Exception as error:
        wrong.append(f"{error!r}"[:300])
        text = ""
    finally:
        if "ARROWPORT_KEEP_LOG" in os.environ:
            print(server.stderr()[-5000:])
        server.kill()
    if box and box.killed():
        wrong.append(f"the kernel ended {box.killed()} processes")
    return wrong, text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=float(os.environ.get("MEMORY_SECONDS", "60"))
    )
    parser.add_argument("--limit", action="append", help="instead of all; 'box': the first part")
    args = parser.parse_args()
    failed = False
    for limit in args.limit or ["box", "256MB", "512MB", "1GB"]:
        boxed = group(512 << 20) if limit == "box" else contextlib.nullcontext()
        with tempfile.TemporaryDirectory(prefix="memory-", dir=ROOT / "build") as folder:
            with boxed as box:
                inside = None if limit == "box" else limit
                if limit == "box" and box is None:
                    inside = "256MiB"
                wrong, text = try_one(folder, inside, box, args.seconds)
        what = f"memory_limit {limit}"
        if limit == "box":
            what = "a control group of 512 MiB" if box else "no control group can be made here"
            what += f" (version {box.version})" if box else ", memory_limit 256MiB"
        result(
            f"tests/soak/memory.py --seconds {args.seconds:g}",
            f"{'FAILED: ' if wrong else ''}{what}: {text}{'; '.join(['', *wrong])}",
        )
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
