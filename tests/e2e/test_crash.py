"""`kill -9` under load, as tests/e2e/trial.py has it: `make soak` does it a thousand times."""

import os

import pytest
from trial import Trial

ASAN = "asan" in os.environ.get("ARROWPORT_BIN", "")  # starts slowly
KILLS = 4 if ASAN else 20
SEED = int(os.environ.get("ARROWPORT_KILL_SEED", "20260301"))


@pytest.mark.asan
@pytest.mark.timeout(600)
def test_what_was_acknowledged_survives_kill_9_and_nothing_is_there_twice(start):
    trial = Trial(lambda config: start(config=config), SEED)
    trial.run(KILLS, check_each=4)
    print(trial.summary())
    assert len(trial.acknowledged) > KILLS * 5
