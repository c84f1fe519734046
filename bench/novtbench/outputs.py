"""The document as JSON, as CSV and as a report."""
import csv
import json
import os
from pathlib import Path

from novtbench import report
from novtbench.errors import fail

CSV_HEAD = ("name", "what", "unit", "group", "column", "sample", "value")


def csv_rows(document):
    """A line for each sample; published figures as columns of their own, as sample 0."""
    for row in document["rows"]:
        head = [row["name"], row["what"], row["unit"], row["group"]]
        for column, values in row["samples"].items():
            for i, value in enumerate(values):
                yield [*head, column, i + 1, value]
        for column, value in row.get("published", {}).items():
            yield [*head, f"published {column}", 0, value]
    for row in document["processes"]:
        for column, value in row["ms_each"].items():
            yield [f"processes-{row['count']}", "each", "ms", "processes", column, 1, value]


def write_csv(path, document):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_HEAD)
        writer.writerows(csv_rows(document))


def write(args, document):
    try:
        if args.json:
            text = json.dumps(document, indent=2) + "\n"
            Path(args.json).write_text(text, encoding="utf-8")
        if args.csv:
            write_csv(args.csv, document)
        if args.html:
            Path(args.html).write_text(report.page(document), encoding="utf-8")
    except OSError as error:
        fail(f"cannot write '{error.filename}': {error.strerror}", os.EX_IOERR)
