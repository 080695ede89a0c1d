"""Schemas and data drawn at random, of every type at every place, in several batches, cut
into slices, with options drawn as well: what pyarrow reads is what was written, value by
value, and all that the file says of its values is so."""

import contextlib
import pathlib
import random
import tempfile

import parquet_data
import parquet_levels
import parquet_structure
import parquet_tool
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parquet_data import LEAVES, list_view

t = pa.types

# Views cannot be made inside of others by pyarrow.
INNER = [kind for name, (kind, _) in LEAVES.items() if "view" not in name and name != "null"]
KEYS = [pa.utf8(), pa.int32(), pa.binary(), pa.timestamp("us")]


def _field(kind, name="item"):
    return st.builds(lambda kind, null: pa.field(name, kind, nullable=null), kind, st.booleans())


def _struct(kind):
    kinds = st.lists(st.tuples(kind, st.booleans()), min_size=1, max_size=3)
    return kinds.map(
        lambda said: pa.struct([pa.field(f"f{i}", k, nullable=n) for i, (k, n) in enumerate(said)])
    )


def _nested(kind):
    return st.one_of(
        _field(kind).map(pa.list_),
        _field(kind).map(pa.large_list),
        st.builds(pa.list_, _field(kind), st.integers(1, 3)),
        _struct(kind),
        st.builds(
            lambda key, item: pa.map_(key, item), st.sampled_from(KEYS), _field(kind, "value")
        ),
    )


TYPES = st.one_of(
    st.sampled_from([kind for kind, _ in LEAVES.values()]),
    _nested(st.recursive(st.sampled_from(INNER), _nested, max_leaves=4)),
)
FORMS = st.sampled_from(["plain", "plain", "plain", "dictionary", "runs", "list_view"])


def _value(kind, nullable, rng):
    """As parquet_data.value, with nulls only where they may be."""
    if nullable and rng.random() < 0.2:
        return None
    if t.is_struct(kind):
        return {field.name: _value(field.type, field.nullable, rng) for field in kind}
    if t.is_fixed_size_list(kind):
        item = kind.value_field
        return [_value(item.type, item.nullable, rng) for _ in range(kind.list_size)]
    length = rng.choice([0, 0, 1, 2, 7])
    if t.is_map(kind):
        item = kind.item_field
        keys = {_value(kind.key_type, False, rng) for _ in range(length)}
        return [(key, _value(item.type, item.nullable, rng)) for key in sorted(keys)]
    if t.is_nested(kind):
        item = kind.value_field
        return [_value(item.type, item.nullable, rng) for _ in range(length)]
    return parquet_data.value(kind, rng, 0)


def _array(kind, nullable, form, rows, rng):
    """Of few values or of many; some rows more, which are cut off."""
    pool = [_value(kind, nullable, rng) for _ in range(rng.choice([1, 5, rows + 3]))]
    made = parquet_data.array(kind, [rng.choice(pool) for _ in range(rows + 3)])
    can_be_coded = not t.is_nested(kind) and not t.is_null(kind) and "view" not in str(kind)
    with contextlib.suppress(pa.ArrowNotImplementedError):  # what pyarrow cannot code stays plain
        if form == "runs" and can_be_coded:
            made = pc.run_end_encode(made)
        elif form == "dictionary" and can_be_coded:
            made = made.dictionary_encode()
        elif form == "list_view" and t.is_list(kind) and kind.value_field.nullable:
            made = list_view(made, pa.ListViewArray, pa.int32())
    return made.slice(2, rows)


@st.composite
def tables(draw):
    columns = draw(st.lists(st.tuples(TYPES, st.booleans(), FORMS), min_size=1, max_size=4))
    rng = random.Random(draw(st.integers(0, 2**32)))
    batches = []
    for rows in draw(st.lists(st.integers(0, 60), min_size=1, max_size=4)):
        arrays = [
            _array(kind, null or t.is_null(kind), form, rows, rng) for kind, null, form in columns
        ]
        fields = [
            pa.field(f"c{i}", made.type, nullable=null or t.is_null(kind))
            for i, (made, (kind, null, _)) in enumerate(zip(arrays, columns, strict=True))
        ]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)))
    return batches


OPTIONS = st.fixed_dictionaries(
    {
        "codec": st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4"]),
        "page_version": st.sampled_from([1, 2]),
        "page_values": st.sampled_from([1, 7, 30, 65536]),
        "page_bytes": st.sampled_from([1, 500, 1 << 20]),
        "row_group_rows": st.sampled_from([1, 13, 100, 1 << 20]),
        "dictionary_bytes_max": st.sampled_from([0, 1, 200, 1 << 20]),
        "bound_bytes_max": st.sampled_from([1, 5, 64]),
        "slice": st.sampled_from([0, 1, 11]),
        "threads": st.sampled_from([1, 2]),
        "always_compress": st.booleans(),
    }
)
WANTED = st.sampled_from(
    ["", "plain", "dictionary", "delta", "delta_length", "delta_bytes", "split"]
)


def _comparable(rows):
    """NaN is NaN."""
    return [[(r, d, "nan" if v != v else v) for r, d, v in row] for row in rows]


FITTING = {
    parquet_structure.BOOLEAN: ["plain"],
    parquet_structure.INT32: parquet_data.INTS,
    parquet_structure.INT64: parquet_data.INTS,
    parquet_structure.FLOAT: parquet_data.FLOATS,
    parquet_structure.DOUBLE: parquet_data.FLOATS,
    parquet_structure.BYTE_ARRAY: parquet_data.BYTES,
    parquet_structure.FIXED: parquet_data.FIXED,
}


def _written(batches, options, wanted, path):
    """With the encodings that are wanted, where they fit."""
    data = pa.Table.from_batches(batches)
    parquet_tool.write(data.slice(0, 0), path)
    asked = {}
    for leaf, encoding in zip(parquet_structure.File(path).leaves, wanted, strict=False):
        cannot = encoding == "dictionary" and options["dictionary_bytes_max"] == 0
        is_null = 11 in leaf.element.get(10, {})
        # pyarrow makes no dictionary, as ARROW:schema says it is, of other encodings of bytes.
        coded = t.is_dictionary(data.schema.field(leaf.path[0]).type)
        cannot = cannot or coded and encoding.startswith("delta_")
        if encoding in FITTING[leaf.type] and not cannot and not is_null:
            asked[".".join(leaf.path)] = encoding
    parquet_tool.write(batches, path, encoding=asked, **options)
    return data


def _round_trip(batches, options, wanted):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "drawn.parquet"
        data = _written(batches, options, wanted, path)
        file = parquet_structure.check(path)
        parquet_levels.check(file, data, options["bound_bytes_max"])
        try:
            read = pq.read_table(path, page_checksum_verification=True)
        except pa.ArrowInvalid as error:  # fixed-size lists below nulls: neither its own files
            assert "Expected all lists to be of size" in str(error)
            with pytest.raises(pa.ArrowInvalid, match="Expected all lists to be of size"):
                pq.write_table(parquet_data.decoded(data), path)
                pq.read_table(path)
            return
        assert read.num_rows == data.num_rows
        expected = parquet_levels.shred(parquet_data.decoded(data))
        got = parquet_levels.shred(parquet_data.decoded(read))
        assert list(got) == list(expected)
        for name, rows in expected.items():
            assert _comparable(got[name]) == _comparable(rows), name


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=CHECKS
)
@given(tables(), OPTIONS, st.lists(WANTED, max_size=6))
def test_what_is_drawn_is_read(batches, options, wanted):
    _round_trip(batches, options, wanted)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=3000, deadline=None, database=None, suppress_health_check=CHECKS)
@given(tables(), OPTIONS, st.lists(WANTED, max_size=6))
def test_what_is_drawn_is_read_for_long(batches, options, wanted):
    _round_trip(batches, options, wanted)
