"""Figures and tables as Markdown."""

from figures import NOT_MEASURED


def figure(value):
    """Three digits and no more are worth reading."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def time(ns):
    """Nanoseconds in the unit that a person would choose."""
    if ns is None:
        return NOT_MEASURED
    for size, unit in [(1e9, "s"), (1e6, "ms"), (1e3, "us")]:
        if ns >= size:
            return f"{figure(ns / size)} {unit}"
    return f"{figure(ns)} ns"


def ratio(value):
    return "" if value is None else f"{value:.2f}"


def header(names, right_from=None):
    """Head and rule of a table whose columns from one on hold figures."""
    yield line(names)
    yield line(["---" if right_from is None or number < right_from else "---:" for number in range(len(names))])


def line(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def not_measured(command):
    command = " ".join(filter(None, ["benches/compare/report/run measure", command]))
    return [f"*{NOT_MEASURED[0].upper()}{NOT_MEASURED[1:]}: `{command}`.*"]
