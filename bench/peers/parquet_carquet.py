"""write_table of carquet, a C library of its own (OpenMP threads). Its Python side joins the chunks
of each row group before the library sees them, which is part of what it does."""

import os

import parquet_side


def prepare(table, args):
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import carquet

    return lambda: carquet.write_table(
        table,
        args.out,
        compression=args.codec,
        compression_level=args.level,
        row_group_size=args.row_group_rows,
        write_crc=args.checksums,
    )


if __name__ == "__main__":
    parquet_side.run(prepare)
