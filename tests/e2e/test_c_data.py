"""The Arrow C data and stream interface between our library and pyarrow, polars, DuckDB and
nanoarrow, and with producers that fail: differential/others.py and releases.py.

The checks run in a Python process of their own, so that they also run with the library that
was built with AddressSanitizer: any report ends the process or fails the test, and so does
what the library itself leaks."""

import json

import pytest
from differential import sanitizer

pytestmark = [
    pytest.mark.asan,
    pytest.mark.skipif(
        bool(sanitizer.cannot_be_loaded()), reason=f"the library is {sanitizer.cannot_be_loaded()}"
    ),
]
TIMEOUT_S = 400  # under AddressSanitizer; else some 10 s


def run_checks(*words):
    """{name: what went wrong}, of a process that ended as it should."""
    child = sanitizer.start("checks", *words)
    stdout, stderr = child.communicate(timeout=TIMEOUT_S)
    assert child.returncode == 0, f"exit code {child.returncode}\n{stdout[-500:]}\n{stderr[-9000:]}"
    return dict(json.loads(line) for line in stdout.splitlines()), sanitizer.findings(stderr)


def must_hold(outcome, least):
    checks, findings = outcome
    failed = {name: text for name, text in checks.items() if text}
    assert not failed, "\n\n".join(f"{name}:\n{text}" for name, text in failed.items())
    assert not findings, "\n\n".join(findings)
    assert len(checks) >= least, sorted(checks)


CONSUMERS = ["pyarrow", "polars", "duckdb", "nanoarrow"]


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_every_type_that_we_export_is_taken(consumer):
    must_hold(run_checks(f"{consumer} takes"), {"polars": 60, "duckdb": 65}.get(consumer, 70))


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize(
    ("producer", "least"), [("pyarrow", 70), ("polars", 30), ("duckdb", 4), ("nanoarrow", 35)]
)
def test_every_type_that_others_export_is_taken_by_us(producer, least):
    must_hold(run_checks(f"{producer} gives"), least)


@pytest.mark.timeout(TIMEOUT_S)
def test_release_callbacks_are_called_exactly_once_also_when_something_fails():
    must_hold(run_checks("a stream is released once", "bytes that are", "what the writer"), 16)


@pytest.mark.timeout(TIMEOUT_S)
def test_arrays_that_are_not_what_they_say_are_refused_and_stay_their_owners():
    must_hold(run_checks("refused by"), 26)


@pytest.mark.timeout(TIMEOUT_S)
def test_what_we_export_lives_until_its_last_part_is_released_wherever_that_is():
    words = ["batches", "a batch", "children", "all children", "a schema", "what we export"]
    words += ["a stream that", "a stream gives", "a slice"]
    must_hold(run_checks(*words), 12)


@pytest.mark.timeout(TIMEOUT_S)
def test_a_leak_of_ours_would_be_seen():
    """The test of the test: only AddressSanitizer sees leaks."""
    _, findings = run_checks("--leak", "no such check")
    assert bool(findings) == sanitizer.is_address_sanitized(), findings
