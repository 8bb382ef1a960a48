"""The plots, as SVG: each panel is white, so that it is read in light and in dark, and the same figures give the same bytes."""

from dataclasses import dataclass
from typing import Callable

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

from bars import NEW, RAW  # noqa: E402
from tables import ALGORITHMS, SUBJECTS_OF_AUTH, auth_load  # noqa: E402
from text import figure  # noqa: E402

# Told apart without colours too: they differ in lightness.
OURS, OURS_TOO, BESIDE, BESIDE_TOO, THIRD = "#1b4f8f", "#6fa3dc", "#d9822b", "#f2c48d", "#9aa0a6"
STYLE = {
    "svg.hashsalt": "convex-auth-proxy",
    # Text stays text: small, and drawn with what the reader has.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Plot:
    title: str
    # The measurements without which there is nothing to see.
    needs: list
    # Makes the figure, or nothing when the measurements do not have what it shows.
    make: Callable


def draw(figures, folder):
    """Draws what can be drawn, takes away what no longer can, and tells the names of those that stand now."""
    drawn = []
    for name, plot in PLOTS.items():
        path = folder / f"{name}.svg"
        with matplotlib.rc_context(STYLE):
            made = plot.make(figures)
            if made is None:
                path.unlink(missing_ok=True)
                continue
            if any(figures.is_quick(need) for need in plot.needs):
                made.suptitle("a quick run: these figures mean little", color="#b00020", fontsize=9)
            made.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
            pyplot.close(made)
        drawn.append(name)
    return drawn


# === the plots ===


def http_cpu(figures):
    titles = {
        "cached-session": "cached\nsession",
        "cached-session-authjs": "session,\nAuth.js wire",
        "cached-session-logged": "session,\nwith logs",
        "cached-token": "cached\ntoken",
        "small-query": "small query,\npassed on",
    }
    small = [row for row in map(figures.http_row, titles) if row]
    big = figures.http_row("big-response")
    if not small:
        return None
    made, panels = pyplot.subplots(1, 2 if big else 1, figsize=(9, 3.4), width_ratios=[2, 1] if big else None, squeeze=False)
    first, *rest = panels[0]
    grouped(
        first,
        [f"{titles[row['name']]}\n({row['mode']})" for row in small],
        {"proxy": [row["values"]["proxy"] for row in small], "nginx": [row["values"][row["beside"]] for row in small]},
        [OURS, BESIDE],
        notes={"proxy": [f"{row['ratio']:.2f} ×" for row in small]},
    )
    described(first, "CPU of a request", "us", legend=True)
    for panel in rest:
        values = {"proxy": "proxy", "nginx": "nginx", "nginx-unbuffered": "un-\nbuffered", "nginx-in-memory": "in\nmemory"}
        shown = [name for name in values if name in big["values"]]
        bars(panel, [values[name] for name in shown], [big["values"][name] for name in shown], [OURS] + [BESIDE] * 3)
        described(panel, f"1 MiB passed on ({big['mode']})", "us")
    return made


def tokens(figures):
    subjects = {"proxy": "proxy", "node-key-once": "jose,\nkey kept", "node-guide": "guide:\nkey imported\neach time"}
    rows = {algorithm: figures.http_row(f"fresh-token-{algorithm}") for algorithm in ALGORITHMS}
    if not any(rows.values()):
        return None
    made, panels = pyplot.subplots(1, len(ALGORITHMS), figsize=(9, 3.2))
    for panel, (algorithm, row) in zip(panels, rows.items()):
        if row is None:
            panel.set_axis_off()
            continue
        values = row["requestsPerSecond"]
        shown = [name for name in subjects if name in values]
        bars(panel, [subjects[name] for name in shown], [values[name] for name in shown], [OURS, BESIDE_TOO, BESIDE])
        described(panel, f"{algorithm} ({row['mode']})", "tokens per second, over HTTP" if panel is panels[0] else "")
    return made


def auth(figures):
    rows = figures.result("auth").get("rows", [])
    if not rows:
        return None
    loads = list(dict.fromkeys(auth_load(row) for row in rows))
    subjects = [name for name in SUBJECTS_OF_AUTH if any(row["subject"] == name for row in rows)]
    found = {(auth_load(row), row["subject"]): row for row in rows}
    made, panels = pyplot.subplots(2, 1, figsize=(9, 5.6))
    for panel, key, title, unit in [
        (panels[0], "callsPerSecond", "auth() with a token", "calls per second"),
        (panels[1], "p99Ms", "99 of 100 take no longer", "ms"),
    ]:
        series = {SUBJECTS_OF_AUTH[name]: [found[load, name][key] for load in loads] for name in subjects}
        grouped(panel, [load.replace(", ", ",\n") for load in loads], series, [BESIDE, BESIDE_TOO, OURS, OURS_TOO])
        described(panel, title, unit, legend=panel is panels[0])
    return made


def sessions(figures):
    points, hits = figures.sessions() or [], figures.cache_hits()
    if not points and not hits:
        return None
    made, panels = pyplot.subplots(1, 3, figsize=(9, 3.2))
    over_http = [(point["sessions"], point["readUs"]) for point in points if point["readUs"] is not None]
    resident = [(point["sessions"], point["mb"]) for point in points]
    lines = [
        ("a read over HTTP", "us of CPU", {"": over_http}),
        (
            "a hit inside the process",
            "ns",
            {f"{threads} thread" + "s" * (threads > 1): pairs for threads, pairs in hits.items()},
        ),
        ("resident memory", "MB", {"": resident}),
    ]
    for panel, (title, unit, series) in zip(panels, lines):
        if any(series.values()):
            lined(panel, series)
            described(panel, title, unit)
            panel.set_xlabel("cached sessions")
        else:
            panel.set_axis_off()
    return made


def memory(figures):
    connection = figures.memory("idle-connections")
    idle, used = figures.socket_memory("idle"), figures.socket_memory("after")
    if not connection and not idle:
        return None
    made, panels = pyplot.subplots(1, 2, figsize=(9, 3.2), width_ratios=[1, 3])
    if connection:
        values = {"proxy": connection["value"], **connection["beside"]}
        bars(panels[0], list(values), list(values.values()), [OURS, BESIDE])
        described(panels[0], "an idle connection", "KB resident")
    else:
        panels[0].set_axis_off()
    if idle:
        titles = {"proxy": "proxy", "signed-in": "proxy, with\nits session"}
        series = {"idle": list(idle.values()), "after 30 KB each way": [used.get(name, 0) for name in idle]}
        grouped(panels[1], [titles.get(name, name) for name in idle], series, [OURS, OURS_TOO])
        described(panels[1], "a relayed socket, both legs", "KB resident", legend=True)
    else:
        panels[1].set_axis_off()
    return made


def signing(figures):
    works = {RAW: "signature\nalone", NEW: "token,\nnew", "token, given again": "token,\nagain"}
    if not figures.criterion("signing"):
        return None
    made, panels = pyplot.subplots(1, len(ALGORITHMS), figsize=(9, 3.2))
    for panel, algorithm in zip(panels, ALGORITHMS):
        found = {title: figures.median_ns("signing", f"sign {algorithm}/{work}") for work, title in works.items()}
        found = {title: ns / 1_000 for title, ns in found.items() if ns is not None}
        bars(panel, list(found), list(found.values()), [THIRD, OURS, OURS_TOO])
        described(panel, algorithm, "us" if panel is panels[0] else "")
    return made


# === how they look ===


def bars(panel, names, values, colours):
    drawn = panel.bar(range(len(names)), values, color=colours[: len(names)], width=0.7)
    panel.set_xticks(range(len(names)), names)
    panel.margins(y=0.18)
    panel.bar_label(drawn, [figure(value) for value in values], padding=2, fontsize=8)


def grouped(panel, names, series, colours, notes=None):
    """For each name one bar of each series, side by side, each with its value."""
    width = 0.84 / len(series)
    panel.margins(y=0.18)
    for number, ((title, values), colour) in enumerate(zip(series.items(), colours)):
        places = [at + (number - (len(series) - 1) / 2) * width for at in range(len(names))]
        drawn = panel.bar(places, values, width * 0.94, color=colour, label=title)
        labels = [figure(value) for value in values]
        if notes and title in notes:
            labels = [f"{note}\n{label}" for note, label in zip(notes[title], labels)]
        panel.bar_label(drawn, labels, padding=2, fontsize=7 if len(series) > 2 else 8)
    panel.set_xticks(range(len(names)), names)


def lined(panel, series):
    """Over numbers of sessions, of which ten times as many are one step."""
    for number, ((title, pairs), colour) in enumerate(zip(series.items(), [OURS, BESIDE])):
        panel.plot(*zip(*pairs), color=colour, marker="o", label=title)
        for x, y in pairs:
            # The second line's values below, where the first one's are not.
            panel.annotate(
                figure(y), (x, y), textcoords="offset points", xytext=(0, -14 if number else 7), ha="center", fontsize=8
            )
    counts = [x for pairs in series.values() for x, _ in pairs]
    panel.set_xscale("log")
    panel.set_xlim(min(counts) / 3, max(counts) * 3)
    panel.xaxis.set_major_formatter(FuncFormatter(short))
    panel.set_ylim(0, 1.3 * max(y for pairs in series.values() for _, y in pairs))
    if len(series) > 1:
        panel.legend(frameon=False, fontsize=8, loc="lower right")


def short(count, _):
    """10k instead of 10,000: many stand side by side."""
    for size, unit in [(1_000_000, "M"), (1_000, "k")]:
        if count >= size:
            return f"{count / size:g}{unit}"
    return f"{count:g}"


def described(panel, title, unit, legend=False):
    panel.set_title(title, loc="left")
    panel.set_ylabel(unit)
    panel.grid(axis="y", color="#e3e3e3", linewidth=0.7)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if legend:
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=8, borderpad=0, columnspacing=1)


PLOTS = {
    "http-cpu": Plot("CPU of a request, the proxy beside nginx", ["http"], http_cpu),
    "tokens": Plot("Signed tokens per second, by algorithm: the proxy, jose, and the guide's way", ["http"], tokens),
    "signing": Plot("A signature, a new token and a kept one, by algorithm", ["signing"], signing),
    "auth": Plot("auth() with a token: calls per second and p99, the guide's way and through the proxy", ["auth"], auth),
    "sessions": Plot("Cost of a read and resident memory, by the number of cached sessions", ["http", "cache"], sessions),
    "memory": Plot("Resident memory of an idle connection and of a relayed socket", ["http", "sockets"], memory),
}
