"""What shells complete, asked of the shells themselves, and the manual page, as roff reads it."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from server import binary, environment, run

FOLDER = os.path.dirname(binary())


def script(shell, tmp_path):
    done = run("completion", shell, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    path = tmp_path / f"completion.{shell}"
    path.write_bytes(done.stdout)
    return path


def files_there(tmp_path):
    for name in ("a.arrow", "b c.csv", "certificate.pem"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()


# What is typed, and what must (and must not) be offered.
CASES = [
    (["que"], {"query"}, {"serve"}),
    ([""], {"serve", "ingest", "completion", "help", "version"}, {"a.arrow"}),
    (["query", "--for"], {"--format"}, {"--file"}),
    (["query", "--format", ""], {"table", "json", "ndjson", "csv", "arrow"}, {"a.arrow"}),
    (["query", "-f", "c"], {"csv"}, {"json"}),
    (["ingest", "flights", "a"], {"a.arrow"}, {"serve"}),
    (["serve", "--http-idle"], {"--http-idle-timeout-ms"}, {"--port"}),
    (["serve", "--tls-cert", "cert"], {"certificate.pem"}, set()),
    (["serve", "--log-level", ""], {"error", "warning", "info", "debug"}, {"a.arrow"}),
    (["config", "--tls-client-certificates", "req"], {"required"}, {"optional"}),
    (["config", "ch"], {"check"}, {"show"}),
    (["help", "se"], {"serve", "settings"}, {"streams"}),
    (["convert", "--comp"], {"--compression", "--compatible"}, {"--config"}),
    (["convert", "--compression", "s"], {"snappy"}, {"zstd"}),
    (["convert", "a"], {"a.arrow"}, {"serve"}),
    (["completion", ""], {"bash", "zsh", "fish"}, {"a.arrow"}),
    (["serve", "--config", "fol"], {"folder"}, set()),
]


def bash(words, path, cwd):
    """Calls the function as bash does at a press of the tab key."""
    code = (
        f'source "{path}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _arrowport; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", "arrowport", *words],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60,
    )
    assert "line" not in done.stderr, done.stderr
    return {line.rstrip("/") for line in done.stdout.splitlines() if line}


def fish(words, path, cwd):
    typed = " ".join(["arrowport", *words])
    done = subprocess.run(
        ["fish", "-N", "-c", f'source "{path}"; complete -C "{typed}"'],
        cwd=cwd, env=environment({"HOME": str(cwd), "PATH": f"{FOLDER}:{os.environ['PATH']}"}),
        capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return {line.split("\t")[0].rstrip("/") for line in done.stdout.splitlines()}


@pytest.mark.parametrize("words, offered, silent", CASES)
@pytest.mark.parametrize("shell", [bash, fish])
def test_a_shell_completes(shell, words, offered, silent, tmp_path):
    files_there(tmp_path)
    got = shell(words, script(shell.__name__, tmp_path), tmp_path)
    assert offered <= got, got
    assert not silent & got, got


@pytest.mark.parametrize("words, offered", [
    (["query", "--format", "=", ""], {"table", "csv"}),
    (["query", "--format", "="], {"table", "csv"}),
    (["serve", "--tls-cert", "=", "cert"], {"certificate.pem"}),
    (["ingest", "x", "b"], {"b c.csv"}),
])
def test_bash_completes_values_behind_an_equals_sign_and_names_with_spaces(
    words, offered, tmp_path
):
    files_there(tmp_path)
    assert bash(words, script("bash", tmp_path), tmp_path) == offered | (
        {"json", "ndjson", "arrow"} if "--format" in words else set())


class Terminal:
    """An interactive shell behind a terminal."""

    def __init__(self, command, cwd):
        self.master, slave = pty.openpty()
        subprocess.run(["stty", "cols", "200", "rows", "50"], stdin=slave, check=True)
        env = environment({
            "PATH": f"{FOLDER}:{os.environ['PATH']}", "TERM": "xterm", "HOME": str(cwd), "PS1": "> "
        })
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.read = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(pattern, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|.\x08", "", self.read)):
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} did not come: {self.read!r}"
            if select.select([self.master], [], [], min(left, 1))[0]:
                self.read += os.read(self.master, 65536).decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.wait(30)
        os.close(self.master)


@pytest.mark.parametrize("shell, command, setup", [
    ("bash", ["bash", "--norc", "--noprofile", "-i"], "source {path}; echo re''ady\n"),
    ("zsh", ["zsh", "-f", "-i"],
     "autoload -U compinit && compinit -u -D; source {path}; echo re''ady\n"),
])
def test_a_press_of_the_tab_key_completes(shell, command, setup, tmp_path):
    files_there(tmp_path)
    terminal = Terminal(command, tmp_path)
    try:
        terminal.type(setup.format(path=script(shell, tmp_path)))
        terminal.until(r"ready\r?\n")
        for typed, completed in [
            ("arrowport comple\t", "arrowport completion "),
            ("arrowport query --form\t", "arrowport query --format"),
            ("arrowport query --format nd\t", "--format ndjson"),
            ("arrowport inspect a.\t", "inspect a.arrow"),
            ("arrowport serve --http-idl\t", "--http-idle-timeout-ms"),
            ("arrowport config def\t", "config defaults"),
        ]:
            terminal.read = ""
            terminal.type(typed)
            terminal.until(re.escape(completed))
            terminal.type("\x15")  # away with the line
    finally:
        terminal.close()


def test_zsh_reads_its_script(tmp_path):
    subprocess.run(["zsh", "-n", script("zsh", tmp_path)], check=True)


def test_a_shell_that_is_not_known_is_told(tmp_path):
    done = run("completion", "tcsh", cwd=tmp_path)
    assert done.returncode == 2 and "bash, zsh, fish" in done.stderr.decode()


# ---- the manual page ----------------------------------------------------------------------


def test_the_manual_page_is_sound_and_says_everything(tmp_path):
    page = run("help", "man", cwd=tmp_path).stdout
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-c"], input=page, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    text = re.sub(r".\x08", "", done.stdout.decode()).replace("−", "-").replace("‐", "-")
    settings = run("help", "settings", cwd=tmp_path).stdout.decode()
    options = re.findall(r"^  (--[a-z0-9-]+)", settings, re.M)
    assert len(options) > 40 and len(set(options)) == len(options)
    for option in options:
        assert option in text
    for command in "serve ingest query inspect streams tables sinks config completion".split():
        assert f"arrowport {command}" in text
    codes = run("help", "exit-codes", cwd=tmp_path).stdout.decode()
    for code, name in re.findall(r"^ +(\d+)  (\w+)", codes, re.M):
        assert re.search(rf"\b{code}\b.*\({name}\)", text), name
