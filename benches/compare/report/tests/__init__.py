"""Figures made up for the tests: as the measurements tell them, and no more of them than is looked at."""

from figures import Figures


def file(name, result, quick=False):
    machine = {"processor": "A chip", "processors": 2, "memoryGb": 8.0, "kernel": "Linux 6.1", "flags": ["sha_ni"]}
    about = {"measurement": name, "quick": quick, "date": "2026-01-02 03:04 UTC", "commit": "abc", "binary": "built"}
    return {**about, "busyBefore": 0.0, "machine": {**machine, "programs": {"node": "20.1.0"}}, "result": result}


def figures(quick=False, **results):
    return Figures({name: file(name, result, quick) for name, result in results.items()})


def http_row(name, ratio, mode="spread", beside="nginx"):
    half = {"proxy": {"requestsPerSecond": 50.0, "p50Ms": 0.1, "p99Ms": 0.5}}
    return {
        "name": name,
        "what": "a request",
        "mode": mode,
        "beside": beside,
        "ratio": ratio,
        "ratios": {beside: ratio},
        "values": {"proxy": 10.0 * ratio, beside: 10.0},
        "requestsPerSecond": {"proxy": 1_000.0, beside: 2_000.0},
        "latency": {"proxy": {"p50Ms": 0.1, "p99Ms": 0.9}},
        "halfLoad": half,
        "rounds": {"proxy": [9.0, 11.0], beside: [10.0, 10.0]},
    }


def memory():
    return [
        {"name": "idle-connections", "what": "resident", "unit": "KB", "value": 21.0, "bar": 26, "beside": {"nginx": 1.0}},
        {
            "name": "cached-sessions",
            "what": "resident, the process with 100,000 sessions kept",
            "value": 110.0,
            "beside": {"with 100": 20.0},
        },
        {"name": "cached-sessions-read", "what": "CPU", "value": 1.2, "beside": {"us, many": 12.0, "us, few": 10.0}},
    ]


def criterion(**medians):
    """By the bench's full name, the medians of each run."""
    return {"rows": [{"id": name, "mediansNs": all, "throughput": None} for name, all in medians.items()]}
