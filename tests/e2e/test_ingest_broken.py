"""POST /ingest of what is not a whole Arrow stream: refused whole, and the server goes on."""

import io

import pyarrow as pa
import pytest
from wire import Connection, head, ingest_request

from server import ARROW, ipc, problem

pytestmark = pytest.mark.asan

SAMPLES = {
    "plain": ipc(pa.table({"n": pa.array([1, None], pa.int32()), "w": ["ab", "c"]})),
    "nested": ipc(
        pa.table(
            {
                "d": pa.array(["x", "y", "x"]).dictionary_encode(),
                "l": pa.array([[1], None, [2, 3]], pa.list_(pa.int16())),
            }
        )
    ),
    "zstd": ipc(pa.table({"n": pa.array([5] * 40, pa.int64())}), compression="zstd"),
    "lz4": ipc(pa.table({"n": pa.array([5] * 40, pa.int64())}), compression="lz4"),
}
END = b"\xff\xff\xff\xff\0\0\0\0"


def post(connection, name, body):
    connection.send(ingest_request(connection.server, name, body))
    return connection.answer()


class Persistent:
    """One connection that is opened anew when the server has closed it."""

    def __init__(self, server):
        self.server = server
        self.connection = Connection(server)

    def post(self, name, body):
        answer = post(self.connection, name, body)
        if answer.will_close:
            self.connection.close()
            self.connection = Connection(self.server)
        return answer


@pytest.mark.parametrize("sample", SAMPLES)
def test_truncation_at_every_byte_is_refused(server, name, sample):
    body = SAMPLES[sample]
    assert body.endswith(END)
    connection = Persistent(server)
    for size in range(len(body)):
        answer = connection.post(name, body[:size])
        assert answer.status_code == 400, f"{size} of {len(body)} bytes: {answer.text}"
    assert not server.has_table(name)
    assert connection.post(name, body).status_code == 200


@pytest.mark.parametrize("sample", SAMPLES)
def test_truncation_at_every_byte_leaves_a_table_as_it_was(server, name, sample):
    body = SAMPLES[sample]
    server.land(name, body)
    before = server.arrow(f"SELECT * FROM {name}")
    connection = Persistent(server)
    for size in range(0, len(body), 3):
        assert connection.post(name, body[:size]).status_code == 400
    assert server.arrow(f"SELECT * FROM {name}").equals(before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_flipped_bit_lands_a_whole_request_or_nothing(server, name, sample):
    body = SAMPLES[sample]
    connection = Persistent(server)
    accepted = {}
    codes = set()
    for bit in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        table = f"{name}_{bit}"
        answer = connection.post(table, bytes(flipped))
        codes.add(answer.status_code)
        if answer.status_code == 200:
            accepted[table] = answer.json()["rows"]
        else:
            assert answer.status_code in (400, 413, 422, 429, 501), f"bit {bit}: {answer.text}"
            if answer.status_code != 400:
                problem(answer, answer.status_code)
    assert 400 in codes
    there = server.rows(
        "SELECT table_name AS t FROM information_schema.tables WHERE starts_with(table_name, ?)",
        params=[name + "_"],
    )
    assert {row["t"] for row in there} == set(accepted)
    if accepted:
        counts = " UNION ALL ".join(f"SELECT '{t}' AS t, count(*) AS n FROM {t}" for t in accepted)
        assert {row["t"]: row["n"] for row in server.rows(counts)} == accepted
        server.query("; ".join(f"DROP TABLE {t}" for t in accepted))


def test_a_stream_without_its_end_is_taken_only_when_the_request_says_so(server, name):
    body = SAMPLES["plain"][: -len(END)]
    problem(server.ingest(name, body), 400, "end-of-stream")
    problem(server.ingest(name, body, query="?eos=required"), 400, "end-of-stream")
    assert not server.has_table(name)
    assert server.land(name, body, query="?eos=optional")["rows"] == 2
    assert server.land(name, SAMPLES["plain"], query="?eos=optional")["rows"] == 2
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 4


def test_eos_optional_does_not_excuse_a_message_cut_short(server, name):
    body = SAMPLES["plain"]
    for size in range(len(body) - len(END)):
        # Between the schema and the first batch lies a boundary: an empty stream.
        answer = server.ingest(name, body[:size], query="?eos=optional")
        if answer.status_code == 200:
            assert answer.json()["rows"] == 0
            assert body[size : size + 4] == b"\xff\xff\xff\xff"
        else:
            problem(answer, 400)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 0


def test_a_value_of_eos_that_means_nothing_is_refused(server, name):
    problem(server.ingest(name, SAMPLES["plain"], query="?eos=maybe"), 400, "eos")
    assert not server.has_table(name)


def test_bytes_after_the_end_of_the_stream_are_refused(server, name):
    for tail in (b"\0", END, SAMPLES["plain"]):
        problem(server.ingest(name, SAMPLES["plain"] + tail), 400)
    assert not server.has_table(name)


def test_an_empty_body_is_refused(server, name):
    problem(server.ingest(name, b""), 400, "empty")
    with Connection(server) as connection:  # neither a length nor chunks: no body at all
        connection.send(head(server, "POST", f"/ingest/{name}", f"Content-Type: {ARROW}"))
        problem(connection.answer(), 400, "empty")
    assert not server.has_table(name)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/json",
        "application/octet-stream",
        "application/vnd.apache.arrow.file",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "nonsense",
        "application/vnd.apache.arrow.streamer",
    ],
)
def test_another_content_type_is_refused(server, name, content_type):
    answer = server.ingest(name, SAMPLES["plain"], content_type=content_type)
    problem(answer, 415, ARROW)
    assert not server.has_table(name)


def test_a_missing_content_type_is_refused(server, name):
    with Connection(server) as connection:
        connection.send(head(server, "POST", f"/ingest/{name}", "Content-Length: 0"))
        problem(connection.answer(), 415, ARROW)


@pytest.mark.parametrize(
    "content_type",
    ["Application/Vnd.Apache.Arrow.Stream", ARROW + "; charset=binary", ARROW + ";x=y"],
)
def test_the_content_type_is_read_as_http_says(server, name, content_type):
    answer = server.ingest(name, SAMPLES["plain"], content_type=content_type)
    assert answer.status_code == 200, answer.text


def test_the_file_format_is_told_apart_by_name(server, name):
    sink = io.BytesIO()
    table = pa.table({"n": [1, 2]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    problem(server.ingest(name, sink.getvalue()), 400, "file")
    assert not server.has_table(name)


@pytest.mark.parametrize(
    "body",
    [
        b"id,word\n1,a\n",
        b"PAR1" + b"\0" * 100,
        b'{"id": 1}',
        b"\0" * 1000,
        b"\xff" * 1000,
        b"\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\xff\xff\xff\xff\0\0\0\x40" + b"\0" * 100,
        END,
        bytes(range(256)) * 20,
    ],
)
def test_what_is_not_arrow_is_refused(server, name, body):
    answer = server.ingest(name, body)
    assert answer.status_code in (400, 413), answer.text
    problem(answer, answer.status_code)
    assert not server.has_table(name)


def encoded(server, name, body, coding):
    headers = {"Content-Type": ARROW, "Content-Encoding": coding}
    return server.post(f"/ingest/{name}", data=body, headers=headers)


@pytest.mark.parametrize("coding", ["br", "deflate, br", "x"])
def test_a_content_encoding_is_refused_rather_than_misread(server, name, coding):
    problem(encoded(server, name, SAMPLES["plain"], coding), 415, "encoding")
    assert not server.has_table(name)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_broken_or_cut_encoding_lands_nothing(server, name, coding):
    whole = pa.compress(SAMPLES["plain"], codec=coding, asbytes=True)
    problem(encoded(server, name, whole[:-3], coding), 400)
    problem(encoded(server, name, SAMPLES["plain"], coding), 400, "encoding")
    problem(encoded(server, name, whole[:20] + b"\xff" * 8 + whole[28:], coding), 400)
    assert not server.has_table(name)


def test_a_broken_tail_lands_nothing_of_what_came_before(server, name, flights):
    """The first batches have long been inserted when the last bytes turn out to be wrong."""
    body = ipc(flights, max_chunksize=10_000)
    for broken in (body[:-8], body[:-8] + b"\xff" * 8, body[:-1], body + b"x"):
        problem(server.ingest(name, broken), 400)
    assert not server.has_table(name)
    server.land(name, flights.slice(0, 5))
    problem(server.ingest(name, body[:-8]), 400)
    assert server.value(f"SELECT count(*) AS n FROM {name}") == 5
