"""What tests share: what they find wrong (where: the line that called), what they need and lack."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIP = 77  # ctest's SKIP_RETURN_CODE
failures = []


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


def fetch(*parts):
    """The folder of Debian's files, these parts (of guests/fetch) among them."""
    got = subprocess.run([ROOT / "guests/fetch", *parts], stdout=subprocess.PIPE, text=True)
    if got.returncode:
        skip("Debian's packages are out of reach, so nothing was booted")
    return Path(got.stdout.strip())
