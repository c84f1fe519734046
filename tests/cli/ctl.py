#!/usr/bin/env python3
"""Control of a running guest: ctl.py NOVT [CASE...]; each case is a function case_* below."""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

from guest import IDLE, POWER_OFF, SPIN, WAIT, Novt, kernel, out8, text, wait_for

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures, listens  # noqa: E402


# Sends each scan code to the serial line.
KEYS = b"\xe4\x64\xa8\x01\x74\xfa\xe4\x60\x66\xba\xf8\x03\xee\xeb\xf1"


def send(move, shift):
    return b"\x66\xba\xf8\x03" + (move + b"\xee" + shift) * 4


# For each key that goes down: the time stamp counter and the ACPI timer, 12 bytes.
SAMPLE = (b"\x0f\x31\x89\xc3\x89\xd6\x66\xba\x08\x06\xed\x89\xc1"
          + send(b"\x89\xd8", b"\xc1\xeb\x08") + send(b"\x89\xf0", b"\xc1\xee\x08")
          + send(b"\x89\xc8", b"\xc1\xe9\x08"))
CLOCKS = b"\xe4\x64\xa8\x01\x74\xfa\xe4\x60\xa8\x80\x75\xf4" + SAMPLE
CLOCKS += b"\xe9" + struct.pack("<i", -len(CLOCKS) - 5)

# Powers off when the power button has been pressed.
BUTTON = b"\x66\xba\x00\x06\x66\xed\xf6\xc4\x01\x74\xf9" + POWER_OFF
SLEEP_BUTTON = BUTTON.replace(b"\xf6\xc4\x01", b"\xf6\xc4\x02")


# Reads a page, writes its page table's entry and CR3, again and again: mov dword [entry], page | 3.
STORE = b"\xc7\x05" + struct.pack("<II", 0x201c00, 0x300003)
TABLES = (b"\xc7\x05" + struct.pack("<II", 0x200000, 0x201003)  # a directory of 4 MiB,
          + b"\xbf\x00\x10\x20\x00\xb8\x03\x00\x00\x00\xb9\x00\x04\x00\x00"
          + b"\xab\x05\x00\x10\x00\x00\xe2\xf8"                # mapped as they are
          + b"\xb8\x00\x00\x20\x00\x0f\x22\xd8\x0f\x20\xc0\x0d\x00\x00\x00\x80\x0f\x22\xc0"
          + b"\xa1\x00\x00\x30\x00" + STORE + b"\xb8\x00\x00\x20\x00\x0f\x22\xd8\xeb\xe7")


class Guest:
    """A run with a monitor."""

    def __init__(self, novt, *options, code):
        self.novt = novt
        self.socket = novt.path("sock")
        self.serial = novt.path("serial", b"")
        self.process = novt.start("-monitor", "unix:" + self.socket, "-serial",
                                  "file:" + self.serial, *options, code=code)
        wait_for(lambda: listens(self.socket) or self.process.poll() is not None, "a monitor")

    def ctl(self, *words):
        """(status, what it returned, standard error)"""
        got = subprocess.run([self.novt.program, "ctl", "-s", self.socket, "-json", *words],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT,
                             check=False, cwd=self.novt.directory)
        answer = json.loads(got.stdout) if got.stdout else {}
        return got.returncode, answer.get("return"), got.stderr.decode()

    def ok(self, *words):
        status, result, error = self.ctl(*words)
        check(status == 0, words, status, error)
        return result or {}

    def fails(self, status, part, *words):
        got = self.ctl(*words)
        check(got[0] == status and part in got[2] and got[2].count("\n") == 1, words, got)

    def heard(self, size):
        """What the guest has sent, once it is so much."""
        end = time.monotonic() + WAIT
        while os.path.getsize(self.serial) < size and time.monotonic() < end:
            time.sleep(0.02)
        with open(self.serial, "rb") as file:
            return file.read()

    def end(self, wanted):
        try:
            out, err = self.process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        check(self.process.returncode == wanted, "status", self.process.returncode, "want", wanted,
              out[-300:], err[-300:])
        check(not os.path.exists(self.socket), "the socket's file is still there")
        return err.decode()

    def client(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.socket)
        client.settimeout(WAIT)
        return client


def case_status(novt):
    guest = Guest(novt, code=SPIN)
    status = guest.ok("status")
    check(status["state"] == "running" and status["memory_mib"] == 16, status)
    guest.fails(64, "did you mean status", "statsu")
    guest.fails(64, "did you mean registers", "info", "register")
    guest.fails(69, "virtio-balloon", "balloon", "8")
    guest.fails(69, "virtio-balloon", "info", "balloon")
    client = guest.client()
    client.sendall(b'rubbish\n{"execute": "status", "id": [1]}\n{"execute": "quit", "id": 2}\n')
    lines = client.makefile().read().splitlines()
    check(len(lines) == 3 and "error" in json.loads(lines[0]) and
          json.loads(lines[1])["id"] == [1] and json.loads(lines[2]) == {"return": {}, "id": 2},
          lines)
    guest.end(130)


def sample(guest):
    """Both counters, and the uptime of about then."""
    for _ in range(20):
        size, began = os.path.getsize(guest.serial), time.monotonic()
        guest.ok("sendkey", "a")
        data = guest.heard(size + 12)
        uptime = guest.ok("status")["uptime_s"]
        if time.monotonic() - began < 1:
            break
    return (*struct.unpack("<QI", data[size:size + 12]), uptime)


def rate(before, after):
    """The counter's, against the timer: 24 bits, with as many wraps as the guest's uptime says."""
    ticks = (after[1] - before[1]) & 0xFFFFFF
    wraps = round(((after[2] - before[2]) * 3579545 - ticks) / 0x1000000)
    return (after[0] - before[0]) / max(1, ticks + 0x1000000 * max(0, wraps))


def case_pause(novt):
    """No clock of the guest moves; how fast they go against each other is as it was."""
    guest = Guest(novt, code=CLOCKS)
    samples = [sample(guest)]
    time.sleep(0.3)
    samples.append(sample(guest))
    begin = time.monotonic()
    guest.ok("pause")
    before = guest.ok("status")
    time.sleep(1.5)
    after = guest.ok("status")
    check(before["state"] == "paused" and before["uptime_s"] == after["uptime_s"], before, after)
    size = os.path.getsize(guest.serial)
    guest.ok("sendkey", "b")
    time.sleep(0.2)
    check(os.path.getsize(guest.serial) == size, "a paused guest ran")
    guest.ok("continue")
    paused = 1.7
    guest.heard(size + 12)
    samples.append(sample(guest))
    now = guest.ok("status")["uptime_s"]
    check(before["uptime_s"] < now <= before["uptime_s"] + time.monotonic() - begin - paused,
          before, now)
    rates = [rate(a, b) for a, b in zip(samples, samples[1:])]
    check(0.5 < rates[1] / rates[0] < 2, "the counter ran while the guest was paused:", rates)
    guest.ok("pause")
    guest.ok("pause")
    guest.ok("quit")
    guest.end(130)


def case_paused_end(novt):
    """A timeout, a reset and a signal reach a paused guest."""
    for seconds in ("1", "8", "64"):  # enough to pause it before
        guest = Guest(novt, "-timeout", seconds, code=IDLE)
        if guest.ctl("pause")[0] == 0:
            break
        guest.process.communicate()
    guest.end(124)
    guest = Guest(novt, code=text("up\n") + IDLE)
    guest.heard(3)
    guest.ok("pause")
    guest.ok("reset")
    status = guest.ok("status")
    check(status["state"] == "paused" and status["resets"] == 1, status)
    check(guest.heard(3) == b"up\n", "it ran")
    guest.ok("cont") # as QEMU has it, too
    check(guest.heard(6) == b"up\nup\n", "after the reset")
    guest.process.terminate()
    guest.end(128 + 15)
    guest = Guest(novt, "-no-reboot", code=SPIN)
    guest.ok("reset")
    guest.end(83)
    for code, button in ((BUTTON, "powerdown"), (SLEEP_BUTTON, "sleepbutton")):
        guest = Guest(novt, code=code)
        guest.ok(button)
        guest.end(0)


def case_keys(novt):
    guest = Guest(novt, code=KEYS)
    guest.ok("sendkey", "a")
    check(guest.heard(2) == b"\x1e\x9e", guest.heard(2))
    guest.ok("sendkey", "ctrl-alt-f1")
    check(guest.heard(8)[2:] == b"\x1d\x38\x3b\xbb\xb8\x9d", guest.heard(8))
    guest.ok("type", "aA\\n")
    check(guest.heard(16)[8:] == b"\x1e\x9e\x2a\x1e\x9e\xaa\x1c\x9c", guest.heard(16))
    guest.fails(64, "'foo'", "sendkey", "ctrl-foo")
    guest.ok("mouse", "-5", "3", "0", "1")
    guest.fails(64, "'dy' is missing", "mouse", "1")
    guest.ok("quit")
    guest.end(130)


def case_screenshot(novt):
    guest = Guest(novt, "-vga", "std", code=IDLE)
    guest.ok("screenshot", "a picture.png")
    with open(novt.path("a picture.png"), "rb") as file:
        head = file.read(24)
    check(head[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", head[16:]) == (720, 400), head)
    guest.fails(73, "No such file", "screenshot", "nowhere/a.png")
    os.mkfifo(novt.path("fifo"))
    guest.fails(73, "plain file", "screenshot", "fifo")
    guest.ok("quit")
    guest.end(130)
    guest = Guest(novt, "-vga", "none", code=IDLE)
    guest.fails(69, "no screen", "screenshot", "b.png")
    guest.ok("quit")
    guest.end(130)


def case_look_at_the_screen(novt):
    guest = Guest(novt, code=b"\x66\xc7\x05" + struct.pack("<IH", 0xB8000, 0x0741) + SPIN)
    wait_for(lambda: guest.ok("dump", "memory", "0xb8000", "3") == {"000b8000": "41 07 20"},
             "what is written on the screen")
    guest.ok("dump", "memory", "screen", "0xb8000", "2")
    with open(novt.path("screen"), "rb") as file:
        check(file.read() == b"A\x07", "in a file")
    guest.ok("quit")
    guest.end(130)


def case_look(novt):
    guest = Guest(novt, "-stats-json", novt.path("stats"), "-device", "virtio-balloon", "-nic",
                  "user,model=e1000,mac=52:54:00:00:00:07", code=SPIN)
    registers = guest.ok("info", "registers")
    check(registers["eip"] == "0x00100020" and registers["cr0"].endswith("1"), registers)
    check(guest.ok("info", "mem")["paging"] is False, "paging")
    check(guest.ok("info", "tlb")["pages"] == [], "tlb")
    pic = guest.ok("info", "pic")
    check("master" in pic and pic["lapic"]["lvt"]["lint0"] and len(pic["ioapic"]["entries"]) == 24,
          pic)
    check(guest.ok("info", "pci")["functions"][0]["vendor"] == "0x8086", "pci")
    check(guest.ok("info", "status")["state"] == "running", "status")
    check(guest.ok("info", "version")["version"].startswith("novt "), "version")
    card = guest.ok("info", "network")["cards"][0]
    check(card["model"] == "e1000" and card["mac"] == "52:54:00:00:00:07" and
          card["cable"] == "user" and card["out_frames"] == 0, card)
    balloon = guest.ok("info", "balloon")
    check(balloon == {"memory_mib": 16, "returned_mib": 0, "statistics": None}, balloon)
    stats = guest.ok("stats")
    check(stats["instructions"]["total"] > 0 and "time" in stats, stats)
    guest.ok("dump", "memory", "dump")
    with open(novt.path("dump"), "rb") as file:
        memory = file.read()
    check(len(memory) == 16 << 20 and memory[0x100020:0x100022] == SPIN, len(memory))
    guest.ok("dump", "memory", "part", "0x10001f", "3")
    with open(novt.path("part"), "rb") as file:
        part = file.read()
    check(part[1:] == SPIN, part)
    check(guest.ok("dump", "memory", "0x100020", "2") == {"00100020": "eb fe"}, "in hexadecimal")
    guest.fails(64, "go together", "dump", "memory", "x", "1")
    guest.fails(64, "0 to 0xffffffff", "dump", "memory", "x", "0x100000000", "1")
    check(guest.ok("balloon") == {"memory_mib": 16}, "balloon")
    guest.ok("quit")
    guest.end(130)
    with open(novt.path("stats"), encoding="utf-8") as file:
        check(json.load(file)["end"] == "quit", "-stats-json")


def ask_until(ask, wanted):
    """What ask() says once wanted() likes it."""
    end = time.monotonic() + WAIT
    while True:
        got = ask()
        if wanted(got) or time.monotonic() > end:
            return got
        time.sleep(0.05)


def case_explain(novt):
    """A store to a page table, again and again: faults, a callout, counts and chains."""
    os.environ["NOVT_ACCESS"] = "window"
    guest = Guest(novt, code=TABLES)
    del os.environ["NOVT_ACCESS"]
    store = 0x100020 + TABLES.index(STORE)
    entry = store - 5

    def units(at):
        return guest.ok("explain", hex(at)).get("units", [])

    def asked(at):
        """The instruction, in each unit that has it."""
        return [i for unit in units(at) for i in unit["instructions"] if i["asked"]]

    def entered(at, times):
        return ask_until(lambda: [u for u in units(at) if u["eip"] == f"0x{at:08x}"],
                         lambda found: found and (found[0]["executions"] or 0) >= times)
    insns = ask_until(lambda: asked(store), lambda found: any(
        "became" in i.get("history", "") and "gs:" not in "".join(i["host"]) for i in found))
    check(any(re.fullmatch(r"this site faulted [1-9]\d* times on a page table.*, and became a "
                           r"callout: memory by the software TLB", i["history"]) and
              "gs:" not in "".join(i["host"]) for i in insns), insns)
    check(all(i["bytes"] == STORE.hex() and i["class"] == "inline" and i["host"] for i in insns),
          insns)
    first = guest.ok("explain", f"{store:x}")
    check(first["counting"] is False and first["kernel_tier"] == "window" and
          all(u["executions"] is None for u in first["units"]), first)
    guest.ok("count", "on")
    found = entered(entry, 100)
    check(found and found[0]["executions"] >= 100 and found[0]["mode"] == "32-bit kernel code",
          found)
    guest.ok("pause")
    found = asked(store + len(STORE) + 5)
    check(all(i["class"] == "interpreted" for i in found) and
          max(i.get("calls", 0) for i in found) > 50, found)
    found = units(store + len(STORE) + 8)
    check(any({"eip": f"0x{entry:08x}", "symbol": "", "chained": True} in u["exits"]
              for u in found) and any(u["chained_from"] for u in units(entry)), found)
    words = subprocess.run([novt.program, "ctl", "-s", guest.socket, "explain", hex(store)],
                           stdout=subprocess.PIPE, timeout=WAIT, check=False, text=True).stdout
    check(re.search(rf"^>00{store:x}  {STORE[:6].hex()}  mov dword ptr .*\| ", words, re.M) and
          "executed " in words and "\x1b" not in words, words)
    guest.ok("count", "off")
    guest.ok("continue")
    found = ask_until(lambda: units(entry), bool)
    check(found and all(u["executions"] is None and not any("calls" in i for i in u["instructions"])
                        for u in found), found)
    check(guest.ok("explain", "0x300000")["units"] == [], "no code")
    guest.fails(66, "nothing is mapped", "explain", "0x800000")
    guest.fails(64, "neither a symbol", "explain", "nobody")
    guest.fails(64, "neither a symbol", "explain", "0x100000000")
    guest.fails(64, "on or off", "count", "perhaps")
    guest.ok("quit")
    guest.end(130)
    guest = Guest(novt, "-engine", "interp", code=SPIN)
    guest.fails(69, "translates nothing", "explain", "0x100020")
    guest.fails(69, "translates nothing", "count", "on")
    guest.ok("quit")
    guest.end(130)


def case_media(novt):
    first = novt.path("first.iso", b"\x01" * 4096)
    novt.path("second.iso", b"\x02" * 8192)
    disk = novt.path("disk.img", b"\x03" * 4096)
    guest = Guest(novt, "-cdrom", first, "-drive",
                  f"file={disk},if=virtio,format=raw,snapshot=on", code=IDLE)
    drive, other = guest.ok("info", "block")["drives"]
    check(drive["file"] == first and drive["size"] == 4096 and not drive["snapshot"], drive)
    check(other["file"] == disk and other["format"] == "raw" and other["snapshot"], other)
    guest.fails(73, "plain file", "dump", "memory", "first.iso")
    check(os.path.getsize(first) == 4096, "a medium was overwritten")
    guest.ok("eject", drive["drive"])
    check(guest.ok("info", "block")["drives"][0]["file"] is None, "ejected")
    guest.ok("change", drive["drive"], "second.iso", "force")
    check(guest.ok("info", "block")["drives"][0]["size"] == 8192, "changed")
    guest.fails(64, "did you mean " + drive["drive"], "eject", "cd0")
    check(guest.ctl("change", drive["drive"], "nothing.iso")[0] == 66, "no such image")
    guest.ok("quit")
    guest.end(130)


def case_deaf(novt):
    """Clients that do not read, or do not end a line: others are served, the guest goes on."""
    guest = Guest(novt, code=KEYS)
    deaf, dumb = guest.client(), guest.client()
    deaf.setblocking(False)
    dumb.setblocking(False)
    for _ in range(200):
        for client, data in ((deaf, b'{"execute": "help"}\n' * 100), (dumb, b"x" * 4096)):
            try:
                client.send(data)
            except BlockingIOError:
                pass
    guest.ok("sendkey", "a")
    check(guest.heard(2) == b"\x1e\x9e", guest.heard(2))
    deaf.close()
    guest.ok("quit")
    guest.end(130)


def one_line_error(got, status, part):
    lines = [line for line in got[2].splitlines() if not line.startswith("novt: note: ")]
    check(got[0] == status and len(lines) == 1 and part in lines[0], status, part, got)


def case_errors(novt):
    guest = Guest(novt, code=IDLE)
    used = novt.run("-monitor", "unix:" + guest.socket, "-serial", "none", code=IDLE)
    one_line_error(used, 73, "another name")
    guest.ok("quit")
    guest.end(130)
    guest.fails(69, "no guest at", "status")
    novt.path("file", b"text")
    one_line_error(novt.run("-monitor", "unix:" + novt.path("file"), code=IDLE), 73, "another name")
    one_line_error(novt.run("-monitor", "unix:/" + "x" * 200, code=IDLE), 64, "at most 107")
    one_line_error(novt.run("-monitor", "stdoi", code=IDLE), 64, "stdio, unix:PATH")
    one_line_error(novt.run("-monitor", "stdio", "-serial", "stdio", code=IDLE), 64, "unix:PATH")
    one_line_error(novt.run("-monitor", "stdio", "-nographic", code=IDLE), 64, "unix:PATH")
    got = subprocess.run([novt.program, "ctl", "status"], stderr=subprocess.PIPE, check=False)
    check(got.returncode == 64 and b"-s SOCKET" in got.stderr, got)


def case_prompt(novt):
    words = novt.command("-monitor", "stdio", novt.path("kernel", kernel(IDLE)))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        out, err = process.communicate(b"status\nhelp\npause\nstatus\nquti\n"
                                       b'{"execute": "status", "id": 3}\n{"execute\nquit\n',
                                       timeout=WAIT)
    check(process.returncode == 130, process.returncode, err)
    for part in (rb"^state: running", rb"screenshot FILE.png", rb"\nstate: paused",
                 rb"did you mean quit"):
        check(re.search(part, out), part, out)
    answers = [json.loads(line) for line in out.split(b"\n") if line.startswith(b"{")]
    check(answers[0]["return"]["state"] == "paused" and answers[0]["id"] == 3, answers)
    check(answers[1]["error"]["status"] == 64, answers)
    got = novt.run("-monitor", "stdio", "-timeout", "0.5", code=out8(0x80, 1) + IDLE)
    check(got[0] == 124, "standard input has ended", got)


def main():
    program, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    for name, case in list(globals().items()):
        if name.startswith("case_") and (not wanted or name[5:] in wanted):
            print(name[5:], flush=True)
            with tempfile.TemporaryDirectory() as directory:
                case(Novt(program, directory, "bt"))
    return 1 if failures else 0


sys.exit(main())
