"""How long it takes from the start of the process to its first answers, and how large the binary is."""

import contextlib
import os
import tempfile
import time

from load import Call, Connection
from measure import median, rounded
from nginx import ONE_SESSION
from processes import free_addresses, on, say, start
from rows import AS_A_FUNCTION, SESSION_TOKEN
from subjects import proxy_environment

STARTS, QUICK_STARTS = 10, 2
START_BAR_MS = 50
POLL_SECONDS = 0.001
GIVE_UP_SECONDS = 10


def starts(rig):
    count = QUICK_STARTS if rig.quick else STARTS
    say(f"start: {count} times")
    rounds = [one_start(rig) for _ in range(count)]
    return {
        "what": f"median of {count} starts, from exec to the first answer",
        "unit": "ms",
        "bar": START_BAR_MS,
        "livezMs": rounded(median(livez for livez, _ in rounds)),
        "adapterMs": rounded(median(adapter for _, adapter in rounds)),
        "binaryMb": rounded(os.path.getsize(rig.binary) / 1_000_000),
        "rounds": [[rounded(value) for value in each] for each in rounds],
    }


def one_start(rig):
    """Milliseconds to the 200 of /livez, and to a session that the deployment was asked for."""
    addresses = free_addresses(3)
    _, adapter, admin = addresses
    environment = proxy_environment(rig, rig.deployment.sessions, addresses)
    livez = f"GET /livez HTTP/1.1\r\nHost: {admin}\r\n\r\n".encode()
    session = Call(adapter, "/api/query", AS_A_FUNCTION.replace("TOKEN", SESSION_TOKEN))
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        with on(rig.place.subject):
            began = time.monotonic()
            start(stack, [rig.binary, "serve"], env=environment, cwd=directory)
        waiting = {"livez": (admin, livez, None), "adapter": (adapter, session, ONE_SESSION.encode())}
        took = {}
        while waiting:
            for name, (address, request, expected) in list(waiting.items()):
                if answers(address, request, expected):
                    took[name] = (time.monotonic() - began) * 1_000
                    del waiting[name]
            if time.monotonic() - began > GIVE_UP_SECONDS:
                raise SystemExit(f"{' and '.join(waiting)} did not answer within {GIVE_UP_SECONDS} s of the start")
            time.sleep(POLL_SECONDS)
    return took["livez"], took["adapter"]


def answers(address, request, expected):
    with contextlib.suppress(OSError), Connection(address, seconds=1) as connection:
        answer = connection.ask(request)
        return answer.status == 200 and expected in [None, answer.body]
    return False
