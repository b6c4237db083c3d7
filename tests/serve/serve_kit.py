"""What the tests of the server share: a server of the program under test, and requests as bytes on a socket, so that a test says exactly what
the server gets. The rest is tests/cli/kit.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from kit import KITFOX, SECONDS  # noqa: E402

WAIT = 60  # seconds for an answer, on a busy machine with sanitizers


class Server:
    """with Server("model.kfx", "--queue", "2") as s: ... It listens at any free port; `log` is its standard error once it has ended."""

    def __init__(self, *args, env=None, limits=None):
        self.args, self.env, self.limits, self.log, self.status = args, env, limits, "", None

    def __enter__(self):
        self.process = subprocess.Popen(
            [KITFOX, "serve", "--port", "0", "--json", *self.args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(self.env or {})},
            preexec_fn=self.limits,
        )
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("no server: " + self.process.communicate()[1].decode())
        self.start = json.loads(line)
        self.port = self.start["port"]
        return self

    def __exit__(self, *_):
        self.end()

    def end(self, number=signal.SIGTERM):
        """Send a signal, wait, return the exit status."""
        if self.status is None:
            self.process.send_signal(number)
            self.log = self.process.communicate(timeout=SECONDS)[1].decode()
            self.status = self.process.returncode
        return self.status

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), WAIT)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, data, close=False):
        """The answer to bytes, on a connection of its own; None where the server closed it without one. `close`: the client ends its side."""
        with self.connect() as s:
            try:
                s.sendall(data)
                if close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused and closed early: the answer is there
            return answer(s)

    def ask(self, method, path, body=b"", **headers):
        """The same from parts. An underscore in a header's name stands for "-"; None leaves a header out that would be there."""
        return self.raw(request(method, path, body, **headers))

    def json(self, method, path, body=None, **headers):
        """Status and JSON of the answer; `body` becomes JSON."""
        a = self.ask(method, path, b"" if body is None else json.dumps(body).encode(), **headers)
        return a.status, a.json()

    def infer(self, body, model="everyday10", **headers):
        return self.json("POST", f"/v2/models/{model}/infer", body, **headers)

    def metrics(self):
        """{name with labels: value}"""
        rows = self.ask("GET", "/metrics").body.decode().splitlines()
        return {row.rsplit(" ", 1)[0]: float(row.rsplit(" ", 1)[1]) for row in rows if not row.startswith("#")}


def request(method, path, body=b"", **headers):
    all_ = {"Host": "localhost", "Content_Length": str(len(body)) if body or method == "POST" else None, **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in all_.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        self.body = body

    def json(self):
        return json.loads(self.body) if self.body else None


def answer(s, head_only=False):
    """Read one answer of a socket, and not a byte more; None at its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            more = s.recv(1)
        except (ConnectionError, TimeoutError):
            return None
        if not more:
            return None
        data += more
    a = Answer(data[:-4], b"")
    if a.status == 100:
        return answer(s, head_only)
    left = 0 if head_only else int(a.headers.get("content-length", 0))
    while left:
        more = s.recv(left)
        if not more:
            return None
        a.body += more
        left -= len(more)
    return a
