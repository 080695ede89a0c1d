"""DuckDB's COPY of a registered Arrow table; checksums it has none."""

import duckdb
import parquet_side


def prepare(table, args):
    connection = duckdb.connect(config={"threads": args.threads})
    connection.register("rows_here", table)
    codec = "uncompressed" if args.codec == "none" else args.codec
    options = [f"FORMAT parquet, COMPRESSION {codec}"]
    if args.level is not None:
        options.append(f"COMPRESSION_LEVEL {args.level}")
    if args.row_group_rows:
        options.append(f"ROW_GROUP_SIZE {args.row_group_rows}")
    sql = f"COPY rows_here TO '{args.out}' ({', '.join(options)})"
    return lambda: connection.execute(sql)


if __name__ == "__main__":
    parquet_side.run(prepare)
