"""The rows over HTTP: for each its subjects, which prove their answers as they are made."""

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from load import Call, ask
from nginx import MESSAGES, ONE_SESSION, USER_ID, start_nginx_pass, start_nginx_return
from subjects import NODE_ISSUER, RawSignature, Subject, pause_until_next_second, start_node, start_proxy, verify

SESSION_TOKEN = "c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11"
COOKIE = f"authjs.session-token={SESSION_TOKEN}"
AS_A_FUNCTION = '{"path":"authAdapter:getSessionAndUser","format":"convex_encoded_json","args":[{"sessionToken":"TOKEN"}]}'
AS_AUTH_JS = '{"sessionToken":"TOKEN"}'
LIST_MESSAGES = '{"path":"messages:list","format":"convex_encoded_json","args":[{"channel":"general"}]}'
EXPORT = '{"path":"messages:export","format":"convex_encoded_json","args":[{"channel":"general"}]}'


@dataclass
class Made:
    """The subjects of a row, ready to be timed."""

    subjects: list
    # Looked at once all slices are over, with the number of requests that each subject answered in them.
    afterwards: Callable = lambda requests: None


@dataclass
class Row:
    name: str
    what: str
    make: Callable
    # Names of subjects, of which the cheapest counts.
    beside: list = field(default_factory=list)
    bar: float | None = None
    stretch: float | None = None
    # Whether each request must reach the deployment, or next to none may.
    passes: bool = False


def fail(name, why):
    sys.exit(f"{name} does not prove its answers: {why}")


def proved(name, call, expected):
    """The answer to the call, if it is this to the byte."""
    answer = ask(call)
    if answer.status != 200:
        fail(name, f"status {answer.status}: {answer.body[:200]!r}")
    if expected is not None and answer.body != expected:
        got = answer.body
        differ = (at for at, (ours, theirs) in enumerate(zip(got, expected)) if ours != theirs)
        first = next(differ, min(len(got), len(expected)))
        rest = slice(first, first + 60)
        lengths = f"{len(got)} bytes, expected were {len(expected)}"
        fail(name, f"{lengths}; from byte {first} it is {got[rest]!r} instead of {expected[rest]!r}")
    return answer


def proved_twice(rig, name, call):
    """The first answer, if the second is the same and the deployment was not asked for it."""
    first = proved(name, call, None)
    before = rig.deployment.asked()
    second = proved(name, call, first.body)
    if rig.deployment.asked() != before:
        fail(name, "the deployment was asked for what should be kept")
    return second


# === what is kept ===


def cached_session(stack, rig):
    return session_row(stack, rig, "/api/query", AS_A_FUNCTION, is_the_deployments)


def cached_session_authjs(stack, rig):
    return session_row(stack, rig, "/adapter/getSessionAndUser", AS_AUTH_JS, is_auth_js)


def cached_session_logged(stack, rig):
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    directory.chmod(0o711)
    logs = {"proxy": directory / "proxy.log", "nginx": directory / "nginx.log"}
    made = session_row(stack, rig, "/api/query", AS_A_FUNCTION, is_the_deployments, logs)

    def afterwards(requests):
        for name, path in logs.items():
            with open(path, "rb") as log:
                lines = sum(1 for _ in log)
            if lines < requests[name]:
                sys.exit(f"{name} logged {lines} lines for {requests[name]} requests")

    return Made(made.subjects, afterwards)


def session_row(stack, rig, path, body, check, logs=None):
    logs = logs or {}
    proxy = start_proxy(stack, rig, rig.deployment.sessions, log=logs.get("proxy"))
    call = Call(proxy.adapter, path, body.replace("TOKEN", SESSION_TOKEN))
    answer = proved_twice(rig, "proxy", call)
    if not check(answer.json()):
        fail("proxy", f"{answer.body!r} is not the session and its user")
    return Made([Subject("proxy", proxy.pids, call, answer.size), returning(stack, rig, call, answer, logs.get("nginx"))])


def is_the_deployments(answer):
    return answer == json.loads(ONE_SESSION)


def is_auth_js(answer):
    """Auth.js's names of both rows' ids, and its dates."""
    session, user = answer["session"], answer["user"]
    expires = session["expires"] == "2100-01-01T00:00:00.000Z"
    return expires and session["sessionToken"] == SESSION_TOKEN and session["userId"] == user["id"] == USER_ID


def cached_token(stack, rig):
    proxy = start_proxy(stack, rig, rig.deployment.sessions)
    call = Call(proxy.public, "/auth/token", "", COOKIE)
    answer = proved_twice(rig, "proxy", call)
    if answer.json()["token"].count(".") != 2:
        fail("proxy", f"{answer.body!r} has no token")
    return Made([Subject("proxy", proxy.pids, call, answer.size), returning(stack, rig, call, answer)])


def returning(stack, rig, call, answer, log=None):
    """nginx with the same answer ready."""
    nginx = start_nginx_return(stack, rig, answer.body.decode(), log)
    call = Call(nginx.address, call.path, call.body, call.cookie)
    return Subject("nginx", nginx.pids, call, proved("nginx", call, answer.body).size)


# === what is signed ===


def fresh_token(algorithm):
    def make(stack, rig):
        body = json.dumps({"sessionToken": SESSION_TOKEN, "forceRefresh": True})
        proxy = start_proxy(stack, rig, rig.deployment.sessions, algorithm)
        servers = [("proxy", proxy.adapter, proxy.pids, f"http://{proxy.public}")]
        for name, key in [("node-guide", "each-time"), ("node-key-once", "once")]:
            address, pids = start_node(stack, rig, algorithm, key)
            servers.append((name, address, pids, NODE_ISSUER))
        calls = [Call(address, "/auth/token", body) for _, address, _, _ in servers]
        firsts = [proved(name, call, None) for (name, *_), call in zip(servers, calls)]
        # The guide's tokens have nothing but their second to tell them apart. The proxy's are asked for within one.
        seconds = [proved("proxy", calls[0], None)]
        pause_until_next_second()
        seconds += [proved(name, call, None) for (name, *_), call in zip(servers[1:], calls[1:])]
        subjects = []
        for (name, _, pids, issuer), call, first, second in zip(servers, calls, firsts, seconds):
            tokens = [answer.json()["token"] for answer in [first, second]]
            if tokens[0] == tokens[1]:
                fail(name, "the second token is the first")
            verify(rig, algorithm, issuer, tokens)
            subjects.append(Subject(name, pids, call, second.size))
        return Made([*subjects, RawSignature("raw-signature", rig.binary, algorithm)])

    return make


# === what is passed on ===


def small_query(stack, rig):
    return passed_on(stack, rig, "/api/query", LIST_MESSAGES, MESSAGES, {"nginx": ""})


def big_response(stack, rig):
    ways = {
        "nginx": "",
        "nginx-unbuffered": "proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;",
        "nginx-in-memory": "proxy_buffer_size 64k; proxy_buffers 32 64k; proxy_busy_buffers_size 512k; "
        "proxy_max_temp_file_size 0;",
    }
    return passed_on(stack, rig, "/api/action", EXPORT, rig.deployment.big, ways)


def passed_on(stack, rig, path, body, expected, ways):
    proxy = start_proxy(stack, rig, rig.deployment.functions)
    ends = [("proxy", proxy.public, proxy.pids)]
    for name, more in ways.items():
        nginx = start_nginx_pass(stack, rig, rig.deployment.functions, more)
        ends.append((name, nginx.address, nginx.pids))
    subjects = []
    for name, address, pids in ends:
        call = Call(address, path, body)
        subjects.append(Subject(name, pids, call, proved(name, call, expected.encode()).size))
    return Made(subjects)


ROWS = [
    Row("cached-session", "POST /api/query, a session from memory", cached_session, ["nginx"], 1.4, 1.2),
    Row("cached-session-authjs", "POST /adapter/getSessionAndUser, from memory", cached_session_authjs, ["nginx"]),
    Row("cached-session-logged", "cached-session, both write their logs", cached_session_logged, ["nginx"]),
    Row("cached-token", "POST /auth/token with the cookie, from memory", cached_token, ["nginx"], 1.4, 1.2),
    Row("fresh-token-RS256", "POST /auth/token, signed anew", fresh_token("RS256"), ["raw-signature"], 1.15, 1.10),
    Row("fresh-token-ES256", "POST /auth/token, signed anew", fresh_token("ES256"), ["raw-signature"]),
    Row("fresh-token-EdDSA", "POST /auth/token, signed anew", fresh_token("EdDSA"), ["raw-signature"]),
    Row("small-query", "POST /api/query, passed on", small_query, ["nginx"], 1.6, 1.3, passes=True),
    Row(
        "big-response",
        "POST /api/action, 1 MiB passed on",
        big_response,
        ["nginx", "nginx-unbuffered", "nginx-in-memory"],
        1.2,
        1.0,
        passes=True,
    ),
]
