"""Bar charts as SVG: no script, nothing from a network. Colours are the page's classes."""
import math
from html import escape
from typing import NamedTuple

LABEL, CHART, NUMBER = 320, 480, 100  # widths, from left to right
BAR, GAP, TOP = 11, 12, 26


class Bar(NamedTuple):
    column: str  # its class
    title: str
    value: float
    text: str  # what is written behind it


class Scale(NamedTuple):
    """From values to pixels; ticks are values."""
    low: float
    high: float
    log: bool
    ticks: list
    unit: str

    def at(self, value):
        if self.log:
            value = max(value, self.low)
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return CHART * min(max(part, 0), 1)


def log_scale(values, unit):
    """Whole decades around the values."""
    positive = [value for value in values if value > 0] or [1]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    high = max(high, low + 1)
    return Scale(10.0 ** low, 10.0 ** high, True, [10.0 ** i for i in range(low, high + 1)], unit)


def linear_scale(values, unit, most):
    """From 0; bars beyond "most" are cut."""
    high = max(1.0, min(most, max(values, default=1)))
    step = 10 ** math.floor(math.log10(high)) / 2
    ticks = [step * i for i in range(int(high / step + 1e-9) + 1)]
    return Scale(0, high, False, ticks, unit)


def text(x, y, content, anchor="start", cls=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{cls}">'
            f"{escape(content)}</text>")


def axis(scale, height):
    parts = []
    for tick in scale.ticks:
        x = LABEL + scale.at(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height}" class="grid"/>')
        parts.append(text(x, TOP - 11, f"{tick:g}", "middle", "tick"))
    parts.append(text(LABEL + CHART + NUMBER, TOP - 11, scale.unit, "end", "tick"))
    return parts


def bar(its, scale, y):
    width = max(scale.at(its.value), 1)
    cut = " »" if not scale.log and its.value > scale.high else ""
    return [f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR - 2}" rx="1.5" '
            f'class="bar {its.column}"><title>{escape(its.title)}: {escape(its.text)}</title>'
            "</rect>", text(LABEL + width + 5, y + BAR - 3, its.text + cut, cls="value")]


def svg(parts, height, name):
    width = LABEL + CHART + NUMBER
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(name)}">'
            + "".join(parts) + "</svg>")


def bars(groups, scale, name):
    """groups: (label, [Bar]) from top to bottom."""
    y, parts = TOP, []
    for label, its in groups:
        parts.append(text(LABEL - 10, y + BAR * len(its) / 2 + 3, label, "end", "label"))
        for one in its:
            parts += bar(one, scale, y)
            y += BAR
        y += GAP
    return svg(axis(scale, y - GAP + 2) + parts, y, name)


def stacked(rows, name):
    """rows: (label, [Bar]): shares of 1, side by side."""
    y, parts = 4, []
    for label, its in rows:
        x = LABEL
        parts.append(text(LABEL - 10, y + 14, label, "end", "label"))
        for one in its:
            width = one.value * (CHART + NUMBER)
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" '
                         f'class="bar {one.column}"><title>{escape(one.title)}: '
                         f"{escape(one.text)}</title></rect>")
            if width > 36:
                parts.append(text(x + width / 2, y + 14, one.text, "middle", "inside"))
            x += width
        y += 30
    return svg(parts, y, name)


def legend(entries):
    """(class, title)"""
    return '<p class="legend">' + "".join(
        f'<span><i class="{column}"></i>{escape(title)}</span>' for column, title in entries
    ) + "</p>"
