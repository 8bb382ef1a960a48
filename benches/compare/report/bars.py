"""The table of bars: what the proxy may cost at most, what it costs, and whether that is kept."""

from dataclasses import dataclass
from typing import Callable

from figures import NOT_MEASURED, Ratio
from text import figure, header, line

RAW, NEW = "signature by aws-lc-rs alone", "token, new"
KEPT, STRETCH, MISSED, QUICK = "kept", "stretch reached", "**MISSED**", "no verdict: a quick run"


@dataclass(frozen=True)
class Part:
    """One figure that must not be above a bar. A row may have several, and then names them."""

    value: float | Ratio | None
    bar: float
    stretch: float | None = None
    unit: str = "x"
    name: str = ""

    def number(self):
        return self.value.value if isinstance(self.value, Ratio) else self.value

    def verdict(self):
        number = self.number()
        if number is None:
            return NOT_MEASURED
        if number > self.bar:
            return MISSED
        return STRETCH if self.stretch is not None and number <= self.stretch else KEPT

    def cell(self):
        number = self.number()
        if number is None:
            told = NOT_MEASURED
        elif self.unit == "x":
            told = f"{number:.3f}"
            if isinstance(self.value, Ratio) and self.value.range():
                told += " ({:.3f} to {:.3f})".format(*self.value.range())
        else:
            told = f"{figure(number)} {self.unit}"
        return f"{self.name} {told}".strip()

    def source(self):
        return self.value.remark if isinstance(self.value, Ratio) else ""


@dataclass(frozen=True)
class Bar:
    work: str
    beside: str
    at_most: str
    stretch: str
    measurement: str
    parts: Callable
    # Where the figure is found in the measurement, if its parts do not tell.
    source: str = ""


def over_http(name, bar, stretch):
    return lambda figures: [Part(figures.http_ratio(name), bar, stretch)]


def token(algorithms, bar, stretch):
    def parts(figures):
        for algorithm in algorithms:
            ratio = figures.criterion_ratio("signing", f"sign {algorithm}/{NEW}", f"sign {algorithm}/{RAW}")
            yield Part(ratio, bar, stretch, name=algorithm if len(algorithms) > 1 else "")

    return parts


def codec(figures):
    for name, id in [("in", "wire_in/createSession"), ("out", "wire_out/getSessionAndUser")]:
        yield Part(figures.criterion_ratio("codec", f"{id}/spans", f"{id}/tree"), 0.5, 0.3, name=name)


def path_decision(figures):
    known, new = figures.path_decisions_ns()
    yield Part(known, 150, 50, "ns", "seen lately, the slowest")
    yield Part(new, 150, 50, "ns", "never seen")


def idle_connection(figures):
    yield Part(figures.memory_value("idle-connections"), 26, unit="KB")


def idle_socket(figures):
    for state, bar, name in [("idle", 8, "idle"), ("after", 16, "after 30 KB")]:
        values = figures.socket_memory(state)
        yield Part(values.get("proxy"), bar, unit="KB", name=name)
        yield Part(values.get("signed-in"), bar, unit="KB", name=f"{name}, with its session")


def cached_sessions(figures):
    yield Part(figures.memory_value("cached-sessions"), 120, unit="MB")
    yield Part(figures.memory_value("cached-sessions-read"), 1.3, name="read")


def start(figures):
    yield Part(figures.start("livezMs"), 50, unit="ms", name="/livez")
    yield Part(figures.start("adapterMs"), 50, unit="ms", name="a session")


RAW_SIGN = "raw `aws-lc-rs` signature of the same bytes"
BARS = [
    Bar("RS256 signature inside the minter, warm", RAW_SIGN, "1.05 × its time", "1.02", "signing", token(["RS256"], 1.05, 1.02)),
    Bar("fresh RS256 token over HTTP, 16 connections", "the same raw signature", "1.15 × its CPU", "1.10", "http",
        over_http("fresh-token-RS256", 1.15, 1.10)),
    Bar("EdDSA and ES256 tokens inside the minter", "raw signature", "1.25 ×", "1.15", "signing",
        token(["EdDSA", "ES256"], 1.25, 1.15)),
    Bar("cached session read over HTTP (about 600 bytes)", "nginx `return` of the same bytes", "1.4 × its CPU per request", "1.2",
        "http", over_http("cached-session", 1.4, 1.2)),
    Bar("cached token over HTTP", "nginx `return` of as many bytes", "1.4 ×", "1.2", "http", over_http("cached-token", 1.4, 1.2)),
    Bar("query passed through, small bodies", "nginx `proxy_pass` with keepalive", "1.6 × its CPU", "1.3", "http",
        over_http("small-query", 1.6, 1.3)),
    Bar("1 MiB response passed through", "nginx", "1.2 ×", "1.0", "http", over_http("big-response", 1.2, 1.0)),
    Bar("codec: `createSession` body in, `getSessionAndUser` answer out", "`serde_json::Value` parse + print of the same bytes",
        "0.5 × its time", "0.3", "codec", codec, "`wire_in`, `wire_out`: spans by tree"),
    Bar("function path decision", "", "150 ns", "50 ns", "path", path_decision),
    Bar("idle keep-alive connection, 5,000 of them", "", "26 KB resident each", "", "http", idle_connection, "`idle-connections`"),
    Bar("idle relayed socket, 5,000 of them", "", "8 KB resident each; 16 KB after 30 KB each way", "", "sockets", idle_socket,
        "memory, Rss"),
    Bar("100,000 cached sessions", "100 cached sessions", "120 MB resident, read cost 1.3 ×", "", "http", cached_sessions,
        "`cached-sessions`"),
    Bar("start to first answer", "", "50 ms", "", "http", start, "`start`"),
]  # fmt: skip


def table(figures):
    yield from header(["work", "beside", "at most", "stretch", "measured", "verdict", "from"])
    for bar in BARS:
        yield row(bar, figures)


def row(bar, figures):
    parts = list(bar.parts(figures))
    # Nothing at all is said once.
    measured = NOT_MEASURED if all(part.number() is None for part in parts) else "; ".join(part.cell() for part in parts)
    source = bar.source or next((part.source() for part in parts if part.source()), "")
    origin = f"`{bar.measurement}`" + (f": {source}" if source else "")
    return line(
        [bar.work, bar.beside, bar.at_most, bar.stretch, measured, verdict(parts, figures.is_quick(bar.measurement)), origin]
    )


def verdict(parts, quick=False):
    """Of all parts: missed if one is, and the stretch is reached if all reach theirs."""
    verdicts = [part.verdict() for part in parts]
    if all(told == NOT_MEASURED for told in verdicts):
        return NOT_MEASURED
    if quick:
        return QUICK
    if MISSED in verdicts:
        told = MISSED + named(parts, verdicts, MISSED)
    elif KEPT in verdicts:
        told = KEPT + named(parts, verdicts, STRETCH, f"{STRETCH}: ")
    else:
        told = STRETCH
    missing = named(parts, verdicts, NOT_MEASURED, f"{NOT_MEASURED}: ")
    return told + missing


def named(parts, verdicts, which, before=""):
    """The names of those with this verdict, in brackets, if only some have it."""
    names = [part.name or "the first" for part, told in zip(parts, verdicts) if told == which]
    return f" ({before}{', '.join(names)})" if 0 < len(names) < len(parts) else ""
