"""All tables but that of the bars: for each part of the document that is generated, a function from figures to lines."""

from figures import NOT_MEASURED
from text import figure, header, line, not_measured, ratio, time

ALGORITHMS = ["RS256", "ES256", "EdDSA"]
INSTRUCTIONS = {
    "avx512ifma": "RSA by vectors; without it an RS256 signature takes longer",
    "sha_ni": "SHA-256 in hardware",
}
SUBJECTS_OF_AUTH = {
    "guide": "guide's way",
    "guide-key-once": "guide's way, key imported once",
    "proxy": "through the proxy",
    "proxy-unix": "through the proxy, unix socket",
}
CALLS = {
    "guide": "guide's way",
    "guide-cache": "guide's way, `auth()` in React's `cache()`",
    "proxy": "through the proxy",
}


# === where the figures come from ===


def machine(figures):
    files = figures.files
    if not files:
        return not_measured("")
    return [*machines(files), "", *provenance(files)]


def machines(files):
    """Usually one for all. Where not, each says whose it is."""
    seen = {}
    for name, file in files.items():
        seen.setdefault(str(file["machine"]), (file["machine"], []))[1].append(name)
    if len(seen) > 1:
        yield "These were not all measured on one machine, or not with the same programs:"
        yield ""
    for told, names in seen.values():
        flags = told["flags"]
        kind = "a virtual machine" if "hypervisor" in flags else "no virtual machine"
        processors = f"{told['processors']} processor" + ("" if told["processors"] == 1 else "s")
        instructions = ", ".join(f"`{flag}` {'yes' if flag in flags else 'NO'} ({what})" for flag, what in INSTRUCTIONS.items())
        programs = ", ".join(f"{name} {version}" for name, version in told["programs"].items())
        yield f"- {'' if len(seen) == 1 else ', '.join(f'`{name}`' for name in names) + ': '}{told['processor']}, {processors}, " \
            f"{told['memoryGb']} GB of memory, {told['kernel']}, {kind}"  # fmt: skip
        yield f"- Instructions: {instructions}"
        yield f"- Programs: {programs or 'unknown'}"


def provenance(files):
    yield from header(["measurement", "commit", "measured", "processors that others kept busy just before", ""])
    for name, file in files.items():
        remarks = [
            "**a quick run: its figures mean little**" if file["quick"] else "",
            "the binary was given, not built from the commit" if file["binary"] == "given" and name in WITH_BINARY else "",
        ]
        yield line([f"`{name}`", file["commit"], file["date"], file["busyBefore"], "; ".join(filter(None, remarks))])


WITH_BINARY = ["http", "auth", "sockets", "calls", "bench"]

# === HTTP ===

WHERE = {"spread": "all on all processors", "pinned": "the subject on a processor of its own"}
HTTP_HEAD = ["subject", "CPU us", "proxy by it", "requests/s", "p50 ms", "p99 ms", "half load: requests/s", "p50 ms", "p99 ms"]


def http(figures):
    rows = figures.http_rows()
    if not rows:
        return not_measured("http")
    lines = []
    for mode, where in WHERE.items():
        in_mode = [row for row in rows if row["mode"] == mode]
        if in_mode:
            lines += [*([""] if lines else []), f"**{mode}**: {where}", "", *http_mode(in_mode)]
    return lines


def http_mode(rows):
    yield from header(["row", *HTTP_HEAD], 2)
    for row in rows:
        for number, name in enumerate(row["values"]):
            latency, half = row["latency"].get(name), row["halfLoad"].get(name)
            yield line(
                [
                    f"`{row['name']}`: {row['what']}" if number == 0 else "",
                    name,
                    figure(row["values"][name]),
                    ratio(row.get("ratios", {}).get(name)),
                    f"{row['requestsPerSecond'][name]:,.0f}",
                    *latency_cells(latency),
                    *([f"{half['requestsPerSecond']:,.0f}", *latency_cells(half)] if half else [""] * 3),
                ]
            )


def latency_cells(latency):
    return [figure(latency["p50Ms"]), figure(latency["p99Ms"])] if latency else ["", ""]


# === signatures, tokens, codec ===


def tokens(figures):
    if not figures.result("bench"):
        return not_measured("bench")
    lines = list(header(["", "algorithm", "threads", "per second", "CPU us each"], 2))
    for work, what in [("signature", "signature alone"), ("token", "token, signed")]:
        for row in figures.bench_rows(work):
            lines.append(line([what, row["algorithm"], row["threads"], f"{row['perSecond']:,.0f}", figure(row["cpuMicros"])]))
    lines += ["", *header(["over loopback HTTP", "algorithm", "connections", "per second", "p50 ms", "p90", "p99", "p99.9"], 2)]
    for work, what in [("fresh-over-http", "token, signed"), ("cached-over-http", "token, given again")]:
        for row in figures.bench_rows(work):
            percentiles = [figure(row["latency"][name]) for name in ["p50Ms", "p90Ms", "p99Ms", "p999Ms"]]
            lines.append(line([what, row["algorithm"], row["connections"], f"{row['perSecond']:,.0f}", *percentiles]))
    return lines


def signing(figures):
    if not figures.criterion("signing"):
        return not_measured("signing")
    works = ["signature by aws-lc-rs alone", "token, new", "token, given again", "bearer, read"]
    lines = list(header(["", *ALGORITHMS], 1))
    for work in works:
        lines.append(
            line([work, *(time(figures.median_ns("signing", f"sign {algorithm}/{work}")) for algorithm in ALGORITHMS)])
        )
    return lines


def codec(figures):
    medians = figures.criterion("codec")
    names = [name.removesuffix("/spans") for name in medians if name.endswith("/spans")]
    if not names:
        return not_measured("codec")
    groups = {"wire_in": "Auth.js wire, body in", "wire_out": "Auth.js wire, answer out", "convex_in": "Convex call, arguments"}
    lines = list(header(["", "function", "codec", "parse + print of a tree", "ratio"], 2))
    for name in sorted(names, key=lambda name: ([*groups, name.split("/")[0]].index(name.split("/")[0]), name)):
        group, function = name.split("/", 1)
        spans, tree = (figures.median_ns("codec", f"{name}/{way}") for way in ["spans", "tree"])
        by = figures.criterion_ratio("codec", f"{name}/spans", f"{name}/tree")
        lines.append(line([groups.get(group, group), f"`{function}`", time(spans), time(tree), ratio(by and by.value)]))
    return lines


def micro(figures):
    """Path, cache and relay: whatever the bench has."""
    lines = []
    for bench in ["path", "cache", "relay"]:
        medians = figures.criterion(bench)
        lines += ["", f"**`{bench}`**", ""] if lines else [f"**`{bench}`**", ""]
        if not medians:
            lines += not_measured(bench)
            continue
        lines += header(["", "median"], 1)
        lines += [line([name, time(figures.median_ns(bench, name))]) for name in medians]
    return lines


# === whole paths ===


def auth(figures):
    rows = figures.result("auth").get("rows", [])
    if not rows:
        return not_measured("auth")
    head = [
        "",
        "calls/s",
        "p50 ms",
        "p99 ms",
        "Node CPU ms",
        "proxy CPU ms",
        "all CPU by the proxy's way",
        "calls of the deployment",
    ]
    lines = list(header(["load", *head], 2))
    last = None
    for row in rows:
        load = auth_load(row)
        lines.append(
            line(
                [
                    load if load != last else "",
                    SUBJECTS_OF_AUTH.get(row["subject"], row["subject"]),
                    f"{row['callsPerSecond']:,.0f}",
                    *latency_cells(row),
                    figure(row["nodeCpuMs"]),
                    figure(row["proxyCpuMs"]) if row["proxyCpuMs"] else "",
                    ratio(row["ratioToProxy"]["allCpuMs"]),
                    f"{row['deploymentCalls']:.4f}",
                ]
            )
        )
        last = load
    return lines


def auth_load(row):
    sessions = "one session" if row["sessions"] == 1 else f"{row['sessions']} sessions in turn"
    return f"{sessions}, {'one at a time' if row['concurrency'] == 1 else str(row['concurrency']) + ' at once'}"


def sockets(figures):
    rows = figures.result("sockets").get("rows", [])
    if not rows:
        return not_measured("sockets")
    names = list(rows[0]["values"])
    lines = list(header(["memory, KB of a socket (both legs)", "sockets", *names], 1))
    for row in rows:
        if row["unit"] == "KB/socket":
            lines.append(line([row["what"], f"{row['sockets']:,}", *(figure(row["values"][name]) for name in names)]))
    by = f"/{figures.result('sockets')['reference']}"
    compared = [name for name in names if any(name + by in row["ratios"] for row in figures.socket_cpu_rows())]
    lines += ["", *header(["CPU, us of a message", "sockets", *names, *(f"{name}{by}" for name in compared), "at most"], 1)]
    for row in figures.socket_cpu_rows():
        values = [figure(row["values"][name]) for name in names]
        ratios = [ratio(row["ratios"].get(name + by)) for name in compared]
        lines.append(line([row["what"], row["sockets"], *values, *ratios, row["bar"] or ""]))
    return lines


def calls(figures):
    rows = figures.result("calls").get("rows", [])
    if not rows:
        return not_measured("calls")
    names = list(rows[0]["subjects"])
    lines = list(header(["calls (tokens signed)", *(CALLS.get(name, name) for name in names)], 1))
    return lines + [line([row["title"], *(calls_cell(row["subjects"][name]) for name in names)]) for row in rows]


def calls_cell(told):
    least, most = told["range"]
    spread = "" if least == most else f" [{least} to {most}]"
    return f"{told['adapterCalls']}{spread}" + (f" ({told['tokensSigned']})" if told["tokensSigned"] else "")


# === without a bar, and how it grows ===


def unbarred(figures):
    lines = list(header(["", "", "measured"], 2))
    size = figures.start("binaryMb")
    lines.append(line(["size of the binary", "10⁶ bytes", figure(size)]))
    allocations = figures.allocations()
    for row in allocations:
        lines.append(line([f"allocations, `{row['name']}`", "of one call", figure(row["allocations"])]))
    if not allocations:
        lines.append(line(["allocations of a codec call", "", NOT_MEASURED]))
    lines += ["", *header(["p99 at half load, ms", "mode", "requests/s", "proxy", "beside it"], 2)]
    for row in figures.http_rows():
        half = row["halfLoad"]
        if "proxy" not in half:
            continue
        others = ", ".join(f"{name} {figure(told['p99Ms'])}" for name, told in half.items() if name != "proxy")
        ours = half["proxy"]
        cells = [f"`{row['name']}`", row["mode"], f"{ours['requestsPerSecond']:,.0f}", figure(ours["p99Ms"]), others]
        lines.append(line(cells))
    if not figures.http_rows():
        lines.append(line(["all rows", "", "", NOT_MEASURED, ""]))
    return lines


def growth(figures):
    """What one more of each costs."""
    few = (figures.sessions() or [{}])[0]
    fresh, cached = figures.http_row("fresh-token-RS256"), figures.http_row("cached-session")
    plain, signed_in = (figures.socket_memory("idle").get(name) for name in ["proxy", "signed-in"])
    held = [
        (f"the process with {few.get('sessions', 100)} sessions kept", "MB", few.get("mb")),
        ("one more cached session", "KB", figures.kb_per_session()),
        ("one more idle keep-alive connection", "KB", figures.memory_value("idle-connections")),
        ("one more idle socket, both legs", "KB", plain),
        ("the same of a session of its own, which is kept with its token", "KB", signed_in),
        ("an RS256 signature, and how long it keeps its thread", "us of CPU", fresh and fresh["values"].get("raw-signature")),
        ("a session read from memory", "us of CPU", cached and cached["values"]["proxy"]),
    ]
    return [*header(["", "", "measured"], 2), *(line([what, unit, figure(value)]) for what, unit, value in held)]


TABLES = {
    "machine": machine,
    "http": http,
    "tokens": tokens,
    "signing": signing,
    "codec": codec,
    "micro": micro,
    "auth": auth,
    "sockets": sockets,
    "calls": calls,
    "unbarred": unbarred,
    "growth": growth,
}
