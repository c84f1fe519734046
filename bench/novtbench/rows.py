"""What is measured: a table of rows, one benchmark each, and groups of their names.

A row that runs in a Debian guest is a word that guests/initramfs/benchmark knows. Its setup
(setups.py) is what that guest is started with.
"""
import re
from typing import NamedTuple

import io_rows

# What novt is compared with: (ratio required, aim). "tiers": the best of its own forced tiers.
SYSTEM = {"qemu": (0.5, 0.25), "tiers": (1.1, 1.0)}
COMPUTE = {"native": (1.08, 1.02), "qemu": (0.3, 0.15)}
MORE = {"qemu": (1.0, 0.5)}  # nobody has asked for less
NANO = {"qemu": (1.0, 0.5)}


class Row(NamedTuple):
    what: str
    against: dict
    unit: str = "s"
    group: str = "kernel"
    setup: str = "plain"
    light: bool = False  # interpreters can do it, too


ROWS = {
    "boot": Row("process start to init's first line", {"qemu": (0.7, 0.3)}, group="boot",
                light=True),
    "memory": Row("resident beyond the guest's own", {"qemu": (1.0, 0.5)}, "MiB", "boot"),
    "getppid": Row("1 M getppid", SYSTEM, light=True),
    "dd": Row("1 M syscalls (dd bs=1)", SYSTEM),
    "pagefault": Row("100 000 page faults", SYSTEM),
    "pipe": Row("50 000 pipe round trips", SYSTEM),
    "fork": Row("2000 x fork+wait", {"qemu": (0.9, 0.5)}),
    "forkexec": Row("300 x fork+exec of busybox true", SYSTEM),
    "groups": Row("80 000 messages, 80 processes", {"qemu": (0.5, 0.25)}),
    "open": Row("200 000 x open+close", MORE),
    "stat": Row("400 000 x stat", MORE),
    "signal": Row("50 000 signals taken", MORE),
    "tar": Row("tar of 2000 small files, and back", MORE),
    "x87": Row("x87 loop", {"qemu": (0.15, 0.05)}, group="compute", light=True),
    "sse2": Row("SSE2 matrix product", {"qemu": (0.15, 0.05)}, group="compute", light=True),
    "awk": Row("busybox awk, doubles", {"qemu": (0.15, 0.05), "native": (1.08, 1.02)},
               group="compute"),
    "md5sum": Row("md5sum of 64 MiB through a pipe", {"qemu": (0.3, 0.15)}, group="compute"),
    "bzip2": Row("bzip2 of 32 MiB of zeros", {"qemu": (0.3, 0.15)}, group="compute"),
    "md5file": Row("md5sum of 80 MiB from a file", COMPUTE, group="compute", setup="programs"),
    "bz2file": Row("bzip2 of 16 MiB of programs", COMPUTE, group="compute", setup="programs"),
    "gzfile": Row("gzip of the same", COMPUTE, group="compute", setup="programs"),
    "xzfile": Row("xz -2 of the same (Debian's)", COMPUTE, group="compute", setup="programs"),
    "sha256": Row("sha256 of 1 GiB (openssl speed)", {"native": (1.08, 1.02)}, group="compute",
                  setup="programs"),
    "avx2": Row("AVX2 kernel", {"native": (1.08, 1.02)}, group="compute"),
    "awkbig": Row("busybox awk, branches", COMPUTE, group="compute"),
    "gcc": Row("Debian's gcc -O1 of 20 000 lines", {"qemu": (0.3, 0.15), "native": (2.0, 1.3)},
               group="compute", setup="programs"),
    "chase": Row("pointer chase over 64 MiB", {**COMPUTE, **MORE}, group="memory"),
    "workset": Row("10 M random writes to 128 MiB", MORE, group="memory"),
    "mmap": Row("20 000 x mmap, touch, munmap", MORE, group="memory"),
    "protect": Row("100 000 x mprotect, back, a write", MORE, group="memory"),
    **{name: Row(what, against, unit, "io", "io")
       for name, (what, unit, against) in io_rows.ROWS.items()},
}

# Names with a number in them: how many processes in one guest, how many guests at once.
PROCESSES = re.compile("processes-([1-9][0-9]*)")
CROWD = re.compile("crowd-([1-9][0-9]*)")
CROWD_NEED = {"one": (1.08, 1.02)}  # "one": novt's own crowd-1

# Adams and Agesen, ASPLOS 2006, figure 4: cycles of a 3.8 GHz Pentium 4.
PUBLISHED_TITLE = "Adams and Agesen 2006 (3.8 GHz Pentium 4)"
PUBLISHED_COLUMNS = ("native", "software VMM", "hardware VMM")
PUBLISHED = {
    "nano-syscall": (242, 2308, 246),
    "nano-in": (3209, 216, 15826),
    "nano-cr0ts": (150, 35, 177),  # cr8wr there
    "nano-callret": (11, 51, 11),
    "nano-pgfault": (1093, 3927, 11242),
    "nano-divzero": (889, 3223, 1014),
    "nano-ptemod_same": (1, 391, 12733),
    "nano-ptemod_p_np": (4, 17, 9154),
    "nano-ptemod_np_p": (5, 2121, 17020),
}
PUBLISHED_NEED = (1.0, 0.5)  # of the software VMM's cycles


# What guests/nanobench.c does.
NANOS = {
    "syscall": "int 0x80 and iret", "sysenter": "sysenter and sysexit",
    "in": "in from port 0x80", "in_pic": "in from the 8259", "mmio": "read of the local APIC",
    "cr3wr": "CR3 written, the same", "cr4wr": "CR4 written, the same", "cr0ts": "CR0.TS changed",
    "ctxsw": "another address space, a page of it", "callret": "call and ret",
    "indcall": "indirect call and ret", "pgfault": "page fault and iret",
    "divzero": "divide error and iret", "ptemod": "PTE's P changed each time",
    "ptemod_invlpg": "PTE's P changed, and invlpg", "ptemod_same": "PTE unchanged",
    "ptemod_same_invlpg": "PTE unchanged, and invlpg",
    "ptemod_p_np": "PTE present to not present",
    "ptemod_p_np_invlpg": "PTE present to not, and invlpg",
    "ptemod_np_p": "PTE not present to present",
    "ptemod_np_p_invlpg": "PTE not present to present, and invlpg",
    "ptemod_map_touch": "page mapped, read, unmapped", "ptemod_map_write": "16 of them, written",
    "pushf_popf": "pushf and popf", "cli_sti": "cli and sti", "int_iret": "int and iret, ring 0",
    "hlt": "hlt until the timer, beyond the wait", "repmovs": "rep movs of 1 KiB",
}


def names_of(group):
    return [name for name, row in ROWS.items() if row.group == group]


GROUPS = {
    "issue2": ["boot", "dd", "getppid", "forkexec", "md5sum", "bzip2", "pagefault", "pipe", "fork",
               "x87", "sse2", "awk", "memory"],
    "boot": names_of("boot"),
    "kernel": names_of("kernel"),
    "compute": names_of("compute"),
    "memory": names_of("memory"),
    "io": names_of("io"),
    "system": [name for name, row in ROWS.items() if "tiers" in row.against],
    "mixed": ["gcc", "groups"],
    "crowd": [f"crowd-{n}" for n in (1, 2, 5, 10, 20, 50, 100)],
    "processes": [f"processes-{n}" for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)],
}


def row_of(name):
    """The table's row, or one made for a name that is not in it."""
    if name.startswith("nano-"):
        return Row(NANOS.get(name[5:], name[5:]), NANO, "cycles", "nano", light=True)
    if CROWD.fullmatch(name):
        return Row(f"{CROWD.fullmatch(name).group(1)} at once, each", CROWD_NEED,
                   group="crowd")
    return ROWS.get(name) or Row(name, {})


def in_guest(name):
    """Is it a word for guests/initramfs/benchmark?"""
    return name not in ("boot", "memory")
