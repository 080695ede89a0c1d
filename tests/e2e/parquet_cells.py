"""Values of Arrow arrays as Python values, in a form in which equal cells are equal and all
others are not, whichever reader they came from: temporal values as numbers, floats as their
bits, lists as lists, whatever kind of list or text it is."""

import pyarrow as pa
import pyarrow.compute as pc

t = pa.types

NAN = "nan"  # all of them are one


def _bits(array):
    """Floats by what they say: NaN is NaN, -0.0 is not 0.0."""
    return [
        None if value is None else NAN if value != value else value.hex()
        for value in array.cast(pa.float64()).to_pylist()
    ]


def _numbers(array):
    return array.view(pa.int32() if array.type.bit_width == 32 else pa.int64()).to_pylist()


def _cut(array, lengths, items):
    made, at = [], 0
    for valid, length in zip(array.is_valid().to_pylist(), lengths, strict=True):
        if not valid:
            made.append(None)
            continue
        made.append(items[at : at + length])
        at += length
    assert at == len(items)
    return made


def _lists(array):
    if t.is_fixed_size_list(array.type):
        size = array.type.list_size
        return _cut(array, [size] * len(array), cells(array.flatten()))
    return _cut(array, pc.list_value_length(array).to_pylist(), cells(array.flatten()))


def _map(array):
    entries = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
    mask = array.is_null() if array.null_count > 0 else None
    offsets = array.offsets
    if mask is not None and offsets.offset != 0:
        offsets = pa.concat_arrays([offsets])
    return _lists(pa.ListArray.from_arrays(offsets, entries, mask=mask))


def _struct(array):
    columns = [cells(child) for child in array.flatten()]
    rows = list(zip(*columns, strict=True)) if columns else [()] * len(array)
    valid = array.is_valid().to_pylist()
    return [row if there else None for row, there in zip(rows, valid, strict=True)]


def cells(array):
    """One Python value a row."""
    if isinstance(array, pa.ChunkedArray):
        return [cell for chunk in array.chunks for cell in cells(chunk)]
    if isinstance(array, pa.ExtensionArray):
        return cells(array.storage)
    kind = array.type
    if t.is_dictionary(kind):
        return cells(array.dictionary_decode())
    if t.is_run_end_encoded(kind):
        return cells(pc.run_end_decode(array))
    if t.is_floating(kind):
        return _bits(array)
    if t.is_temporal(kind) and not t.is_interval(kind):
        return _numbers(array)
    if t.is_map(kind):
        return _map(array)
    if t.is_nested(kind):
        return _struct(array) if t.is_struct(kind) else _lists(array)
    return array.to_pylist()


def first_difference(expected, got):
    """None, or (row, expected, got)."""
    if expected == got:
        return None
    for row, (left, right) in enumerate(zip(expected, got, strict=False)):
        if left != right:
            return row, left, right
    return min(len(expected), len(got)), len(expected), len(got)


def assert_same(expected, got, where=""):
    """Tables (or dictionaries of arrays) with the same columns and cells."""
    assert list(expected.column_names) == list(got.column_names), where
    for name, left, right in zip(expected.column_names, expected.columns, got.columns, strict=True):
        difference = first_difference(cells(left), cells(right))
        assert difference is None, f"{where} column {name} ({left.type}) differs: {difference}"
