"""For the terminal: progress while it runs, and the tables (which are Markdown as well)."""
import statistics
import sys

from novtbench import host


GROUP_TITLES = {
    "boot": "Boot to init", "kernel": "Kernel-heavy", "compute": "Compute", "memory": "Memory",
    "io": "Disk, network, screen", "nano": "Nanobenchmarks",
    "crowd": "Many guests at once",
}


class Progress:
    """One line that is written over on a terminal, else a line for each step; on stderr."""

    def __init__(self, out=sys.stderr):
        self.out, self.live = out, out.isatty()
        self.notes = []  # what a reader of the results must know as well

    def clear(self):
        if self.live:
            self.out.write("\r\033[K")

    def step(self, text):
        self.clear()
        self.out.write(f"novt bench: {text}" + ("" if self.live else "\n"))
        self.out.flush()

    def note(self, text):
        self.notes.append(text)
        self.say(text)

    def say(self, text):
        self.clear()
        self.out.write(f"novt bench: {text}\n")
        self.out.flush()


EMPTY = ("An empty cell has not been measured: QEMU does the rows that novt is compared with it "
         "in, and 10 guests at most; forced tiers those that depend on the tier; interpreters the "
         "light ones; Bochs the nanobenchmarks that the host's clock can tell apart; the host what "
         "a process can do.")


def has_empty(rows):
    """A column of the group has no value in one of its rows."""
    columns = {column for row in rows for column in row["samples"]}
    return any(columns - set(row["samples"]) for row in rows)


def number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(values):
    """The range as a part of the median."""
    middle = statistics.median(values)
    return f"{(max(values) - min(values)) / middle:.0%}" if middle and len(values) > 1 else ""


def print_cells(rows, out=None):
    """The first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for i, row in enumerate(rows):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |", file=out)
        if not i:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|", file=out)


def cell(row, column):
    values = row["samples"].get(column)
    if not values:
        return ""
    its = spread(values)
    return number(row["median"][column]) + (f" ({its})" if its else "")


def verdicts(row):
    """How much of whose time novt takes; what misses its requirement stands out."""
    judged = [j for j in row["judged"] if j["ratio"] is not None]
    return "; ".join(f"{number(j['ratio'])} x {j['against']}"
                     + ("" if j["holds"] else f" (MISSES {j['required']:g})") for j in judged)


def published(row):
    its = row.get("published")
    return " / ".join(number(value) for value in its.values()) if its else ""


def print_rows(rows, columns, out):
    """Of one group."""
    used = [c for c in columns if any(c in row["samples"] for row in rows)]
    with_published = any("published" in row for row in rows)
    head = ["benchmark", "what", "unit", *(columns[c]["title"] for c in used), "novt is"]
    cells = [head] + [[row["name"], row["what"], row["unit"], *(cell(row, c) for c in used),
                       verdicts(row)] for row in rows]
    if with_published:
        cells = [line + [published(row) if row else "A&A 2006: native / software / hardware VMM"]
                 for line, row in zip(cells, [None, *rows])]
    print_cells(cells, out)


def grouped(rows):
    """(title, rows) by group, in the order of the rows."""
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return [(GROUP_TITLES.get(group, group), its) for group, its in groups.items()]


def print_breakdown(breakdown, out):
    """Shares of novt's host time."""
    parts = list(next(iter(breakdown.values()))["parts"])
    rows = [["where novt's time goes", *parts, "all, s", "in the host's kernel, s"]]
    for group, its in breakdown.items():
        total = sum(its["parts"].values())
        shares = [its["parts"][part] / total if total else 0 for part in parts]
        rows.append([group, *(f"{share:.0%}" for share in shares), number(total),
                     number(its["system"])])
    print_cells(rows, out)


def print_processes(rows, out):
    head = ["guest processes", "native, ms each", "novt, ms each", "host processes",
            "most areas of one", "MiB beyond the guest's"]
    print_cells([head] + [[str(row["count"]), number(row["ms_each"].get("native")),
                           number(row["ms_each"].get("novt")),
                           str(row["host"].get("processes", "")),
                           str(row["host"].get("areas", "")),
                           number(row["host"].get("memory"))] for row in rows], out)


def show(document, out=sys.stdout):
    print(f"Host: {host.sentence(document['host'])}. Guest: Debian {document['kernel']}, "
          f"{document['memory_mib']} MiB. {document['pairs']} pairs, medians (and spread).",
          file=out)
    print("Mitigations: " + "; ".join(f"{name}: {text}" for name, text in
                                      document["host"]["mitigations"].items()), file=out)
    for name, column in document["columns"].items():
        if column["skipped"]:
            print(f"Skipped: {column['title']} (`{name}`): {column['skipped']}", file=out)
    for text in document["notes"]:
        print(f"Note: {text}", file=out)
    if any(has_empty(rows) for _, rows in grouped(document["rows"])):
        print(f"Note: {EMPTY}", file=out)
    print(file=out)
    for title, rows in grouped(document["rows"]):
        print(f"{title}:\n", file=out)
        print_rows(rows, document["columns"], out)
        print(file=out)
    if document["processes"]:
        print_processes(document["processes"], out)
        print(file=out)
    if document["breakdown"]:
        print_breakdown(document["breakdown"], out)
