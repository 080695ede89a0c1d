"""`kill -9` during DoPut, as tests/e2e/trial_flight.py has it: `make soak` does it some hundred
times (tests/soak/flight_kill.py)."""

import os

import pytest
from trial_flight import FlightTrial

ASAN = "asan" in os.environ.get("ARROWPORT_BIN", "")  # starts slowly
KILLS = 3 if ASAN else 10
SEED = int(os.environ.get("ARROWPORT_KILL_SEED", "20260401"))


@pytest.mark.asan
@pytest.mark.timeout(600)
def test_what_a_put_was_acknowledged_survives_kill_9_and_resuming_doubles_nothing(start):
    trial = FlightTrial(lambda config: start(config=config), SEED)
    trial.run(KILLS)
    print(trial.summary())
    assert trial.acks > KILLS * 5
