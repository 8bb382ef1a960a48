"""Those that are measured, apart from nginx: how each is started, and what one slice of load shows of it."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

from load import Call, check_load, wrk
from nginx import USER_ID, Deployment
from processes import HERE, cpu_between, cpu_ns, free_addresses, gets_ok, on, output_of, start, wait_until

SECRET = "a secret that only this measurement knows"
NODE_ISSUER = "http://localhost"


@dataclass
class Place:
    """Which processors a subject may run on, and which the load and the deployment."""

    subject: set
    others: set


@dataclass
class Rig:
    """What all rows have in common."""

    binary: str
    place: Place
    deployment: Deployment
    quick: bool
    keys: dict = field(default_factory=dict)

    def key(self, algorithm):
        """A private key as PEM with its line breaks spelled out, and the public half as a key set."""
        if algorithm not in self.keys:
            printed = output_of([self.binary, "keygen", "--alg", algorithm, "--format", "env"])
            private = re.search(r'^CONVEX_AUTH_PRIVATE_KEY="(.*)"$', printed, re.M)[1]
            self.keys[algorithm] = private, json.loads(re.search(r"^JWKS=(.*)$", printed, re.M)[1])
        return self.keys[algorithm]


@dataclass
class Slice:
    """What one subject did under load for a while."""

    cpu_us: float
    per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    requests: int | None = None


@dataclass
class Subject:
    """Something that answers a call over HTTP."""

    name: str
    pids: list
    call: Call
    # Of a proved answer, in bytes, head and body.
    size: int
    tokens: int | None = None

    def slice(self, place, seconds, rate=None):
        before = cpu_ns(self.pids)
        told = wrk(self.call, seconds, place.others, rate, self.tokens)
        ran = cpu_between(before, cpu_ns(self.pids))
        check_load(told, self.call, self.size, self.name)
        return Slice(
            cpu_us=ran / 1_000 / told["requests"],
            per_second=told["requests"] / (told["micros"] / 1_000_000),
            p50_ms=told["p50Micros"] / 1_000,
            p99_ms=told["p99Micros"] / 1_000,
            requests=told["requests"],
        )


@dataclass
class RawSignature:
    """No server: the signatures alone, by the library that the proxy signs with, on as many threads as the proxy has.

    Where two processors are halves of one, a signature takes longer on both at once than on one alone, for the proxy as well.
    """

    name: str
    binary: str
    algorithm: str

    def slice(self, place, seconds, rate=None):
        row = raw_signatures(self.binary, self.algorithm, max(1, round(seconds)), place.subject)
        return Slice(cpu_us=row["cpuMicros"], per_second=row["perSecond"])


def raw_signatures(binary, algorithm, seconds, processors):
    threads = len(processors)
    what = ["--only", "signatures", "--alg", algorithm, "--threads", str(threads), "--seconds", str(seconds), "--json"]
    command = [binary, "bench", *what]
    with on(processors):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60 + 10 * seconds)
    if done.returncode:
        sys.exit(
            "The rows called fresh-token need the command `bench` of convex-auth-proxy, and this binary does not do "
            f"`{' '.join(['convex-auth-proxy', *command[1:]])}`: {done.stderr.strip()[-400:]}"
        )
    try:
        rows = json.loads(done.stdout)["rows"]
        [row] = [row for row in rows if row["work"] == "signature" and row["algorithm"] == algorithm and row["threads"] == threads]
        if row["cpuMicros"] > 0 and row["perSecond"] > 0:
            return row
    except (ValueError, KeyError, TypeError):
        pass
    sys.exit(f"`convex-auth-proxy bench --json` tells no row of {algorithm} signatures on {threads} threads: {done.stdout[:400]}")


# === the proxy ===


@dataclass
class Proxy:
    pids: list
    public: str
    adapter: str
    admin: str


def proxy_environment(rig, upstream, addresses, algorithm="RS256", settings=()):
    public, adapter, admin = addresses
    prefix = "CONVEX_AUTH_PROXY__"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONVEX_", "JWKS"))}
    return kept | {
        "CONVEX_URL": f"http://{upstream}",
        "CONVEX_SITE_URL": f"http://{upstream}",
        "CONVEX_AUTH_ADAPTER_SECRET": SECRET,
        "CONVEX_AUTH_PRIVATE_KEY": rig.key(algorithm)[0],
        f"{prefix}TOKEN__ISSUER": f"http://{public}",
        f"{prefix}LISTEN__PUBLIC": public,
        f"{prefix}LISTEN__ADAPTER": adapter,
        f"{prefix}LISTEN__ADMIN": admin,
        f"{prefix}LOG__LEVEL": "warn",
        **{f"{prefix}{name}": value for name, value in dict(settings).items()},
    }


def start_proxy(stack, rig, upstream, algorithm="RS256", settings=(), log=None):
    """With a path for its log it logs as it does when nobody configures it, into that file."""
    addresses = free_addresses(3)
    if log:
        settings = {**dict(settings), "LOG__LEVEL": "info"}
    environment = proxy_environment(rig, upstream, addresses, algorithm, settings)
    # In a directory of its own: no config.toml is to be found.
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    output = stack.enter_context(open(log, "wb")) if log else None
    with on(rig.place.subject):
        process = start(stack, [rig.binary, "serve"], env=environment, cwd=directory, stdout=output, stderr=output)
    wait_until(lambda: gets_ok(addresses[2], "/readyz"), process)
    return Proxy([process.pid], *addresses)


# === Node ===


def start_node(stack, rig, algorithm, key):
    """The address, when it listens, and the pid."""
    private_key, _ = rig.key(algorithm)
    given = {"ALGORITHM": algorithm, "PRIVATE_KEY": private_key, "ISSUER": NODE_ISSUER, "KEY": key, "USER_ID": USER_ID}
    command = ["node", str(HERE / "node" / "server.mjs")]
    with on(rig.place.subject):
        process = start(stack, command, env=os.environ | given, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if not line.startswith("listening "):
        sys.exit("the Node server did not start")
    return line.split()[1], [process.pid]


def verify(rig, algorithm, issuer, tokens):
    """By jose, with the public half of the key."""
    facts = {"jwks": rig.key(algorithm)[1], "algorithm": algorithm, "issuer": issuer, "subject": USER_ID, "tokens": tokens}
    command = ["node", str(HERE / "node" / "verify.mjs")]
    if subprocess.run(command, input=json.dumps(facts), text=True, timeout=60).returncode:
        sys.exit(f"{issuer}: tokens that cannot be verified")


def pause_until_next_second():
    """What two tokens are apart by, when nothing else in them differs."""
    time.sleep(1.05)
