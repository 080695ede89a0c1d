"""Makes the database files of every format that a version of ours has written.

    .deps/venv/bin/python tests/data/formats/make.py

A file that is checked in stays as it is: it stands for what is on users' disks. A new version of
the format gets a new file beside the others. The tables are spelled out here, and the hash is
written down a second time, so that neither can change unnoticed.
"""

import gzip
import pathlib
import tempfile

import duckdb

HERE = pathlib.Path(__file__).parent
MASK = (1 << 64) - 1
LANDED = "TIMESTAMP '2026-03-01 12:00:00'"

FLIGHTS = "CREATE TABLE flights AS SELECT range AS n, 'flight ' || range AS name FROM range(100)"
TABLES = """
CREATE SCHEMA _arrowport;
CREATE TABLE _arrowport.format (part VARCHAR, version INTEGER);
CREATE TABLE _arrowport.tokens (id UBIGINT, table_name VARCHAR, token VARCHAR, rows BIGINT,
    batches BIGINT, version BIGINT, changes VARCHAR, landed TIMESTAMP);
"""
# table, token, rows, batches, version, changes
TOKENS = [
    ("flights", "first", 60, 1, -1, None),
    ("flights", "second", 40, 3, 7, 'added column "name" VARCHAR'),
    ("other.flights", "first", 5, 1, -1, None),
    ('"a.b"', "ünï\x1f7", 6, 1, -1, None),
]


def token_id(table: str, token: str) -> int:
    """FNV-1a of 64 bits over the table's name, a zero byte and the token; mixed."""
    value = 0xCBF29CE484222325
    for byte in table.encode() + b"\0" + token.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    for _ in range(2):
        value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93 & MASK
    return value ^ (value >> 32)


def write(name: str, statements: list[tuple[str, list[object]]]) -> None:
    target = HERE / f"{name}.duckdb.gz"
    if target.exists():
        print(f"{target.name} is there and stays")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "data.duckdb"
        with duckdb.connect(path) as connection:
            for sql, values in statements:
                connection.execute(sql, values)
        target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    print(f"{target.name}: {target.stat().st_size} bytes")


def tokens(version: int) -> list[tuple[str, list[object]]]:
    made: list[tuple[str, list[object]]] = [(FLIGHTS, []), (TABLES, [])]
    made.append(("INSERT INTO _arrowport.format VALUES ('tokens', ?)", [version]))
    for row in TOKENS:
        sql = f"INSERT INTO _arrowport.tokens VALUES (?, ?, ?, ?, ?, ?, ?, {LANDED})"
        made.append((sql, [token_id(row[0], row[1]), *row]))
    return made


if __name__ == "__main__":
    write("no-tokens", [(FLIGHTS, [])])
    write("tokens-v1", tokens(1))
    write("tokens-v2", tokens(2))
