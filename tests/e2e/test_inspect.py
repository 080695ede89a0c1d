"""`arrowport inspect`: what it says of files and streams that others wrote, against what
pyarrow says of them; and of broken ones, what is wrong, where, and what can still be read."""

import gzip
import json
import os
import random
import re
import struct
import subprocess

import pyarrow as pa
import pytest
from arrow_tools import GOLDEN
from test_cli import on_terminal

from server import ROOT, binary, environment, run

INVALID, NOT_FOUND, UNSUPPORTED, IO = 2, 4, 10, 12
CODECS = [None, "lz4", "zstd"]
END = b"\xff\xff\xff\xff\0\0\0\0"


def said(done):
    return done.stderr.decode()


def good(done):
    assert done.returncode == 0, said(done)
    assert done.stderr == b""
    return done.stdout.decode()


def write(path, batches, schema, kind, custom=None, **options):
    """A file or a stream by pyarrow; `custom`: metadata of each batch."""
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for i, batch in enumerate(batches):
            writer.write_batch(batch, custom_metadata=custom[i] if custom else None)
    return path


def report(path, cwd, *args):
    """The JSON report, and the exit code."""
    done = run("inspect", "--json", *args, path, cwd=cwd)
    return json.loads(done.stdout), done


def whole(path, cwd, *args):
    found, done = report(path, cwd, *args)
    assert done.returncode == 0 and found["problem"] is None, said(done)
    return found


def rows(path, cwd, *args):
    out = good(run("inspect", "--values", *args, path, cwd=cwd))
    return [json.loads(line) for line in out.splitlines()]


COUNTS = pa.map_(pa.utf8(), pa.int8())
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.utf8(), metadata={"unit": "none"}),
        pa.field("tags", pa.list_(pa.struct([("k", pa.utf8()), ("v", COUNTS)]))),
        pa.field("kind", pa.dictionary(pa.int8(), pa.utf8(), ordered=True)),
    ],
    metadata={"made by": "a test"},
)


def batch_of(count, kinds=("fast", "slow"), start=0):
    names = [None if i % 7 == 0 else f"name {i}" for i in range(count)]
    tags = [[{"k": "x", "v": [("a", i % 100)]}] * (i % 3) for i in range(count)]
    picked = pa.array([i % len(kinds) for i in range(count)], pa.int8())
    return pa.record_batch(
        [
            pa.array(range(start, start + count), pa.int64()),
            pa.array(names, pa.utf8()),
            pa.array(tags, SCHEMA.field("tags").type),
            pa.DictionaryArray.from_arrays(picked, pa.array(kinds), ordered=True),
        ],
        schema=SCHEMA,
    )


def values_of(batches):
    made = pa.Table.from_batches(batches).to_pylist()
    for row in made:
        for tag in row["tags"]:
            tag["v"] = [{"key": key, "value": value} for key, value in tag["v"]]
    return made


def batches_of(found):
    return [message for message in found["messages"] if message["kind"] == "batch"]


def pyarrow_messages(path, kind):
    """The messages as pyarrow cuts them: type, sizes. A file's stream part follows 8 bytes."""
    data = path.read_bytes()[8 if kind == "file" else 0 :]
    return [
        (message.type, message.metadata.size, 0 if message.body is None else message.body.size)
        for message in pa.ipc.MessageReader.open_stream(data)
    ]


# ---- what is whole ----------------------------------------------------------------------


@pytest.mark.asan
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_the_report_has_the_numbers_that_pyarrow_has(kind, codec, tmp_path):
    batches = [batch_of(500), batch_of(0), batch_of(1200)]
    custom = [{"n": str(i)} for i in range(3)]
    path = write(tmp_path / "a", batches, SCHEMA, kind, custom, compression=codec)
    found = whole(path, tmp_path)
    assert (found["path"], found["format"]) == (str(path), kind)
    assert found["bytes"] == path.stat().st_size
    want = pyarrow_messages(path, kind)
    names = {"record batch": "batch"}
    got = [(m["kind"], m["metadata_bytes"], m["body_bytes"]) for m in found["messages"]]
    assert got == [(names.get(t, t), metadata, body) for t, metadata, body in want]
    assert [m["rows"] for m in batches_of(found)] == [500, 0, 1200]
    assert [m["metadata"] for m in batches_of(found)] == [
        [{"key": "n", "value": str(i)}] for i in range(3)
    ]
    assert all(m["checked"] == "good" for m in found["messages"])
    totals = found["totals"]
    assert (totals["batches"], totals["rows"], totals["broken"]) == (3, 1700, 0)
    assert totals["dictionaries"] == 1
    assert totals["body_bytes"] == sum(body for _, _, body in want)
    assert totals["metadata_bytes"] == sum(metadata for _, metadata, _ in want)
    assert all(m["compression"] == (codec or "none") for m in batches_of(found)[::2])


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_messages_and_buffers_lie_where_the_report_says(kind, tmp_path):
    path = write(tmp_path / "a", [batch_of(300)], SCHEMA, kind, compression="zstd")
    data = path.read_bytes()
    found = whole(path, tmp_path)
    position = 8 if kind == "file" else 0
    for message in found["messages"]:
        assert message["offset"] == position
        marker, metadata = struct.unpack_from("<Ii", data, position)
        assert (marker, metadata) == (0xFFFFFFFF, message["metadata_bytes"])
        assert message["prefix_bytes"] == 8
        assert message["body_offset"] == position + 8 + metadata
        position = message["body_offset"] + message["body_bytes"]
    assert data[position : position + 8] == END and found["end_of_stream"]
    (batch,) = batches_of(found)
    sizes = []
    for buffer in batch["buffers"]:
        assert buffer["offset"] % batch["alignment_bytes"] == 0
        if buffer["bytes"] > 0:
            (size,) = struct.unpack_from("<q", data, batch["body_offset"] + buffer["offset"])
            sizes.append(size if size >= 0 else buffer["bytes"] - 8)
            assert buffer["uncompressed_bytes"] == sizes[-1]
            assert buffer["compressed"] == (size >= 0)
    assert batch["uncompressed_bytes"] == sum(sizes)
    assert batch["buffer_bytes"] == sum(buffer["bytes"] for buffer in batch["buffers"])
    if kind == "file":
        (footer_bytes,) = struct.unpack_from("<i", data, len(data) - 10)
        assert found["footer"]["bytes"] == footer_bytes
        assert found["footer"]["offset"] == len(data) - 10 - footer_bytes
        assert (found["footer"]["dictionaries"], found["footer"]["batches"]) == (1, 1)


def test_the_schema_is_told_as_a_tree(tmp_path):
    path = write(tmp_path / "a", [batch_of(1)], SCHEMA, "stream")
    schema = whole(path, tmp_path)["schema"]
    assert schema["endianness"] == "little"
    assert schema["metadata"] == [{"key": "made by", "value": "a test"}]
    id_, name, tags, kind = schema["fields"]
    assert (id_["name"], id_["type"], id_["format"], id_["nullable"]) == ("id", "int64", "l", False)
    assert name["metadata"] == [{"key": "unit", "value": "none"}]
    (item,) = tags["children"]
    assert [child["name"] for child in item["children"]] == ["k", "v"]
    assert item["children"][1]["children"][0]["children"][0]["nullable"] is False
    assert kind["dictionary"]["ordered"] is True and kind["dictionary"]["type"] == "utf8"
    text = good(run("inspect", path, cwd=tmp_path))
    for words in (
        "id            | int64",
        "        key   | utf8",
        "dictionary<values=utf8, indices=int8>",
        f"dictionary {kind['dictionary']['id']}, ordered",
        "(schema)    | made by | a test",
        "name        | unit    | none",
        "1 batch, 1 row, 1 dictionary",
        "Whole: every message was decoded and checked.",
    ):
        assert words in text, text


def test_dictionaries_that_grow_or_change_are_told(tmp_path):
    grown = [batch_of(3, ("a",)), batch_of(3, ("a", "b")), batch_of(3, ("c", "d"))]
    path = write(tmp_path / "a", grown, SCHEMA, "stream")
    found = whole(path, tmp_path)
    assert (found["totals"]["dictionaries"], found["totals"]["deltas"]) == (3, 0)
    assert found["totals"]["replacements"] == 2
    assert [m["replaces"] for m in found["messages"] if m["kind"] == "dictionary"] == [
        False, True, True
    ]
    assert rows(path, tmp_path) == values_of(grown)


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_deltas_are_told(kind, tmp_path):
    grown = [batch_of(3, ("a",)), batch_of(3, ("a", "b", "c"))]
    path = write(tmp_path / "a", grown, SCHEMA, kind, emit_dictionary_deltas=True)
    found, _ = report(path, tmp_path, "--no-check")
    dictionaries = [m for m in found["messages"] if m["kind"] == "dictionary"]
    assert [(m["delta"], m["rows"]) for m in dictionaries] == [(False, 1), (True, 2)]
    assert found["totals"]["deltas"] == 1
    whole(path, tmp_path)
    assert rows(path, tmp_path) == values_of(grown)


def test_extension_types_and_metadata_of_any_bytes_are_told(tmp_path):
    extension = {"ARROW:extension:name": "arrow.uuid", "ARROW:extension:metadata": b"\xff\x00"}
    schema = pa.schema([pa.field("u", pa.binary(16), metadata=extension)])
    batch = pa.record_batch([pa.array([b"0123456789abcdef"], pa.binary(16))], schema=schema)
    path = write(tmp_path / "a", [batch], schema, "file")
    (field,) = whole(path, tmp_path)["schema"]["fields"]
    by_key = {pair["key"]: pair for pair in field["metadata"]}
    assert by_key["ARROW:extension:name"]["value"] == "arrow.uuid"
    assert by_key["ARROW:extension:metadata"]["value_hex"] == "ff00"
    text = good(run("inspect", path, cwd=tmp_path))
    assert "extension arrow.uuid" in text and "\\xFF\\x00" in text


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_no_batches_and_no_columns_are_whole_too(kind, tmp_path):
    for schema, batches in ((SCHEMA, []), (pa.schema([]), [])):
        path = write(tmp_path / "a", batches, schema, kind)
        found = whole(path, tmp_path)
        assert (found["totals"]["batches"], found["totals"]["rows"]) == (0, 0)
        assert rows(path, tmp_path) == []
        assert "0 batches, 0 rows" in good(run("inspect", path, cwd=tmp_path))


def golden():
    paths = sorted([*GOLDEN.glob("*/*.stream"), *GOLDEN.glob("*/*.arrow_file")])
    assert len(paths) > 50
    return paths


def test_every_golden_file_is_whole_and_has_the_rows_that_its_json_has(tmp_path):
    for path in golden():
        with gzip.open(path.with_suffix(".json.gz")) as text:
            want = json.load(text)
        found, done = report(path, tmp_path)
        assert done.returncode == 0, f"{path}: {said(done)}"
        assert [m["rows"] for m in batches_of(found)] == [b["count"] for b in want["batches"]], path
        assert [f["name"] for f in found["schema"]["fields"]] == [
            f["name"] for f in want["schema"]["fields"]
        ], path
        assert found["schema"]["endianness"] == ("big" if "bigendian" in str(path) else "little")
        assert found["messages"][0]["metadata_version"] == (4 if "0.1" in path.parent.name else 5)


def test_old_framing_is_told(tmp_path):
    path = GOLDEN / "0.14.1" / "generated_primitive.stream"
    assert {m["prefix_bytes"] for m in whole(path, tmp_path)["messages"]} == {4}
    assert "framed as before format 0.15" in good(run("inspect", path, cwd=tmp_path))


# ---- the ways in ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_standard_input_is_the_same_as_a_file(kind, tmp_path):
    path = write(tmp_path / "a", [batch_of(800)] * 3, SCHEMA, kind, compression="lz4")
    by_path = whole(path, tmp_path)
    by_pipe = json.loads(good(run("inspect", "--json", "-", cwd=tmp_path, stdin=path.read_bytes())))
    with open(path, "rb") as file:
        redirected = subprocess.run(
            [binary(), "inspect", "--json", "-"], cwd=tmp_path, env=environment(), stdin=file,
            capture_output=True,
        )
    by_redirection = json.loads(good(redirected))
    assert by_pipe["path"] == "standard input"
    for other in (by_pipe, by_redirection):
        assert {**other, "path": by_path["path"]} == by_path
    values = run("inspect", "--values", "-", cwd=tmp_path, stdin=path.read_bytes())
    assert good(values) == good(run("inspect", "--values", path, cwd=tmp_path))


def test_a_named_pipe_can_be_inspected(tmp_path):
    path = write(tmp_path / "a", [batch_of(800)], SCHEMA, "stream")
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [binary(), "inspect", "--json", "pipe"], cwd=tmp_path, env=environment(),
        stdout=subprocess.PIPE,
    )
    (tmp_path / "pipe").write_bytes(path.read_bytes())
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and json.loads(out)["totals"]["rows"] == 800


def test_the_schema_is_told_before_the_stream_is_over(tmp_path):
    data = write(tmp_path / "a", [batch_of(10)], SCHEMA, "stream").read_bytes()
    process = subprocess.Popen(
        [binary(), "inspect", "-"], cwd=tmp_path, env=environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdin.write(data[:-8])
    process.stdin.flush()
    told = process.stdout.readline() + process.stdout.readline()  # blocks for ever without it
    assert b"Arrow IPC stream, metadata V5" in told
    process.stdin.write(data[-8:])
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and b"1 batch, 10 rows" in out


# ---- values -----------------------------------------------------------------------------


@pytest.mark.asan
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_values_are_those_that_pyarrow_reads(kind, codec, tmp_path):
    batches = [batch_of(2500), batch_of(0), batch_of(10, start=2500)]
    path = write(tmp_path / "a", batches, SCHEMA, kind, compression=codec)
    want = values_of(batches)
    assert rows(path, tmp_path) == want
    for count in (1, 1023, 1024, 2500, 2501, 5000):
        assert rows(path, tmp_path, "--rows", count) == want[:count]


def test_rows_ends_the_reading(tmp_path):
    path = write(tmp_path / "a", [batch_of(100)] * 2, SCHEMA, "stream")
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:-50])
    assert len(rows(cut, tmp_path, "--rows", 100)) == 100
    done = run("inspect", "--values", cut, cwd=tmp_path)
    assert done.returncode == INVALID and "truncated" in said(done)
    assert len(done.stdout.splitlines()) == 100  # what came before it


# ---- what is listed -----------------------------------------------------------------------


def test_many_messages_and_fields_are_listed_in_part(tmp_path):
    schema = pa.schema([pa.field(f"c{i}", pa.int8()) for i in range(250)])
    batch = pa.record_batch([pa.array([1], pa.int8())] * 250, schema=schema)
    path = write(tmp_path / "a", [batch] * 40, schema, "stream")
    text = good(run("inspect", path, cwd=tmp_path))
    assert "(50 more fields; --all lists them)" in text
    assert "(21 more messages; --all lists them)" in text and "40 batches" in text
    text = good(run("inspect", "--all", path, cwd=tmp_path))
    assert "more fields" not in text and "more messages" not in text
    assert "(36 more messages" in good(run("inspect", "--messages", 5, path, cwd=tmp_path))
    assert whole(path, tmp_path)["messages_listed"] == 41
    few = whole(path, tmp_path, "--messages", 3)
    assert len(few["messages"]) == few["messages_listed"] == 3 and few["totals"]["batches"] == 40


def test_a_report_fits_the_terminal(tmp_path):
    path = write(tmp_path / "a", [batch_of(10)], SCHEMA, "stream", [{"k": "v" * 5000}])
    code, text = on_terminal("inspect", path, cwd=tmp_path, columns=70)
    assert code == 0 and "more columns, for a wider terminal)" in text
    tables = [line for line in text.splitlines() if " | " in line or "-+-" in line]
    assert len(tables) > 10 and max(map(len, tables)) <= 70
    assert any(line.startswith("2 | batch ") and "| good " in line for line in tables), text


def test_nothing_of_the_input_reaches_the_terminal_as_a_control(tmp_path):
    evil = "a\x1b[31m\x07\u009b\u202eb\nc"
    schema = pa.schema([pa.field(evil, pa.int8(), metadata={evil: evil})], metadata={evil: evil})
    batch = pa.record_batch([pa.array([1], pa.int8())], schema=schema)
    path = write(tmp_path / "a", [batch], schema, "file", [{evil: evil}])
    text = good(run("inspect", path, cwd=tmp_path))
    assert not any(code in text for code in "\x1b\x07\u009b\u202e")
    assert "\\x1B[31m\\x07\\x9B\\u202Eb\\nc" in text
    assert json.loads(good(run("inspect", "--json", path, cwd=tmp_path)))["schema"]["fields"][0][
        "name"] == evil
    assert rows(path, tmp_path) == [{evil: 1}]
    data = bytearray(path.read_bytes())  # null count of the only column: the error names it
    at = data.rindex(struct.pack("<qq", 1, 0))
    data[at + 8] = 7
    (tmp_path / "broken").write_bytes(data)
    done = run("inspect", "broken", cwd=tmp_path)
    assert done.returncode == INVALID and "\\x1B[31m" in said(done)
    for stream in (done.stdout, done.stderr):
        assert not any(code in stream.decode() for code in "\x1b\x07\u009b")


# ---- what is broken -------------------------------------------------------------------------


def boundaries(found):
    """Where messages begin and the last one ends."""
    starts = [message["offset"] for message in found["messages"]]
    last = found["messages"][-1]
    return starts + [last["body_offset"] + last["body_bytes"]]


def test_a_stream_cut_anywhere_is_told_with_the_message_that_is_cut(tmp_path):
    batches = [batch_of(20, start=20 * i) for i in range(3)]
    path = write(tmp_path / "a", batches, SCHEMA, "stream")
    data = path.read_bytes()
    limits = boundaries(whole(path, tmp_path))
    rng = random.Random(4)
    cuts = {0, 1, 7, 8, len(data) - 1, len(data) - 8}
    cuts |= {limit + step for limit in limits for step in (-1, 0, 1, 4, 9) if 0 <= limit + step}
    cuts |= {rng.randrange(len(data)) for _ in range(15)}
    for size in sorted(cut for cut in cuts if cut < len(data)):
        cut = tmp_path / "cut"
        cut.write_bytes(data[:size])
        found, done = report(cut, tmp_path)
        assert done.returncode == INVALID, size
        complete = [limit for limit in limits if limit <= size]
        assert found["totals"]["messages"] == max(len(complete) - 1, 0), size
        assert found["problem"]["offset"] == (complete[-1] if complete else 0), size
        piped = run("inspect", "--json", "-", cwd=tmp_path, stdin=data[:size])
        assert piped.returncode == INVALID
        by_pipe = json.loads(piped.stdout)
        assert by_pipe["problem"]["text"] == found["problem"]["text"], size
        assert by_pipe["problem"]["offset"] == found["problem"]["offset"], size
        assert by_pipe["messages"] == found["messages"]


def test_a_stream_without_its_end_is_refused_unless_that_is_allowed(tmp_path):
    path = write(tmp_path / "a", [batch_of(20)], SCHEMA, "stream")
    (tmp_path / "open").write_bytes(path.read_bytes()[:-8])
    found, done = report("open", tmp_path)
    assert done.returncode == INVALID and "end-of-stream marker" in said(done)
    assert found["end_of_stream"] is False and found["totals"]["batches"] == 1
    assert whole("open", tmp_path, "--eos-optional")["end_of_stream"] is False
    stdin = path.read_bytes()[:-8]
    good(run("inspect", "--eos-optional", "-", cwd=tmp_path, stdin=stdin))


def test_a_file_cut_anywhere_is_read_as_far_as_it_goes(tmp_path):
    batches = [batch_of(20, start=20 * i) for i in range(4)]
    path = write(tmp_path / "a", batches, SCHEMA, "file")
    data = path.read_bytes()
    before = whole(path, tmp_path)
    limits = boundaries(before)
    rng = random.Random(5)
    cuts = {8, 12, 16, len(data) - 1, len(data) - 6, before["footer"]["offset"] + 3, *limits}
    cuts |= {rng.randrange(8, len(data)) for _ in range(25)}
    for size in sorted(cuts):
        cut = tmp_path / "cut"
        cut.write_bytes(data[:size])
        found, done = report(cut, tmp_path)
        assert done.returncode == INVALID and "truncated" in said(done), size
        assert found["problem"]["offset"] == size
        complete = [m for m in before["messages"] if m["body_offset"] + m["body_bytes"] <= size]
        assert found["messages"] == complete, size
        rest = found["problem"]["without_footer"]
        assert rest["batches"] == len([m for m in complete if m["kind"] == "batch"])
        assert rest["end"] == max(
            [limit for limit in limits if limit <= size] + [8]
        ) + 8 * (size >= limits[-1] + 8)
        assert (rest["stop"] is None) == (size >= limits[-1] + 8), size
    text = run("inspect", "cut", cwd=tmp_path).stdout.decode()
    assert "4 whole batches from byte 8 to byte" in text


def test_a_footer_that_leads_astray_is_told_and_the_batches_are_counted(tmp_path):
    path = write(tmp_path / "a", [batch_of(20)] * 3, SCHEMA, "file")
    data = path.read_bytes()
    found = whole(path, tmp_path)
    footer = found["footer"]["offset"]
    second = batches_of(found)[1]
    block = struct.pack("<qi", second["offset"], second["metadata_bytes"] + 8)
    at = data.index(block, footer)
    for what, value, where in (
        ("<q", second["offset"] + 8, second["offset"] + 8),
        ("<q", batches_of(found)[0]["offset"] - 8, None),
        ("<q", 1 << 40, None),
        ("<q", -8, None),
    ):
        broken = bytearray(data)
        struct.pack_into(what, broken, at, value)
        (tmp_path / "broken").write_bytes(broken)
        told, done = report("broken", tmp_path)
        assert done.returncode == INVALID, value
        assert told["problem"]["without_footer"]["batches"] == 3, value
        assert told["problem"]["without_footer"]["stop"] is None
        if where is not None:
            assert told["problem"]["offset"] == where
            assert told["totals"]["batches"] == 1  # before it
    broken = bytearray(data)  # a batch block that points to the dictionary
    dictionary = found["messages"][1]
    struct.pack_into("<qi4xq", broken, at, dictionary["offset"], dictionary["metadata_bytes"] + 8,
                     dictionary["body_bytes"])
    (tmp_path / "broken").write_bytes(broken)
    told, done = report("broken", tmp_path)
    assert done.returncode == INVALID and told["problem"]["offset"] == dictionary["offset"]
    broken = bytearray(data)  # a footer's length that cannot be
    struct.pack_into("<i", broken, len(data) - 10, len(data))
    (tmp_path / "broken").write_bytes(broken)
    told, done = report("broken", tmp_path)
    assert done.returncode == INVALID and told["problem"]["without_footer"]["batches"] == 3


def test_a_footer_with_another_schema_is_told(tmp_path):
    one = write(tmp_path / "a", [batch_of(20)], SCHEMA, "file").read_bytes()
    at = one.rindex(b"name\0")  # in the footer; the first message comes before
    broken = one[:at] + b"nine\0" + one[at + 5 :]
    (tmp_path / "broken").write_bytes(broken)
    told, done = report("broken", tmp_path)
    assert done.returncode == INVALID and told["totals"]["broken"] == 0
    assert told["problem"]["offset"] == told["footer"]["offset"]
    assert "the schema in the footer" in told["problem"]["text"]


def test_batches_that_the_footer_does_not_name_are_noted(tmp_path):
    path = write(tmp_path / "a", [batch_of(20)] * 3, SCHEMA, "file")
    data = bytearray(path.read_bytes())
    found = whole(path, tmp_path)
    first = batches_of(found)[0]
    block = struct.pack("<qi", first["offset"], first["metadata_bytes"] + 8)
    at = data.index(block, found["footer"]["offset"])
    assert struct.unpack_from("<i", data, at - 4) == (3,)  # the vector's length
    struct.pack_into("<i", data, at - 4, 2)
    (tmp_path / "short").write_bytes(data)
    told = whole("short", tmp_path)
    assert told["totals"]["batches"] == 2 and "5 messages lie before the footer" in told["note"]
    assert "Note: 5 messages" in good(run("inspect", "short", cwd=tmp_path))


def test_a_changed_byte_is_told_with_its_message_and_those_before_it_are_good(tmp_path):
    batches = [batch_of(50, start=50 * i) for i in range(3)]
    path = write(tmp_path / "a", batches, SCHEMA, "stream")
    data = path.read_bytes()
    before = whole(path, tmp_path)
    second = batches_of(before)[1]
    names = next(i for i, b in enumerate(second["buffers"]) if i > 1 and b["bytes"] >= 51 * 4)
    offsets = second["body_offset"] + second["buffers"][names]["offset"]
    places = {
        "prefix": (second["offset"] + 4, b"\xf0\xff\xff\x7f"),
        "metadata": (second["offset"] + 8, b"\xff\xff\xff\x7f"),
        "offsets": (offsets, b"\xff\xff\xff\x7f"),
    }
    for what, (at, change) in places.items():
        broken = data[:at] + change + data[at + len(change) :]
        (tmp_path / "broken").write_bytes(broken)
        told, done = report("broken", tmp_path)
        assert done.returncode in (INVALID, 13), what
        assert told["problem"]["offset"] == second["offset"], what
        assert told["messages"][: second["index"]] == before["messages"][: second["index"]], what
        if what == "offsets":  # the others can be told apart from it
            assert told["totals"]["broken"] == 1 and told["totals"]["batches"] == 2
            assert told["problem"]["message"] == second["index"]
            assert "'name'" in told["problem"]["text"]
            text = run("inspect", "broken", cwd=tmp_path).stdout.decode()
            assert f"BROKEN at byte {second['offset']:,} (0x{second['offset']:X})" in text
            assert f"body at byte {second['body_offset']}," in text
            assert whole("broken", tmp_path, "--no-check")["totals"]["batches"] == 3


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_no_change_of_a_byte_harms_it(kind, tmp_path):
    path = write(tmp_path / "a", [batch_of(10)] * 2, SCHEMA, kind, compression="zstd")
    data = path.read_bytes()
    rng = random.Random(kind)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(rng.choice([1, 1, 3])):
            broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "broken").write_bytes(broken)
        for args in (["--json"], [], ["--values"], ["--json", "--no-check"]):
            done = run("inspect", *args, "broken", cwd=tmp_path)
            assert done.returncode in (0, INVALID, UNSUPPORTED, 13), (args, said(done))
            assert (done.returncode == 0) == (done.stderr == b"")
            if "--json" in args:
                found = json.loads(done.stdout)
                assert (found["problem"] is None) == (done.returncode == 0)


def test_two_streams_in_one_are_told(tmp_path):
    data = write(tmp_path / "a", [batch_of(20)], SCHEMA, "stream").read_bytes()
    (tmp_path / "two").write_bytes(data + data)
    told, done = report("two", tmp_path)
    assert done.returncode == INVALID and "another stream" in said(done)
    assert told["problem"]["offset"] == len(data) and told["totals"]["batches"] == 1
    assert run("inspect", "-", cwd=tmp_path, stdin=data + b"\0").returncode == INVALID


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "empty"),
        (b"PAR1" + bytes(100), "Parquet"),
        (b"\x1f\x8b\x08\0" + bytes(100), "gzip"),
        (b"id,name\n1,a\n" * 9, "text"),
        (b'{"id": 1}\n' * 9, "JSON"),
        (b"FEA1" + bytes(100), "Feather V1"),
        (b"ARROW1", "truncated"),
        (b"ARROW1\0\0", "truncated"),
        (bytes(4), "schema"),
        (END, "schema"),
        (b"\xff\xff\xff\xff", "truncated"),
    ],
)
def test_what_is_no_arrow_is_told(data, words, tmp_path):
    (tmp_path / "a").write_bytes(data)
    for args, stdin in (["a"], None), (["-"], data):
        told, done = report(args[0], tmp_path) if stdin is None else (
            None, run("inspect", "-", cwd=tmp_path, stdin=data))
        assert done.returncode == INVALID
        assert words in said(done)
        if told is not None:
            assert told["totals"]["messages"] == 0 and told["schema"] is None


# ---- mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, code, words",
    [
        (["nowhere"], NOT_FOUND, "nowhere"),
        (["."], INVALID, "folder"),
        ([], INVALID, "arrowport inspect FILE"),
        (["a", "--rows", "3"], INVALID, "--values"),
        (["a", "--values", "--json"], INVALID, "choose one"),
        (["a", "--values", "--no-check"], INVALID, "--no-check"),
        (["a", "--values", "--rows", "none"], INVALID, "whole number"),
        (["a", "--messages", "0"], INVALID, "--messages"),
    ],
)
def test_mistakes_are_told(args, code, words, tmp_path):
    write(tmp_path / "a", [batch_of(1)], SCHEMA, "file")
    done = run("inspect", *args, cwd=tmp_path)
    assert done.returncode == code and done.stdout == b""
    assert words in said(done)


def test_output_that_nobody_takes_is_an_error(tmp_path):
    path = write(tmp_path / "a", [batch_of(10)], SCHEMA, "file")
    for args in ([], ["--json"], ["--values"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [binary(), "inspect", *args, path], cwd=tmp_path, env=environment(), stdout=full,
                stderr=subprocess.PIPE,
            )
        assert done.returncode == IO and b"standard output" in done.stderr


def test_a_stream_needs_no_more_memory_the_longer_it_is(tmp_path):
    batch = pa.record_batch([pa.array(range(250_000), pa.int64())], names=["id"])
    with open(tmp_path / "out", "wb") as out:
        process = subprocess.Popen(
            ["sh", "-c", f"ulimit -v 200000; exec '{binary()}' inspect --json -"],  # KiB
            cwd=tmp_path, env=environment(), stdin=subprocess.PIPE, stdout=out,
        )
    with pa.ipc.new_stream(process.stdin, batch.schema) as writer:
        for _ in range(150):  # 300 MB
            writer.write_batch(batch)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert json.loads((tmp_path / "out").read_bytes())["totals"]["rows"] == 37_500_000


def test_help_is_the_documentation(tmp_path):
    text = good(run("inspect", "--help", cwd=tmp_path))
    assert f"```text\n{text}```" in (ROOT / "docs" / "cli.md").read_text()
    assert re.search(r"^  inspect +say what is in", good(run("help", cwd=tmp_path)), re.M)
