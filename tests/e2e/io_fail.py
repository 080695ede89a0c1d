"""File operations of a server made to fail while it runs (tests/tools/preload/io_fail.c)."""

import errno
import mmap
import os
import pathlib
import struct

from server import ROOT

LOG_BYTES = 64 * 1024
FIELDS = ("armed", "at", "count", "error", "half", "kinds", "calls", "failed", "log_bytes")
FOREVER = 1 << 40
KINDS = {"write": 1, "sync": 2, "truncate": 4, "open": 8, "rename": 16, "unlink": 32}
KINDS["allocate"] = 64
ALL = sum(KINDS.values())
CHANGES = ALL & ~KINDS["open"]


class IoFail:
    """`environment` goes to the server; arm, and disarm, at any time."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        size = len(FIELDS) * 8 + LOG_BYTES
        self.path.write_bytes(bytes(size))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), size)
        tools = os.environ.get("ARROWPORT_TOOLS_DIR", str(ROOT / "build" / "release/tests/tools"))
        library = pathlib.Path(tools) / "io_fail.so"
        assert library.is_file(), f"{library} is missing: build the tests"
        self.environment = {"LD_PRELOAD": str(library), "IO_FAIL_CONTROL": str(self.path)}

    def _get(self, field):
        return struct.unpack_from("q", self.map, FIELDS.index(field) * 8)[0]

    def _set(self, field, value):
        struct.pack_into("q", self.map, FIELDS.index(field) * 8, value)

    def arm(self, at=0, *, count=1, error=errno.EIO, half=False, kinds=CHANGES):
        """Counts from now on; call `at` and those behind it fail, `count` of them. 0: none."""
        self._set("armed", 0)
        for field in ("calls", "failed", "log_bytes"):
            self._set(field, 0)
        for field, value in (("at", at), ("count", count), ("error", error)):
            self._set(field, value)
        self._set("half", int(half))
        self._set("kinds", kinds)
        self._set("armed", 1)

    def disarm(self):
        self._set("armed", 0)
        return self._get("failed")

    def pause(self):
        """Counts nothing until `resume`, which takes what this gives."""
        armed = self._get("armed")
        self._set("armed", 0)
        return armed

    def resume(self, armed):
        self._set("armed", armed)

    @property
    def calls(self):
        return self._get("calls")

    @property
    def failed(self):
        return self._get("failed")

    def log(self):
        size = min(self._get("log_bytes"), LOG_BYTES)
        start = len(FIELDS) * 8
        return self.map[start : start + size].decode(errors="replace").splitlines()
