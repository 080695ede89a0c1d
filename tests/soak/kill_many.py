"""Kills the server many times during loads and counts what is there afterwards.

    kill_many.py [--kills 100] [--seed N]

After each `kill -9` the database is opened anew: every acknowledged request must be
there whole, every other one whole or not at all, and none that was not sent whole.
Ends with one row for RESULTS.md; the exit code is 0 when all held.
"""

import argparse
import pathlib
import random
import sys
import tempfile
import time

from shared import Server, result
from test_crash import ROWS, Producers, landed, request_table


def once(server, chance, first_id):
    """One kill; (ids sent, ids acknowledged, next free id)."""
    producers = Producers(server, first_id)
    producers.wait_for(chance.randint(1, 5))
    time.sleep(chance.random() / 10)
    server.kill()
    producers.join()
    return producers.sent, producers.acknowledged, producers.next_id


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    chance = random.Random(args.seed)
    command = f"tests/soak/kill_many.py --kills {args.kills} --seed {args.seed}"

    with tempfile.TemporaryDirectory(prefix="arrowport-kill-") as directory:
        server = Server(directory)
        server.land("crash", request_table(0).slice(0, 0))
        sent, acknowledged, next_id = set(), set(), 1
        try:
            for kill in range(args.kills):
                more_sent, more_acknowledged, next_id = once(server, chance, next_id)
                sent |= more_sent
                acknowledged |= more_acknowledged
                server = Server(directory)
                there = landed(server)
                if not acknowledged <= there <= sent:
                    result(
                        command,
                        f"FAILED at kill {kill}: lost {sorted(acknowledged - there)}, "
                        f"never sent {sorted(there - sent)}",
                    )
                    return 1
        finally:
            size = sum(f.stat().st_size for f in pathlib.Path(directory).glob("*.duckdb*"))
            server.kill()
    result(
        command,
        f"{args.kills} kills: {len(acknowledged)} acknowledged requests of {ROWS:,} rows "
        f"all whole, {len(there) - len(acknowledged)} more whole, {len(sent) - len(there)} absent, "
        f"none partial; file {size / 1e6:.0f} MB",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
