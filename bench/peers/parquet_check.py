"""Reads what was written (a Parquet file, or a folder of them) with pyarrow and compares every
value with the Arrow IPC stream that it was made of:

    parquet_check.py STREAM FILE

Types may differ where values do not: a dictionary comes back as its values, a string as a large
one or as a view. Prints {"differs": null or what does}; rows in another order are said to be
that."""

import json
import pathlib
import sys

import duckdb
import parquet_side
import pyarrow as pa
import pyarrow.parquet as pq


def plain(type_):
    """The type without dictionaries."""
    if pa.types.is_dictionary(type_):
        return type_.value_type
    return type_


def difference(part, expected, at):
    if part.schema.names != expected.schema.names:
        return f"columns {part.schema.names}"
    for name in expected.schema.names:
        want = expected[name]
        type_ = plain(want.type)
        got = part[name].cast(type_)
        if not got.equals(want.cast(type_)):
            return f"{name}: values in the row group that begins at row {at}"
    return None


def fingerprint(table):
    """The same for the same rows in any order."""
    rows = table.cast(pa.schema([(field.name, plain(field.type)) for field in table.schema]))
    sql = "SELECT count(*), sum(hash(rows)::HUGEINT), bit_xor(hash(rows)) FROM rows"
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        return connection.sql(sql).fetchone()


def same_rows(table, files):
    read = pa.concat_tables([pq.ParquetFile(path).read() for path in files])
    if read.schema.names != table.schema.names:
        return False
    names = [(field.name, plain(field.type)) for field in table.schema]
    return fingerprint(read.cast(pa.schema(names))) == fingerprint(table)


def compare(table, files):
    at = 0
    for path in files:
        file = pq.ParquetFile(path)
        for group in range(file.metadata.num_row_groups):
            part = file.read_row_group(group)
            differs = difference(part, table.slice(at, part.num_rows), at)
            if differs:
                return differs
            at += part.num_rows
    return None if at == table.num_rows else f"{at} of {table.num_rows} rows"


def main():
    stream, path = sys.argv[1], pathlib.Path(sys.argv[2])
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    table = parquet_side.load(stream)
    differs = compare(table, files)
    if differs and same_rows(table, files):
        differs = "equal, in another order"
    print(json.dumps({"differs": differs}))


if __name__ == "__main__":
    main()
