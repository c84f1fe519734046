#!/usr/bin/env python3
"""novt exec: exec.py NOVT.

Words of any bytes, big streams in each direction, exit statuses, signals, a fresh guest each time.
Exit status 77: Debian's packages are out of reach (ctest: skipped).
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch  # noqa: E402

SECONDS = 1200  # the host may be busy
WORDS = [b"", b" ", b"a  b", b"it's", b'"q"', b"new\nline\n", b"$HOME `id` *", b"\\", b"-x", b"",
         "\u00fc\u4e2d".encode(), bytes(range(1, 256)), b"long" * 20000, b"a,b,,c", b""]


class Failure(Exception):
    """It did not do what was expected."""


def check(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: {got!r:.300}, not {wanted!r:.300}")


class Exec:
    def __init__(self, novt, folder):
        self.novt, self.folder = novt, folder

    def start(self, words, **how):
        return subprocess.Popen([self.novt, "exec", *words], cwd=self.folder, **how)

    def run(self, words, status, data=b""):
        """Its output, and its errors."""
        got = subprocess.run([self.novt, "exec", *words], cwd=self.folder, input=data,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS)
        if got.returncode != status:
            raise Failure(f"{words!r:.200}: status {got.returncode}, not {status}; "
                          f"{got.stderr.decode(errors='replace')[-2000:]}")
        return got.stdout, got.stderr


def try_mistakes(novt):
    """Said at once, without a guest."""
    for words, status, text in ((["-zm", "1", "true"], 64, b"did you mean"), ([], 64, b"command"),
                                (["-e", "=", "true"], 64, b"NAME"),
                                (["-image", "nothing", "true"], 66, b"nothing")):
        check(words, text in novt.run(words, status)[1], True)
    there = novt.folder
    novt.folder = "/"
    check("a root shared", b"-no-share" in novt.run(["true"], 64)[1], True)
    novt.folder = there


def try_words(novt):
    """Each word, the folder's name and a variable as they are, and not a byte beside."""
    script = b'printf "%s\\0" "$@" "$V"; pwd; echo away > /away; exit 3'
    words = ["-m", "300", "-e", "V=x  y\n'", "--", "sh", "-c", script, *WORDS]
    out, err = novt.run(words, 3)
    check("errors", err, b"")
    parts = out.split(b"\0")
    check("words", parts[:-2], WORDS[1:])
    check("variable", parts[-2], b"x  y\n'")
    check("folder", parts[-1], os.fsencode(novt.folder) + b"\n")


def try_streams(novt):
    """Megabytes in and out, in order; the folder, its locks; 255; what a run left has gone."""
    data = random.Random(4).randbytes(3 << 20)
    script = ("test ! -e /away || exit 9; flock . flock copy true || exit 8; "
              "seq 300000 >&2 & tee copy; wait; exit 255")
    out, err = novt.run(["sh", "-c", script], 255, data)
    check("output", out == data, True)
    check("errors", err == b"".join(b"%d\n" % i for i in range(1, 300001)), True)
    check("the folder's file", Path(novt.folder, "copy").read_bytes() == data, True)


def try_signals(novt, image):
    """Its own death is 128+n, and takes along what it left running; as the image's user."""
    script = "touch new || sleep 1000 & echo id-$(id -u); kill -9 $$"
    out, _ = novt.run(["-image", image, "-readonly", "--", "sh", "-c", script], 137)
    check("output", out, b"id-0\n")
    check("a file in a read-only folder", os.path.exists(os.path.join(novt.folder, "new")), False)
    check("not found", b"not found" in novt.run(["-no-share", "no-such-command"], 127)[1], True)


def try_interrupt(novt):
    """Ctrl-C reaches the command's processes; its status is theirs."""
    with novt.start(["sh", "-c", "echo begun; sleep 1000"], stdout=subprocess.PIPE) as process:
        check("first line", process.stdout.readline(), b"begun\n")
        process.send_signal(signal.SIGINT)
        check("status of Ctrl-C", process.wait(SECONDS), 130)


def try_reader(novt):
    """A reader that goes ends the writer, as here; standard input is closed, and so at its end."""
    with novt.start(["sh", "-c", "cat; exec yes"], stdout=subprocess.PIPE,
                    preexec_fn=lambda: os.close(0)) as process:
        check("first line", process.stdout.readline(), b"y\n")
        process.stdout.close()
        check("status of a broken pipe", process.wait(SECONDS), 141)


def main():
    guest = fetch("exec", "debian")
    with tempfile.TemporaryDirectory(prefix="novt, exec's ") as folder:
        novt = Exec(sys.argv[1], os.path.realpath(folder))
        try:
            try_mistakes(novt)
            try_words(novt)
            try_streams(novt)
            try_signals(novt, guest / "debian/disk.qcow2")
            try_interrupt(novt)
            try_reader(novt)
        except (Failure, subprocess.TimeoutExpired) as failure:
            print(f"FAILED: {failure}")
            return 1
    print("ok")
    return 0


sys.exit(main())
