"""A small array of every type that pyarrow's Python side can make, by name, and which of
them another library cannot take."""

import datetime
import decimal
import uuid

import numpy as np
import pyarrow as pa

_DAY = datetime.date(2026, 2, 28)
_MOMENT = datetime.datetime(2026, 2, 28, 13, 14, 15, 167000)
_SECOND = _MOMENT.replace(microsecond=0)


def _plain():
    yield "null", pa.nulls(3)
    yield "bool", pa.array([True, None, False])
    for bits in (8, 16, 32, 64):
        most = 2 ** (bits - 1) - 1
        yield f"int{bits}", pa.array([1, None, -most, most], f"int{bits}")
        yield f"uint{bits}", pa.array([1, None, 0, 2 * most + 1], f"uint{bits}")
    yield "float16", pa.array(np.array([1.5, -0.0, np.inf], np.float16))
    yield "float32", pa.array([1.5, None, -2.5], pa.float32())
    yield "float64", pa.array([1.5, None, -1e300])
    for bits, digits in ((32, 9), (64, 18), (128, 38), (256, 76)):
        most = decimal.Decimal("9" * digits).scaleb(-2, decimal.Context(prec=90))
        make = getattr(pa, f"decimal{bits}")
        yield f"decimal{bits}", pa.array([decimal.Decimal("1.25"), None, most], make(digits, 2))
    for name, make in (
        ("string", pa.string),
        ("large_string", pa.large_string),
        ("string_view", pa.string_view),
    ):
        yield name, pa.array(["", None, "größe", "longer than twelve bytes"], make())
    for name, make in (
        ("binary", pa.binary),
        ("large_binary", pa.large_binary),
        ("binary_view", pa.binary_view),
    ):
        yield name, pa.array([b"", None, b"\x00\xff", b"longer than twelve bytes"], make())
    yield "fixed_binary", pa.array([b"abc", None, b"\x00\x01\x02"], pa.binary(3))


def _times():
    yield "date32", pa.array([_DAY, None], pa.date32())
    yield "date64", pa.array([_DAY, None], pa.date64())
    yield "time32_s", pa.array([_SECOND.time(), None], pa.time32("s"))
    yield "time32_ms", pa.array([_MOMENT.time(), None], pa.time32("ms"))
    yield "time64_us", pa.array([_MOMENT.time(), None], pa.time64("us"))
    yield "time64_ns", pa.array([_MOMENT.time(), None], pa.time64("ns"))
    for unit in ("s", "ms", "us", "ns"):
        moment = _SECOND if unit == "s" else _MOMENT
        yield f"timestamp_{unit}", pa.array([moment, None], pa.timestamp(unit))
        yield f"timestamp_{unit}_utc", pa.array([moment, None], pa.timestamp(unit, "UTC"))
        zoned = pa.timestamp(unit, "Europe/Zurich")
        yield f"timestamp_{unit}_zone", pa.array([moment, None], zoned)
        span = datetime.timedelta(days=3, seconds=14)
        yield f"duration_{unit}", pa.array([span, None, -span], pa.duration(unit))
    yield (
        "month_day_nano",
        pa.array([pa.MonthDayNano([1, 2, 3000]), None], pa.month_day_nano_interval()),
    )


def _nested():
    words = [["a", None, "longer than twelve bytes"], None, [], ["b"]]
    for name, make in (
        ("list", pa.list_),
        ("large_list", pa.large_list),
        ("list_view", pa.list_view),
        ("large_list_view", pa.large_list_view),
    ):
        yield name, pa.array(words, make(pa.string()))
    yield "fixed_list", pa.array([[1, 2], None, [3, None]], pa.list_(pa.int16(), 2))
    yield "list_of_lists", pa.array([[[1], None], None, [[]]], pa.list_(pa.list_(pa.int8())))
    pair = pa.struct([("x", pa.int32()), ("y", pa.list_(pa.string()))])
    yield "struct", pa.array([{"x": 1, "y": ["a"]}, None, {"x": None, "y": None}], pair)
    yield "list_of_structs", pa.array([[{"x": 1, "y": []}], None, []], pa.list_(pair))
    yield "map", pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int64()))
    children = [pa.array([1, None], pa.int16()), pa.array(["x", "y"])]
    fields = ["n", "t"]
    ids, offsets = pa.array([0, 1, 0], pa.int8()), pa.array([0, 1, 1], pa.int32())
    yield "dense_union", pa.UnionArray.from_dense(ids, offsets, children, fields)
    wide = [pa.array([1, None, 3], pa.int16()), pa.array(["x", "y", "z"])]
    yield "sparse_union", pa.UnionArray.from_sparse(ids, wide, fields)
    runs = pa.RunEndEncodedArray.from_arrays
    for bits in (16, 32, 64):
        ends = pa.array([2, 5], f"int{bits}")
        yield f"runs_int{bits}", runs(ends, pa.array(["x", None]))


def _dictionaries():
    words = pa.array(["a", "bc", "longer than twelve bytes"])
    for bits in (8, 16, 32, 64):
        for name in (f"int{bits}", f"uint{bits}"):
            indices = pa.array([2, None, 0, 2], name)
            yield f"dictionary_{name}", pa.DictionaryArray.from_arrays(indices, words)
    few = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), words)
    yield "list_of_dictionaries", pa.ListArray.from_arrays([0, 2, 3], few)
    yield "struct_of_dictionary", pa.StructArray.from_arrays([few], ["d"])
    lists = pa.array([[1], [2, None]], pa.list_(pa.int16()))
    yield (
        "dictionary_of_lists",
        pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int16()), lists),
    )
    yield (
        "ordered",
        pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), words, ordered=True),
    )


def _extensions():
    ids = [uuid.UUID(int=5).bytes, None]
    yield "uuid", pa.ExtensionArray.from_storage(pa.uuid(), pa.array(ids, pa.binary(16)))
    yield "json", pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None]))
    flags = pa.array([1, None, 0], pa.int8())
    yield "bool8", pa.ExtensionArray.from_storage(pa.bool8(), flags)
    opaque = pa.opaque(pa.binary(), "thing", "somebody")
    yield "opaque", pa.ExtensionArray.from_storage(opaque, pa.array([b"a", None]))
    tensor = pa.fixed_shape_tensor(pa.int32(), [2, 2])
    storage = pa.array([[1, 2, 3, 4], None], pa.list_(pa.int32(), 4))
    yield "tensor", pa.ExtensionArray.from_storage(tensor, storage)


ARRAYS = {
    name: array
    for make in (_plain, _times, _nested, _dictionaries, _extensions)
    for name, array in make()
}
