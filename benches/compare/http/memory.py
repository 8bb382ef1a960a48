"""What is kept: memory of idle connections and of sessions, and what it costs to find one session among many."""

import contextlib
import select
import sys
import time

from load import NUMBERED, Call, Connection, ask, check_load, wrk
from measure import ASKED_ANYWAY, median, rotated, rounded
from nginx import MESSAGES, start_nginx_pass
from processes import resident_kb, say
from rows import AS_A_FUNCTION, LIST_MESSAGES, proved
from subjects import Subject, start_proxy

CONNECTIONS, QUICK_CONNECTIONS = 5_000, 500
CONNECTION_BAR_KB = 26

SESSIONS, QUICK_SESSIONS, FEW_SESSIONS = 100_000, 5_000, 100
# Both caches may hold all of them and some more, so that neither makes room.
CAPACITY = SESSIONS + 10_000
# Of 1,024 KB each.
SESSIONS_BAR_MB = 120
READ_BAR = 1.3
READ_SLICE_SECONDS, READ_ROUNDS = 0.5, 7
FILL_SECONDS = 60


def idle_connections(rig):
    count = QUICK_CONNECTIONS if rig.quick else CONNECTIONS
    found = {}
    for name, start in [("proxy", start_proxy), ("nginx", start_nginx_pass)]:
        say(f"idle-connections: {name}")
        with contextlib.ExitStack() as stack:
            started = start(stack, rig, rig.deployment.functions)
            address = started.public if name == "proxy" else started.address
            found[name] = connection_kb(rig, started.pids, Call(address, "/api/query", LIST_MESSAGES), count)
    return {
        "name": "idle-connections",
        "what": f"resident, each of {count:,} connections that had one answer",
        "unit": "KB",
        "value": rounded(found.pop("proxy")),
        "bar": CONNECTION_BAR_KB,
        "beside": {name: rounded(value) for name, value in found.items()},
    }


def connection_kb(rig, pids, call, count):
    settle = 0.3 if rig.quick else 3
    request = call.on_the_wire()
    # Code that is read from the disk with the first request counts for none.
    for _ in range(16):
        proved("a subject", call, MESSAGES.encode())
    time.sleep(settle)
    with contextlib.ExitStack() as stack:
        before = resident_kb(pids)
        connections = []
        # One after the other: what many requests at one moment take is not what an idle connection does.
        for _ in range(count):
            connection = stack.enter_context(Connection(call.address))
            check(connection.ask(request))
            connections.append(connection)
        time.sleep(settle)
        after = resident_kb(pids)
        # Nothing is to be read from a connection that is still open; and the oldest and the newest still serve.
        poll = select.poll()
        for connection in connections:
            poll.register(connection.socket, select.POLLIN | select.POLLHUP)
        closed = len(poll.poll(0))
        if closed:
            sys.exit(f"{closed} of {count} idle connections were closed before they were counted")
        for connection in [connections[0], connections[-1]]:
            check(connection.ask(request))
    return (after - before) / count


def check(answer):
    if answer.status != 200 or answer.body != MESSAGES.encode():
        sys.exit(f"a connection that was to become idle got {answer.status}: {answer.body[:200]!r}")


# === sessions ===


def cached_sessions(rig):
    many = QUICK_SESSIONS if rig.quick else SESSIONS
    with contextlib.ExitStack() as stack:
        subjects = {}
        for name, count in [("many", many), ("few", FEW_SESSIONS)]:
            say(f"cached-sessions: {count:,} are read")
            subjects[name] = filled(stack, rig, name, count)
        time.sleep(0.3 if rig.quick else 2)
        resident_mb = {name: resident_kb(subject.pids) / 1_024 for name, subject in subjects.items()}
        say("cached-sessions: reads")
        runs = {name: [] for name in subjects}
        for turn in range(1 if rig.quick else READ_ROUNDS):
            for name in rotated(list(subjects), turn):
                before = rig.deployment.asked()
                runs[name].append(subjects[name].slice(rig.place, READ_SLICE_SECONDS).cpu_us)
                asked = rig.deployment.asked() - before
                if asked > ASKED_ANYWAY:
                    sys.exit(f"cached-sessions: {asked} reads of kept sessions reached the deployment")
    yield {
        "name": "cached-sessions",
        "what": f"resident, the process with {many:,} sessions kept",
        "unit": "MB",
        "value": rounded(resident_mb["many"]),
        "bar": SESSIONS_BAR_MB,
        "beside": {f"with {FEW_SESSIONS}": rounded(resident_mb["few"])},
    }
    yield {
        "name": "cached-sessions-read",
        "what": f"CPU of reading any of {many:,}, by any of {FEW_SESSIONS}",
        "unit": "x",
        "value": rounded(median(many / few for many, few in zip(runs["many"], runs["few"]))),
        "bar": READ_BAR,
        "beside": {f"us, {name}": rounded(median(values)) for name, values in runs.items()},
        "rounds": {name: [rounded(value) for value in values] for name, values in runs.items()},
    }


def filled(stack, rig, name, count):
    """A proxy that has read so many sessions and kept them."""
    settings = {"CACHE__TTL": "1h", "CACHE__CAPACITY": str(CAPACITY)}
    proxy = start_proxy(stack, rig, rig.deployment.anybody, settings=settings)
    # As long as a token of Auth.js, a UUID.
    body = AS_A_FUNCTION.replace("TOKEN", f"c0a3a6f5-1d3c-4f0e-9c55-0f6a{NUMBERED}")
    call = Call(proxy.adapter, "/api/query", body)
    answers = [ask(Call(call.address, call.path, body.replace(NUMBERED, f"{number:08}"))) for number in [1, 2, 1]]
    if any(answer.status != 200 for answer in answers) or answers[0].body != answers[2].body:
        sys.exit(f"a session is not kept: {answers}")
    if answers[0].body == answers[1].body or len(answers[0].body) != len(answers[1].body):
        sys.exit(f"two sessions should be two, and of one length: {answers}")
    before = rig.deployment.asked()

    # Two were asked for above.
    def are_read():
        return rig.deployment.asked() - before >= count - 2

    told = wrk(call, FILL_SECONDS, rig.place.others, tokens=count, order="sequence", until=are_read)
    check_load(told, call, answers[0].size, name)
    asked = rig.deployment.asked() - before
    if not count - 2 <= asked <= count + ASKED_ANYWAY:
        sys.exit(f"{count} sessions were to be read once each, and the deployment was asked {asked} times")
    return Subject(name, proxy.pids, call, answers[0].size, tokens=count)
