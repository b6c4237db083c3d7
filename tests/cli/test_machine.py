#!/usr/bin/env python3
"""The verbs on a machine that fails: little memory, few files, no threads, a full disk, a kill at any moment.

A verb succeeds, with what it writes without the failure, or ends with a message and a status from 1 to 2, never by a
signal; nothing half written has a name. Arguments: the program, the library of machine.c, the source root, "long" for
the long form.
"""
import os
import random
import resource
import signal
import subprocess
import sys
import time

from kit import EXAMPLES, KITFOX, case, check, once, run_cases

SHIM, SOURCE, LONG = os.path.abspath(sys.argv[2]), sys.argv[3], "long" in sys.argv
FROG, SE = os.path.join(EXAMPLES, "frog.jpg"), os.path.join(SOURCE, "tests", "fuzz", "corpus", "onnx", "se.onnx")
WEIGHTS = os.path.join(SOURCE, "data", "everyday10.safetensors")
INTEGERS = os.path.join(SOURCE, "tests", "golden", "everyday10_int8_v1.kfx")
CHECKED = os.path.join(SOURCE, "tests", "golden", "verified_int8_v1.kfx")
MIB = 1 << 20
STEADY = ("info", "check", "verify", "zoo", "simplify", "export")  # print no times


@once
def verbs(top):
    """Name: arguments, standard input, whether an output follows "-o"."""
    data = os.path.join(top, "data")
    for name in ("frog", "ship"):
        os.makedirs(os.path.join(data, name))
        os.symlink(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(data, name, name + ".jpg"))
    three = os.path.join(top, "three.npy")
    with open(three, "wb") as f:
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 64, 64), }".ljust(117) + "\n"
        f.write(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(3 * 3 * 64 * 64 * 4))
    plain = {"classify": [FROG], "info": ["--json", INTEGERS], "check": [SE], "eval": ["--data", data], "zoo": [],
             "compare": [WEIGHTS, INTEGERS, "--data", data], "verify": [CHECKED], "bench": ["-n", "2"]}
    write = {"import": [SE], "simplify": [SE], "export": [SE], "quantize": [SE, "--calib", data],
             "run": [WEIGHTS, three]}
    return {**{name: ([name, *args], None, False) for name, args in plain.items()},
            **{name: ([name, *args], None, True) for name, args in write.items()},
            "classify --json": (["classify", "--json", FROG], None, False),
            "stream": (["stream", "--nv12", "8x8"], bytes(96 * 3), False)}


def limit(kind, value):
    def apply():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(kind, (value, value))
    return apply


def start(verb, folder, env=None, before=None):
    args, stdin, writes = verb
    out = os.path.join(folder, "out")
    more = ["-o", out] if writes else []
    p = subprocess.run([KITFOX, *args, *more], input=stdin, capture_output=True, env={**os.environ, **(env or {})},
                       preexec_fn=before, restore_signals=False, timeout=120)
    written = None
    if os.path.exists(out):
        with open(out, "rb") as f:
            written = f.read()
        os.remove(out)
    said, err = p.stdout.decode().replace(folder, ""), p.stderr.decode(errors="replace")
    err += said if '"error":' in said else ""  # rows of JSON carry their own
    return p.returncode, err, (written, said if verb[0][0] in STEADY else None), os.listdir(folder)


def ends_well(p, whole):
    """Success with the same file, or a message, a status and no file. The loader speaks for itself (127)."""
    code, err, made, left = p
    if code == 0:
        return made == whole and not left
    said = "kitfox: " in err or '"error":' in err if code in (1, 2) else code == 127 and "error while loading" in err
    return said and made[0] is None and not left


def tries(all_of, folder, what, runs):
    """Every verb under every one of the limits; one line a limit and verb that went wrong, one for all."""
    bad = []
    for name, verb in all_of.items():
        for how, env, before in runs:
            p = start(verb, folder, env, before)
            if not ends_well(p, whole()[name]):
                bad.append((name, how, p[0], p[1][-300:], p[3]))
    check(f"{what}: {len(all_of)} verbs, {len(runs)} forms", not bad, bad[:5])


@case
def jansson(folder):
    """Where one of its buffers does not grow, jansson goes on without the byte; that is not the file's fault."""
    bad = []
    for n in range(30):
        code, err, _, _ = start(verbs()["verify"], folder, {"LD_PRELOAD": SHIM, "MACHINE_MALLOC": str(n)})
        if code != 0 and not (code == 1 and "memory" in err):
            bad.append((n, code, err))
    check("one allocation of a reader of JSON: memory, not the format", not bad, bad)


@case
def threads(folder):
    all_of = verbs()
    for n in (0, 1):
        env = {"LD_PRELOAD": SHIM, "MACHINE_THREADS": str(n), "KITFOX_THREADS": "4"}
        code, err, _, _ = start(all_of["classify"], folder, env)
        once = err.count(f"{n + 1} of 4 threads") == 1 == err.count("\n")
        check(f"{n} threads start: fewer, said once", code == 0 and once, err)
        runs = {name: start(all_of[name], folder, env) for name in all_of}
        bad = [(name, p) for name, p in runs.items() if p[0] != 0 or p[2] != whole()[name]]
        check(f"{n} threads start: every verb", not bad, bad)
    env["MACHINE_THREADS"] = "0"
    for more in (["--threads", "3"], ["--sessions", "3"]):
        code, err, _, _ = start((["bench", "-n", "2", *more], None, False), folder, env)
        check(f"bench {more[0]}: no figure of fewer threads", code == 1 and "only 1 of 3 threads" in err, err)
    code, err, _, _ = start((["bench", "-n", "2", "--table"], None, False), folder, env)
    check("bench --table: as many as start", code == 0, err)


@case
def kills(folder):
    """An older file stays whole until the new one is."""
    out = os.path.join(folder, "out")
    args = [KITFOX, "import", WEIGHTS, "-o", out]
    begun = time.time()
    subprocess.run(args, check=True, capture_output=True)
    seconds = time.time() - begun
    with open(out, "rb") as f:
        new = f.read()
    bad, killed, r = [], 0, random.Random(1)
    for i in range(200 if LONG else 12):
        with open(out, "wb") as f:
            f.write(b"older")
        p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(r.random() * seconds * 1.2)
        p.kill()
        hit = p.wait() == -signal.SIGKILL
        killed += hit
        seconds *= 1.05 if hit else 0.8  # the first run may have been the slowest
        with open(out, "rb") as f:
            now = f.read()
        if now not in (b"older", new):
            bad.append((i, len(now)))
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    check(f"killed {killed} times: the old file or the new one", not bad and killed > 0, bad)


@once
def whole(folder):
    """What each verb makes without a failure."""
    made = {}
    for name, verb in verbs().items():
        code, err, made[name], left = start(verb, folder)
        check(f"{name}: without a failure", code == 0 and (made[name][0] is not None) == verb[2] and not left, err)
    return made


@case
def memory(folder):
    # Below some 8 MiB the kernel itself ends what it cannot load.
    sizes = [10 + i for i in range(86)] if LONG else [10, 12, 20, 28, 40, 64]
    tries(verbs(), folder, "memory", [(f"{m} MiB", None, limit(resource.RLIMIT_AS, m * MIB)) for m in sizes])


@case
def files(folder):
    few = range(3, 20) if LONG else (3, 4, 5)
    tries(verbs(), folder, "files", [(f"{n} files", None, limit(resource.RLIMIT_NOFILE, n)) for n in few])


@case
def stack(folder):
    sizes = [(f"{k} KiB", None, limit(resource.RLIMIT_STACK, k << 10)) for k in (512, 2048)]
    tries(verbs(), folder, "stack", sizes)


@case
def full_disk(folder):
    sizes = [(f"{n} bytes", None, limit(resource.RLIMIT_FSIZE, n)) for n in (0, 1, 500, 5000)]
    tries({n: v for n, v in verbs().items() if v[2]}, folder, "a full disk", sizes)


@case
def one_allocation(folder):
    some = [r for r in range(0, 3000, 23)] if LONG else [0, 3, 40, 200, 700, 1500]
    forms = [(f"allocation {n}", {"LD_PRELOAD": SHIM, "MACHINE_MALLOC": str(n)}, None) for n in some]
    tries({n: v for n, v in verbs().items() if n != "bench"}, folder, "one allocation", forms)


sys.exit(run_cases())
