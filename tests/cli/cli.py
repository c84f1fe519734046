#!/usr/bin/env python3
"""The program from outside: cli.py NOVT ENGINE [CASE...]; each case is a function case_* below."""
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

import guest
from guest import (DEBUG_EXIT, ECHO, HALT, IDLE, PANIC, POWER_OFF, RESET, SPIN, TRIPLE_FAULT,
                   WAIT, Novt, Terminal, debug_exit, out8, text, wait_for)

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures, listens  # noqa: E402


SEABIOS = "/usr/share/seabios/bios-256k.bin"


def check_status(got, want, what=""):
    check(got[0] == want, f"status {got[0]}, want {want}: {what}", got[1][-300:], got[2][-600:])


def one_line_error(got, status, part, what):
    """The one-line error that names the thing; notes may come before it."""
    lines = [line for line in got[2].splitlines() if not line.startswith("novt: note: ")]
    check(got[0] == status and len(lines) == 1 and lines[0].startswith("novt: ")
          and part in lines[0], f"{what}: status {got[0]} want {status}, want {part!r}:", got[2])


# --- How a run ends -----------------------------------------------------------

def case_ends(novt):
    check_status(novt.run(code=text("bye\n") + POWER_OFF), 0, "power off")
    check_status(novt.run("-no-reboot", code=RESET), 83, "reset with -no-reboot")
    check_status(novt.run(code=PANIC + POWER_OFF), 81, "panic")
    check_status(novt.run(code=HALT), 82, "halt")
    check_status(novt.run("-timeout", "0.3", code=SPIN), 124, "timeout, spinning")
    check_status(novt.run("-timeout", "0.3", code=IDLE), 124, "timeout, idle")
    for value in (0, 1, 31, 62, 127):
        check_status(novt.run(*DEBUG_EXIT, code=debug_exit(value)), (value << 1 | 1) & 0xFF,
                     f"isa-debug-exit {value}")
    check_status(novt.run("-device", "isa-debug-exit", code=out8(0x501, 3)), 7, "default port")


def case_triple_fault(novt):
    got = novt.run("-no-reboot", code=b"\x90" * 5 + TRIPLE_FAULT)
    check_status(got, 80)
    for part in ("triple fault", "#UD", "0008:00100025", "> ", "ud2", "eax 2badb002", "cr0"):
        check(part in got[2], f"the report lacks {part!r}:", got[2])
    for seconds in ("1", "8", "64"):  # enough to get so far
        got = novt.run("-timeout", seconds, code=TRIPLE_FAULT)
        if "triple fault" in got[2]:
            break
    check_status(got, 124, "without -no-reboot it reboots, and again")
    check(got[2].count("triple fault") == 1, "told once:", got[2])


def case_reboot(novt):
    """A counter in CMOS, which a reset leaves alone: the third boot powers off."""
    count = (b"\xb0\x50\xe6\x70\xe4\x71\xfe\xc0\x88\xc3"  # al = cmos[0x50] + 1
             b"\xb0\x50\xe6\x70\x88\xd8\xe6\x71"  # cmos[0x50] = al
             b"\x80\xfb\x03\x74" + bytes([len(text("again\n") + RESET) + 2])
             + text("again\n") + RESET + SPIN + text("done\n") + POWER_OFF)
    got = novt.run(code=count)
    check_status(got, 0)
    check(got[1] == "again\nagain\ndone\n", "three boots:", got[1])


def case_expect(novt):
    check_status(novt.run("-expect", "login:", code=text("xx login: ") + SPIN), 0, "met")
    got = novt.run("-expect", "login:", code=text("logout:") + POWER_OFF)
    check_status(got, 76, "not met")
    check("-expect" in got[2], got[2])
    check_status(novt.run("-serial", "null", "-expect", "ab", code=text("aab") + SPIN), 0, "null")
    check_status(novt.run("-expect", "x", "-timeout", "0.3", code=SPIN), 124, "timeout")


def case_signals(novt):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        for name, code in (("spinning", SPIN), ("idle", IDLE)):
            path = novt.path("out", b"")
            process = novt.start("-serial", "file:" + path, code=text("before") + code)
            wait_for(lambda: os.path.getsize(path) == len("before"), "the guest's output",
                     process.poll)
            process.send_signal(number)
            error = process.communicate(timeout=WAIT)[1]
            check(process.returncode == 128 + number,
                  f"{name}: {process.returncode} after {number}", error)
            with open(path) as file:
                check(file.read() == "before", "the output was not flushed")


# --- Consoles -------------------------------------------------------------------

def case_serial(novt):
    got = novt.run("-serial", "stdio", code=text("hello\n") + POWER_OFF)
    check(got[1] == "hello\n", "stdio:", got[1])
    path = novt.path("out", b"old and longer")
    check_status(novt.run("-serial", "file:" + path, code=text("new") + POWER_OFF), 0)
    with open(path) as file:
        check(file.read() == "new", "file:")
    path2 = novt.path("out2")
    code = text("one") + text("two", 0x2F8) + text("three", 0xE9) + POWER_OFF
    got = novt.run("-serial", "stdio", "-serial", "file:" + path, "-debugcon", "file:" + path2,
                   code=code)
    check(got[1] == "one", "COM1:", got[1])
    with open(path) as com2, open(path2) as debugcon:
        check((com2.read(), debugcon.read()) == ("two", "three"), "COM2, debugcon")
    got = novt.run("-serial", "none", "-debugcon", "stdio", code=code)
    check(got[1] == "three", "none, debugcon on stdio:", got[1])


def case_pipe(novt):
    """Input through a pipe, all of it and no more than is read; a slow reader."""
    data = bytes(range(1, 113)) * 8
    got = subprocess.run(novt.command(novt.path("kernel", guest.kernel(ECHO))),
                         input=data.replace(b"q", b"Q") + b"q", stdout=subprocess.PIPE,
                         timeout=WAIT, check=False)
    check(got.returncode == 0, got.returncode)
    check(got.stdout == data.replace(b"q", b"Q"), "echoed", len(got.stdout))
    lots = b"\xb9\x00\x00\x04\x00" + b"\x66\xba\xf8\x03\xb0A\xee\xe2\xfd"  # 256 Ki times 'A'
    process = novt.start(code=lots + POWER_OFF)
    time.sleep(2)
    check(process.poll() is None, "it must wait for its reader")
    output = process.communicate(timeout=WAIT)[0]
    check(output == b"A" * 0x40000, "a slow reader gets all:", len(output))
    check(process.returncode == 0, process.returncode)


def case_broken_pipe(novt):
    for_ever = b"\x66\xba\xf8\x03\xb0x\xee\xeb\xf7"  # the reader may be gone later than the first x
    process = novt.start(code=for_ever)
    process.stdout.close()
    error = process.stderr.read().decode()
    check(process.wait(WAIT) == 74, process.returncode)
    check(len(error.splitlines()) == 1 and "Broken pipe" in error, error)


def case_full_disk(novt):
    for options, name in ((["-serial", "file:/dev/full"], "serial line"),
                          (["-serial", "none", "-debugcon", "file:/dev/full"], "debugcon")):
        got = novt.run(*options, code=text("x") + text("x", 0xE9) + SPIN)
        one_line_error(got, 74, "/dev/full", name)
        check("free some space" in got[2], got[2])
    got = novt.run("-stats-json", "/dev/full", code=POWER_OFF)
    one_line_error(got, 74, "/dev/full", "-stats-json")


def case_unix(novt):
    path = novt.path("socket")
    process = novt.start("-serial", "unix:" + path, code=text("early ") + ECHO)
    wait_for(lambda: listens(path), "a socket that listens", process.poll)
    time.sleep(0.5)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(path)
        client.sendall(b"hello")
        got = b""
        while len(got) < 11 and (part := client.recv(100)):
            got += part
        check(got == b"early hello", got)
        client.sendall(b"q")
        check(process.wait(WAIT) == 0, process.returncode)
    check(not os.path.exists(path), "the socket file is left behind")


def case_pty(novt):
    process = novt.start("-serial", "pty", code=ECHO)
    line = process.stderr.readline().decode()
    name = re.search(r"/dev/pts/\d+", line)
    check(name, line)
    fd = os.open(name.group(), os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"hi\r\x03")
    got = b""
    while len(got) < 4 and select.select([fd], [], [], WAIT)[0]:
        got += os.read(fd, 100)
    check(got == b"hi\r\x03", got)
    os.write(fd, b"q")
    check(process.wait(WAIT) == 0, process.returncode)
    os.close(fd)


# --- The terminal -----------------------------------------------------------------

def on_terminal(novt, code, *options):
    return Terminal(novt.command(*options, novt.path("kernel", guest.kernel(code))))


def check_restored(terminal, what):
    check(termios.tcgetattr(terminal.fd) == terminal.before, f"{what}: terminal not restored")


def case_terminal(novt):
    terminal = on_terminal(novt, text("ready") + ECHO, "-nographic")
    check(terminal.expect(b"ready"), terminal.text)
    check(not termios.tcgetattr(terminal.fd)[3] & (termios.ECHO | termios.ICANON | termios.ISIG),
          "raw")
    terminal.type(b"\x03a\x01\x01b\x01hc")
    check(terminal.expect(b"\x03a\x01b"), terminal.text)
    check(terminal.expect(b"quit novt"), "Ctrl-A h:", terminal.text)
    terminal.type(b"\x01x")
    check(terminal.status() == 130, "Ctrl-A x")
    check_restored(terminal, "Ctrl-A x")
    terminal = on_terminal(novt, text("ready") + ECHO)
    check(terminal.expect(b"ready"), terminal.text)
    terminal.type(b"q")
    check(terminal.status() == 0, "power off")
    check_restored(terminal, "power off")


def case_terminal_monitor(novt):
    """Ctrl-A c: the keyboard is the monitor's, and the guest's again."""
    for options in (["-serial", "mon:stdio"], ["-nographic", "-S"]):
        terminal = on_terminal(novt, text("ready") + ECHO, *options)
        stopped = "-S" in options
        check(stopped or terminal.expect(b"ready"), terminal.text)
        terminal.type(b"\x01c")
        check(terminal.expect(b"help lists its commands"), terminal.text)
        terminal.type(b"stattt\x7f\x08us\r")
        check(terminal.expect(b"state: paused" if stopped else b"state: running"), terminal.text)
        terminal.type(b"continue\r" if stopped else b"wrong\x15info registers\r")
        check(terminal.expect(b"ready" if stopped else b"eflags: 0x"), terminal.text)
        check(b"unknown command" not in terminal.text, terminal.text)
        terminal.type(b"\x01chello\x01h")
        check(terminal.expect(b"hello") and terminal.expect(b"Ctrl-A c       the monitor"),
              terminal.text)
        terminal.type(b"\x01x" if stopped else b"\x01cquit\r")
        check(terminal.status() == 130, "quit")
        check_restored(terminal, "the monitor")


def case_monitor_in_a_pipe(novt):
    """As QEMU does: mon:stdio is no terminal's alone. Without it, bytes are bytes."""
    words = novt.command(novt.path("kernel", guest.kernel(ECHO)))
    lots = b"x" * 300
    for extra, data, status, out in (
            (["-serial", "mon:stdio"], b"\x01cstatus\nquit\n", 130, b"state: running"),
            (["-serial", "mon:stdio"], b"ab\x01\x01" + lots + b"q", 0, b"ab\x01" + lots),
            (["-serial", "stdio"], b"ab\x01cq", 0, b"ab\x01c")):
        got = subprocess.run(words + extra, input=data, stdout=subprocess.PIPE, timeout=WAIT,
                             stderr=subprocess.PIPE, check=False)
        check(got.returncode == status and out in got.stdout, extra, got.returncode,
              got.stdout[:300], got.stderr)


def case_terminal_deaf_guest(novt):
    """Ctrl-A x works when the guest does not listen."""
    terminal = on_terminal(novt, text("ready") + SPIN, "-nographic")
    check(terminal.expect(b"ready"), terminal.text)
    terminal.type(b"x" * 500 + b"\x01x")
    check(terminal.status() == 130, "Ctrl-A x")
    check_restored(terminal, "deaf guest")


def case_terminal_echr(novt):
    """-echr: another key is ours, and Ctrl-A the guest's."""
    terminal = on_terminal(novt, text("ready") + ECHO, "-nographic", "-echr", "0x14")
    check(terminal.expect(b"ready"), terminal.text)
    terminal.type(b"\x01b\x14h")
    check(terminal.expect(b"\x01b") and terminal.expect(b"Ctrl-T x       quit"), terminal.text)
    terminal.type(b"\x14x")
    check(terminal.status() == 130, "Ctrl-T x")
    check_restored(terminal, "Ctrl-T x")


def case_terminal_signals(novt):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        terminal = on_terminal(novt, text("ready") + IDLE, "-nographic")
        check(terminal.expect(b"ready"), terminal.text)
        os.kill(terminal.pid, number)
        check(terminal.status() == 128 + number, f"signal {number}")
        check_restored(terminal, f"signal {number}")
    for number in (signal.SIGSEGV, signal.SIGABRT):  # a crash of ours
        terminal = on_terminal(novt, text("ready") + IDLE, "-nographic")
        check(terminal.expect(b"ready"), terminal.text)
        os.kill(terminal.pid, number)
        status = terminal.status()
        check(status not in (0, None), f"crash {number}: {status}")
        check_restored(terminal, f"crash {number}")


def case_terminal_ctrl_c(novt):
    """With -serial stdio and no -nographic, Ctrl-C ends novt."""
    terminal = on_terminal(novt, text("ready") + SPIN, "-serial", "stdio")
    check(terminal.expect(b"ready"), terminal.text)
    terminal.type(b"\x03")
    check(terminal.status() == 130, "Ctrl-C")
    check_restored(terminal, "Ctrl-C")


# --- Costs and counters -------------------------------------------------------------

def cpu_seconds(pid):
    """What a process has used, all its threads."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def case_idle(novt):
    """A guest that sleeps: under 2 % of a core."""
    path = novt.path("out", b"")
    process = novt.start("-serial", "file:" + path, code=text("up") + IDLE)
    wait_for(lambda: os.path.getsize(path) == len("up"), "the guest's output", process.poll)
    for _ in range(5):  # the host may charge it for what it does for others
        before, began = cpu_seconds(process.pid), time.monotonic()
        time.sleep(3)
        used, passed = cpu_seconds(process.pid) - before, time.monotonic() - began
        if used < 0.02 * passed:
            break
    check(used < 0.02 * passed, f"{used:.3f} s of CPU in {passed:.1f} s")
    process.terminate()
    process.communicate(timeout=WAIT)


def case_stats(novt):
    path = novt.path("stats.json")
    got = novt.run("-stats", "-stats-json", path, code=text("x") + POWER_OFF)
    check_status(got, 0)
    with open(path) as file:
        stats = json.load(file)
    check(stats["status"] == 0 and stats["end"] == "power off", stats)
    check(stats["cpu"]["port_writes"] == 2, stats["cpu"])
    check(stats["engine_name"] == novt.engine, stats)
    for word in ("port_writes", "wall_s"):
        check(word in got[2] and (word in stats["cpu"] or word in stats["host"]), word, got[2])
    check(stats["time"]["ports"]["times"] == 2 and "port accesses" in got[2], stats["time"], got[2])
    check(stats["instructions"]["total"] > 0 and "interpreted" in got[2], got[2])


# Writes fw_cfg's list of files, and the begin of each, to port E9h.
FW_CFG_READER = (b"\xbb\x19\0\0\0"                    # mov ebx, 19h
                 b"\xba\x10\x05\0\0\x89\xd8\x66\xef\x42"  # mov edx, 510h; mov eax, ebx; out dx, ax
                 b"\xb9\0\x09\0\0\xec\xe6\xe9\xe2\xfb"    # in al, dx; out 0e9h, al; 2304 times
                 b"\x43\x83\xfb\x40\x72\xe6")            # to 3fh


def case_fw_cfg(novt):
    path, out = novt.path("given", b"from a file"), novt.path("out")
    got = novt.run("-fw_cfg", "name=opt/one,string=a,,b", "-fw_cfg", "opt/two,file=" + path,
                   "-debugcon", "file:" + out, code=FW_CFG_READER + POWER_OFF)
    check_status(got, 0)
    with open(out, "rb") as file:
        read = file.read()
    for part in (b"opt/one\0", b"opt/two\0", b"a,b\0", b"from a file\0"):
        check(part in read, part)
    one_line_error(novt.run("-fw_cfg", "opt/x,file=/nonexistent", code=POWER_OFF), os.EX_NOINPUT,
                   "/nonexistent", "a file that is not there")


def option_rom(code):
    rom = (b"\x55\xaa\x01" + code).ljust(511, b"\0")
    return rom + bytes([-sum(rom) & 0xFF])


def case_option_rom(novt):
    """The firmware calls it: mov al, 3; out 0f4h, al."""
    path = novt.path("card.rom", option_rom(b"\xb0\x03\xe6\xf4"))
    if os.path.exists(SEABIOS):
        check_status(novt.run("-option-rom", path, "-boot", "c", "-display", "none", "-serial",
                              "null", *DEBUG_EXIT), 7, "an option ROM")
    path = novt.path("short.rom", b"\x55\xaa\x02".ljust(512, b"\0"))
    one_line_error(novt.run("-option-rom", path, "-boot", "c", "-display", "none"), os.EX_DATAERR,
                   "not an option ROM", "a ROM that is too short")


# From a copy at 7000h to real mode; int 12h (how many KiB are below 640), whose AL is the status.
INT_12 = (b"\xbe\x3f\x00\x10\x00\xbf\x00\x70\x00\x00"  # mov esi, 10003fh; mov edi, 7000h
          b"\xb9\x40\x00\x00\x00\xf3\xa4"              # mov ecx, 64; rep movsb
          b"\x0f\x01\x15\x21\x70\x00\x00"              # lgdt [7021h]
          b"\xea\x00\x70\x00\x00\x18\x00"              # jmp 18h:7000h
          b"\x0f\x20\xc0\x24\xfe\x0f\x22\xc0"          # mov eax, cr0; and al, 0feh; mov cr0, eax
          b"\xea\x0d\x70\x00\x00"                      # jmp 0:700dh
          b"\x31\xc0\x8e\xd0\xbc\x00\x6f"              # xor ax, ax; mov ss, ax; mov sp, 6f00h
          b"\x2e\x0f\x01\x1e\x27\x70"                  # lidt cs:[7027h]
          b"\xb8\x05\x00\xcd\x12\xe6\xf4"              # mov ax, 5; int 12h; out 0f4h, al
          b"\x1f\x00\x15\x70\x00\x00"                  # limit and base of the GDT, of which only
          b"\xff\x03\x00\x00\x00\x00"                  # 18h is used; of the IDT
          b"\xff\xff\x00\x00\x00\x9b\x00\x00")         # a code segment of 16 bits


def case_bios(novt):
    """A kernel that calls the BIOS: without one it is told so, with one it gets an answer."""
    options = ["-display", "none", "-no-reboot", *DEBUG_EXIT]
    got = novt.run(*options, code=INT_12)
    check_status(got, 5 << 1 | 1, "nobody answers")
    check(got[2].count("calls the BIOS") == 1, got[2])
    if os.path.exists(SEABIOS):
        got = novt.run("-bios", SEABIOS, *options, code=INT_12)
        check_status(got, (639 << 1 | 1) & 0xff, "639 KiB")
        check("calls the BIOS" not in got[2], got[2])


def case_log(novt):
    path = novt.path("log")
    check_status(novt.run("-d", "int,dev", "-D", path, code=text("x") + POWER_OFF), 0)
    check(os.path.exists(path), "-D")
    if novt.engine == "bt":
        check_status(novt.run("-d", "trace", "-D", path, code=text("x") + POWER_OFF), 0)
        with open(path, encoding="utf-8") as log:
            check("trace set on frame" in log.read(), "-d trace")
    got = novt.run("-d", "help")
    check(got[0] == 0 and "guest_errors" in got[1], got)
    got = novt.run("-cpu", "help")
    check(got[0] == 0 and "pentium3" in got[1] and "host" in got[1], got)
    got = novt.run("-device", "?")  # kvm-unit-tests' script looks for the name in these marks
    check(got[0] == 0 and 'name "pc-testdev"\n' in got[1], got)


def case_help(novt):
    for words in (["-h"], ["--help"], ["help"], ["run", "-h"], ["run", "--help"]):
        got = subprocess.run([novt.program, *words], stdout=subprocess.PIPE, text=True, check=False)
        check(got.returncode == 0 and "-nographic" in got.stdout, words)
        check(all(len(line) <= 100 for line in got.stdout.splitlines()), "too wide")
    got = subprocess.run([novt.program, "--version"], stdout=subprocess.PIPE, text=True,
                         check=False)
    check(re.fullmatch(r"novt \d+\.\d+\.\d+\n", got.stdout), got.stdout)
    got = subprocess.run([novt.program, "doctor"], stdout=subprocess.PIPE, text=True, check=False)
    for word in ("VT-x", "/dev/kvm", "seccomp", "memfd", "vm.max_map_count", "novt will use"):
        check(got.returncode == 0 and word in got.stdout, word, got.stdout)


def main():
    program, engine = os.path.abspath(sys.argv[1]), sys.argv[2]
    names = sys.argv[3:] or [name[5:] for name in globals() if name.startswith("case_")]
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            started = len(failures)
            globals()["case_" + name](Novt(program, directory, engine))
            print(("FAILED" if len(failures) > started else "ok"), name, flush=True)
    sys.exit(1 if failures else 0)


main()
