"""How a row is measured: its subjects take turns in short slices, and then once more at half the load."""

import contextlib
import statistics
import sys

from processes import say

SLICE_SECONDS, QUICK_SLICE_SECONDS = 0.5, 0.3
HALF_SLICE_SECONDS = 1.0
ROUNDS = {"with a bar": 7, "without": 3, "half load": 2}
# Of the requests of a slice that must be answered from memory, how many may reach the deployment: what is kept comes to the
# end of its time, and readiness is looked after.
ASKED_ANYWAY = 10


def measure(row, rig, mode, rounds):
    with contextlib.ExitStack() as stack:
        say(f"{row.name}, {mode}")
        made = row.make(stack, rig)
        seconds = QUICK_SLICE_SECONDS if rig.quick else SLICE_SECONDS
        if not rounds:
            rounds = 1 if rig.quick else ROUNDS["with a bar" if row.bar else "without"]
        served = [subject for subject in made.subjects if hasattr(subject, "call")]
        answered = dict.fromkeys((subject.name for subject in served), 0)

        def run(subject, seconds, rate=None):
            found = one_slice(row, rig, subject, seconds, rate)
            if subject.name in answered:
                answered[subject.name] += found.requests
            return found

        for subject in served:
            run(subject, seconds / 2)
        runs = {subject.name: [] for subject in made.subjects}
        for turn in range(rounds):
            for subject in rotated(made.subjects, turn):
                runs[subject.name].append(run(subject, seconds))
        half_rate = min(median(slice.per_second for slice in runs[subject.name]) for subject in served) / 2
        halves = {subject.name: [] for subject in served}
        for turn in range(1 if rig.quick else ROUNDS["half load"]):
            for subject in rotated(served, turn):
                halves[subject.name].append(run(subject, QUICK_SLICE_SECONDS if rig.quick else HALF_SLICE_SECONDS, half_rate))
        made.afterwards(answered)
    return told(row, mode, runs, halves)


def one_slice(row, rig, subject, seconds, rate):
    before = rig.deployment.asked()
    found = subject.slice(rig.place, seconds, rate)
    asked = rig.deployment.asked() - before
    if row.passes and asked < found.requests:
        sys.exit(f"{row.name}: {subject.name} answered {found.requests} requests, and the deployment got {asked}")
    if not row.passes and asked > ASKED_ANYWAY:
        sys.exit(f"{row.name}: {subject.name} should answer by itself, and the deployment was asked {asked} times")
    return found


def told(row, mode, runs, halves):
    values = {name: median(slice.cpu_us for slice in slices) for name, slices in runs.items()}
    ratios = {
        name: median(ours.cpu_us / theirs.cpu_us for ours, theirs in zip(runs["proxy"], slices))
        for name, slices in runs.items()
        if name != "proxy"
    }
    beside = min(row.beside, key=values.get)
    return {
        "name": row.name,
        "what": row.what,
        "mode": mode,
        "beside": beside,
        "unit": "us/request",
        "bar": row.bar,
        "stretch": row.stretch,
        "ratio": rounded(ratios[beside]),
        "ratios": {name: rounded(ratio) for name, ratio in ratios.items()},
        "values": {name: rounded(value) for name, value in values.items()},
        "requestsPerSecond": {name: rounded(median(slice.per_second for slice in slices)) for name, slices in runs.items()},
        "latency": {name: latency(slices) for name, slices in runs.items() if name in halves},
        "halfLoad": {
            name: {"requestsPerSecond": rounded(median(slice.per_second for slice in slices)), **latency(slices)}
            for name, slices in halves.items()
        },
        "rounds": {name: [rounded(slice.cpu_us) for slice in slices] for name, slices in runs.items()},
    }


def latency(slices):
    return {
        "p50Ms": rounded(median(slice.p50_ms for slice in slices)),
        "p99Ms": rounded(median(slice.p99_ms for slice in slices)),
    }


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def median(values):
    return statistics.median(values)


def rounded(value):
    """Four digits: no two runs have more in common."""
    return float(f"{value:.4g}")
