"""Kills the server many times under load and counts what is there afterwards.

    kill_many.py [--kills 1000] [--seed N]

The clients and what is asked for are those of tests/e2e/trial.py: what was acknowledged is there
once, what has a key is acknowledged in the end, nothing is there in part. Ends with one row for
RESULTS.md; the exit code is 0 when all held.
"""

import argparse
import pathlib
import sys
import tempfile
import time

from shared import Server, result
from trial import Trial

# So many kills share a file: what is there is counted now and then, which takes longer and longer.
KILLS_OF_A_FILE = 100


def one_file(kills, seed):
    with tempfile.TemporaryDirectory(prefix="arrowport-kill-") as directory:
        trial = Trial(lambda config: Server(directory, config=config), seed)
        try:
            trial.run(kills, check_each=10)
        finally:
            if trial.server is not None:
                trial.server.kill()
        size = sum(f.stat().st_size for f in pathlib.Path(directory).glob("*.duckdb*"))
    print(f"{trial.summary()}; file {size / 1e6:.0f} MB", flush=True)
    return trial


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    command = f"tests/soak/kill_many.py --kills {args.kills} --seed {args.seed}"

    trials, done = [], 0
    while done < args.kills:
        kills = min(KILLS_OF_A_FILE, args.kills - done)
        try:
            trials.append(one_file(kills, args.seed + len(trials)))
        except AssertionError as error:
            result(command, f"FAILED with seed {args.seed + len(trials)}: {str(error)[:300]}")
            return 1
        done += kills
    acknowledged, keyed, retries, landed, sent = (
        sum(figures)
        for figures in zip(
            *(
                (len(t.acknowledged), len(t.keyed), t.retries, len(t.landed), len(t.sent))
                for t in trials
            ),
            strict=True,
        )
    )
    result(
        command,
        f"{done:,} kills: {acknowledged:,} acknowledged requests of 1 to 20,000 rows "
        f"({keyed:,} with a key, {retries:,} sent again) all there once, "
        f"{landed - acknowledged:,} more whole, {sent - landed:,} absent, none in part",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
