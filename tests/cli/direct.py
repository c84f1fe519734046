#!/usr/bin/env python3
"""Direct execution from outside: direct.py NOVT [CASE...].

What is forbidden to novt is forbidden by a seccomp filter or a limit that is there when it starts.
"""
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

import guest
from guest import POWER_OFF, WAIT, Novt, Terminal, out8, text, wait_for

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures, skip  # noqa: E402

NOBODY = 65534
SECCOMP, MODIFY_LDT, EXECVEAT, PIDFD_OPEN, SOCKETPAIR = 317, 154, 322, 434, 53
MEMFD_CREATE, PRCTL, PERF_EVENT_OPEN, UNSHARE, PTRACE, MMAP = 319, 157, 298, 272, 101, 9
MFD_EXEC = 0x10
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


# --- A guest whose program computes for ever at CPL 3 ------------------------------

TSS, IDT, VECTOR, HANDLER = 0x4000, 0x5000, 0x30, 0x6000


def user_program(program, prepare=b""):
    """CR4.OSFXSR, paging, a GDT with user segments and a TSS; what prepares; IRET to a program at
    CPL 3."""
    base = guest.LOAD + guest.HEADER
    table = struct.pack("<6Q", 0, 0xCF9A000000FFFF, 0xCF92000000FFFF, 0xCFFA000000FFFF,
                        0xCFF2000000FFFF, 0x0000890000000067 | TSS << 16)
    head = b"\xeb" + bytes([len(table) + 6]) + table
    at = base + 2
    head += struct.pack("<HI", len(table) - 1, at)
    code = text("r") + out8(0x21, 0xFF) + out8(0xA1, 0xFF)
    code += b"\x0f\x20\xe0\x0d\x10\x06\0\0\x0f\x22\xe0"  # cr4: OSFXSR, PSE
    code += b"\xc7\x05\0\0\x20\0\x87\0\0\0"  # 4 MiB for users
    code += b"\xb8\0\0\x20\0\x0f\x22\xd8"  # cr3
    code += b"\x0f\x20\xc0\x0d\0\0\0\x80\x0f\x22\xc0"  # cr0: PG
    code += b"\x0f\x01\x15" + struct.pack("<I", at + len(table))  # lgdt
    code += b"\xb8\x23\0\0\0\x8e\xd8\x8e\xc0"  # ds, es
    code += b"\x31\xc0\x8e\xe0\x8e\xe8" + prepare  # fs, gs: null
    code += b"\x6a\x23\x68\0\x7c\0\0\x68\x02\x02\0\0\x6a\x1b"  # ss, esp, eflags, cs
    where = base + len(head) + len(code) + 6
    return head + code + b"\x68" + struct.pack("<I", where) + b"\xcf" + program


def user_spin():
    """A loop that counts."""
    return user_program(b"\x40\xeb\xfd")


def handler(code):
    """Puts this code there."""
    return b"".join(b"\xc6\x05" + struct.pack("<IB", HANDLER + i, byte)
                    for i, byte in enumerate(code))


def user_sysenter(rounds):
    """So many times it computes and executes SYSENTER, with an address in EBP that no sandbox can
    have mapped; the kernel's end is UD2 if EAX did not get there."""
    count, number, base = 0x7100, 0x12345678, guest.LOAD + guest.HEADER
    code = b"\x3d" + struct.pack("<I", number) + b"\x74\x02\x0f\x0b"
    code += b"\xff\x05" + struct.pack("<I", count) + b"\x81\x3d" + struct.pack("<2I", count, rounds)
    put = handler(code + b"\x74\x02\x0f\x35" + POWER_OFF)  # je; sysexit
    for register, value in (0x174, 8), (0x175, 0x8000), (0x176, HANDLER):
        put += b"\xb9" + struct.pack("<I", register) + b"\xb8" + struct.pack("<I", value)
        put += b"\x31\xd2\x0f\x30"
    loop = b"\xb9" + struct.pack("<I", 3000000) + b"\x49\x75\xfd"
    loop += b"\xb8" + struct.pack("<I", number) + b"\xbd\x00\xf0\xff\xff\x89\xe1\x0f\x34"
    begin = base + len(user_program(b"", put)) + 5
    return user_program(b"\xba" + struct.pack("<I", begin) + loop, put)  # edx: where it goes on


def entry(code):
    """INT VECTOR comes to this code, at CPL 0."""
    put = b"".join(b"\xc7\x05" + struct.pack("<II", at, value) for at, value in (
        (TSS + 4, 0x8000), (TSS + 8, 0x10), (IDT + 8 * VECTOR, 0x80000 | HANDLER),
        (IDT + 8 * VECTOR + 4, 0xEE00), (0x7000, (8 * VECTOR + 7) | (IDT & 0xFFFF) << 16),
        (0x7004, IDT >> 16)))
    put += handler(code) + b"\x0f\x01\x1d" + struct.pack("<I", 0x7000)  # lidt
    return put + b"\x66\xb8\x28\0\x0f\x00\xd8"  # ltr


def user_clock(prepare):
    """Computes, reads the time stamp counter, has it read by the kernel, and so on for ever. Where
    it ever went backwards: UD2, of which nobody takes the exception."""
    later = (b"\x0f\x31\x39\xfa\x77\x08\x72\x04\x39\xf0\x73\x02\x0f\x0b"  # than edi:esi
             b"\x89\xc6\x89\xd7")
    put = entry(later + b"\xcf") + b"\x31\xf6\x31\xff"  # the same; IRET; esi, edi: 0
    loop = b"\xb9" + struct.pack("<I", 1000000) + b"\x49\x75\xfd" + later
    loop += b"\xcd" + bytes([VECTOR])
    return user_program(loop + b"\xeb" + bytes([256 - len(loop) - 2]), put + prepare)


SPACES, ROUNDS = 16, 20


def until(body, compare):
    """Over and over, until what is compared is equal."""
    return body + compare + b"\x75" + bytes([256 - len(body) - len(compare) - 2])


def user_crowd():
    """SPACES address spaces take turns, each with 64 pages of its own at 4 MiB, of which no two are
    neighbours in memory. The program adds 1 to a word of each page; behind the last round the
    kernel finds ROUNDS in all of them, or UD2."""
    directories, tables, memory, count = 0x210000, 0x280000, 0x800000, 0x7100
    end = directories + SPACES * 0x1000
    number = struct.Struct("<I").pack
    inner = until(b"\x8d\x14\x89\x83\xe2\x3f\xc1\xe2\x0c"  # edx: (5 * ecx) % 64 pages
                  b"\x89\xdd\xc1\xe5\x12\x8d\x94\x2a" + number(memory | 7)  # behind ebx * 256 KiB
                  + b"\x89\x14\x8f\x41", b"\x80\xf9\x40")  # into the table, at ecx
    tables_made = until(
        b"\x89\xd8\xc1\xe0\x0c\x8d\xb8" + number(tables) + b"\x8d\x57\x07"  # edi: ebx's table
        + b"\xc7\x80" + number(directories) + number(0x87)  # all see the first 4 MiB
        + b"\x89\x90" + number(directories + 4) + b"\x31\xc9" + inner + b"\x43",
        b"\x80\xfb" + bytes([SPACES]))
    checked = until(
        b"\x0f\x22\xdb\x31\xc9"  # cr3: ebx
        + until(b"\x89\xc8\xc1\xe0\x0c\x81\xb8" + number(0x400000) + number(ROUNDS)
                + b"\x74\x02\x0f\x0b\x41", b"\x80\xf9\x40")
        + b"\x81\xc3" + number(0x1000), b"\x81\xfb" + number(end))
    turn = (b"\x0f\x20\xd8\x05" + number(0x1000) + b"\x3d" + number(end)  # the next cr3
            + b"\x75\x0d\xb8" + number(directories) + b"\xff\x0d" + number(count)
            + b"\x74\x04\x0f\x22\xd8\xcf"  # which of a new round is the first; iret
            + b"\xbb" + number(directories) + checked + POWER_OFF)
    put = (entry(turn) + b"\x31\xdb" + tables_made + b"\xc7\x05" + number(count) + number(ROUNDS)
           + b"\xb8" + number(directories) + b"\x0f\x22\xd8")
    loop = b"\x31\xc9" + until(b"\x89\xc8\xc1\xe0\x0c\xff\x80" + number(0x400000) + b"\x41",
                              b"\x80\xf9\x40") + b"\xcd" + bytes([VECTOR])
    return user_program(loop + b"\xeb" + bytes([256 - len(loop) - 2]), put)


def tasks_of(pid):
    """{pid: name} of the children, and theirs; not zombies."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as file:
                line = file.read()
        except OSError:
            continue
        comm, rest = line[line.index("(") + 1:line.rindex(")")], line[line.rindex(")") + 2:].split()
        if int(rest[1]) == pid and rest[0] != "Z":
            found[int(name)] = comm
    return found


def cpu_ticks(pid):
    """0: it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return int(file.read().rsplit(")", 1)[1].split()[11])
    except OSError:
        return 0


def start(novt, *options, code=None, **more):
    """novt with its program running in a sandbox: (process, runner, helper)."""
    process = novt.start("-user", "direct", "-no-reboot", *options, code=code or user_spin(),
                         **more)
    end = time.monotonic() + WAIT
    while time.monotonic() < end and process.poll() is None:
        tasks = tasks_of(process.pid)
        for pid, name in tasks.items():
            if name == "novt-runner" and cpu_ticks(pid) > 5:
                helper = [p for p, n in tasks.items() if n == "novt-helper"]
                check(len(helper) == 1, "one helper", tasks)
                return process, pid, helper[0]
        time.sleep(0.02)
    process.kill()
    check(False, "no program runs in a sandbox:", process.communicate())
    return None


def alive(pids):
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def check_gone(pids, what):
    end = time.monotonic() + WAIT
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.02)
    check(not alive(pids), what, "left behind:", alive(pids))


def outer_filters():
    """Those that this test runs under itself."""
    with open("/proc/self/status", encoding="latin-1") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Seccomp_filters"))


def case_killed(novt):
    """kill -9 of a runner, of the mapper, of novt."""
    for victim in ("runner", "mapper", "novt"):
        process, runner, _ = start(novt)
        family = list(tasks_of(process.pid))
        mapper = [int(t) for t in os.listdir(f"/proc/{runner}/task") if int(t) != runner]
        os.kill({"runner": runner, "mapper": mapper[0], "novt": process.pid}[victim],
                signal.SIGKILL)
        _, error = process.communicate(timeout=WAIT)
        if victim == "novt":
            check(process.returncode == -9, process.returncode)
        else:
            check(process.returncode == 74 and len(error.splitlines()) == 1
                  and b"direct execution was killed" in error, victim, process.returncode, error)
        check_gone(family, "kill -9 of " + victim)


def case_confined(novt):
    """All of novt's threads are under its filter, which is not in the runner's way."""
    process, runner, helper = start(novt)
    own = os.environ.get("NOVT_BUILD") != "asan"  # the sanitizers' build has none
    for pid, filters in ((process.pid, int(own)), (runner, 1), (helper, 0)):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="latin-1") as file:
                status = dict(line.split(":", 1) for line in file if ":" in line)
            count = int(status.get("Seccomp_filters", filters)) - outer_filters()
            check(count == filters, pid, task, "filters:", count)
    process.kill()
    process.communicate()


def case_helper_killed(novt):
    """Sandboxes go on without the helper."""
    process, runner, helper = start(novt)
    os.kill(helper, signal.SIGKILL)
    time.sleep(0.3)
    check(process.poll() is None, "it goes on")
    family = list(tasks_of(process.pid))
    check(runner in family, "so does its program")
    process.terminate()
    process.communicate(timeout=WAIT)
    check(process.returncode == 128 + signal.SIGTERM, process.returncode)
    check_gone(family, "SIGTERM")


def case_ended(novt):
    for number in (signal.SIGTERM, signal.SIGINT):
        process, _, _ = start(novt)
        family = list(tasks_of(process.pid))
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.2)
        check(process.poll() is None, "it goes on after a stop", process.returncode)
        process.send_signal(number)
        process.communicate(timeout=WAIT)
        check(process.returncode == 128 + number, process.returncode)
        check_gone(family, f"signal {number}")


def check_computes(process, runner, what):
    """Its program goes on, in the sandbox."""
    before, end = cpu_ticks(runner), time.monotonic() + WAIT
    while (process.poll() is None and cpu_ticks(runner) < before + 10
           and time.monotonic() < end):
        time.sleep(0.02)
    check(process.poll() is None, what, "status", process.returncode)
    check(cpu_ticks(runner) >= before + 10, what, "does not run directly")


def case_counter(novt):
    """A time stamp counter that is not the host's, since the guest was paused, or wrote it: user
    code still runs directly, and finds the one that the kernel finds."""
    path = novt.path("sock")
    process, runner, _ = start(novt, "-monitor", "unix:" + path, code=user_clock(b""))
    for _ in range(3):
        for command in ("pause", "continue"):
            got = subprocess.run([novt.program, "ctl", "-s", path, command], check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT)
            check(got.returncode == 0, command, got.stdout)
        check_computes(process, runner, "after a pause")
    process.kill()
    process.communicate()
    wrmsr = b"\xb9\x10\0\0\0\x31\xc0\x31\xd2\x0f\x30"  # the counter: 0
    process, runner, _ = start(novt, code=user_clock(wrmsr))
    check_computes(process, runner, "after the guest wrote the counter")
    process.kill()
    process.communicate()
    # For the kernel alone (CR4.TSD): the program's exception ends it.
    for options in (("-user", "direct"), ("-engine", "trap")):
        got = novt.run(*options, "-no-reboot", code=user_clock(
            b"\x0f\x20\xe0\x83\xc8\x04\x0f\x22\xe0"))
        check(got[0] == 80 and "could not handle #GP at 001b:" in got[2], options, "CR4.TSD:", got)


def case_counter_trap(novt):
    """A kernel that runs deprivileged reads the counter that it wrote: RDTSC traps then."""
    path = novt.path("stats")
    wrmsr = b"\xb9\x10\0\0\0\x31\xc0\x31\xd2\x0f\x30"
    got = novt.run("-engine", "trap", "-no-reboot", "-stats-json", path, code=wrmsr
                   + b"\x0f\x31\x85\xd2\x74\x02\x0f\x0b" + POWER_OFF)  # EDX is 0, or UD2
    check(got[0] == 0, got)
    with open(path, encoding="utf-8") as file:
        check(json.load(file)["engine"].get("trapped_RDTSC") == 1, "RDTSC did not trap")


def case_sysenter(novt):
    """A system's user code that has anything in EBP at SYSENTER loses no register by it."""
    for user in ("direct", "auto"):
        got = novt.run("-user", user, "-no-reboot", code=user_sysenter(200))
        check(got == (0, "r", ""), user, got)


def case_terminal(novt):
    """Ctrl-C while a program runs in its sandbox: the terminal is as before, nobody is left."""
    path = novt.path("kernel", guest.kernel(user_spin()))
    terminal = Terminal(novt.command("-user", "direct", "-serial", "stdio", path))
    check(terminal.expect(b"r"), terminal.text)
    wait_for(lambda: any(name == "novt-runner" and cpu_ticks(pid) > 5
                         for pid, name in tasks_of(terminal.pid).items()),
             "a runner that runs", lambda: tasks_of(terminal.pid))
    family = list(tasks_of(terminal.pid))
    terminal.type(b"\x03")
    check(terminal.status() == 128 + signal.SIGINT, "Ctrl-C")
    check(termios.tcgetattr(terminal.fd) == terminal.before, "the terminal is not restored")
    check_gone(family, "Ctrl-C")


# --- Hosts that lack something -------------------------------------------------------

ALLOW = 0x7FFF0000


def op(code, yes, no, k):
    return struct.pack("<HBBI", code, yes, no, k)


def install(*ops):
    """A seccomp filter, for this process and what it executes."""
    filters = b"".join(ops)
    code = ctypes.create_string_buffer(filters, len(filters))
    program = struct.pack("<HxxxxxxQ", len(ops), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
        os._exit(99)


def forbid(call, error=errno.EPERM, flag=0):
    """This system call, with this flag in its second argument, fails from now on."""
    flagged = [op(0x20, 0, 0, 24), op(0x45, 1, 0, flag), op(0x06, 0, 0, ALLOW)] if flag else []
    install(op(0x20, 0, 0, 0), op(0x15, 1, 0, call), op(0x06, 0, 0, ALLOW), *flagged,
            op(0x06, 0, 0, 0x00050000 | error))


def forbid_i386():
    """As a profile that knows the calls of 64-bit programs alone: others kill their process."""
    install(op(0x20, 0, 0, 4), op(0x15, 1, 0, 0xC000003E), op(0x06, 0, 0, 0),
            op(0x06, 0, 0, ALLOW))


def forbid_written_code():
    """mmap of memory to write and execute, as systemd's MemoryDenyWriteExecute."""
    install(op(0x20, 0, 0, 0), op(0x15, 0, 3, MMAP), op(0x20, 0, 0, 32), op(0x54, 0, 0, 6),
            op(0x15, 1, 0, 6), op(0x06, 0, 0, ALLOW), op(0x06, 0, 0, 0x00050000 | errno.EPERM))


def check_falls_back(novt, what, why, before):
    """auto does without; direct says why; the doctor names it; -d says so once."""
    got = novt.run("-user", "direct", code=POWER_OFF, preexec_fn=before)
    check(got[0] == 71 and len(got[2].splitlines()) == 1 and why in got[2]
          and "-user auto does without" in got[2], what, "-user direct:", got)
    got = novt.run("-user", "auto", code=text("x") + POWER_OFF, preexec_fn=before)
    check(got == (0, "x", ""), what, "-user auto:", got)
    got = novt.run("-d", "unit", code=POWER_OFF, preexec_fn=before)
    check(got[2].count("direct execution cannot be had") == 1, what, "-d:", got[2][:300])
    got = subprocess.run([novt.program, "doctor", "-quick"], stdout=subprocess.PIPE, text=True,
                         check=False, preexec_fn=before)
    check(got.returncode == 0 and why in got.stdout and "-user window, tlb" in got.stdout, what,
          "doctor:", got.stdout)


def case_forbidden(novt):
    for what, call, why in (("seccomp", SECCOMP, "seccomp"), ("execveat", EXECVEAT, "executing"),
                            ("pidfd", PIDFD_OPEN, "pidfd"), ("socketpair", SOCKETPAIR, "socket"),
                            ("prctl", PRCTL, "tied")):
        for error in (errno.EPERM, errno.ENOSYS):
            check_falls_back(novt, what, why, lambda c=call, e=error: forbid(c, e))
    check_falls_back(novt, "executable memfd", "memfd_create for an executable file",
                     lambda: forbid(MEMFD_CREATE, errno.EACCES, MFD_EXEC))
    check_falls_back(novt, "calls of 32-bit programs", "32-bit system call", forbid_i386)
    check_falls_back(novt, "written code", "MemoryDenyWriteExecute", forbid_written_code)


def case_not_needed(novt):
    """modify_ldt alone is not needed where the CPU has FSGSBASE; these others are not used."""
    calls = [MODIFY_LDT, PERF_EVENT_OPEN, UNSHARE]
    if os.environ.get("NOVT_BUILD") != "asan":  # whose leak checks trace
        calls.append(PTRACE)
    for call in calls:
        for error in (errno.EPERM, errno.ENOSYS):
            got = novt.run("-user", "direct", code=POWER_OFF,
                           preexec_fn=lambda c=call, e=error: forbid(c, e))
            check(got[0] == 0 or (call == MODIFY_LDT and "modify_ldt" in got[2]), call, got)


def case_no_memfd(novt):
    """Then there is no memory that address spaces can share: nothing goes, and novt says why."""
    def before():
        forbid(MEMFD_CREATE, errno.ENOSYS)

    got = novt.run("-user", "tlb", code=POWER_OFF, preexec_fn=before)
    check(got[0] == 71 and len(got[2].splitlines()) == 1 and "memfd_create" in got[2], got)
    got = subprocess.run([novt.program, "doctor", "-quick"], stdout=subprocess.PIPE, text=True,
                         check=False, preexec_fn=before)
    check(got.returncode == 69 and "novt needs memfd_create" in got.stdout, got)


def case_few_files(novt):
    """Too few descriptors for direct execution, just enough, and each number in between."""
    if os.environ.get("NOVT_BUILD") == "asan":  # which has some of its own
        return
    for count in range(11, 18):
        def before(count=count):
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

        got = novt.run("-user", "auto", code=text("x") + POWER_OFF, preexec_fn=before)
        check(got == (0, "x", ""), count, "descriptors:", got)
        got = novt.run("-user", "direct", code=text("x") + POWER_OFF, preexec_fn=before)
        check(got == (0, "x", "") or (got[0] == 71 and len(got[2].splitlines()) == 1), count,
              "descriptors, -user direct:", got)
    got = novt.run("-user", "direct", code=text("x") + POWER_OFF,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    check(got == (0, "x", ""), "40 descriptors, -user direct:", got)


def limited(count, user=NOBODY):
    """An ordinary user who may have so many processes, from now on."""
    resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def users_reach(novt):
    """Can novt be run as another user here?"""
    os.chmod(novt.directory, 0o755)
    if os.getuid() or os.environ.get("NOVT_BUILD") == "asan":  # whose leak checks need a process
        return False
    try:
        got = subprocess.run([novt.program, "-version"], preexec_fn=lambda: limited(50),
                             check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, subprocess.SubprocessError):  # a user namespace without that user, too
        got = None
    if got is None or got.returncode not in (0, 64):
        print("novt is out of an ordinary user's reach here")
        return False
    return True


def case_few_processes(novt):
    """An ordinary user who may have no more processes, or few."""
    if not users_reach(novt):
        return
    check_falls_back(novt, "one process", "no more processes", lambda: limited(1))
    for count in (2, 3, 5, 50):
        got = novt.run("-user", "auto", code=text("x") + POWER_OFF,
                       preexec_fn=lambda count=count: limited(count))
        check(got == (0, "x", ""), count, "processes:", got)


def check_crowd(novt, counter, user, before):
    """All address spaces are served right, and this of the engine's counters shows the limit."""
    path = novt.path("crowd")
    got = novt.run("-m", "32", "-user", user, "-no-reboot", "-stats-json", path, code=user_crowd(),
                   preexec_fn=before)
    check(got == (0, "r", ""), counter, user, got)
    with open(path, encoding="utf-8") as file:
        engine = json.load(file)["engine"]
    check(engine[counter] > 0, counter, user, engine)
    return engine


def case_crowd(novt):
    """Many more address spaces than the host allows processes."""
    if users_reach(novt):
        os.chmod(novt.directory, 0o777)
        engine = check_crowd(novt, "directs_refused", "direct", lambda: limited(4, NOBODY - 1))
        check(engine["directs_lost"] > SPACES, "sandboxes are taken from others:", engine)


def few_areas():
    """vm.max_map_count reads as 400, in a mount namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_PRIVATE | MS_REC, None)
            or libc.mount(b"/proc/self/cwd/areas", b"/proc/sys/vm/max_map_count", None, MS_BIND,
                          None)):
        raise OSError(ctypes.get_errno(), "no mount namespace")


def tell(line, name, **arguments):
    """The answer to a command."""
    line.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
    line.flush()
    return json.loads(line.readline())


def hold_up(runner, line):
    """The host runs the program's process no more; novt has noticed."""
    end = time.monotonic() + WAIT
    os.kill(runner, signal.SIGSTOP)
    while not tell(line, "status")["return"]["held_up"] and time.monotonic() < end:
        time.sleep(0.05)
    check(tell(line, "status")["return"]["held_up"], "held up")


def case_held_up(novt):
    """A stopped program is waited for, and goes on; every way out of novt leads out meanwhile."""
    monitor = os.path.join(novt.directory, "monitor")
    ways = (("quit", 130, lambda process, line: tell(line, "quit")),
            ("SIGTERM", 143, lambda process, line: process.terminate()),
            ("Ctrl-A x", 130, lambda process, line: os.write(keys, b"abc\x01x")),
            ("reset", 83, lambda process, line: tell(line, "reset")))
    for what, status, way in ways:
        theirs, keys = os.pipe()
        process, runner, _ = start(novt, "-serial", "mon:stdio", "-monitor", "unix:" + monitor,
                                   stdin=theirs)
        family = list(tasks_of(process.pid))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(monitor)
            line = client.makefile("rwb")
            hold_up(runner, line)
            answer = tell(line, "info", what="registers")
            check("not known" in answer.get("error", {}).get("desc", ""), answer)
            os.kill(runner, signal.SIGCONT)
            check_computes(process, runner, "continued")
            check(not tell(line, "status")["return"]["held_up"], "not held up any more")
            hold_up(runner, line)
            way(process, line)
        _, error = process.communicate(timeout=WAIT)
        check(process.returncode == status and b"force" not in error, what, process.returncode,
              error)
        check_gone(family, what)
        os.close(theirs)
        os.close(keys)


def case_few_areas(novt):
    """Areas are evicted before the host's limit is reached, which would take many more of them."""
    novt.path("areas", b"400\n")

    def before():
        os.chdir(novt.directory)
        few_areas()

    for user in ("window", "direct"):
        try:
            check_crowd(novt, "window_evictions", user, before)
        except subprocess.SubprocessError as error:
            print("no mount namespaces here:", error)
            return


def main():
    program = os.path.abspath(sys.argv[1])
    doctor = subprocess.run([program, "doctor", "-quick"], stdout=subprocess.PIPE, text=True,
                            check=False)
    if not any(line.split() == ["direct", "execution", "works"]
               for line in doctor.stdout.splitlines()):
        skip("no direct execution here:\n" + doctor.stdout)
    for name in sys.argv[2:] or [name[5:] for name in globals() if name.startswith("case_")]:
        with tempfile.TemporaryDirectory() as directory:
            started = len(failures)
            globals()["case_" + name](Novt(program, directory, "bt"))
            print(("FAILED" if len(failures) > started else "ok"), name, flush=True)
    sys.exit(1 if failures else 0)


main()
