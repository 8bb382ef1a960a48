"""The load: single requests from here, whose answers are looked at, and many by wrk, whose answers are counted."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from processes import HERE, on

CONNECTIONS = 16
# Digits that wrk.lua puts a number in the place of.
NUMBERED = "00000000"
# wrk ends by itself this long after it should have been told to.
WRK_GRACE_SECONDS = 5


@dataclass(frozen=True)
class Call:
    """A POST with a body of JSON."""

    address: str
    path: str
    body: str
    cookie: str | None = None

    def on_the_wire(self):
        head = [f"POST {self.path} HTTP/1.1", f"Host: {self.address}", "Content-Type: application/json"]
        if self.cookie:
            head.append(f"Cookie: {self.cookie}")
        body = self.body.encode()
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    # With its head.
    size: int

    def json(self):
        return json.loads(self.body)


class Connection:
    """Kept alive between requests, one at a time."""

    def __init__(self, address, seconds=10):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, request):
        """The request as bytes, or a call."""
        self.socket.sendall(request.on_the_wire() if isinstance(request, Call) else request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.more()
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"^content-length:\s*(\d+)", head, re.M | re.I)
        if not length:
            raise OSError("an answer without Content-Length, whose size nothing here could check")
        pieces, missing = [body], int(length[1]) - len(body)
        while missing > 0:
            pieces.append(self.more())
            missing -= len(pieces[-1])
        body = b"".join(pieces)
        return Answer(int(head.split()[1]), body, len(head) + 4 + len(body))

    def more(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise OSError("the connection was closed within an answer")
        return got


def ask(call):
    """One request on a connection of its own."""
    try:
        with Connection(call.address) as connection:
            return connection.ask(call)
    except OSError as error:
        sys.exit(f"no answer to POST {call.path}: {error}")


def wrk(call, seconds, processors, rate=None, tokens=None, order="random", until=None):
    """Puts load on for so many seconds, or until something is so, and gives what wrk.lua tells.

    wrk itself knows whole seconds only; but as a person's Ctrl-C does, SIGINT ends it early and with its figures.
    """
    given = {"BODY": call.body, "COOKIE": call.cookie, "RATE": rate, "TOKENS": tokens, "ORDER": tokens and order}
    names = given.keys()
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {name: str(value) for name, value in given.items() if value is not None}
    duration = int(seconds) + WRK_GRACE_SECONDS
    options = ["--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{duration}s", "--latency"]
    command = ["wrk", *options, "--script", str(HERE / "wrk.lua"), f"http://{call.address}{call.path}"]
    with on(processors):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait(process, seconds, until)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=WRK_GRACE_SECONDS + 10)
    finally:
        process.kill()
        process.wait()
    result = re.search(r"^result (.*)$", told, re.M)
    if not result:
        sys.exit(f"wrk did not work: {told}")
    return json.loads(result[1])


def wait(process, seconds, until):
    """Until the process ends, the time is over or, when it is given, something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None and not (until and until()):
        time.sleep(0.05)


def check_load(told, call, size, name):
    """Of the many answers not one may have failed, and together they have as many bytes as that many proved ones."""
    if told["refused"] or told["failed"]:
        what = f"of {told['requests']} requests {told['refused']} were refused, {told['failed']} failed"
        sys.exit(f"{name}: {what}: POST {call.path}")
    if not told["requests"]:
        sys.exit(f"{name}: no request was answered: POST {call.path}")
    # What came of answers that were not whole at the end is in the bytes and not in the requests.
    unaccounted = told["bytes"] - told["requests"] * size
    if not 0 <= unaccounted <= CONNECTIONS * size:
        what = f"{told['requests']} answers had {told['bytes']} bytes, not {size} each as when proved"
        sys.exit(f"{name}: {what}: POST {call.path}")
