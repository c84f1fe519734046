"""What tests share: what they find wrong (where: the line that called), what they need and lack."""
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIP = 77  # ctest's SKIP_RETURN_CODE
WAIT = 600  # seconds, for what takes less than one: the host may be very busy for minutes
PORTS = range(10000, 30000)  # below those that systems give to who asks for any
failures = []
reserved = []


def _tell(what, frame):
    failures.append(what)
    print(f"FAIL {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}:", *what, flush=True)


def check(condition, *what):
    """Tells of it and goes on: the test has failed when there are failures at its end."""
    if not condition:
        _tell(what, sys._getframe(1))


def must(condition, *what):
    """Ends the test if it does not hold."""
    if not condition:
        _tell(what, sys._getframe(1))
        sys.exit(1)


def skip(why):
    """Ends the test: it cannot be made here."""
    print(f"SKIPPED: {why}")
    sys.exit(SKIP)


def free_port():
    """One that nobody has, and nobody gets who does not ask for it by its number: of the tests'
    processes the one has it that has a name for it, up to its end. A client that asks such a port
    before there is a server is refused; with one of the others it may happen to call itself."""
    while True:
        port = random.choice(PORTS)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0novt-port-{port}")
            for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        reserved.append(name)
        return port


def listens(path):
    """A server's socket is there a moment before somebody listens at it."""
    with open("/proc/net/unix", encoding="utf-8") as file:
        return any(words[3] == "00010000" and words[-1] == path for words in map(str.split, file))


def fetch(*parts):
    """The folder of Debian's files, these parts (of guests/fetch) among them."""
    got = subprocess.run([ROOT / "guests/fetch", *parts], stdout=subprocess.PIPE, text=True)
    if got.returncode:
        skip("Debian's packages are out of reach, so nothing was booted")
    return Path(got.stdout.strip())
