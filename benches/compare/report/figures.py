"""The figures that were measured, by name. What was not measured is None here, and "not measured" wherever it is told."""

import json
import re
import statistics
from dataclasses import dataclass

NOT_MEASURED = "not measured"
# What benches of a whole decision on a path begin with; others of that file are of a whole call.
A_PATH = "path/"


@dataclass(frozen=True)
class Ratio:
    """One cost by another, in each round, and what is told of them."""

    value: float
    rounds: tuple = ()
    # Which of several measurements of it this is.
    remark: str = ""

    def range(self):
        return (min(self.rounds), max(self.rounds)) if len(self.rounds) > 1 else None


class Figures:
    """What the files of one folder tell."""

    def __init__(self, files):
        self.files = files

    @classmethod
    def read(cls, folder):
        files = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
        return cls({name: file for name, file in files.items() if "measurement" in file})

    def result(self, name):
        return self.files.get(name, {}).get("result", {})

    def is_quick(self, name):
        return self.files.get(name, {}).get("quick", False)

    # === http ===

    def http_rows(self):
        return self.result("http").get("rows", [])

    def http_row(self, name):
        """Of both modes the one whose ratio is the worse: it is the one that counts."""
        rows = [row for row in self.http_rows() if row["name"] == name]
        return max(rows, key=lambda row: row["ratio"], default=None)

    def http_ratio(self, name):
        row = self.http_row(name)
        if row is None:
            return None
        # What it stands beside by hand has its rounds, or has none.
        ours, theirs = (row.get("rounds", {}).get(subject, []) for subject in ["proxy", row["beside"]])
        rounds = tuple(a / b for a, b in zip(ours, theirs))
        return Ratio(row["ratio"], rounds, f"`{name}`, {row['mode']}, beside {row['beside']}")

    def memory(self, name):
        return next((row for row in self.result("http").get("memory", []) if row["name"] == name), None)

    def memory_value(self, name):
        row = self.memory(name)
        return row and row["value"]

    def start(self, key):
        return (self.result("http").get("start") or {}).get(key)

    def sessions(self):
        """For few and for many kept sessions: their number, the resident MB, and the CPU of a read, as far as known."""
        resident, read = self.memory("cached-sessions"), self.memory("cached-sessions-read")
        if resident is None:
            return None
        [(few_name, few_mb)] = resident["beside"].items()
        reads = read["beside"] if read else {}
        few, many = number_in(few_name), number_in(resident["what"])
        return [
            {"sessions": few, "mb": few_mb, "readUs": reads.get("us, few")},
            {"sessions": many, "mb": resident["value"], "readUs": reads.get("us, many")},
        ]

    def kb_per_session(self):
        points = self.sessions()
        if not points:
            return None
        few, many = points
        return (many["mb"] - few["mb"]) * 1_024 / (many["sessions"] - few["sessions"])

    # === the others ===

    def socket_memory(self, state):
        """By subject, KB of a socket: state is `idle`, or begins with `after`."""
        rows = self.result("sockets").get("rows", [])
        return next((row["values"] for row in rows if row["what"].startswith(f"Rss, {state}")), {})

    def socket_cpu_rows(self):
        return [row for row in self.result("sockets").get("rows", []) if row["unit"] == "us/message"]

    def bench_rows(self, *works):
        return [row for row in self.result("bench").get("rows", []) if row["work"] in works]

    def criterion(self, bench):
        """All medians of all runs in nanoseconds, by name."""
        return {row["id"]: row["mediansNs"] for row in self.result(bench).get("rows", [])}

    def median_ns(self, bench, name):
        medians = self.criterion(bench).get(name)
        return statistics.median(medians) if medians else None

    def criterion_ratio(self, bench, name, to, remark=""):
        medians = self.criterion(bench)
        if name not in medians or to not in medians:
            return None
        rounds = tuple(a / b for a, b in zip(medians[name], medians[to]))
        return Ratio(statistics.median(rounds), rounds, remark)

    def path_decisions_ns(self):
        """The slowest decision on a path that was seen lately, and one on a path that was not."""
        new = f"{A_PATH}never seen"
        known = [self.median_ns("path", name) for name in self.criterion("path") if name.startswith(A_PATH) and name != new]
        return max(known, default=None), self.median_ns("path", new)

    def cache_hits(self):
        """By number of threads at once, pairs of kept sessions and nanoseconds: how long each thread waits for one."""
        found = {}
        for name in self.criterion("cache"):
            if told := re.fullmatch(r"cache/hit/(\d+) thread\(s\)/(\d+)", name):
                found.setdefault(int(told[1]), []).append((int(told[2]), self.median_ns("cache", name)))
        return {threads: sorted(pairs) for threads, pairs in sorted(found.items())}

    def allocations(self):
        return self.result("allocations").get("rows", [])


def number_in(text):
    return int(re.search(r"\d[\d,]*", text)[0].replace(",", ""))
