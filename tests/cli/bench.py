#!/usr/bin/env python3
"""novt bench from outside: bench.py NOVT; each case is a function case_* below.

Small runs only, of novt alone; what a number is, is never judged.
"""
import copy
import csv
import html.parser
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, check, failures  # noqa: E402

SMALL = ["--quick", "--minutes", "30", "--machines", "novt", "--only",
         "nano-callret,nano-in,crowd-1,crowd-2,counters"]
COUNTERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/counters.json")


class Bench:
    """The program, a folder for its files, and one small run whose document many cases look at."""

    def __init__(self, novt, folder):
        self.novt, self.folder = novt, folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *words, **environment):
        return subprocess.run([self.novt, "bench", *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))

    def measure(self):
        got = self.run(*SMALL, *(word for kind in ("json", "csv", "html")
                                 for word in (f"--{kind}", self.path(f"small.{kind}"))))
        check(got.returncode == 0, "a small run:", got.returncode, got.stderr)
        self.output = got.stdout
        with open(self.path("small.json"), encoding="utf-8") as file:
            self.document = json.load(file)

    def write(self, name, document):
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(document, file)
        return self.path(name)

    def compare(self, old, new, *options):
        return self.run("compare", *options, self.write("old.json", old),
                        self.write("new.json", new))


def check_error(got, status, part):
    lines = got.stderr.splitlines()
    check(got.returncode == status and lines and part in lines[-1],
          f"status {got.returncode}, want {status} and {part!r}:", got.stderr)


def case_errors(bench):
    check_error(bench.run("--only", "nonsense"), 64, "no row 'nonsense'")
    check_error(bench.run("--only", "nano-nonsense"), 64, "no row 'nano-nonsense'")
    check_error(bench.run("--machines", "novt,vax"), 64, "no column 'vax'")
    check_error(bench.run("--cpu", "9999"), 64, "--cpu 9999")
    check_error(bench.run("--pairs", "0"), 64, "--pairs 0")
    check_error(bench.run("--json", "/nowhere/file"), 73, "/nowhere/file")
    check_error(bench.run("--html", bench.folder), 73, bench.folder)
    check_error(bench.run("--guests", bench.folder), 66, "nanobench.elf")
    check_error(bench.run("--only", "nano", "--machines", "qemu", "--qemu", "no-such-qemu"), 69,
                "nothing to measure on")
    check_error(bench.run("--list", PATH=bench.folder), 69, "apt-get install python3")


def case_installed(bench):
    """An installed novt takes the benchmarks that are installed with it."""
    novt, scripts = bench.path("bin/novt"), bench.path("share/novt/bench")
    for folder in (os.path.dirname(novt), scripts):
        os.makedirs(folder)
    shutil.copy(bench.novt, novt)
    with open(os.path.join(scripts, "compare"), "w", encoding="ascii") as file:
        file.write("import sys\nprint(*sys.argv[1:])\nsys.exit(3)\n")
    got = Bench(novt, bench.folder).run("--only", "a b")
    check(got.returncode == 3 and got.stdout == f"--novt {novt} --only a b\n", got)


def case_no_debian(bench):
    """What needs it is left out, and told."""
    words = ["--quick", "--machines", "novt", "--only"]
    check_error(bench.run(*words, "boot", NOVT_CACHE="/proc/none"), 69, "nothing else")
    got = bench.run(*words, "boot,nano-callret", NOVT_CACHE="/proc/none")
    check(got.returncode == 0 and "out of reach" in got.stderr and "nano-callret" in got.stdout
          and "init's first line" not in got.stdout, got.returncode, got.stdout, got.stderr)


def case_list(bench):
    got = bench.run("--list")
    check(got.returncode == 0, "--list:", got.returncode, got.stderr)
    for word in ("getppid", "nano-cr3wr", "crowd-N", "tcp", "novt-kvm", "qemu-kvm", "bochs"):
        check(f"  {word} " in got.stdout, f"--list lacks {word}")


def case_nobody_reads(bench):
    """| head"""
    reader, writer = os.pipe()
    os.close(reader)
    got = subprocess.run([bench.novt, "bench", "--list"], stdout=writer, stderr=subprocess.PIPE,
                         text=True, timeout=WAIT, check=False)
    os.close(writer)
    check(got.returncode == 128 + signal.SIGPIPE and not got.stderr, got.returncode, got.stderr)


def case_json(bench):
    its = bench.document
    rows = {row["name"]: row for row in its["rows"]}
    check(list(rows) == ["nano-in", "nano-callret", "crowd-1", "crowd-2"], "rows:", list(rows))
    for name, row in rows.items():
        check(len(row["samples"]["novt"]) == 1 and row["median"]["novt"] > 0, name, row)
    check(rows["nano-in"]["published"]["software VMM"] == 216, rows["nano-in"])
    judged = {j["against"]: j for j in rows["nano-in"]["judged"]}
    check(judged["qemu"]["ratio"] is None and judged["published"]["ratio"] > 0, judged)
    check(rows["crowd-2"]["judged"][0]["against"] == "one", rows["crowd-2"])
    check(set(its["counters"]) == {"tlb", "window"} and its["counters"]["tlb"]["fault_pf"] == 4096,
          its["counters"])
    check(its["breakdown"]["nano"]["parts"]["guest code"] > 0, its["breakdown"])
    check(all(its["host"].get(key) for key in ("cpu", "cpus", "kernel", "hypervisor", "tsc_mhz")),
          its["host"])


def case_table(bench):
    for part in ("Nanobenchmarks", "| nano-in ", "3209 / 216 / 15826", "Many guests at once",
                 "where novt's time goes"):
        check(part in bench.output, f"the table lacks {part!r}:", bench.output)


def case_csv(bench):
    with open(bench.path("small.csv"), newline="", encoding="utf-8") as file:
        head, *lines = list(csv.reader(file))
    check(head == ["name", "what", "unit", "group", "column", "sample", "value"], head)
    got = {(line[0], line[4]): float(line[6]) for line in lines}
    for row in bench.document["rows"]:
        check(got[row["name"], "novt"] == row["samples"]["novt"][0], row["name"], got)
    check(got["nano-in", "published hardware VMM"] == 15826, got)


class Page(html.parser.HTMLParser):
    """Cells by row and column, and whether every element was closed."""

    OPEN_ENDED = {"meta", "link"}

    def __init__(self, text):
        super().__init__()
        self.cells, self.stack, self.bad, self.tags = {}, [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        its = dict(attrs)
        if "data-value" in its:
            self.cells[its["data-row"], its["data-column"]] = float(its["data-value"])
        if tag not in self.OPEN_ENDED:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.bad.append(tag)


def case_html(bench):
    with open(bench.path("small.html"), encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    check(not page.bad and not page.stack, "not well formed:", page.bad, page.stack)
    check("script" not in page.tags and "http://" not in text and "https://" not in text,
          "the report wants something from outside")
    for row in bench.document["rows"]:
        check(page.cells.get((row["name"], "novt")) == row["median"]["novt"], row["name"])
    check(page.tags >= {"svg", "rect", "table"}, page.tags)


def case_compare(bench):
    old, new = bench.document, copy.deepcopy(bench.document)
    got = bench.compare(old, new)
    check(got.returncode == 0 and "Nothing is slower" in got.stdout, "the same:", got.stdout)
    row = new["rows"][0]
    row["samples"]["novt"] = [row["median"]["novt"] * 1.5]
    row["median"]["novt"] *= 1.5
    got = bench.compare(old, new)
    check(got.returncode == 1 and "Slower" in got.stdout and row["name"] in got.stdout,
          "half as slow again:", got.returncode, got.stdout)
    check(bench.compare(old, new, "--counters").returncode == 0, "--counters looks at times")
    row["samples"]["novt"] = [row["median"]["novt"] * part for part in (0.4, 1, 1.2)]
    check(bench.compare(old, new).returncode == 0, "within its spread")
    new["counters"]["tlb"]["tlb_fills"] *= 1.1
    got = bench.compare(old, new, "--counters")
    check(got.returncode == 1 and "tlb: tlb_fills" in got.stdout, "a counter:", got.stdout)
    check(bench.compare(old, new, "--counters", "--allow", "20").returncode == 0, "--allow")
    check_error(bench.compare(old, {"rows": []}), 65, "is not what novt bench --json writes")
    check_error(bench.run("compare", bench.path("nothing"), bench.path("small.json")), 66,
                "cannot read")


def case_counters(bench):
    """Against those that are kept: none may have grown by a tenth."""
    got = bench.run("compare", "--counters", "--allow", "10", COUNTERS, bench.path("small.json"))
    check(got.returncode == 0, "Work that was not done before, by bench/counters.json. If it has "
          "to be, put there the counters of: novt bench --only counters --json FILE\n",
          got.stdout, got.stderr)


def main():
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sys.argv[1], folder)
        bench.measure()
        for name, case in list(globals().items()):
            if name.startswith("case_"):
                case(bench)
    sys.exit(1 if failures else 0)


main()
