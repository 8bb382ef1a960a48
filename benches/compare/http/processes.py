"""Processes and what the system says of them: starting, ending, processors, CPU, memory, ports, packages."""

import contextlib
import glob
import http.client
import json
import os
import platform
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

START_SECONDS = 20


def start(stack, command, **options):
    """A process that ends, by its own pid, when the stack does."""
    process = subprocess.Popen(command, text=True, **options)

    def stop():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in [process.stdin, process.stdout]:
            if stream:
                stream.close()

    stack.callback(stop)
    return process


@contextlib.contextmanager
def on(processors):
    """What is started in here runs on these processors, from its first instruction: it sees no others and has threads for
    no others. This process goes back to where it was."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_until(is_so, process):
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{Path(process.args[0]).name} did not start")
        time.sleep(0.05)


def accepts(address):
    host, port = address.split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


def gets_ok(address, path):
    with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(address, timeout=1)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def free_addresses(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_ns(pids):
    """What each thread of these processes ran, user and system, by thread."""
    paths = [path for pid in pids for path in glob.glob(f"/proc/{pid}/task/*/schedstat")]
    times = {}
    for path in paths:
        # A thread may end between the listing and the reading.
        with contextlib.suppress(OSError):
            times[path] = int(Path(path).read_text().split()[0])
    return times


def cpu_between(before, after):
    """By thread, so that one which ended in between does not take what it ran earlier off the sum."""
    return sum(time - before.get(thread, 0) for thread, time in after.items())


def resident_kb(pids):
    """Kilobytes (of 1,024 bytes)."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.search(r"^Rss:\s+(\d+) kB", text, re.M)[1]) for text in texts)


def raise_open_files():
    """Subjects and load inherit this."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def output_of(command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def proxy_binary():
    given = os.environ.get("CONVEX_AUTH_PROXY_BIN")
    if given:
        return str(Path(given).resolve())
    say("building convex-auth-proxy")
    manifest = ["--manifest-path", str(ROOT / "Cargo.toml")]
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *manifest], check=True)
    told = json.loads(output_of(["cargo", "metadata", "--format-version", "1", "--no-deps", *manifest]))
    return str(Path(told["target_directory"], "release", "convex-auth-proxy"))


def install(programs):
    """Those of these that are missing. Debian calls their packages as they are called."""
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        sys.exit(f"needed and not there, and only root can install with apt-get: {', '.join(missing)}")
    say(f"installing {', '.join(missing)}")
    subprocess.run(["apt-get", "update"], check=True, stdout=sys.stderr)
    subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=True, stdout=sys.stderr)


def install_node_packages():
    node = HERE / "node"
    if not shutil.which("npm"):
        sys.exit("node and npm are needed for the rows called fresh-token")
    lock, installed = node / "package-lock.json", node / "node_modules" / ".package-lock.json"
    if not installed.exists() or lock.stat().st_mtime > installed.stat().st_mtime:
        # No package needs its install script.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=node, check=True, stdout=sys.stderr)


def machine():
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} x {model[1] if model else platform.machine()}, Linux {platform.release()}"


def say(what):
    print(what, file=sys.stderr, flush=True)
