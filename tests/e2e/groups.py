"""A control group of one's own, where this machine lets one be made."""

import contextlib
import os
import pathlib
import uuid


def folders():
    """Where groups with a memory limit can be made, and by which version."""
    own = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        root, place = left.split()[3:5]
        kind, _, options = right.split()
        for entry in own:
            number, controllers, path = entry.split(":", 2)
            inside = path.removeprefix(root if root != "/" else "")
            folder = pathlib.Path(place + inside)
            if kind == "cgroup" and "memory" in options.split(",") and "memory" in controllers:
                yield folder if folder.is_dir() else pathlib.Path(place), 1
            if kind == "cgroup2" and number == "0":
                yield folder if folder.is_dir() else pathlib.Path(place), 2


class Group:
    def __init__(self, folder, version, limit):
        self.folder, self.version = folder, version
        name = "memory.max" if version == 2 else "memory.limit_in_bytes"
        (folder / name).write_text(str(limit))

    def join(self):
        """For preexec_fn."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def killed(self):
        """How often the kernel has ended a process of the group; None where it does not count."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        words = dict(line.split() for line in (self.folder / name).read_text().splitlines())
        return int(words["oom_kill"]) if "oom_kill" in words else None

    def peak(self):
        """The most that was charged, the cache of files included; None where nobody noted it."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        file = self.folder / name
        return int(file.read_text()) if file.exists() else None


@contextlib.contextmanager
def group(limit):
    """A group of `limit` bytes, or None where none can be made."""
    made = None
    for parent, version in folders():
        folder = parent / f"arrowport-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir()
            try:
                made = Group(folder, version, limit)
                break
            except OSError:
                folder.rmdir()
        except OSError:
            continue
    try:
        yield made
    finally:
        if made is not None:
            made.folder.rmdir()  # its processes have ended
