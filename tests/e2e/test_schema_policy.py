"""schema_policy: what becomes of a request whose schema is not its table's."""

import concurrent.futures
import datetime
import decimal
import json
import random
import threading
import time

import pyarrow as pa
import pytest
import requests
from crowd import metric
from test_exactly_once import post, post_json

from server import ipc, problem, wait_until

D = datetime.date
TABLE = "id BIGINT, name VARCHAR, price DECIMAL(10,2), day DATE, small SMALLINT, real REAL"


def batch(**columns):
    """One row; a column is `(type, value)`, in the order of the arguments."""
    return pa.table({name: pa.array([v], t) for name, (t, v) in columns.items()})


SAME = {
    "id": (pa.int64(), 1),
    "name": (pa.string(), "a"),
    "price": (pa.decimal128(10, 2), decimal.Decimal("1.25")),
    "day": (pa.date32(), D(2026, 1, 2)),
    "small": (pa.int16(), 7),
    "real": (pa.float32(), 0.5),
}


def without(*names):
    return {name: column for name, column in SAME.items() if name not in names}


def with_type(name, arrow_type, value):
    return {**SAME, name: (arrow_type, value)}


def reordered():
    return dict(reversed(SAME.items()))


LANDS, REFUSED = "lands", "refused"
# what comes; under strict, skip, merge; what merge makes of the columns' types
CASES = {
    "same": (SAME, LANDS, LANDS, LANDS, {}),
    "missing column": (without("name"), REFUSED, LANDS, LANDS, {}),
    "all but one missing": (without(*list(SAME)[1:]), REFUSED, LANDS, LANDS, {}),
    "other order": (reordered(), REFUSED, LANDS, LANDS, {}),
    "extra column": (
        {**SAME, "gate": (pa.string(), "B7")},
        REFUSED,
        REFUSED,
        LANDS,
        {"gate": "VARCHAR"},
    ),
    "extra in the middle": (
        {"id": SAME["id"], "l": (pa.list_(pa.int32()), [1, 2]), **without("id")},
        REFUSED,
        REFUSED,
        LANDS,
        {"l": "INTEGER[]"},
    ),
    "narrower integer": (with_type("id", pa.int32(), 1), REFUSED, LANDS, LANDS, {}),
    "wider integer": (
        with_type("small", pa.int64(), 1 << 40),
        REFUSED,
        REFUSED,
        LANDS,
        {"small": "BIGINT"},
    ),
    "wider float": (
        with_type("real", pa.float64(), 0.1),
        REFUSED,
        REFUSED,
        LANDS,
        {"real": "DOUBLE"},
    ),
    "more digits": (
        with_type("price", pa.decimal128(18, 2), decimal.Decimal("123456789012.25")),
        REFUSED,
        REFUSED,
        LANDS,
        {"price": "DECIMAL(18,2)"},
    ),
    "text for a number": (with_type("small", pa.string(), "7"), REFUSED, REFUSED, REFUSED, {}),
    "number for text": (with_type("name", pa.int64(), 7), REFUSED, REFUSED, REFUSED, {}),
    "list for a number": (
        with_type("small", pa.list_(pa.int16()), [7]),
        REFUSED,
        REFUSED,
        REFUSED,
        {},
    ),
    "text for a date": (with_type("day", pa.string(), "x"), REFUSED, REFUSED, REFUSED, {}),
    "large text": (with_type("name", pa.large_string(), "a"), LANDS, LANDS, LANDS, {}),
    "dictionary": (
        with_type("name", pa.dictionary(pa.int8(), pa.string()), "a"),
        LANDS,
        LANDS,
        LANDS,
        {},
    ),
    "no column of the table": (
        {"x": (pa.int64(), 1), "y": (pa.string(), "b")},
        REFUSED,
        REFUSED,
        LANDS,
        {"x": "BIGINT", "y": "VARCHAR"},
    ),
    "upper case": (
        {"ID": SAME["id"], "Name": SAME["name"]} | without("id", "name"),
        None,
        LANDS,
        LANDS,
        {},
    ),
}
POLICIES = ("strict", "skip", "merge")


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """A server whose streams `strict/...`, as many as there are cases, have their policy."""
    from server import Server

    lines = ["streams:"]
    for policy in POLICIES:
        for k in range(len(CASES)):
            lines.append(f"  {policy}_{k}: {{schema_policy: {policy}}}")
        for k in range(30):
            lines.append(f"  {policy}_more_{k}: {{schema_policy: {policy}}}")
    server = Server(tmp_path_factory.mktemp("policies"), config="\n".join(lines) + "\n")
    server.taken = {policy: 0 for policy in POLICIES}
    yield server
    server.stop()


@pytest.fixture
def fresh(policies):
    """`fresh(policy)`: a stream of that policy whose table is not there yet."""

    def take(policy):
        policies.taken[policy] += 1
        return f"{policy}_more_{policies.taken[policy]}"

    return take


def columns(server, table):
    answer = server.get(f"/tables/{table}")
    assert answer.status_code == 200, answer.text
    return {column["name"]: column["type"] for column in answer.json()["columns"]}


def warnings(server, *words):
    lines = (json.loads(line) for line in server.stderr().splitlines() if line.startswith("{"))
    return [
        line
        for line in lines
        if line["level"] == "warning" and all(word in json.dumps(line) for word in words)
    ]


def of_stream(server, stream):
    return "\n".join(line for line in server.stderr().splitlines() if f"'{stream}'" in line)


# ---- each difference under each policy


@pytest.mark.asan
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", CASES)
def test_each_difference(policies, case, policy):
    server, stream = policies, f"{policy}_{list(CASES).index(case)}"
    data, *wanted, changed = CASES[case]
    want = wanted[POLICIES.index(policy)]
    server.rows(f"CREATE TABLE {stream} ({TABLE})")
    before = columns(server, stream)
    mismatches = metric(server, "arrowport_schema_mismatches_total", stream=stream)
    answer = post(server, stream, batch(**data))
    if want is None:
        want = LANDS if answer.status_code == 200 else REFUSED
    if want == REFUSED:
        body = problem(answer, 422)
        assert ("rows_skipped" in body) == (policy == "skip")
        if policy == "skip":
            assert (body["rows_skipped"], body["batches_skipped"]) == (1, 1)
            wait_until(lambda: warnings(server, f"'{stream}'"), "the log has it")
        assert server.value(f"SELECT count(*) AS n FROM {stream}") == 0
        assert columns(server, stream) == before
        now = metric(server, "arrowport_schema_mismatches_total", stream=stream)
        assert now == mismatches + 1
        return
    assert answer.status_code == 200, answer.text
    changes = answer.json().get("schema_changes", [])
    if policy != "merge":
        assert changes == [] and columns(server, stream) == before
        return
    assert columns(server, stream) == {**before, **changed}
    assert len(changes) == len(changed)
    for column in changed:
        assert any(f'"{column}"' in line for line in changes), changes
    names = {n: next(t for t in columns(server, stream) if t.lower() == n.lower()) for n in data}
    back = server.arrow(f"SELECT * FROM {stream}").to_pylist()
    assert back == [dict.fromkeys(back[0]) | {names[n]: v for n, (_, v) in data.items()}]


def test_a_column_that_may_not_be_null(policies, fresh):
    """Absent: refused under every policy, and nothing changes."""
    for policy in POLICIES:
        stream = fresh(policy)
        policies.rows(f"CREATE TABLE {stream} (id BIGINT NOT NULL, n BIGINT)")
        answer = post(policies, stream, pa.table({"n": [1, 2]}))
        problem(answer, 422, "id")
        nulls = pa.table({"id": pa.array([None], pa.int64()), "n": [1]})
        problem(post(policies, stream, nulls), 422, "id")
        field = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("n", pa.int64())])
        promised = pa.table({"id": [1], "n": [1]}, schema=field)
        assert post(policies, stream, promised).status_code == 200
        assert post(policies, stream, pa.table({"id": [2], "n": [1]})).status_code == 200
        assert policies.value(f"SELECT count(*) AS n FROM {stream}") == 2


def test_a_table_that_is_not_there_is_made_under_every_policy(policies, fresh):
    for policy in POLICIES:
        stream = fresh(policy)
        answer = post(policies, stream, batch(**SAME))
        assert answer.status_code == 200, answer.text
        assert columns(policies, stream)["price"] == "DECIMAL(10,2)"


# ---- skip


@pytest.mark.asan
def test_skip_counts_all_that_comes(policies, fresh):
    """Not the first batch alone: the body is read to its end, also when there is much of it."""
    stream = fresh("skip")
    policies.rows(f"CREATE TABLE {stream} (id BIGINT)")
    for rows, chunk in ((10, 3), (0, 1), (700_000, 50_000)):
        data = pa.table({"id": range(rows), "other": range(rows)})
        data = data.cast(pa.schema({"id": pa.int64(), "other": pa.int64()}))
        answer = post(policies, stream, ipc(data, max_chunksize=chunk))
        body = problem(answer, 422, "other")
        assert body["rows_skipped"] == rows
        assert body["batches_skipped"] == -(-rows // chunk)
    assert policies.value(f"SELECT count(*) AS n FROM {stream}") == 0


def test_skip_counts_batches_that_commit_by_themselves(start):
    server = start(config="transaction: batch\n")
    server.rows("CREATE TABLE t (id BIGINT)")
    answer = post(server, "t", ipc(pa.table({"other": range(10)}), max_chunksize=3))
    body = problem(answer, 422, "other")
    assert (body["rows_skipped"], body["batches_skipped"]) == (10, 4)
    assert (body["commits"], body["batches_committed"], body["rows_committed"]) == (0, 0, 0)
    assert server.value("SELECT count(*) AS n FROM t") == 0


def test_skip_by_the_other_door(policies, fresh):
    stream = fresh("skip")
    policies.rows(f"CREATE TABLE {stream} (id BIGINT)")
    answer = post_json(policies, stream, stream, pa.table({"other": [1, 2]}))
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert (body["rows_skipped"], body["batches_skipped"]) == (2, 1)
    assert "other" in body["detail"]


def test_a_skipped_request_leaves_its_key_free(policies, fresh):
    stream = fresh("skip")
    policies.rows(f"CREATE TABLE {stream} (id BIGINT)")
    for _ in range(2):
        problem(post(policies, stream, pa.table({"other": [1, 2]}), "key"), 422, "other")
    assert post(policies, stream, pa.table({"id": [1]}), "key").status_code == 200
    assert "Idempotent-Replayed" in post(policies, stream, pa.table({"id": [1]}), "key").headers
    assert policies.value(f"SELECT count(*) AS n FROM {stream}") == 1


# ---- merge


def test_what_was_there_before_has_null_in_a_new_column(policies, fresh):
    stream = fresh("merge")
    post(policies, stream, pa.table({"id": [1], "v": pa.array([1], pa.int8())}))
    answer = post(policies, stream, pa.table({"v": [1 << 40], "id": [2], "new": ["x"]}))
    assert len(answer.json()["schema_changes"]) == 2
    again = post(policies, stream, pa.table({"id": [3], "new": ["y"]}))
    assert "schema_changes" not in again.json() or again.json()["schema_changes"] == []
    assert policies.rows(f"SELECT * FROM {stream} ORDER BY id") == [
        {"id": 1, "v": 1, "new": None},
        {"id": 2, "v": 1 << 40, "new": "x"},
        {"id": 3, "v": None, "new": "y"},
    ]
    wait_until(lambda: "added column" in of_stream(policies, stream), "the log has it")


def test_a_request_that_fails_changes_no_column(policies, fresh):
    stream = fresh("merge")
    policies.rows(f"CREATE TABLE {stream} (id BIGINT NOT NULL)")
    before = columns(policies, stream)
    ids = pa.array([*range(1000), None], pa.int64())
    problem(post(policies, stream, pa.table({"id": ids, "new": range(1001)})), 422, "id")
    body = ipc(pa.table({"id": range(1000), "new": range(1000)}), max_chunksize=100)
    problem(post(policies, stream, body[:-8]), 400)
    assert columns(policies, stream) == before
    assert policies.value(f"SELECT count(*) AS n FROM {stream}") == 0


@pytest.mark.parametrize("mode", ["overwrite", "upsert", "merge"])
def test_columns_come_with_every_mode(policies, fresh, mode):
    stream = fresh("merge")
    query = {"mode": mode} | ({} if mode == "overwrite" else {"key": "id"})
    post(policies, stream, pa.table({"id": [1, 2], "v": ["a", "b"]}))
    data = pa.table({"id": [2, 3], "new": [20, 30]})
    answer = post(policies, stream, data, **query)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["schema_changes"]) == 1
    kept = {"overwrite": [], "upsert": [(1, "a", None)], "merge": [(1, "a", None)]}[mode]
    second = "b" if mode == "merge" else None
    rows = policies.rows(f"SELECT id, v, new FROM {stream} ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [*kept, (2, second, 20), (3, None, 30)]


def test_columns_come_by_the_other_door(policies, fresh):
    stream = fresh("merge")
    post(policies, stream, pa.table({"id": [1]}))
    answer = post_json(policies, stream, stream, pa.table({"id": [2], "new": ["x"]}))
    assert answer.status_code == 200, answer.text
    assert columns(policies, stream) == {"id": "BIGINT", "new": "VARCHAR"}


def test_a_repeated_request_tells_the_changes_of_the_first(policies, fresh):
    stream = fresh("merge")
    post(policies, stream, pa.table({"id": [1]}))
    told = post(policies, stream, pa.table({"id": [2], "new": ["x"]}), "key").json()
    again = post(policies, stream, pa.table({"id": [2], "new": ["x"]}), "key")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["schema_changes"] == told["schema_changes"] != []


CLIENTS, POSTS = 8, 8
WIDTHS = ((pa.int8(), 100), (pa.int16(), 30_000), (pa.int32(), 2**31 - 1), (pa.int64(), 2**62))


@pytest.mark.asan
def test_eight_clients_bring_columns_and_wider_types_at_once(policies, fresh):
    """Small bodies and large ones. What is told to have landed is there once, as it was sent; a
    409 lands when it is sent again."""
    server, stream = policies, fresh("merge")
    post(server, stream, pa.table({"client": [-1], "row": [0], "shared": pa.array([0], pa.int8())}))
    barrier, conflicts = threading.Barrier(CLIENTS), []

    def body(client, k):
        chance = random.Random(f"{client}/{k}")
        arrow_type, value = WIDTHS[min(3, k // 2)]
        rows = 30_000 if k % 5 == 4 else chance.randint(1, 50)
        columns = {
            "client": pa.array([client] * rows, pa.int64()),
            "row": pa.array([k * 100_000 + i for i in range(rows)], pa.int64()),
            "shared": pa.array([value] * rows, arrow_type),
            f"of_{client}": pa.array([value - 1] * rows, arrow_type),
        }
        if k % 2:
            columns[f"of_{client}_{k}"] = pa.array([f"{k}.{i}" for i in range(rows)])
        if k % 3 == 0:
            columns[f"for_all_{k}"] = pa.array([float(k)] * rows)
        names = list(columns)
        chance.shuffle(names)
        return pa.table({name: columns[name] for name in names})

    def one(client):
        with requests.Session() as session:
            session.trust_env = False
            barrier.wait(60)
            for k in range(POSTS):
                data = ipc(body(client, k), max_chunksize=6000)
                for _ in range(200):
                    answer = post(server, stream, data, session=session)
                    if answer.status_code != 409:
                        break
                    assert int(answer.headers["Retry-After"]) >= 0
                    conflicts.append((client, k))
                    time.sleep(0.02)
                assert answer.status_code == 200, (client, k, answer.text)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(CLIENTS)))
    assert len(conflicts) <= CLIENTS * POSTS, len(conflicts)
    there = columns(server, stream)
    assert there["shared"] == "BIGINT"
    for client in range(CLIENTS):
        assert there[f"of_{client}"] == "BIGINT"
        assert {f"of_{client}_{k}" for k in range(1, POSTS, 2)} <= there.keys()
        found = server.arrow(
            f"SELECT * FROM {stream} WHERE client = {client} ORDER BY row"
        ).to_pydict()
        wanted = {name: [] for name in there}
        for k in range(POSTS):
            data = body(client, k)
            for name in there:
                none = [None] * data.num_rows
                wanted[name] += data[name].to_pylist() if name in data.column_names else none
        assert found == wanted


# ---- configuration


@pytest.mark.asan
def test_the_policy_is_read_anew(start, tmp_path):
    server = start(config="schema_policy: strict\n")
    server.rows("CREATE TABLE t (a BIGINT, b BIGINT)")
    less, more = pa.table({"a": [1]}), pa.table({"a": [1], "new": [1]})
    problem(post(server, "t", less), 422)

    def becomes(policy):
        before = server.stderr().count("read anew")
        (tmp_path / "given.yaml").write_text(policy)
        wait_until(lambda: server.stderr().count("read anew") > before, "it is read anew")

    becomes("schema_policy: skip\n")
    assert post(server, "t", less).status_code == 200
    assert problem(post(server, "t", more), 422)["rows_skipped"] == 1
    becomes("schema_policy: strict\nstreams: {t: {schema_policy: merge}}\n")
    assert post(server, "t", more).status_code == 200
    assert columns(server, "t") == {"a": "BIGINT", "b": "BIGINT", "new": "BIGINT"}
    becomes("schema_policy: strict\n")
    problem(post(server, "t", more), 422)


def test_the_text_s_default_is_skip(start):
    server = start()
    server.rows("CREATE TABLE t (a BIGINT)")
    body = problem(post(server, "t", pa.table({"b": [1, 2, 3]})), 422, "b")
    assert (body["rows_skipped"], body["batches_skipped"]) == (3, 1)
