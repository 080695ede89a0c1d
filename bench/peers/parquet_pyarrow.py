"""pyarrow.parquet.write_table, which writes on one thread; with --like FILE it is told to encode
each column as that file does."""

import parquet_side
import pyarrow.parquet as pq

DICTIONARY_BYTES_MAX = 2 << 20  # of our writer


def encodings_like(path):
    """Keywords for what the file's first row group does. A dictionary that was given up counts as
    one: pyarrow falls back to PLAIN as it sees fit."""
    group = pq.read_metadata(path).row_group(0)
    dictionaries, others = [], {}
    for i in range(group.num_columns):
        column = group.column(i)
        if column.has_dictionary_page:
            dictionaries.append(column.path_in_schema)
            continue
        names = set(column.encodings) - {"RLE", "BIT_PACKED"}
        if names:
            others[column.path_in_schema] = names.pop()
        elif column.physical_type == "BOOLEAN":
            others[column.path_in_schema] = "RLE"
    return {
        "use_dictionary": dictionaries,
        "column_encoding": others or None,
        "dictionary_pagesize_limit": DICTIONARY_BYTES_MAX,
    }


def prepare(table, args):
    options = {
        "compression": args.codec,
        "compression_level": args.level,
        "row_group_size": args.row_group_rows,
        "write_page_checksum": args.checksums,
    }
    if args.like:
        options.update(encodings_like(args.like))
    return lambda: pq.write_table(table, args.out, **options)


if __name__ == "__main__":
    parquet_side.run(prepare)
