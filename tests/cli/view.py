#!/usr/bin/env python3
"""novt view in a real terminal (tmux's), and the commands behind it: view.py NOVT debug.elf"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from guest import WAIT

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures, listens, skip  # noqa: E402


def wait_for(condition):
    end = time.monotonic() + WAIT
    while not (got := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return got


class Guest:
    def __init__(self, novt, directory, elf, *options):
        self.novt, self.socket = novt, os.path.join(directory, "socket")
        self.process = subprocess.Popen(
            [novt, "run", "-monitor", "unix:" + self.socket, "-serial", "null", *options,
             "-kernel", elf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        wait_for(lambda: listens(self.socket) or self.process.poll() is not None)
        status = self.process.poll()
        check(status is None and listens(self.socket), "no monitor:", status,
              b"" if status is None else self.process.stderr.read())

    def ask(self, *words):
        got = subprocess.run([self.novt, "ctl", "-s", self.socket, "-json", *words],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=WAIT,
                             check=False)
        return json.loads(got.stdout)

    def ok(self, *words):
        answer = self.ask(*words)
        check("return" in answer, words, answer)
        return answer.get("return", {})

    def fails(self, part, *words):
        check(part in self.ask(*words).get("error", {}).get("desc", ""), words)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Terminal:
    """A window of a tmux server of our own."""

    def __init__(self, directory, command, columns=100, rows=40, term="screen"):
        # A socket of its own: a server that is ending may still have the last one's.
        path = tempfile.mkdtemp(dir=directory)
        self.tmux = ["tmux", "-f", "/dev/null", "-S", os.path.join(path, "tmux")]
        self.run("new-session", "-d", "-x", str(columns), "-y", str(rows),
                 f"TERM={term} {command}; echo STATUS $?; sleep 1000")

    def run(self, *words):
        return subprocess.run([*self.tmux, *words], stdout=subprocess.PIPE, timeout=WAIT,
                              check=False).stdout.decode()

    def text(self):
        return self.run("capture-pane", "-p")

    def expect(self, pattern):
        """The screen, once the pattern is on it."""
        found = wait_for(lambda: re.search(pattern, self.text()))
        check(found, f"/{pattern}/ is not on the screen:\n" + self.text())
        return found

    def type(self, *keys):
        self.run("send-keys", *keys)

    def resize(self, columns, rows):
        self.run("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self):
        self.run("kill-server")


def eip(terminal):
    found = terminal.expect(r"paused[^\n]* at ([0-9a-f]{8}) ")
    return int(found.group(1), 16) if found else 0


def moved(terminal, before):
    check(wait_for(lambda: eip(terminal) != before), "eip has not moved", terminal.text())


def steps(terminal):
    at = eip(terminal)
    terminal.type("s")
    moved(terminal, at)
    at = eip(terminal)
    terminal.type("t")
    terminal.expect(r"\d+ host instructions? were executed for it")
    moved(terminal, at)
    first = terminal.expect(r"\n> ([0-9a-f]{12})") # its first line may be drawn before
    terminal.type("t")
    check(wait_for(lambda: first and f"\n> {first.group(1)}" not in terminal.text()),
          "the mark has not moved")


def sizes(terminal):
    terminal.resize(80, 24)
    terminal.expect(r"^novt view:[^\n]*\neax [^\n]*\nesi [^\n]*\neip ")
    terminal.resize(50, 12)
    terminal.expect(r"(?s)^novt view:.*s step")
    terminal.resize(30, 5)
    terminal.expect("too small")
    terminal.resize(120, 50)
    terminal.expect(r"(?s)cs 0.*code, 32 bits.*guest's page tables.*\| shadow.*interrupts \d")


def session(novt, elf, directory):
    guest = Guest(novt, directory, elf, "-S")
    with open(f"/proc/{guest.process.pid}/maps", encoding="utf-8") as maps:
        check("ncurses" not in maps.read(), "novt run has loaded ncurses")
    terminal = Terminal(directory, f"{novt} view -s {guest.socket}")
    try:
        terminal.expect(r"paused at \w+ start\+0x0 ")
        steps(terminal)
        terminal.type("a", "outer", "Enter")
        terminal.expect(r"address [0-9a-f]{8} outer\+0x0, paging")
        terminal.type("a", "no_such_name", "Enter")
        terminal.expect("no name")
        terminal.type("c", "e")
        terminal.expect("novt view: running")
        check(wait_for(lambda: guest.ok("walk", "0x100000")["paging"] != "off"), "no paging")
        terminal.type("p")
        terminal.expect(r"paging 32-bit, root [0-9a-f]{8}")
        terminal.expect(r"PTE +\d+ [0-9a-f]{8}: [0-9a-f]{8} P W U .*\| traced")
        sizes(terminal)
        commands(guest)
        guest.ok("quit")
        terminal.expect(r"(?s)the guest has ended.*STATUS 0")
    finally:
        terminal.close()
        guest.kill()


def has_stepped(guest, counted):
    """Steps of translated code, after a while: at a HLT they begin with an interrupt."""
    guest.ok("step", "200", "translated")
    time.sleep(0.02)
    guest.ok("pause")
    return guest.ok("stats")["cpu"] != counted["cpu"]


def commands(guest):
    """What is there of addresses that the guest uses, and does not."""
    walk = guest.ok("walk")
    check([step["table"] for step in walk["steps"]] == ["traced", "traced"], walk)
    check(walk["guest"]["holds"] == "translated code", walk)
    check(walk["shadow"][0]["state"] in ("write-protected: traced code",
                                         "hidden: not used here yet"), walk)
    unused = guest.ok("walk", "0xf00000")
    check(unused["shadow"][0]["state"] == "hidden: not used here yet", unused)
    absent = guest.ok("walk", "0xf0000000")
    check("guest" not in absent and "not present" in absent["shadow"][0]["state"], absent)
    check("not present" in absent["steps"][-1]["text"], absent)
    units = guest.ok("units", "outer")["units"]
    check(any(unit["instructions"][0]["code"] for unit in units), units)
    counted = guest.ok("stats")
    got = guest.ok("step", "3")
    check(got["state"] == "stopped" and got["done"] == 3 or got["state"] == "waking", got)
    guest.ok("pause")
    check(wait_for(lambda: has_stepped(guest, counted)), "no step of translated code")
    check(guest.ok("stats")["engine"]["units"] >= counted["engine"]["units"], counted)
    guest.ok("continue")
    guest.fails("pause it first", "step")
    guest.ok("pause")
    guest.fails("1 to 100000", "step", "0")


def others(novt, elf, directory):
    """Without a terminal, without a guest; an interpreter; a guest that dies."""
    def run(*words, **more):
        return subprocess.run([novt, "view", *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT,
                              check=False, **more)
    check(run("-s", os.path.join(directory, "none")).returncode == 69, "no guest")
    check(run().returncode == 64 and run("-x").returncode == 64, "usage")
    guest = Guest(novt, directory, elf, "-engine", "interp", "-S")
    check(b"no terminal" in run("-s", guest.socket).stderr, "no terminal")
    once = run("-s", guest.socket, "-once")
    check(once.returncode == 0 and b"paused at" in once.stdout, once)
    guest.fails("translates nothing", "step", "translated")
    check(guest.ok("step", "10")["done"] == 10, "interp")
    terminal = Terminal(directory, f"{novt} view -s {guest.socket}", 80, 24)
    try:
        terminal.expect("paused at")
        guest.kill()
        terminal.expect(r"(?s)the guest has ended.*STATUS 0")
    finally:
        terminal.close()
    terminal = Terminal(directory, f"{novt} view -s {guest.socket}", 80, 24, "nonsense")
    try:
        terminal.expect("STATUS 69")
    finally:
        terminal.close()


def main():
    novt, elf = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    if not shutil.which("tmux"):
        skip("no tmux here: apt-get install tmux")
    for part in (session, others):
        with tempfile.TemporaryDirectory() as directory:
            part(novt, elf, directory)
    return 1 if failures else 0


sys.exit(main())
