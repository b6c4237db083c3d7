"""kitfox serve and who wants it ill: a full table of files, ten thousand connections, clients that never read or are killed, random bytes. After
each the server answers as before. endurance.py mixes such clients with good ones.
"""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time

from serve_kit import Server, answer, request
from kit import EXAMPLES, case, check, run_cases

MODEL = "everyday10"
INFER = f"/v2/models/{MODEL}/infer"


def resident(s):
    with open(f"/proc/{s.process.pid}/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def ticks(s):
    with open(f"/proc/{s.process.pid}/stat") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


def frog():
    with open(os.path.join(EXAMPLES, "frog.jpg"), "rb") as f:
        return f.read()


def goes_on(s, what):
    end = time.monotonic() + 30
    while True:
        try:
            a = s.ask("POST", "/classify", frog())
            if a is not None and a.status == 200:
                break
        except OSError:
            pass
        if time.monotonic() > end:
            check(f"{what}: and it goes on", False, "no answer in 30 s")
            return
        time.sleep(0.1)
    check(f"{what}: and it goes on", a.json()["pictures"][0]["top"][0]["label"] == "frog", a.body[:200])


@case
def full_table_of_files():
    """Room for some connections alone: the others wait or are refused, nothing spins, and metrics go on."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))  # noqa: E731
    with Server("--threads", "1", "--log", "none", "--header-timeout", "3", limits=few) as s:
        many = []
        for _ in range(100):
            try:
                many.append(socket.create_connection(("127.0.0.1", s.port), 5))
            except OSError:
                break
        before = ticks(s)
        time.sleep(1)
        check("it does not spin", ticks(s) - before <= 20, (before, ticks(s)))
        for c in many:
            c.close()
        goes_on(s, f"{len(many)} connections")
        check("memory is in the metrics", s.metrics()["process_resident_memory_bytes"] > 1 << 20)
        check("the end", s.end() == 0, s.log)
        check("a note said so", "ulimit -n" in s.log, s.log)


@case
def ten_thousand_connections():
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000),) * 2)
    with Server(
        "--threads",
        "1",
        "--log",
        "none",
        "--header-timeout",
        "2",
        "--max-connections",
        "200",
        "--max-per-address",
        "200",
    ) as s:
        goes_on(s, "before")
        before, open_, refused = resident(s), [], 0
        for k in range(10000):
            c = socket.socket()
            c.setblocking(False)
            try:
                c.connect(("127.0.0.1", s.port))
            except BlockingIOError:
                pass
            except OSError:
                refused += 1
            open_.append(c)
            if len(open_) >= 4000:
                for old in open_[:2000]:
                    old.close()
                del open_[:2000]
        time.sleep(0.5)
        grown = resident(s) - before
        for c in open_:
            c.close()
        check("memory", grown < 40 << 20, grown)
        goes_on(s, "10000 connections")
    with Server("--threads", "1", "--log", "none", "--max-per-address", "3") as s:
        some = [s.connect() for _ in range(8)]
        got = []
        for c in some:
            try:
                c.sendall(request("GET", "/v2"))
                got.append(answer(c))
            except OSError:
                got.append(None)
        check("three from one address", sum(a is not None for a in got) == 3, got)
        for c in some:
            c.close()
        goes_on(s, "per address")


@case
def who_never_reads():
    body = json.dumps(
        {
            "inputs": [
                {
                    "name": "data",
                    "shape": [1000, 64, 64, 3],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": 12288000},
                }
            ]
        }
    ).encode()
    with Server("--threads", "1", "--log", "none", "--body-timeout", "2", "--idle-timeout", "2") as s:
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        data = request("POST", INFER, body + bytes(12288000), Inference_Header_Content_Length=len(body))
        c.sendall(data)
        try:
            for _ in range(50000):
                c.settimeout(0.5)
                c.sendall(request("GET", "/docs"))
        except OSError:
            pass
        goes_on(s, "a client that does not read")
        end = time.monotonic() + 30
        while s.metrics()["kitfox_connections"] > 1 and time.monotonic() < end:
            time.sleep(0.1)
        check("it was cut", s.metrics()["kitfox_connections"] <= 1, s.metrics()["kitfox_connections"])
        c.close()


@case
def killed_clients():
    """Processes that ask and are killed at any moment."""
    code = (
        "import socket, sys\nfrom serve_kit import request\n"
        "d = request('POST', '/classify', open(sys.argv[3], 'rb').read())\n"
        "while True:\n    s = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n    for i in range(50):\n        s.sendall(d)\n        s.recv(100)\n"
    )
    with Server("--threads", "2", "--log", "none") as s:
        for k in range(12):
            p = subprocess.Popen(
                [sys.executable, "-c", code, "x", str(s.port), os.path.join(EXAMPLES, "frog.jpg")],
                cwd=os.path.dirname(os.path.abspath(__file__)),
                stderr=subprocess.DEVNULL,
            )
            time.sleep(0.25 + 0.03 * k)
            p.send_signal(signal.SIGKILL)
            p.wait()
        goes_on(s, "12 killed clients")
        end = time.monotonic() + 30
        while s.metrics()["kitfox_connections"] > 1 and time.monotonic() < end:
            time.sleep(0.1)
        check("no connection is left", s.metrics()["kitfox_connections"] <= 1)


@case
def random_bytes():
    """Requests with some bytes changed, cut or doubled."""
    rnd = random.Random(7)
    good = [
        request("POST", "/classify", frog()[:3000]),
        request("GET", "/metrics"),
        request(
            "POST", INFER, b'{"inputs": [{"name": "data", "shape": [1, 3, 64, 64], "datatype": "FP32", "data": [0]}]}'
        ),
    ]
    with Server("--threads", "1", "--log", "none", "--body-timeout", "1", "--header-timeout", "1") as s:
        for _ in range(1500):
            data = bytearray(rnd.choice(good))
            for _ in range(rnd.randrange(1, 4)):
                at = rnd.randrange(min(len(data), 300))
                how = rnd.randrange(3)
                if how == 0:
                    data[at] = rnd.randrange(256)
                elif how == 1:
                    del data[at : at + rnd.randrange(1, 20)]
                else:
                    data[at:at] = data[at : at + rnd.randrange(1, 20)]
            with s.connect() as c:
                try:
                    c.sendall(data)
                    c.shutdown(socket.SHUT_WR)
                    c.settimeout(5)
                    c.recv(1000)
                except OSError:
                    pass
        goes_on(s, "1500 changed requests")
        check("the end", s.end() == 0, s.log)


sys.exit(run_cases())
