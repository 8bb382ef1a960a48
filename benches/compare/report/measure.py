"""Runs the measurements in turn and keeps what each tells, with the machine, the moment and the commit.

The comparisons are scripts of their own with --json. The benches of the crate are criterion's: each run writes into a folder
of its own, so that no figure of an earlier run is taken for one of this; what carries a bar is run three times, and kept are
the medians of each.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import ROOT, busy, commit, machine, now

HERE = Path(__file__).resolve().parent
RUNS, QUICK_RUNS = 3, 1
QUICK_BENCH_SECONDS = "0.1"
# Processors that others keep busy. With more, the figures are not to be trusted.
BUSY_THAT_SPOILS = 0.2

SCRIPTS = ["http", "auth", "sockets", "calls"]
# For each of criterion's benches, what of it carries a bar and is run again, as a regular expression of its names.
BENCHES = {
    "signing": "signature by aws-lc-rs alone|token, new",
    "codec": "^wire_",
    "path": "^path/",
    "cache": None,
    "relay": None,
}
NAMES = [*SCRIPTS, "bench", *BENCHES, "allocations"]


class NotThere(Exception):
    """This tree does not have the measurement."""


class Failed(Exception):
    """It was run, and did not do what it should."""


def main():
    arguments = parse_arguments()
    folder = HERE / ".quick" if arguments.quick else ROOT / "docs" / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    # The document of a quick run stands on its figures alone, and not on those of an earlier one.
    if arguments.quick and not arguments.names:
        for old in folder.glob("*.json"):
            old.unlink()
    environment = dict(os.environ)
    names = arguments.names or NAMES
    given = environment.get("CONVEX_AUTH_PROXY_BIN")
    failed = []
    if not given and any(name in [*SCRIPTS, "bench"] for name in names):
        # Once, and for all of them the same.
        environment["CONVEX_AUTH_PROXY_BIN"] = build()
    for name in names:
        others = busy()
        if others > BUSY_THAT_SPOILS:
            say(f"{name}: others keep {others} processors busy: the figures may not hold")
        say(f"{name}: begins")
        about = {"measurement": name, "quick": arguments.quick, "date": now(), "commit": commit()}
        about |= {"binary": "given" if given else "built", "busyBefore": others, "machine": machine()}
        try:
            result = measure(name, arguments.quick, environment)
        except NotThere as why:
            say(f"{name}: left out: {why}")
        except Failed as why:
            say(f"{name}: FAILED: {why}")
            failed.append(name)
        else:
            # Told above, and for all in the same way.
            result.pop("machine", None)
            (folder / f"{name}.json").write_text(json.dumps({**about, "result": result}, indent=1) + "\n")
            say(f"{name}: kept")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}. What an earlier run kept of them is as it was.")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="run measure", description="Measures, and keeps the raw figures.")
    parser.add_argument("names", nargs="*", metavar="MEASUREMENT", help=f"some of {', '.join(NAMES)}; all when left out")
    parser.add_argument("--quick", action="store_true", help="only show that all works; kept in .quick/")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in NAMES]
    if unknown:
        parser.error(f"no measurement is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return arguments


def measure(name, quick, environment):
    if name in SCRIPTS:
        return script(name, quick, environment)
    if name == "bench":
        seconds = ["--seconds", QUICK_BENCH_SECONDS] if quick else []
        return json_of([environment["CONVEX_AUTH_PROXY_BIN"], "bench", "--json", *seconds], environment)
    if name == "allocations":
        return allocations(environment)
    must_be_there(ROOT / "benches" / f"{name}.rs")
    return criterion(name, quick, environment)


def allocations(environment):
    """Blocks that DHAT counts of each of the guarded paths, by the hundred times that it is done."""
    must_be_there(ROOT / "benches" / "instructions.rs")
    told = output_of(cargo_bench("instructions")[:-1], environment)
    names = re.findall(r"^instructions::hot_paths::(\w+) ", told, re.M)
    blocks = re.findall(r"Total blocks:\s+(\d+)\|", told)
    if not names or len(names) != len(blocks):
        raise Failed("its output cannot be read")
    return {"rows": [{"name": name, "allocations": int(count) / 100} for name, count in zip(names, blocks)]}


def script(name, quick, environment):
    path = ROOT / "benches" / "compare" / name / "run"
    must_be_there(path)
    return json_of([str(path), "--json", *(["--quick"] if quick else [])], environment)


def must_be_there(path):
    if not path.exists():
        raise NotThere(f"{path.relative_to(ROOT)} is not in this tree")


def build():
    say("building convex-auth-proxy")
    manifest = ["--manifest-path", str(ROOT / "Cargo.toml")]
    try:
        output_of(["cargo", "build", "--quiet", "--release", "--locked", *manifest], os.environ)
        told = json.loads(output_of(["cargo", "metadata", "--format-version", "1", "--no-deps", *manifest], os.environ))
    except Failed as why:
        sys.exit(f"the proxy is not built: {why}")
    return str(Path(told["target_directory"], "release", "convex-auth-proxy"))


# === criterion ===


def criterion(name, quick, environment):
    """Medians in nanoseconds of all that the bench has, and of what is run again those of each run."""
    runs = []
    for number in range(QUICK_RUNS if quick else RUNS):
        again = BENCHES[name]
        if number and again is None:
            break
        options = ["--noplot", *(["--quick"] if quick else []), *([again] if number and again else [])]
        with tempfile.TemporaryDirectory() as home:
            output_of([*cargo_bench(name), *options], environment | {"CRITERION_HOME": home}, out=sys.stderr)
            runs.append(medians_in(Path(home)))
    if not runs[0]:
        raise Failed("criterion told no figure")
    return {"rows": merged(runs)}


def cargo_bench(name):
    return ["cargo", "bench", "--locked", "--manifest-path", str(ROOT / "Cargo.toml"), "--bench", name, "--"]


def medians_in(home):
    """What criterion wrote into its folder: a median and what there is to know, by the bench's full name."""
    found = {}
    for path in sorted(home.rglob("new/estimates.json")):
        bench = json.loads(path.with_name("benchmark.json").read_text())
        median = json.loads(path.read_text())["median"]["point_estimate"]
        found[bench["full_id"]] = {"medianNs": float(f"{median:.5g}"), "throughput": bench["throughput"]}
    return found


def merged(runs):
    return [
        {
            "id": name,
            "mediansNs": [run[name]["medianNs"] for run in runs if name in run],
            "throughput": first["throughput"],
        }
        for name, first in runs[0].items()
    ]


# === processes ===


def json_of(command, environment):
    told = output_of(command, environment)
    try:
        return json.loads(told)
    except ValueError:
        raise Failed(f"`{' '.join([Path(command[0]).name, *command[1:]])}` told no JSON: {told[:200]!r}") from None


def output_of(command, environment, out=subprocess.PIPE):
    """Of standard output; what goes to the other shows how far it is."""
    try:
        done = subprocess.run(command, env=environment, stdout=out, text=True, cwd=ROOT)
    except OSError as error:
        raise Failed(str(error)) from None
    if done.returncode:
        raise Failed(f"`{Path(command[0]).name}` ended with {done.returncode}")
    return done.stdout


def say(what):
    print(f"report: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
