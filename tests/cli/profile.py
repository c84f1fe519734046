"""-profile and -perf, from outside: profile.py NOVT NANOBENCH.elf profile|perf|jitdump

perf: what the host's perf makes of them is skipped, loudly, where there is no perf or none that
can count time (cpu-clock).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures, skip  # noqa: E402


NOVT, GUEST, PART = sys.argv[1:4]
WAIT = 500


def command(*options, words="fast only callret"):
    return [NOVT, "run", "-m", "64", "-append", words, "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4", *options, "-kernel", GUEST]


def run(words, folder):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=WAIT, cwd=folder)


def read_folded(path):
    """[(frames, count)]"""
    lines = []
    for line in Path(path).read_text(encoding="ascii").splitlines():
        got = re.fullmatch(r"([^ ]+) ([0-9]+)", line)
        check(got, f"a folded line: {line!r}")
        if got:
            lines.append((got.group(1).split(";"), int(got.group(2))))
    return lines


def test_folded(folder):
    for engine in ("bt", "interp"):
        done = run(command("-engine", engine, "-profile", "out.folded"), folder)
        check(done.returncode == 1, f"{engine}: status {done.returncode}: {done.stderr}")
        lines = read_folded(folder / "out.folded")
        for caller, called in (("guest_main_[k]", "nano_measure_[k]"),
                               ("boot_start_[k]", "guest_main_[k]")):
            check(any([caller, called] == frames[i:i + 2] for frames, _ in lines
                      for i in range(len(frames))), f"{engine}: {caller} calls {called}: {lines}")
        check(all(frames[0] in ("[kernel]", "[16-bit]") for frames, _ in lines),
              f"{engine}: where stacks begin")


def test_mistakes(folder):
    (folder / "text").write_text("nothing\n")
    for options, status, words in (
            (["-symbols", "text"], 65, "neither"),
            (["-profile-hz", "100"], 64, "-profile-hz is for"),
            (["-profile", "x", "-profile-hz", "0"], 64, "1 to 10000"),
            (["-profile", "x", "-symbols", "text"], 65, "neither"),
            (["-profile", "x", "-symbols", "none"], 66, "'none'"),
            (["-profile", "no/folder"], 73, "'no/folder'"),
            (["-perf", "-engine", "interp"], 64, "translates nothing")):
        done = run(command(*options), folder)
        check(done.returncode == status and words in done.stderr,
              f"{options}: {done.returncode} {done.stderr}")
    check(not (folder / "x").exists(), "no file of a run that cannot start")


def map_of(pid):
    return Path(f"/tmp/perf-{pid}.map")


def test_map(folder):
    """Without perf: the file itself, with a cache that is used again and again."""
    environment = dict(os.environ, NOVT_CACHE_SIZE="524288")
    with subprocess.Popen(command("-perf", words="fast"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          cwd=folder, env=environment) as guest:
        errors = guest.communicate(timeout=WAIT)[1]
    check(guest.returncode == 1, f"-perf: status {guest.returncode}: {errors}")
    rows = [line.split(" ") for line in map_of(guest.pid).read_text().splitlines()]
    map_of(guest.pid).unlink()
    check(all(len(row) == 3 for row in rows), "lines of three words")
    pieces = sorted((int(start, 16), int(size, 16)) for start, size, _ in rows)
    check(all(a + size <= b for (a, size), (b, _) in zip(pieces, pieces[1:])),
          "no address has two names")
    check(any(re.fullmatch(r"guest_main\+0x[0-9a-f]+", row[2]) for row in rows), "guest_main")


def skip_without_perf(folder):
    if not shutil.which("perf"):
        skip("no perf here: apt-get install linux-perf")
    done = run(["perf", "record", "-e", "cpu-clock", "-o", "try.data", "true"], folder)
    if done.returncode:
        skip(f"perf cannot count time here: {(done.stderr.strip() or '?').splitlines()[-1]}")


def symbols_of(data, folder):
    return run(["perf", "report", "-f", "-i", data, "--stdio", "-s", "sym"], folder).stdout


def test_perf(folder):
    done = run(["perf", "record", "-k", "mono", "-e", "cpu-clock", "-F", "999", "-o", "perf.data",
                *command("-perf", *(["jitdump"] if PART == "jitdump" else []),
                         words="only callret int_iret syscall pushf_popf")],
               folder)
    check(done.returncode in (0, 1) and "DONE" in done.stdout, done.stderr)
    data = "perf.data"
    if PART == "jitdump":
        data = "injected.data"
        done = run(["perf", "inject", "-f", "--jit", "-i", "perf.data", "-o", data], folder)
        check(done.returncode == 0, done.stderr)
    out = symbols_of(data, folder)
    check(re.search(r"\[\.\] (nano|trap|handler|just)_\w+\+0x[0-9a-f]+", out),
          f"names of guest code: {out}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if PART == "profile":
            test_folded(folder)
            test_mistakes(folder)
            test_map(folder)
        else:
            skip_without_perf(folder)
            test_perf(folder)
    print("FAIL" if failures else "ok", PART)
    return 1 if failures else 0


sys.exit(main())
