"""A guest that is driven by novt ctl and seen by its screenshots."""
import os
import signal
import subprocess
import sys
import tempfile
import time

import picture

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import listens  # noqa: E402

PATIENCE = 3000 # seconds for all of it; the host may be busy. ctest's limit must be above it


class Failure(Exception):
    """The guest did not show what was expected."""


class Driven:
    """name begins the names of the pictures that a failure leaves in the current folder."""

    def __init__(self, program, name, *options):
        self.program, self.name = program, name
        self.folder = tempfile.TemporaryDirectory(prefix="novt-driven-")
        self.socket = os.path.join(self.folder.name, "monitor")
        self.file = os.path.join(self.folder.name, "screen.png")
        self.process = subprocess.Popen(
            [program, "run", "-display", "none", "-vga", "std", "-serial", "null", "-monitor",
             "unix:" + self.socket, *options], stdin=subprocess.DEVNULL)
        while self.process.poll() is None and not listens(self.socket):
            time.sleep(0.05)
        self.data, self.shown = b"", None
        self.deadline = time.monotonic() + PATIENCE

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def ctl(self, *words):
        got = subprocess.run([self.program, "ctl", "-s", self.socket, *map(str, words)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if got.returncode:
            raise Failure(f"ctl {words}: {got.returncode}, {got.stderr}")
        return got.stdout

    def keys(self, *keys):
        for key in keys:
            self.ctl("sendkey", key)

    def look(self):
        """The screen as it is now."""
        self.ctl("screenshot", self.file)
        with open(self.file, "rb") as file:
            data = file.read()
        if data != self.data:
            self.data, self.shown = data, picture.read_png(self.file)
        return self.shown

    def wait(self, what, seen, again=None):
        """Until seen(picture) is true, which it returns; else the last picture stays. again() is
        called after each 20 s without."""
        began, last = time.monotonic(), None
        nudge = began + 20
        while time.monotonic() < self.deadline:
            asked = time.monotonic()
            shown = self.look()
            pause = max(0.3, 5 * (time.monotonic() - asked)) # a picture costs the guest time
            found = shown is not last and seen(shown)
            if found:
                print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)
                return found
            last = shown
            if again and time.monotonic() > nudge:
                again()
                nudge += 20
            time.sleep(pause)
        self.leave(what)
        raise Failure(f"{what}: not seen")

    def stand_still(self, seconds):
        """For a guest that only waits for one second after the other to pass."""
        for _ in range(seconds):
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            self.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)

    def leave(self, what):
        """Keeps the last picture."""
        path = os.path.abspath(f"{self.name}-{what}.png")
        with open(path, "wb") as file:
            file.write(self.data)
        print(f"the screen is in {path}")

    def end(self):
        self.ctl("quit")
        status = self.process.wait()
        if status != 130:
            raise Failure(f"status {status} after quit")


def part(shown, left, top, right, bottom):
    """A part of a picture."""
    return picture.Picture(right - left, bottom - top,
                           [row[3 * left:3 * right] for row in shown.rows[top:bottom]])


def same_part(golden, left, top):
    """Does a screen show what the file golden shows, at that place? As wait() wants it."""
    wanted = picture.read_png(golden)
    right, bottom = left + wanted.width, top + wanted.height

    def seen(shown):
        return (shown.width >= right and shown.height >= bottom and
                part(shown, left, top, right, bottom).rows == wanted.rows)
    return seen


def run(cases, wanted):
    """The exit status of a script with these cases: functions without arguments, by name."""
    for name in wanted or cases:
        try:
            cases[name]()
        except (Failure, OSError) as failure:
            print(f"FAILED: {name}: {failure}")
            return 1
    print("ok")
    return 0
