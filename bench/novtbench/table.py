"""For the terminal: progress while it runs, and the tables (which are Markdown as well)."""
import statistics
import sys

from novtbench import host


class Progress:
    """One line that is written over on a terminal, else a line for each step; on stderr."""

    def __init__(self, out=sys.stderr):
        self.out, self.live = out, out.isatty()

    def clear(self):
        if self.live:
            self.out.write("\r\033[K")

    def step(self, text):
        self.clear()
        self.out.write(f"novt bench: {text}" + ("" if self.live else "\n"))
        self.out.flush()

    def note(self, text):
        self.clear()
        self.out.write(f"novt bench: {text}\n")
        self.out.flush()


def number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(values):
    """The range as a part of the median."""
    middle = statistics.median(values)
    return f"{(max(values) - min(values)) / middle:.0%}" if middle and len(values) > 1 else ""


def print_cells(rows, out):
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
    """Against whom, how much, what is required, and whether it holds."""
    judged = [j for j in row["judged"] if j["ratio"] is not None]
    return "; ".join(f"{number(j['ratio'])} x {j['against']}"
                     + (f" NOT {j['required']:g}" if not j["holds"] else "") for j in judged)


def print_rows(rows, columns, out):
    used = [c for c in columns if any(c in row["samples"] for row in rows)]
    head = ["benchmark", "what", "unit", *(columns[c]["title"] for c in used), "novt is"]
    print_cells([head] + [[row["name"], row["what"] if row["what"] not in row["name"] else "",
                           row["unit"], *(cell(row, c) for c in used), verdicts(row)]
                          for row in rows], out)


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
    for name, column in document["columns"].items():
        if column["skipped"]:
            print(f"Skipped: {column['title']} (`{name}`): {column['skipped']}", file=out)
    print(file=out)
    if document["rows"]:
        print_rows(document["rows"], document["columns"], out)
    if document["processes"]:
        print(file=out)
        print_processes(document["processes"], out)
