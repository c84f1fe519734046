"""A program on a pseudo-terminal: what it prints is waited for, what it is told is typed."""
import os
import pty
import select
import signal
import sys
import termios
import time


class Failure(Exception):
    """The guest did not do what was expected."""


class Console:
    def __init__(self, command):
        self.text = ""
        self.started = time.monotonic()
        ready, go = os.pipe()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.close(go)
            os.read(ready, 1)  # not before its modes are known: the program changes them
            os.execvp(command[0], command)
        self.terminal = termios.tcgetattr(self.fd)
        os.close(go)
        os.close(ready)

    def _read(self, seconds):
        """Appends what comes within the time; False at the end of the output."""
        ready, _, _ = select.select([self.fd], [], [], max(seconds, 0))
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # how Linux tells that the other side is closed
            data = b""
        self.text += data.decode("latin-1").replace("\r", "")
        return bool(data)

    def expect(self, wanted, seconds, start=0):
        """Waits for a text after position start; returns the position after it."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text[start:]:
            if time.monotonic() > deadline:
                raise Failure(f"no {wanted!r} within {seconds:.0f} s")
            if not self._read(deadline - time.monotonic()) and wanted not in self.text[start:]:
                raise Failure(f"ended before it printed {wanted!r}")
        return self.text.index(wanted, start) + len(wanted)

    def type(self, text):
        os.write(self.fd, text.encode())

    def answer(self, command, wanted, seconds):
        """Types a line and waits for its answer, which must not be part of the line itself."""
        start = len(self.text)
        self.type(command + "\r")
        return self.expect(wanted, seconds, start)

    def terminal_restored(self):
        return termios.tcgetattr(self.fd) == self.terminal

    def status(self, seconds):
        """Waits for the end; the exit status as a shell gives it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(deadline - time.monotonic()):
            pass
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status) % 256
            time.sleep(0.05)
        raise Failure(f"still running {seconds:.0f} s after it should have ended")

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def show(self, lines=60):
        print("--- the last the guest printed:")
        print("\n".join(self.text.splitlines()[-lines:]))
        sys.stdout.flush()
