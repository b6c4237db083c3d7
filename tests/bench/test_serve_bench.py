#!/usr/bin/env python3
"""The server's benchmark: its arithmetic by hand, and with "run PROGRAM LOAD" a short run without the peer.

Times are not judged, only that each number is there and that no request failed.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
sys.path.insert(0, os.path.join(ROOT, "bench"))
sys.dont_write_bytecode = True
import serve_driver  # noqa: E402

failed = []


def check(what, got, want):
    print(("ok    " if got == want else "FAIL  ") + what + ("" if got == want else f": {got!r}, not {want!r}"))
    if got != want:
        failed.append(what)


# Four arrivals a second apart that need 3 s each. One worker: they end at 3, 6, 9, 12. Two: at 3, 4, 6, 7.
check("one worker", serve_driver.ideal_queue([0, 1, 2, 3], [3, 3, 3, 3], 1), [3, 5, 7, 9])
check("two workers", serve_driver.ideal_queue([0, 1, 2, 3], [3, 3, 3, 3], 2), [3, 3, 4, 4])
check("no waiting", serve_driver.ideal_queue([0, 10], [3, 4], 1), [3, 4])
check("p99 of 1 to 200", serve_driver.percentile(list(range(200, 0, -1)), 0.99), 199)
check("the median of one", serve_driver.percentile([7], 0.5), 7)
head, body = serve_driver.post("/classify", b"xyz", {"A": 1}).split(b"\r\n\r\n")
check(
    "a request",
    (head.split(b"\r\n")[0], b"Content-Length: 3" in head, body),
    (b"POST /classify HTTP/1.1", True, b"xyz"),
)

if sys.argv[1:2] == ["run"]:
    command = [sys.executable, os.path.join(ROOT, "bench", "serve_driver.py")]
    command += [os.path.join(ROOT, "data", "everyday10.safetensors"), "--kitfox", sys.argv[2], "--load", sys.argv[3]]
    r = subprocess.run([*command, "--seconds", "0.2", "--rounds", "1"], capture_output=True, text=True)
    print(r.stdout + r.stderr)
    check("status", r.returncode, 0)
    rows = [line for line in r.stdout.splitlines() if re.match(r"\|.*\d.*\|$", line)]
    check("rows with numbers", len(rows), 15)
    check("nothing is missing", [row for row in rows if "nan" in row or "None" in row], [])

print(f"{len(failed)} failures")
sys.exit(1 if failed else 0)
