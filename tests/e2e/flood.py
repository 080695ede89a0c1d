"""More than a server can take, from many sides at once; used by the end-to-end test and by the
soak. Each side counts how its requests were answered, and none may be answered otherwise than
with success or with the request to come back later."""

import asyncio
import collections
import re
import time

import pyarrow as pa

from server import ARROW, ipc

MB = 1_000_000
PARQUET = "application/vnd.apache.parquet"
LATER = (429, 503)


def wide(megabytes, seed=0, **options):
    """Strings of some kilobytes, which compress well, in batches of about 4 MB."""
    rows = megabytes * MB // 4000
    text = [f"{seed} {i} " + chr(97 + i % 26) * 3980 for i in range(rows)]
    table = pa.table({"id": pa.array(range(rows), pa.int64()), "text": pa.array(text)})
    return ipc(table, max_chunksize=1000, **options)


def small(kilobytes, seed=0):
    rows = kilobytes * 1000 // 16
    return ipc(
        pa.table(
            {
                "id": pa.array(range(seed, seed + rows), pa.int64()),
                "value": pa.array(range(rows), pa.int64()),
            }
        )
    )


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), headers


async def read_answer(reader):
    status, headers = await read_head(reader)
    while status == 100:
        status, headers = await read_head(reader)
    body = b""
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body = await reader.readexactly(size)  # the last chunk is all that is kept
            await reader.readline()
        await reader.readline()
    return Answer(status, headers, body)


class Flood:
    def __init__(self, port, seconds):
        self.port = port
        self.until = time.monotonic() + seconds
        self.counts = collections.defaultdict(collections.Counter)
        self.wrong = []
        self.refusals = collections.Counter()  # why, by side

    def on(self):
        return time.monotonic() < self.until

    async def request(self, side, method, path, headers, body=b"", *, piece=0, pause_s=0.0, slow=0):
        """`piece`: sends so many bytes at a time, with a pause; `slow`: reads so many a time."""
        limit = 1 << 16 if slow == 0 else slow
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        try:
            lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            sending = asyncio.create_task(self.send(writer, body, piece, pause_s))
            answer = await (read_slowly(reader, slow) if slow else read_answer(reader))
            sending.cancel()
            self.count(side, answer)
            return answer
        except (OSError, asyncio.IncompleteReadError) as error:
            self.counts[side]["broken off"] += 1
            return Answer(0, {}, str(error).encode())
        finally:
            writer.transport.abort()

    async def send(self, writer, body, piece, pause_s):
        try:
            for at in range(0, len(body), piece or len(body)):
                writer.write(body[at : at + (piece or len(body))])
                await writer.drain()
                if pause_s:
                    await asyncio.sleep(pause_s)
        except OSError:
            pass  # it was refused meanwhile: the answer says so

    def count(self, side, answer):
        self.counts[side][answer.status] += 1
        if answer.status == 429 and int(answer.headers.get("retry-after", 0)) < 1:
            self.wrong.append(f"{side}: 429 without Retry-After")
        if answer.status in LATER:
            said = re.sub(rb"[0-9.]+", b"#", answer.body.split(b'"detail"')[-1])[:150]
            self.refusals[side, said.decode()] += 1
        if answer.status not in (200, *LATER):
            self.wrong.append(f"{side}: {answer.status} {answer.body[:300]}")

    async def again(self, side, *args, **options):
        while self.on():
            answer = await self.request(side, *args, **options)
            if answer.status in LATER:
                await asyncio.sleep(min(1.0, float(answer.headers.get("retry-after", 1))))

    async def post(self, side, path, body, headers=None, **options):
        await self.again(
            side, "POST", path, {"Content-Type": ARROW, **(headers or {})}, body, **options
        )

    async def ask(self, side, sql, accept=ARROW, **options):
        headers = {"Content-Type": "application/sql", "Accept": accept}
        await self.again(side, "POST", "/query", headers, sql.encode(), **options)


async def read_slowly(reader, piece):
    """Some of the answer, a little at a time; then the client has had enough."""
    status, headers = await read_head(reader)
    body = b""
    for _ in range(40):
        body = await reader.read(piece)
        if not body:
            break
        await asyncio.sleep(0.05)
    return Answer(status, headers, body)


async def flood(port, seconds, *, big=4, many=1000, upserts=64, parquet=4, readers=16):
    """All sides at once. The tables `wide` and `keys` must be there."""
    self = Flood(port, seconds)
    plain, packed = wide(40), wide(200, compression="zstd")
    one = small(1000)
    keys = [small(200, 1000 * k) for k in range(8)]
    sides = []
    # First, for the line goes by age, and those who try again stand behind all others.
    for k in range(upserts):
        sides.append(self.post("upsert", "/ingest/keys?mode=upsert&key=id", keys[k % len(keys)]))
    for k in range(big):
        body = packed if k % 2 else plain
        sides.append(self.post("big", f"/ingest/big{k}", body))
    for k in range(many):
        sides.append(self.post("many", f"/ingest/many{k % 10}", one, piece=50_000, pause_s=0.2))
    for _ in range(parquet):
        sides.append(self.ask("parquet", "SELECT * FROM wide", PARQUET))
    for _ in range(readers):
        sides.append(self.ask("slow", "SELECT * FROM wide", slow=4096))
    await asyncio.gather(*sides)
    return self
