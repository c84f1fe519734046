#!/usr/bin/env python3
"""The report of novt bench in a browser: bench_browser.py NOVT.

Chromium opens it from a file, without a window: nothing may be complained about in its console, and
what it made of the page must show the numbers of the JSON. Status 77, told why: no Chromium.
"""
import html.parser
import json
import os
import subprocess
import sys
import tempfile

import browser

ROWS = "nano-callret,nano-in,nano-ptemod_same,crowd-1"


class Cells(html.parser.HTMLParser):
    """What is shown in bold in each cell that says what it holds."""

    def __init__(self, text):
        super().__init__()
        self.cell, self.bold, self.shown, self.charts = None, False, {}, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        its = dict(attrs)
        self.charts += tag == "svg"
        self.bold = tag == "b"
        if tag == "td":
            self.cell = (its["data-row"], its["data-column"]) if "data-row" in its else None

    def handle_data(self, data):
        if self.cell and self.bold:
            self.shown[self.cell] = data


def number(value):
    """As the report writes it."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def make_report(novt, folder):
    path = os.path.join(folder, "report.html")
    subprocess.run([novt, "bench", "--quick", "--machines", "novt", "--only", ROWS, "--html", path,
                    "--json", f"{folder}/report.json"], check=True, stdout=subprocess.DEVNULL)
    with open(f"{folder}/report.json", encoding="utf-8") as file:
        return path, json.load(file)


def complaints(document, page, said):
    if said:
        yield "the console has: " + said
    cells = Cells(page)
    for row in document["rows"]:
        want, got = number(row["median"]["novt"]), cells.shown.get((row["name"], "novt"))
        if got != want:
            yield f"{row['name']}: the page shows {got}, the JSON has {want}"
    if cells.charts < 3:
        yield f"{cells.charts} charts"


def main():
    chromium = browser.find("the report")
    with tempfile.TemporaryDirectory() as folder:
        path, document = make_report(sys.argv[1], folder)
        page, said = browser.dump(chromium, folder, path)
        found = list(complaints(document, page, said))
    print("\n".join(found))
    sys.exit(1 if found else 0)


main()
