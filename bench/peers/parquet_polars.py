"""DataFrame.write_parquet of polars, on its own threads; checksums it has none."""

import os

import parquet_side


def prepare(table, args):
    os.environ["POLARS_MAX_THREADS"] = str(args.threads)
    import polars as pl

    codec = "uncompressed" if args.codec == "none" else args.codec
    frame = pl.from_arrow(table)

    def write():
        frame.write_parquet(
            args.out,
            compression=codec,
            compression_level=args.level,
            row_group_size=args.row_group_rows,
        )

    return write


if __name__ == "__main__":
    parquet_side.run(prepare)
