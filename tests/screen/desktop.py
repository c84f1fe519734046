"""An X server of our own, the windows in it, and what a person at it does."""
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import picture

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, check, must  # noqa: E402


def is_here():
    if all(map(shutil.which, ("Xvfb", "xdotool", "xwd"))):
        return True
    print("no Xvfb, xdotool or xwd here: the window is not tested")
    return False


def until(condition, what, *more):
    """Waits for a state; the last value of condition(). more: functions that say what there is
    instead."""
    end = time.monotonic() + WAIT
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    check(value, "not seen:", what, *([] if value else [tell() for tell in more]))
    return value


def wait_for(process, text):
    """What the process prints up to this text."""
    seen = b""
    while text not in seen:
        part = os.read(process.stdout.fileno(), 4096)
        if not part:
            check(False, "ended before", text, seen)
            break
        seen += part
    return seen


class Logged:
    """A program beside novt: what it says is kept, and shown by what fails."""

    def __init__(self, words, environment=None, **how):
        self.log = tempfile.TemporaryFile()
        self.words, self.environment, self.how = words, environment, how
        self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        self.process = subprocess.Popen(self.words, env=self.environment, stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL, **self.how)

    def start_again_if_ended(self):
        """The program is no part of novt: what befalls it on a busy host is not novt's fault."""
        if self.process.poll() is not None and self.starts < 5:
            print(self.tell(), flush=True)
            self.start()

    def tell(self):
        self.log.seek(0)
        said = self.log.read()[-2000:].decode(errors="replace")
        self.log.seek(0, os.SEEK_END)
        return f"{self.words[0]}: start {self.starts}, status {self.process.poll()}, said: {said}"

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(WAIT)


class Desktop:
    """An X server with novt's window in it. Full screens are a window manager's: then the window
    has the focus that the pointer is in.

    -noreset: else the server throws out everybody who is about to connect when its last client
    leaves, as xdotool does after each question."""

    def __init__(self, novt, what, *options, manager=(), display="sdl"):
        self.server, number = self.start_server()
        self.environment = dict(os.environ, DISPLAY=f":{number}", SDL_VIDEODRIVER="x11")
        self.manager = Logged(manager, self.environment) if manager else None
        if manager: # SDL asks once, at its start, whether there is one
            until(lambda: self.do("get_num_desktops"), "the window manager", self.manager.tell)
        self.process = novt.start(what, "-display", display, *options, env=self.environment)

    @staticmethod
    def start_server():
        """With a number that nobody has: two servers that begin at once may choose the same."""
        for _ in range(5):
            read_end, write_end = os.pipe()
            server = Logged(
                ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1280x1024x24", "-nolisten",
                 "tcp", "-noreset", "-r"], # no key repeats on a busy host
                pass_fds=(write_end,))
            os.close(write_end)
            with os.fdopen(read_end) as file:
                number = file.read(64).strip()
            if number:
                return server, number
            server.end()
            print(server.tell(), flush=True)
        must(False, "no X server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(WAIT)
        for program in filter(None, (self.manager, self.server)):
            program.end()

    def tell(self):
        """How novt is."""
        status = self.process.poll()
        return f"novt: status {status}", b"" if status is None else self.process.stdout.read()

    def do(self, *words):
        """What xdotool says."""
        return subprocess.run(["xdotool", *map(str, words)], env=self.environment,
                              capture_output=True, text=True).stdout

    def windows(self):
        """The names of all there are."""
        return [self.title(window) for window in self.do("search", "--name", "").split()]

    def find(self, name, meanwhile=lambda: None, tell=lambda: ""):
        """The window that has this in its name, once it is on the screen."""
        def seen():
            meanwhile()
            return self.do("search", "--onlyvisible", "--name", name).split()
        found = until(seen, f"a window {name!r}", self.windows, tell, self.tell, self.server.tell)
        must(found, "no window")
        return found[0]

    def title(self, window):
        return self.do("getwindowname", window)

    def focus(self, window):
        """Until a key that is pressed in the window arrives."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            self.do("windowfocus", window)
            self.do("key", "period")
            if select.select([self.process.stdout], [], [], 2)[0]:
                wait_for(self.process, b".")
                return
        check(False, "no key arrives;", self.windows(), self.do("getwindowfocus"), "has the focus")

    def paste(self, text):
        """Ctrl-Alt-V types what another program has put on the clipboard. SDL waits for that
        program for a second only: on a busy host one has to ask again."""
        other = subprocess.Popen([sys.executable, Path(__file__).with_name("clipboard.py"), text],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=self.environment)
        try:
            check(other.stdout.readline() == b"ready\n", "no clipboard")
            end = time.monotonic() + WAIT
            while time.monotonic() < end:
                self.do("key", "ctrl+alt+v")
                if select.select([self.process.stdout], [], [], 15)[0]:
                    break
            wait_for(self.process, text.encode())
        finally:
            other.stdin.close()
            other.wait(WAIT)

    def wait_for_grab(self, window, wanted):
        end = time.monotonic() + 15
        while time.monotonic() < end:
            if ("gives the mouse back" in self.title(window)) == wanted:
                return True
            time.sleep(0.2)
        return False

    def grab(self, window, *first):
        """Ctrl-Alt-G takes the mouse, which the title says, and gives it back. first: what gives
        the window the focus; a window that is only about to appear does not take it."""
        for wanted in (True, False):
            for _ in range(WAIT // 15):
                if first:
                    self.do(*first)
                self.do("key", "ctrl+alt+g")
                if self.wait_for_grab(window, wanted):
                    break
            else:
                check(False, "the mouse was not", "taken" if wanted else "given back:",
                      self.title(window), self.do("getwindowfocus"), "has the focus")

    def dump(self, *options):
        """X window dump, 32 bits a pixel: its header says how long it is and where lines begin."""
        dump = subprocess.run(["xwd", *options], env=self.environment, capture_output=True).stdout
        header = [int.from_bytes(dump[i:i + 4], "big") for i in range(0, 100, 4)]
        size, width, height, line, colours = (header[i] for i in (0, 4, 5, 12, 19))
        at = size + 12 * colours
        rows = []
        for y in range(height):
            part = dump[at + y * line:at + y * line + 4 * width]
            row = bytearray(3 * width)
            row[0::3], row[1::3], row[2::3] = part[2::4], part[1::4], part[0::4]
            rows.append(bytes(row))
        return picture.Picture(width, height, rows)
