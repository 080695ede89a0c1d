"""Kills the server many times during DoPut and counts what is there afterwards.

    flight_kill.py [--kills 300] [--seed N]

The writers and what is asked for are those of tests/e2e/trial_flight.py: what was acknowledged is
durable, a stream that is gone on with (everything sent again with its token, or from the
acknowledged offset) lands exactly the rows that were sent. Ends with one row for RESULTS.md; the
exit code is 0 when all held.
"""

import argparse
import sys
import tempfile
import time

from shared import Server, result
from trial_flight import KINDS, FlightTrial

KILLS_OF_A_FILE = 50  # what is there is counted after each: it takes longer and longer


def one_file(kills, seed):
    with tempfile.TemporaryDirectory(prefix="arrowport-put-kill-") as directory:
        trial = FlightTrial(lambda config: Server(directory, config=config), seed, KINDS * 2)
        try:
            trial.run(kills)
        finally:
            if trial.server is not None:
                trial.server.kill()
    print(trial.summary(), flush=True)
    return trial


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    command = f"tests/soak/flight_kill.py --kills {args.kills} --seed {args.seed}"

    trials, done = [], 0
    while done < args.kills:
        kills = min(KILLS_OF_A_FILE, args.kills - done)
        seed = args.seed + len(trials)
        try:
            trials.append(one_file(kills, seed))
        except AssertionError as error:
            result(command, f"FAILED with seed {seed}: {str(error)[:300]}")
            return 1
        done += kills
    jobs = [job for trial in trials for job in trial.jobs.values()]
    result(
        command,
        f"{done:,} kills: {len(jobs):,} streams of 1 to 20,000 rows by 12 writers, "
        f"{sum(t.acks for t in trials):,} acknowledgements, "
        f"{sum(j.streams - 1 for j in jobs):,} streams gone on with or sent again; "
        f"{sum(t.landed_rows for t in trials):,} rows there, each once, a prefix of each stream, "
        "nothing acknowledged lost",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
