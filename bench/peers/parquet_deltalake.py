"""arrow-rs's writer, as deltalake uses it: write_deltalake into a new folder, which is a
commit more than a file; checksums it has none, and the batches change places. OUT is a folder."""

import parquet_side
from deltalake import WriterProperties, write_deltalake


def prepare(table, args):
    properties = WriterProperties(
        compression="UNCOMPRESSED" if args.codec == "none" else args.codec.upper(),
        compression_level=args.level,
        max_row_group_size=args.row_group_rows,
    )
    return lambda: write_deltalake(
        args.out, table, writer_properties=properties, target_file_size=1 << 40
    )


if __name__ == "__main__":
    parquet_side.run(prepare)
