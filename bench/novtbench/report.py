"""The report: one HTML file with everything in it, for light and dark screens.

Every measured number is in a table cell that names its row and column (data-row, data-column) and
holds the exact value (data-value); the charts are drawn of the same.
"""
import time
from html import escape

from novtbench import charts
from novtbench.table import EMPTY, GROUP_TITLES, has_empty, number, spread

RATIO_SHOWN = 12  # bars of ratios are cut there
SERIES = ("native", "novt", "tlb", "window", "direct", "interp", "novt-kvm", "qemu", "qemu-kvm",
          "bochs")
PUBLISHED_SERIES = {"native": "p0", "software VMM": "p1", "hardware VMM": "p2"}

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c2024; --soft: #5b6570;
  --line: #d9dee3; --bad: #b3261e; --native: #6b7480; --novt: #0b62c4; --tlb: #6aa5e8;
  --window: #93c0f0; --direct: #4a86cc; --interp: #a9b8dc; --novt-kvm: #123f78; --qemu: #d2691e;
  --qemu-kvm: #8f3f0a; --bochs: #3c8a4e; --p0: #b9a5cf; --p1: #8a63b5; --p2: #d7c9e6; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181c; --ink: #e6eaee; --soft: #9aa6b2;
  --line: #303840; --bad: #ff8a80; --native: #98a2ad; --novt: #4f9cf5; --tlb: #2f6cb0;
  --window: #28507f; --direct: #6fb0f7; --interp: #5a6c98; --novt-kvm: #a8cdf8; --qemu: #f0904a;
  --qemu-kvm: #b5662c; --bochs: #62b878; --p0: #6d5a85; --p1: #b08adb; --p2: #4d3f60; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
p.note, caption, .tick, .value { color: var(--soft); } p.note { margin: .3rem 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dd { margin: 0; }
dt { color: var(--soft); } svg { width: 100%; height: auto; font: 10.5px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .tick, svg .value { fill: var(--soft); }
svg .inside { fill: var(--ground); } .grid { stroke: var(--line); stroke-width: 1; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } td small { color: var(--soft); }
.misses { color: var(--bad); font-weight: 600; } .legend span { margin-right: 1rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem;
  border-radius: 2px; vertical-align: -1px; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--soft); }
"""


def series_style():
    names = [*SERIES, *PUBLISHED_SERIES.values()]
    rules = [f".{name} {{ fill: var(--{name}); background: var(--{name}); }}" for name in names]
    parts = ("novt", "qemu", "bochs", "interp", "native", "p1", "tlb", "p2")
    rules += [f".part{i} {{ fill: var(--{name}); background: var(--{name}); }}"
              for i, name in enumerate(parts)]
    return "\n".join(rules)


def columns_in(rows, document):
    return [c for c in document["columns"] if any(c in row["samples"] for row in rows)]


# ---- Tables -----------------------------------------------------------------------


def value_cell(row, column):
    values = row["samples"].get(column)
    if not values:
        return "<td></td>"
    median, its = row["median"][column], spread(values)
    return (f'<td data-row="{escape(row["name"])}" data-column="{escape(column)}" '
            f'data-value="{median!r}"><b>{number(median)}</b>'
            + (f" <small>{its}</small>" if its else "") + "</td>")


def verdict_cell(row):
    parts = [f'<span class="{"holds" if j["holds"] else "misses"}">{number(j["ratio"])} × '
             f'{escape(j["against"])}</span>' for j in row["judged"] if j["ratio"] is not None]
    return f"<td>{', '.join(parts)}</td>"


def published_cells(row, titles):
    its = row.get("published", {})
    return "".join(f"<td>{number(its.get(title))}</td>" for title in titles)


def rows_table(rows, document):
    columns = columns_in(rows, document)
    published = list(PUBLISHED_SERIES) if any("published" in row for row in rows) else []
    head = ["benchmark", "unit", *(document["columns"][c]["title"] for c in columns), "novt is",
            *(f"2006: {title}" for title in published)]
    lines = ["<tr>" + "".join(f"<th>{escape(title)}</th>" for title in head) + "</tr>"]
    for row in rows:
        lines.append(f'<tr><td>{escape(row["what"])} <small>{escape(row["name"])}</small></td>'
                     f'<td>{row["unit"]}</td>' + "".join(value_cell(row, c) for c in columns)
                     + verdict_cell(row) + published_cells(row, published) + "</tr>")
    return '<div class="scroll"><table>' + "".join(lines) + "</table></div>"


# ---- Charts -----------------------------------------------------------------------


def legend_of(columns, document, published=False):
    entries = [(c, document["columns"][c]["title"]) for c in columns]
    if published:
        entries += [(cls, f"2006: {title}") for title, cls in PUBLISHED_SERIES.items()]
    return charts.legend(entries)


def nano_chart(rows, document):
    groups, values = [], []
    for row in rows:
        its = [charts.Bar(c, document["columns"][c]["title"], row["median"][c],
                          number(row["median"][c]))
               for c in columns_in([row], document)]
        its += [charts.Bar(PUBLISHED_SERIES[title], f"2006: {title}", value, number(value))
                for title, value in row.get("published", {}).items()]
        values += [one.value for one in its]
        groups.append((row["what"], its))
    return (legend_of(columns_in(rows, document), document,
                      any("published" in row for row in rows))
            + charts.bars(groups, charts.log_scale(values, "cycles"), "cycles per operation"))


def base_column(row):
    return next((c for c in ("native", "qemu", "novt") if row["median"].get(c)), None)


def ratio_chart(rows, document):
    """To native; a row without it to QEMU, which its label says."""
    groups, values, drawn = [], [], set()
    for row in rows:
        base = base_column(row)
        if not base or len(row["median"]) < 2:
            continue
        ratios = {c: row["median"][c] / row["median"][base] for c in row["median"] if c != base}
        its = [charts.Bar(c, document["columns"][c]["title"], ratios[c], number(ratios[c]))
               for c in columns_in([row], document) if c != base]
        values += [one.value for one in its]
        drawn.update(ratios)
        groups.append((row["what"] + ("" if base == "native" else f" (to {base})"), its))
    if not groups:
        return ""
    scale = charts.linear_scale(values, "times", RATIO_SHOWN)
    columns = [c for c in columns_in(rows, document) if c in drawn]
    return legend_of(columns, document) + charts.bars(groups, scale, "ratios to native")


def crowd_chart(rows, document):
    """Total throughput relative to one guest."""
    one = next((row["median"] for row in rows if row["name"] == "crowd-1"), {})
    groups = []
    for row in rows:
        its = [charts.Bar(c, document["columns"][c]["title"], one[c] / row["median"][c],
                          f'{one[c] / row["median"][c]:.1%}')
               for c in columns_in([row], document) if c in one and row["median"][c]]
        groups.append((row["what"].replace(", each", ""), its))
    scale = charts.linear_scale([bar.value for _, its in groups for bar in its], "of one's", 2)
    return (legend_of(columns_in(rows, document), document)
            + charts.bars(groups, scale, "throughput of many guests"))


def breakdown_chart(breakdown):
    names = list(next(iter(breakdown.values()))["parts"])
    rows = []
    for group, its in breakdown.items():
        total = sum(its["parts"].values()) or 1
        rows.append((f"{GROUP_TITLES.get(group, group)} ({total:.2f} s)",
                     [charts.Bar(f"part{i}", name, its["parts"][name] / total,
                                 f'{its["parts"][name] / total:.0%}')
                      for i, name in enumerate(names)]))
    return (charts.legend([(f"part{i}", name) for i, name in enumerate(names)])
            + charts.stacked(rows, "where novt's time goes"))


# ---- The page ---------------------------------------------------------------------

NOTES = {
    "nano": "Cycles of the time stamp counter per operation, less is better; the axis is "
            "logarithmic. The same image in every monitor. Natively: what needs no privilege; "
            "syscall is the host kernel's, divide errors and page faults are signals. 2006: ",
    "crowd": "Total throughput relative to one guest, all on one CPU with 32 MiB each. In 2003, "
             "Xen's paper lost 7.5 % with 128 domains.",
}


NOTE_RATIOS = ("Times relative to the host's own, less is better; what it does not do itself, "
               "relative to QEMU's.")


def section(title, body, note=""):
    its = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{its}{body}</section>"


def rows_sections(document):
    groups = {}
    for row in document["rows"]:
        groups.setdefault(row["group"], []).append(row)
    draw = {"nano": nano_chart, "crowd": crowd_chart}
    for group, rows in groups.items():
        note = NOTES.get(group, NOTE_RATIOS)
        if group == "nano":
            note += document["published"] + "."
        body = (draw.get(group, ratio_chart)(rows, document)
                + "<details open><summary>Medians, and the range as a part of them</summary>"
                + rows_table(rows, document)
                + (f'<p class="note">{escape(EMPTY)}</p>' if has_empty(rows) else "")
                + "</details>")
        yield section(GROUP_TITLES.get(group, group), body, note)


def processes_section(document):
    cells = [f'<tr><td>{row["count"]}</td><td>{number(row["ms_each"].get("native"))}</td>'
             f'<td>{number(row["ms_each"].get("novt"))}</td>'
             f'<td>{row["host"].get("processes", "")}</td><td>{row["host"].get("areas", "")}</td>'
             f'<td>{number(row["host"].get("memory"))}</td></tr>' for row in document["processes"]]
    head = "".join(f"<th>{title}</th>" for title in (
        "guest processes", "native, ms each", "novt, ms each", "host processes",
        "most areas of one", "MiB beyond the guest's"))
    return section("Many processes in one guest", '<div class="scroll"><table><tr>' + head
                   + "</tr>" + "".join(cells) + "</table></div>")


def counters_section(counters):
    names = list(dict.fromkeys(name for its in counters.values() for name in its))
    head = "".join(f"<th>{escape(form)}</th>" for form in counters)
    cells = ["<tr><td>" + name + "</td>" + "".join(
        f'<td data-row="{name}" data-column="{form}" data-value="{its.get(name, 0)}">'
        f'<b>{its.get(name, 0)}</b></td>' for form, its in counters.items()) + "</tr>"
        for name in names]
    return section("Counters", "<details><summary>What does not vary from run to run, by form of "
                   "access to memory</summary><table><tr><th></th>" + head + "</tr>"
                   + "".join(cells) + "</table></details>")


def host_list(document):
    its = document["host"]
    entries = [("CPU", f'{its["cpu"]}, {its["cpus"]} of them, TSC {its["tsc_mhz"]:.0f} MHz'),
               ("Memory", f'{its["memory_mib"]} MiB'), ("Kernel", its["kernel"]),
               ("Hypervisor", its["hypervisor"]),
               ("Hardware virtualization", its["virtualization"]),
               ("Load before", f'{its["load"]:.2f}'),
               ("Guest", f'Debian {document["kernel"]}, {document["memory_mib"]} MiB'),
               ("Runs", f'{document["pairs"]} of each, by turns, all on CPU {document["cpu"]}')]
    entries += [(f"Mitigation: {name}", text) for name, text in its["mitigations"].items()]
    entries += [(f'Skipped: {column["title"]}', column["skipped"])
                for column in document["columns"].values() if column["skipped"]]
    entries += [("Note", text) for text in document["notes"]]
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>"
                            for name, text in entries) + "</dl>"


def page(document):
    sections = list(rows_sections(document))
    if document["processes"]:
        sections.append(processes_section(document))
    if document["breakdown"]:
        sections.append(section("Where novt's time goes", breakdown_chart(document["breakdown"]),
                                "Host time by what it went to, of a run of its own; without the "
                                "boot where that is not what is looked at."))
    if document["counters"]:
        sections.append(counters_section(document["counters"]))
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
            '<link rel="icon" href="data:,"><title>novt bench</title><style>'
            + STYLE + series_style() + "</style></head><body>"
            "<h1>What virtualization costs here</h1>"
            f'<p class="note">novt bench, {time.strftime("%Y-%m-%d %H:%M")}</p>'
            + host_list(document) + "".join(sections) + "</body></html>\n")
