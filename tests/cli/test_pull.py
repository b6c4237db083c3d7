#!/usr/bin/env python3
"""kitfox pull against a local server that misbehaves: nothing half-written is ever found under a final name.

Called by meson with the program's path and the stand-in for an old libcurl. No public network. Prints one line a check.
"""
import ctypes
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time

from kit import KITFOX, case, check, run_cases, says

import http_server as hs
from http_server import broken, chunked, dripping, good, partial, status, wrong_range

SHIM = os.path.abspath(sys.argv[2])
NAME, OTHER = "mobilenetv3_small_050", "mobilenetv3_small_075"
REPO, OTHER_REPO = "timm/mobilenetv3_small_050.lamb_in1k", "timm/mobilenetv3_small_075.lamb_in1k"


def checkpoint(seed, count=50000):
    head = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    return struct.pack("<Q", len(head)) + head + random.Random(seed).randbytes(4 * count)


def configuration(arch="mobilenetv3_small_050", tag="lamb_in1k"):
    return json.dumps({"architecture": arch, "pretrained_cfg": {"tag": tag}}).encode()


BODY, BODY2, CONFIG = checkpoint(1), checkpoint(2), configuration()
SHA = hashlib.sha256(BODY).hexdigest()
server = hs.Server()
ENV = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
FAST = ["--wait", "1", "--timeout", "20", "--retries", "3"]  # on a busy machine a good answer may halt for seconds


def serve(weights, config=None, repo=REPO, hub=True):
    base = "/" + repo + ("/resolve/main/" if hub else "/")
    server.answers = {base + "model.safetensors": list(weights), base + "config.json": list(config or [good(CONFIG)])}
    server.seen = []
    server.during = lambda: None


def pull(folder, *args, name=NAME, mirror=None, env=None, fast=FAST):
    p = subprocess.run([KITFOX, "pull", name, "--json", "-o", folder, "--mirror", mirror or server.url, *fast, *args], capture_output=True,
                       env={**ENV, **(env or {})}, timeout=600)
    err = p.stderr.decode()
    return p.returncode, json.loads(p.stdout or b"null"), err


def read(*path):
    try:
        with open(os.path.join(*path), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def arrived(folder):
    return sorted(os.listdir(folder)) == ["config.json", "model.safetensors"] and read(folder, "model.safetensors") == BODY and read(folder, "config.json") == CONFIG


def ranges():
    return [(r, c) for path, r, c in server.seen if path.endswith("model.safetensors") and r]


@case
def simple(top):
    folder = os.path.join(top, "simple") + "/"
    serve([good(BODY, ETag='"v1"')])
    code, row, err = pull(folder)
    check("both files arrive", code == 0 and arrived(folder), (row, err))
    check("--json: keys", row == {"kind": "pulled", "name": NAME, "file": folder + "/model.safetensors", "config": folder + "/config.json", "bytes": len(BODY), "sha256": SHA,
                                  "source": f"{server.url}/{REPO}/resolve/main/model.safetensors", "cached": False, "resumed": False}, row)
    server.seen = []
    code, row, _ = pull(folder)
    check("a second pull asks for nothing", code == 0 and row["cached"] and row["source"] is None and row["bytes"] == len(BODY) and not server.seen, (row, server.seen))
    serve([good(BODY2)])
    code, row, _ = pull(folder, "--force")
    check("--force replaces", code == 0 and read(folder, "model.safetensors") == BODY2, row)
    serve([good(BODY)], hub=False)
    folder = os.path.join(top, "plain") + "/"
    code, row, err = pull(folder)
    check("a mirror of plain folders", code == 0 and arrived(folder), (row, err))
    local = os.path.join(top, "local", REPO)
    os.makedirs(local)
    for name, data in (("model.safetensors", BODY), ("config.json", CONFIG)):
        with open(os.path.join(local, name), "wb") as f:
            f.write(data)
    folder = os.path.join(top, "from-file") + "/"
    code, row, err = pull(folder, mirror="file://" + os.path.join(top, "local"))
    check("a file: mirror", code == 0 and arrived(folder), (row, err))
    code, _, err = pull(os.path.join(top, "none") + "/", name="mobilenetv3_huge")
    check("an unknown name", code == 1 and "mobilenetv3_huge" in err and "--list" in err, err)
    names = [json.loads(line) for line in subprocess.run([KITFOX, "pull", "--list", "--json"], capture_output=True).stdout.splitlines()]
    check("--list: nothing that cannot be imported", len(names) >= 15 and all(n["file"].endswith(".safetensors") for n in names), names)
    usage = [subprocess.run([KITFOX, "pull", *a], capture_output=True).returncode for a in ([], [NAME, "--mirror", "ftp://x"], [NAME, "--retries", "0"], [NAME, "--wait", "x"])]
    check("wrong usage", usage == [2, 2, 2, 2], usage)


@case
def resumed(top):
    half, tag = len(BODY) // 2, {"ETag": '"v1"'}
    old = {"Last_Modified": hs.OLD}
    young = {"Last_Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))}
    all_the_same = [good(BODY, **tag)]
    cases = {  # answers, ranges asked for, resumed
        "goes on after a cut": ([broken(BODY, half, **tag)] + all_the_same, [(f"bytes={half}-", '"v1"')], True),
        "goes on after a stall": ([broken(BODY, half, stall=60, **tag)] + all_the_same, [(f"bytes={half}-", '"v1"')], True),
        "goes on by an old date": ([broken(BODY, half, **old), good(BODY, **old)], [(f"bytes={half}-", hs.OLD)], True),
        "not by a young date": ([broken(BODY, half, **young), good(BODY, **young)], [], False),
        "not by a weak tag": ([broken(BODY, half, ETag='W/"v1"'), good(BODY, ETag='W/"v1"')], [], False),
        "not without a validator": ([broken(BODY, half), good(BODY)], [], False),
        "a server without ranges": ([broken(BODY, half, **tag), good(BODY, ranges=False, **tag)], [(f"bytes={half}-", '"v1"')], False),
        "the file changed: 200": ([broken(BODY2, half, **tag), good(BODY, ETag='"v2"')], [(f"bytes={half}-", '"v1"')], False),
        "the file changed: 206 all the same": ([broken(BODY2, half, **tag), good(BODY, obeys_if_range=False, ETag='"v2"')], [(f"bytes={half}-", '"v1"')], False),
        "a range from elsewhere": ([broken(BODY, half, **tag), wrong_range(BODY, half - 7, **tag)] + all_the_same, [(f"bytes={half}-", '"v1"')], False),
        "by date, 206 without a date": ([broken(BODY, half, **old), partial(BODY)], [(f"bytes={half}-", hs.OLD)], True),
        "by date, another length": ([broken(BODY2 + b"more", half, **old), partial(BODY), good(BODY)], [(f"bytes={half}-", hs.OLD)], False),
        "a range without its tag": ([broken(BODY2 + b"more", half, **tag), partial(BODY)] + all_the_same, [(f"bytes={half}-", '"v1"')], False),
        "three pieces": ([broken(BODY, 1000, **tag), status(503), status(429, Retry_After="0")] + all_the_same, [("bytes=1000-", '"v1"')] * 3, True),
    }
    for what, (answers, wanted, again) in cases.items():
        folder = os.path.join(top, "r-" + what.replace(" ", "-").replace(":", "")) + "/"
        early = []
        serve(answers)
        server.during = lambda: early.extend(n for n in os.listdir(folder) if not ".part" in n)
        timeout = "1" if "stall" in what else "20"
        code, row, err = pull(folder, fast=["--wait", "1", "--timeout", timeout, "--retries", "5"])
        check("resume: " + what, code == 0 and arrived(folder) and row["resumed"] == again, (row, err, os.listdir(folder)))
        check("resume: " + what + ": requests", ranges() == wanted, server.seen)
        check("resume: " + what + ": no name before the end", early == [], early)


@case
def refused(top):
    short, tag = BODY[:-1000], {"ETag": '"v1"'}
    cases = {
        "404": ([status(404)], "not found"),
        "410": ([status(410)], "not found"),
        "403": ([status(403)], "answers 403"),
        "500 for ever": ([status(500)], "answers 500"),
        "an error page that says 200": ([status(200)], "safetensors"),
        "an empty answer": ([status(200, b"")], "safetensors"),
        "no content": ([status(204, b"")], "safetensors"),
        "Content-Length too small": ([broken(BODY, len(BODY), length=len(BODY) - 1000)], "safetensors"),
        "Content-Length too large": ([broken(BODY, len(BODY), length=len(BODY) + 1000)], "broke"),
        "cut without a length": ([broken(BODY, len(short), length=None)], "safetensors"),
        "cut in chunks": ([chunked(BODY, len(short))], "broke"),
        "a short file": ([good(short, **tag)], "safetensors"),
        "a long file": ([good(BODY + b"\0", **tag)], "safetensors"),
        "the wrong hash": ([good(BODY2, X_Linked_Etag=f'"{SHA}"')], "SHA-256 differs"),
        "the wrong size": ([good(BODY, X_Linked_Size="7")], "shorter or longer"),
        "a redirect to a file": ([status(302, Location="file:///etc/hostname")], "broke"),
        "a redirect to itself": ([status(302, Location=f"/{REPO}/resolve/main/model.safetensors")], "broke"),
        "an unasked range": ([wrong_range(BODY, 1000)], "resume"),
    }
    for what, (answers, text) in cases.items():
        folder = os.path.join(top, "x-" + what.replace(" ", "-")) + "/"
        serve(answers)
        code, out, err = pull(folder)
        check(f"refused: {what}", code == 1 and out["kind"] == "error" and text in err.splitlines()[-1] and err.splitlines()[-1].startswith("kitfox: "), (code, out, err))
        check(f"refused: {what}: nothing is left", os.listdir(folder) == [], os.listdir(folder))
    for what, config in {"not JSON": b"<html>", "a list": b"[]", "of another model": configuration("mobilenetv3_small_075"), "of another tag": configuration(tag="x"), "too large": b" " * 1100000}.items():
        folder = os.path.join(top, "c-" + what.replace(" ", "-")) + "/"
        serve([good(BODY)], [good(config)])
        code, _, err = pull(folder)
        check(f"refused: configuration {what}", code == 1 and os.listdir(folder) == [], (code, err, os.listdir(folder)))
    folder = os.path.join(top, "offline") + "/"
    code, _, err = pull(folder, mirror="http://127.0.0.1:1")
    check("refused: nobody there", code == 1 and "cannot be reached" in err and "no network?" in err and os.listdir(folder) == [], err)
    folder = os.path.join(top, "keeps") + "/"
    serve([broken(BODY, 5000, **tag)])
    code, _, err = pull(folder)
    check("what can be resumed is kept", code == 1 and sorted(os.listdir(folder)) == ["model.safetensors.part", "model.safetensors.part.tag"], os.listdir(folder))
    serve([good(BODY, **tag)])
    code, row, _ = pull(folder)
    check("and resumed by the next run", code == 0 and arrived(folder) and row["resumed"] and ranges() == [("bytes=5000-", '"v1"')], (row, server.seen))
    serve([broken(BODY, 5000, **tag)])
    pull(folder, "--force")
    serve([status(404)])
    code, _, err = pull(folder, "--force")
    check("a failing --force leaves what was there", code == 1 and read(folder, "model.safetensors") == BODY and read(folder, "config.json") == CONFIG, err)


@case
def slow(top):
    folder = os.path.join(top, "drip") + "/"
    serve([dripping(BODY, 0.02, ETag='"v1"')])
    begun = time.time()
    code, _, err = pull(folder, fast=["--wait", "1", "--timeout", "1", "--retries", "1"])
    soon = time.time() - begun < 300  # all of it would take over an hour
    check("a server that drips is given up", code == 1 and says(err, "1024 bytes .. 1 s") and soon, err)
    left = sorted(os.listdir(folder))
    check("a server that drips: what came is kept", left == ["model.safetensors.part", "model.safetensors.part.tag"], left)
    small, tiny = checkpoint(3, 8), os.path.join(top, "tiny") + "/"
    serve([dripping(small, 0.02, ETag='"v1"')])
    code, row, err = pull(tiny, "--slowest", "5", fast=["--wait", "1", "--timeout", "5", "--retries", "1"])
    check("--slowest: a drip that is asked for", code == 0 and read(tiny, "model.safetensors") == small, err)


@case
def pinned(top):
    folder, other = os.path.join(top, "pinned") + "/", hashlib.sha256(BODY2).hexdigest()
    serve([good(BODY2, ETag='"v1"')])
    code, _, err = pull(folder, "--sha256", SHA)
    left = os.listdir(folder)
    check("--sha256: another file is refused, both said", code == 1 and SHA in err and other in err and not left, (err, left))
    serve([broken(BODY2, 5000, ETag='"v1"'), good(BODY, obeys_if_range=False, ETag='"v1"')])
    code, _, err = pull(folder, "--sha256", SHA, fast=["--wait", "1", "--timeout", "1", "--retries", "2"])
    left = os.listdir(folder)
    check("--sha256: a part that went on with another file", code == 1 and not left, (err, left))
    serve([good(BODY)])
    code, row, err = pull(folder, "--sha256", SHA)
    check("--sha256: the right file", code == 0 and arrived(folder) and row["sha256"] == SHA, err)
    code, _, err = pull(folder, "--sha256", other)
    same = SHA in err and other in err and arrived(folder)
    check("--sha256: what is there is held to it too", code == 1 and same, err)
    serve([good(BODY2, X_Linked_Etag=f'"{SHA}"')])
    code, _, err = pull(os.path.join(top, "published") + "/")
    check("a published hash: both are said", code == 1 and SHA in err and other in err, err)
    wrong = [NAME, "--sha256", "12"], [NAME, OTHER, "--sha256", SHA], [NAME, "--slowest", "0"]
    usage = [subprocess.run([KITFOX, "pull", *a], capture_output=True).returncode for a in wrong]
    check("--sha256, --slowest: wrong usage", usage == [2, 2, 2], usage)


@case
def redirected(top):
    folder = os.path.join(top, "redirect") + "/"
    serve([status(302, b"moved", Location="/blob", X_Linked_Etag=f'"{SHA}"', X_Linked_Size=str(len(BODY)), ETag='"of-the-redirect"')])
    server.answers["/blob"] = [broken(BODY, 5000, ETag='"blob"'), good(BODY, ETag='"blob"')]
    code, row, err = pull(folder)
    conditions = [c for path, r, c in server.seen if path == "/blob" and r]
    check("redirect: followed, resumed, held to the hub's hash", code == 0 and arrived(folder) and row["resumed"] and conditions == ['"blob"'], (row, err, server.seen))


@case
def neighbours(top):
    folder = os.path.join(top, "neighbours")
    os.makedirs(folder)
    config, weights = os.path.join(folder, "config.json"), os.path.join(folder, "w.safetensors")
    for text in (b'{"mine": true}', b"not even JSON", configuration("mobilenetv3_small_075")):
        with open(config, "wb") as f:
            f.write(text)
        for out in (weights, folder):
            serve([good(BODY)])
            code, _, err = pull(out)
            check("-o: another configuration is left alone", code == 1 and "config.json" in err and read(config) == text and os.listdir(folder) == ["config.json"] and not server.seen, (code, err))
    serve([good(BODY)])
    code, row, err = pull(weights, "--force")
    check("-o FILE --force replaces it", code == 0 and read(weights) == BODY and read(config) == CONFIG and row["file"] == weights and row["config"] == config, err)
    mine = json.dumps({**json.loads(CONFIG), "note": "mine"}).encode()
    with open(config, "wb") as f:
        f.write(mine)
    os.remove(weights)
    code, row, err = pull(weights)
    check("a fitting configuration is kept", code == 0 and read(weights) == BODY and read(config) == mine, err)
    os.remove(config)
    with open(weights, "wb") as f:
        f.write(BODY2)
    code, _, err = pull(weights)
    check("other weights are left alone", code == 1 and "--force" in err and read(weights) == BODY2 and os.listdir(folder) == ["w.safetensors"], (err, os.listdir(folder)))
    with open(weights, "wb") as f:
        f.write(BODY)
    code, row, err = pull(weights)
    check("the same weights are completed", code == 0 and read(weights) == BODY and read(config) == CONFIG, err)
    with open(weights, "wb") as f:
        f.write(BODY[:-1])
    code, _, err = pull(weights)
    check("a damaged copy is not called there", code == 1 and "not a complete safetensors" in err and read(weights) == BODY[:-1], err)
    code, _, err = pull(config)
    check("-o config.json is refused", code == 1 and read(config) == CONFIG, err)


@case
def killed(top):
    folder = os.path.join(top, "killed") + "/"
    serve([broken(BODY, 9000, stall=600, ETag='"v1"'), good(BODY, ETag='"v1"')])
    p = subprocess.Popen([KITFOX, "pull", NAME, "-o", folder, "--mirror", server.url], env=ENV, stderr=subprocess.DEVNULL)
    part = os.path.join(folder, "model.safetensors.part")
    for _ in range(2000):
        if os.path.exists(part) and os.path.getsize(part) == 9000:
            break
        time.sleep(0.05)
    code, _, err = pull(folder)
    check("two at a time: the second says so", code == 1 and "another pull" in err and os.path.getsize(part) == 9000, err)
    p.send_signal(signal.SIGKILL)
    p.wait()
    left = set(os.listdir(folder))
    check("killed: no final name", not left & {"model.safetensors", "config.json"}, left)
    code, row, err = pull(folder)
    check("killed: the next run goes on", code == 0 and arrived(folder) and row["resumed"] and ranges() == [("bytes=9000-", '"v1"')], (err, os.listdir(folder)))


def given_up(what, folder, number, ready, *args):
    """A signal when `ready` says so: it ends the program as such signals do, and the folder is as empty as before."""
    p = subprocess.Popen([KITFOX, "pull", NAME, "-o", folder, "--mirror", server.url, *args], env=ENV,
                         stderr=subprocess.DEVNULL)
    for _ in range(400):
        if ready() or p.poll() is not None:
            break
        time.sleep(0.02)
    running = p.poll() is None
    p.send_signal(number)
    try:
        code = p.wait(20)
    except subprocess.TimeoutExpired:
        p.kill()
        code = p.wait()
    left = os.listdir(folder)
    check(f"{what}: ended by the signal, nothing is left", running and code == -number and left == [], (code, left))


@case
def stopped(top):
    folder = os.path.join(top, "stopped") + "/"
    part = os.path.join(folder, "model.safetensors.part")
    serve([broken(BODY, 9000, stall=5, ETag='"v1"')])
    given_up("Ctrl-C in a transfer", folder, signal.SIGINT,
             lambda: os.path.exists(part) and os.path.getsize(part) == 9000, "--timeout", "30")
    serve([broken(BODY, 9000, ETag='"v1"')])
    given_up("SIGTERM between attempts", folder, signal.SIGTERM,
             lambda: sum("model" in path for path, _, _ in server.seen) == 1 and read(part), "--wait", "20000")


@case
def old_libraries(top):
    try:
        ctypes.CDLL("libcurl.so.4")
    except OSError as e:
        print(f"SKIP: the old libcurl is not imitated: {e}")
        return
    with open("/proc/self/maps") as f:
        real = next(line.split()[-1] for line in f if "libcurl.so.4" in line)
    os.makedirs(os.path.join(top, "lib"))
    os.symlink(SHIM, os.path.join(top, "lib", "libcurl.so.4"))
    env = {"LD_LIBRARY_PATH": os.path.join(top, "lib"), "SHIM_REAL": real}
    for refuses, fits in (("names", True), ("names,bits", False), ("follow", False)):
        folder = os.path.join(top, "old-" + refuses) + "/"
        serve([good(BODY)])
        code, _, err = pull(folder, env={**env, "SHIM_REFUSES": refuses})
        if fits:
            check("old libcurl: limited by bits", code == 0 and arrived(folder), err)
            serve([status(302, Location="file:///etc/hostname")])
            code, _, err = pull(folder, "--force", env={**env, "SHIM_REFUSES": refuses})
            check("old libcurl: a redirect to a file is refused", code == 1 and "broke" in err and arrived(folder), err)
        else:
            check(f"libcurl without {refuses}: nothing is fetched", code == 1 and "refuses an option" in err and not server.seen and os.listdir(folder) == [], err)


sys.exit(run_cases())
