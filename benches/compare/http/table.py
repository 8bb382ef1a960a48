"""From the report to text."""

ROW_HEAD = ["row", "mode", "subject", "CPU us", "proxy /", "req/s", "p50 ms", "p99 ms", "half: req/s", "p50 ms", "p99 ms"]
BAR_HEAD = ["bar", "beside", "spread", "pinned", "at most", "stretch", ""]
KEPT_HEAD = ["kept in memory and start", "unit", "value", "at most", "", "beside"]
LEFT = {"row", "mode", "subject", "bar", "beside", "kept in memory and start", "unit", ""}


def table(report):
    parts = []
    if report["rows"]:
        parts += [aligned(ROW_HEAD, [line for row in report["rows"] for line in lines_of(row)])]
    bars = bars_of(report["rows"])
    if bars:
        parts += [aligned(BAR_HEAD, bars)]
    kept = kept_lines(report)
    if kept:
        parts += [aligned(KEPT_HEAD, kept)]
    parts.append("\n".join(notes(report)))
    return "\n\n".join(parts)


def lines_of(row):
    for number, name in enumerate(row["values"]):
        latency, half = row["latency"].get(name), row["halfLoad"].get(name)
        yield [
            row["name"] if number == 0 else "",
            row["mode"] if number == 0 else "",
            name,
            figure(row["values"][name]),
            f"{row['ratios'][name]:.2f}" if name in row["ratios"] else "",
            f"{row['requestsPerSecond'][name]:,.0f}",
            *([figure(latency["p50Ms"]), figure(latency["p99Ms"])] if latency else ["", ""]),
            *([f"{half['requestsPerSecond']:,.0f}", figure(half["p50Ms"]), figure(half["p99Ms"])] if half else [""] * 3),
        ]


def bars_of(rows):
    """One line for each row that has a bar: of both modes the worse counts."""
    names = dict.fromkeys(row["name"] for row in rows if row["bar"])
    for_each = []
    for name in names:
        modes = {row["mode"]: row for row in rows if row["name"] == name}
        worst = max(modes.values(), key=lambda row: row["ratio"])
        for_each.append(
            [
                name,
                worst["beside"],
                *(f"{modes[mode]['ratio']:.2f}" if mode in modes else "" for mode in ["spread", "pinned"]),
                f"{worst['bar']:.2f}",
                f"{worst['stretch']:.2f}",
                verdict(worst["ratio"], worst["bar"], worst["stretch"]),
            ]
        )
    return for_each


def kept_lines(report):
    lines = []
    for row in report["memory"]:
        beside = ", ".join(f"{name}: {figure(value)}" for name, value in row["beside"].items())
        lines.append(kept_line(f"{row['name']}: {row['what']}", row["unit"], row["value"], row["bar"], beside))
    start = report["start"]
    if start:
        for key, what in [("livezMs", "first 200 of /livez"), ("adapterMs", "first session on the adapter listener")]:
            lines.append(kept_line(f"start: {what}", "ms", start[key], start["bar"]))
        lines.append(["start: size of the binary", "MB", figure(start["binaryMb"]), "", "", ""])
    return lines


def kept_line(what, unit, value, bar, beside=""):
    return [what, unit, figure(value), figure(bar), verdict(value, bar), beside]


def verdict(value, bar, stretch=None):
    if value > bar:
        return "MISSED"
    return "stretch" if stretch and value <= stretch else "kept"


def notes(report):
    yield report["machine"] + ". Medians. 16 connections."
    if report["rows"]:
        yield "`proxy /` is the proxy's CPU per request by that of the line, round by round."
        yield "spread: all may run on all processors. pinned: the subject has one, the load and the deployment have the others."
        yield "half: as many requests for each subject of a row, half of what the slowest of them can at most."
        yield "A raw signature has no HTTP around it."
    if report["quick"]:
        yield "A quick run: it shows that all works; its figures mean little."


def figure(value):
    """Three digits and no more are worth reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aligned(head, body):
    """Names to the left, figures to the right."""
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *body]
    sides = [str.ljust if name in LEFT else str.rjust for name in head]
    return "\n".join("  ".join(side(*cell) for side, *cell in zip(sides, line, widths)).rstrip() for line in lines)
