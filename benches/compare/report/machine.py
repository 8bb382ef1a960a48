"""What a measurement was made on: the machine, the commit, the programs that stand beside the proxy."""

import contextlib
import os
import platform
import re
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Instructions that make signatures and hashes several times faster, and say that this is a guest.
FLAGS = ["avx512ifma", "sha_ni", "avx2", "bmi2", "vaes", "hypervisor"]
# What is written by this script does not make the tree another one.
WRITTEN = [":(exclude)docs/performance", ":(exclude)docs/performance.md"]


def machine():
    cpu, memory = (Path(f"/proc/{name}").read_text() for name in ["cpuinfo", "meminfo"])
    return {
        "processor": processor_of(cpu),
        "processors": len(os.sched_getaffinity(0)),
        "memoryGb": memory_gb_of(memory),
        "kernel": f"{platform.system()} {kernel_of(platform.release())}",
        "flags": flags_of(cpu),
        "programs": programs(),
    }


def processor_of(cpuinfo):
    model = re.search(r"^model name\s*: (.*)$", cpuinfo, re.M)
    return model[1].strip() if model else platform.machine()


def memory_gb_of(meminfo):
    """Of 2^30 bytes."""
    return round(int(re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.M)[1]) / (1 << 20), 1)


def kernel_of(release):
    """The version alone: what a builder adds to it says nothing to others."""
    return re.match(r"[\d.]*\d|", release)[0] or release


def flags_of(cpuinfo):
    found = re.search(r"^flags\s*: (.*)$", cpuinfo, re.M)
    return [flag for flag in FLAGS if found and flag in found[1].split()]


def programs():
    """Versions of what is measured, built with or compared with, where it is installed."""
    asked = {"rustc": ["rustc", "--version"], "nginx": ["nginx", "-v"], "node": ["node", "--version"]}
    versions = {name: re.search(r"\d+(\.\d+)+", told(command) or "") for name, command in asked.items()}
    return {name: version[0] for name, version in versions.items() if version}


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def busy(seconds=1.0):
    """How many processors others keep busy just now, what the host takes away included. None is best."""
    before = ticks()
    time.sleep(seconds)
    spent, idle = (after - earlier for after, earlier in zip(ticks(), before))
    return round(os.cpu_count() * (1 - idle / spent), 2) if spent else 0.0


def ticks():
    """Of all processors together: all, and those without work."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def commit():
    head = told(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    if not head:
        return "unknown"
    # Without it, a look at the tree would write to the repository.
    status = ["git", "--no-optional-locks", "-C", str(ROOT), "status", "--porcelain", "--", ".", *WRITTEN]
    return head + (" + changes" if told(status) else "")


def told(command):
    """What a program says, on either output; nothing if it is not there or fails."""
    # Where Debian has nginx, and where nobody but root looks.
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin"}
    with contextlib.suppress(OSError):
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    return ""
