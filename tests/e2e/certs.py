"""Certificates for tests, made by the openssl command while they run: none expires in the
repository."""

import dataclasses
import pathlib
import subprocess

_KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclasses.dataclass
class Certificate:
    cert: pathlib.Path
    key: pathlib.Path

    def replace(self, other):
        """Puts another pair in this one's place, each file by a rename."""
        for mine, its in ((self.cert, other.cert), (self.key, other.key)):
            new = mine.with_suffix(".new")
            new.write_bytes(its.read_bytes())
            new.rename(mine)

    def serial(self):
        text = _openssl("x509", "-in", self.cert, "-noout", "-serial")
        return text.strip().split("=")[1]


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """A CA of our own; `issue` gives what it has signed."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.made = self._files(name)
        _openssl(
            *("req", "-x509", "-newkey", *_KEY, "-keyout", self.made.key),
            *("-out", self.made.cert, "-subj", f"/CN={name}", "-days", 1),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )
        self.cert = self.made.cert

    def _files(self, name):
        return Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def issue(self, name, *, alt="DNS:localhost,IP:127.0.0.1", expired=False):
        """`name` is the common name, and that of the files."""
        made = self._files(name)
        asked = self.folder / f"{name}.csr"
        _openssl(
            *("req", "-new", "-newkey", *_KEY, "-keyout", made.key, "-out", asked),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName={alt}"),
        )
        _openssl(
            *("x509", "-req", "-in", asked, "-CA", self.made.cert, "-CAkey", self.made.key),
            *("-copy_extensions", "copyall", "-days", -1 if expired else 1, "-out", made.cert),
        )
        return made
