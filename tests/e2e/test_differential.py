"""Random schemas and data through other implementations and ours: differential/ says how.

10,000 cases, of which about 3,000 are written by pyarrow and read by us, 2,500 the other
way round, 800 read by nanoarrow and 700 written by it, 500 as a big-endian machine would
write them, 1,000 compared by our own equality, and 1,500 damaged. `make soak` runs a
million others. A failing case says its kind and seed:

    PYTHONPATH=tests/e2e python -m differential.run --kind KIND --seed SEED --cases 1
"""

import os
import random

import pytest
from differential import run, sanitizer, types

CASES = 10_000
CHUNKS = 5
SEED = 20_000_000

pytestmark = pytest.mark.skipif(
    bool(sanitizer.cannot_be_loaded()), reason=f"the library is {sanitizer.cannot_be_loaded()}"
)


@pytest.mark.asan
@pytest.mark.timeout(300)
def test_one_thousand_of_them_under_a_sanitizer_when_there_is_one():
    """What reading damaged streams touches that it should not, only AddressSanitizer sees."""
    processes = min(2, len(os.sched_getaffinity(0)))
    outcome = run.run_many(SEED + CASES, 1000, processes, timeout_s=290)
    assert not outcome.failures, "\n\n".join([*outcome.failures, str(outcome)])
    assert outcome.cases == 1000


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_others_write_we_read_and_what_we_write_others_read(chunk):
    count = CASES // CHUNKS
    processes = min(2, len(os.sched_getaffinity(0)))
    outcome = run.run_many(SEED + chunk * count, count, processes, timeout_s=110)
    print(outcome)
    assert not outcome.failures, "\n\n".join([*outcome.failures, str(outcome)])
    assert outcome.cases == count


def test_every_type_and_every_kind_of_case_is_among_them():
    """That the generator reaches what it is there for: a case that is never drawn proves
    nothing."""
    formats, kinds, nested = set(), set(), set()
    for seed in range(SEED, SEED + 3000):
        chance = random.Random(seed)
        kinds.add(run.draw_kind(chance))
        schema = types.random_schema(chance).type
        for type in types.walk(schema):
            formats.add((type.kind, type.format.partition(b":")[0], type.width))
            below = [field.type for field in type.fields] + (
                [type.value.type] if type.value else []
            )
            nested.update((type.kind, child.kind) for child in below)
    assert kinds == set(run.WEIGHTS)
    leaves = {"n", "b", *"cCsSiIlLefg", "w", "u", "z", "U", "Z", "vu", "vz", "d"}
    leaves |= {"tdD", "tdm", "tts", "ttm", "ttu", "ttn", "tiM", "tiD", "tin"}
    leaves |= {"tss", "tsm", "tsu", "tsn", "tDs", "tDm", "tDu", "tDn"}
    parents = {"+l", "+L", "+vl", "+vL", "+w", "+s", "+m", "+ud", "+us", "+r"}
    assert {format.decode() for _, format, _ in formats} == leaves | parents
    assert {width for _, format, width in formats if format == b"d"} == {4, 8, 16, 32}
    indices = {format for kind, format, _ in formats if kind == types.DICTIONARY}
    assert indices == set(types.INDICES)
    # Everything inside everything, but for what the format cannot say or nobody has.
    holders = {types.LIST, types.LIST_VIEW, types.FIXED_LIST, types.STRUCT, types.UNION}
    holders |= {types.DICTIONARY, types.RUNS}
    wanted = {(holder, kind) for holder in holders for kind in range(types.RUNS + 1)}
    wanted -= {(types.DICTIONARY, types.DICTIONARY), (types.RUNS, types.RUNS)}
    assert wanted <= nested, sorted(wanted - nested)
