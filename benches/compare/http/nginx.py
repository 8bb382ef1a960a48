"""nginx as the proxy is compared with it, and as the deployment behind both, so that it is never what all wait for."""

import contextlib
import http.client
import os
import re
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

from processes import accepts, children, free_addresses, on, start, wait_until

USER_ID = "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k"
# What nginx sets aside for connections counts as its memory, open or not.
CONNECTIONS = 16_384

NGINX_COMMON = """
daemon off;
worker_processes {workers};
worker_rlimit_nofile {files};
pid {directory}/pid;
error_log stderr;
events {{ worker_connections {connections}; }}
http {{
    access_log {access_log};
    default_type application/json;
    keepalive_requests 1000000000;
    sendfile on;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {http}
}}
"""

NGINX_PASS = """
    upstream deployment {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen} backlog=1024 reuseport;
        location / {{
            proxy_pass http://deployment;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {more}
        }}
    }}
"""


@dataclass
class Nginx:
    # The master and its workers.
    pids: list
    address: str


def start_nginx_return(stack, rig, body, log=None):
    """Answers everything with this body."""
    [listen] = free_addresses(1)
    server = f"server {{ listen {listen} backlog=1024 reuseport; location / {{ return 200 {quoted(body)}; }} }}"
    return Nginx(start_nginx(stack, server, listen, rig.place.subject, len(rig.place.subject), log), listen)


def start_nginx_pass(stack, rig, upstream, more=""):
    """Passes everything on."""
    [listen] = free_addresses(1)
    http = NGINX_PASS.format(listen=listen, upstream=upstream, more=more)
    return Nginx(start_nginx(stack, http, listen, rig.place.subject, len(rig.place.subject)), listen)


def start_nginx(stack, http, listen, processors, workers, log=None):
    """One worker for each processor, as `worker_processes auto` has it: the proxy has as many threads."""
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    # Workers of a master that root started are nobody, and must get at what the master made for them in here.
    os.chmod(directory, 0o711)
    configuration = Path(directory, "nginx.conf")
    configuration.write_text(
        NGINX_COMMON.format(
            workers=workers,
            files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            directory=directory,
            connections=CONNECTIONS,
            access_log=log or "off",
            http=http,
        )
    )
    with on(processors):
        master = start(stack, ["nginx", "-e", "stderr", "-p", directory, "-c", str(configuration)])
    wait_until(lambda: accepts(listen) and len(children(master.pid)) == workers, master)
    return [master.pid, *children(master.pid)]


def quoted(text):
    """A text as nginx's configuration has it between single quotes."""
    if "$" in text:
        raise ValueError("nginx cannot be told of a dollar sign that it means no variable")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# === the deployment ===

# What getSessionAndUser answers. The name of a row's id is put in by nginx where each answer has its own.
SESSION = (
    '{"status":"success","value":{"session":{"_id":"ID","_creationTime":1700000000000.123,'
    '"sessionToken":"c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11","userId":"ID","expires":4102444800000.0},'
    '"user":{"_id":"ID","_creationTime":1700000000000.123,"name":"Ada Lovelace","email":"ada@example.org",'
    '"image":"https://avatars.githubusercontent.com/u/1234567?v=4","emailVerified":1700000000000.0}},"logLines":[]}'
)
ONE_SESSION = SESSION.replace("ID", USER_ID)
MESSAGES = (
    '{"status":"success","value":[{"_id":"k17d2m4k8v1n5q9s3w6y0b2c4f6h8j1k","_creationTime":1700000000000.5,'
    '"author":"Ada","body":"Good morning"}],"logLines":[]}'
)
BIG_BYTES = 1 << 20


def big_answer():
    head, tail = '{"status":"success","value":"', '","logLines":[]}'
    # No two stretches of it are alike, so that a piece which is missing or comes twice shows.
    text = "".join(f"{number:07}-" for number in range(BIG_BYTES // 8))
    return head + text[: BIG_BYTES - len(head) - len(tail)] + tail


DEPLOYMENT = """
    server {{
        listen {sessions} backlog=1024;
        location = /version {{ return 200 '"unknown"'; }}
        location = /status {{ stub_status; }}
        location = /api/query {{ return 200 {session}; }}
    }}
    server {{
        listen {anybody} backlog=1024;
        location = /version {{ return 200 '"unknown"'; }}
        location = /api/query {{ return 200 '{anybodys}'; }}
    }}
    server {{
        listen {functions} backlog=1024;
        location = /version {{ return 200 '"unknown"'; }}
        location = /api/query {{ return 200 {messages}; }}
        # nginx has no POST for a file, except by way of the error that this is.
        location = /api/action {{ error_page 405 =200 /big.json; return 405; }}
        location = /big.json {{ internal; root {files}; }}
    }}
"""


class Deployment:
    """`sessions` knows one session, whatever the token; `anybody` another for each question; `functions` has the app's."""

    def __init__(self, stack, processors):
        files = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.chmod(files, 0o755)
        self.own = 0
        self.big = big_answer()
        Path(files, "big.json").write_text(self.big)
        self.sessions, self.anybody, self.functions = free_addresses(3)
        servers = DEPLOYMENT.format(
            sessions=self.sessions,
            anybody=self.anybody,
            functions=self.functions,
            session=quoted(ONE_SESSION),
            anybodys=SESSION.replace("ID", "$request_id"),
            messages=quoted(MESSAGES),
            files=files,
        )
        start_nginx(stack, servers, self.sessions, processors, 1)

    def asked(self):
        """How many requests it got so far, besides these."""
        self.own += 1
        with contextlib.closing(http.client.HTTPConnection(self.sessions, timeout=5)) as connection:
            connection.request("GET", "/status")
            text = connection.getresponse().read().decode()
        return int(re.search(r"^ \d+ \d+ (\d+)", text, re.M)[1]) - self.own
