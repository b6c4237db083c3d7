#!/usr/bin/env python3
"""The benchmark against other engines: converts each model for each engine, times them in turns, writes one Markdown report.

Run by run.sh, which prepares the peers' interpreter and the kitfox program. Standard library only.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import report
from engines import Failed, Kitfox, KitfoxPixels, Peer, pinned, usable_cpus
from peers import ORDER

HERE = os.path.dirname(os.path.abspath(__file__))
SCALING_ROUNDS = 5  # of --sessions, at most


def words(p, a, option, known):
    """The list that an option gives, checked."""
    given = [x for x in getattr(a, option).split(",") if x]
    if set(given) - set(known):
        p.error("--%s: unknown %s" % (option, ", ".join(sorted(set(given) - set(known)))))
    return given


def arguments():
    p = argparse.ArgumentParser(prog="bench/run.sh", description="KitFox and its peers on the same models, in turns.")
    p.add_argument("models", nargs="+", metavar="MODEL.onnx")
    p.add_argument("--photos", metavar="DIR", help="pictures for calibration and agreement (default: drawn colours)")
    p.add_argument("--limit", type=int, default=200, metavar="N", help="photos to use at most, half of them for calibration (default 200)")
    p.add_argument("--rounds", type=int, default=10, metavar="N", help="turns of each engine (default 10)")
    p.add_argument("--frames", type=int, default=50, metavar="N", help="timed runs a turn (default 50)")
    p.add_argument("--threads", default="1,2", metavar="1,2", help="thread counts (default 1,2)")
    p.add_argument("--kinds", default="fp32,int8", metavar="fp32,int8", help="number formats (default both)")
    p.add_argument("--isa", default="native", metavar="native,avx2", help="instruction sets: all that the CPU has, or at most AVX2 where an engine can be "
                                                                         "told so (default native)")
    p.add_argument("--peers", default=",".join(ORDER), metavar="A,B", help="peers to run (default: %(default)s)")
    p.add_argument("--output", metavar="FILE", help="the report (default bench/results/DATE-CPU.md)")
    p.add_argument("--python", required=True, help=argparse.SUPPRESS)
    p.add_argument("--kitfox", required=True, help=argparse.SUPPRESS)
    a = p.parse_args()
    a.threads = [int(t) for t in a.threads.split(",")]
    a.kinds, a.isa, a.peers = words(p, a, "kinds", report.KINDS), words(p, a, "isa", report.ISAS), words(p, a, "peers", ORDER)
    if min(a.threads + [a.rounds, a.frames]) < 1 or a.limit < 2:
        p.error("--threads, --rounds and --frames start at 1, --limit at 2")
    return a


def prepare(a, model, folder):
    """Inputs of all engines, in folder."""
    command = [a.python, os.path.join(HERE, "inputs.py"), model, folder] + ([a.photos, str(a.limit)] if a.photos else [])
    p = subprocess.run(command, capture_output=True, text=True)
    if p.returncode:
        sys.exit("bench: %s: %s" % (model, p.stderr.strip()[-400:]))
    path = os.path.join(folder, "inputs.json")
    with open(path) as f:
        return {**json.load(f), "path": path}


def contestants(model, kind, folder, inputs, engines, notes):
    """Engines that could convert the model: name -> path of the converted file."""
    ready = {}
    for name, engine in engines.items():
        if kind not in engine.kinds:
            continue
        print("bench: %s: converting for %s, %s" % (os.path.basename(model), name, kind), file=sys.stderr)
        try:
            ready[name], notes[name, kind] = engine.convert(model, kind, folder, inputs)
        except (Failed, ValueError) as e:
            notes[name, kind] = "left out: %s" % e
    return ready


def take_turns(a, ready, engines, setting, cpus, tensor, notes):
    """Name -> list of one result a round; an engine that fails once is out. Who begins a round moves on, so that none always follows the same."""
    kind, isa, threads = setting
    turns, running = {name: [] for name in ready}, list(ready)
    for number in range(a.rounds):
        start = number % max(len(running), 1)
        for name in running[start:] + running[:start]:
            try:
                turn = engines[name].bench(ready[name], threads, a.frames, tensor, cpus, isa)
                turn["start_ms"] = engines[name].first(ready[name], threads, tensor, cpus, isa)
                turns[name].append(turn)
            except (Failed, ValueError, KeyError) as e:
                notes[name, kind] = "failed with %d threads: %s" % (threads, e)
        running = [name for name in running if len(turns[name]) == number + 1]
        print("bench: %s, %s, threads %d: round %d of %d" % (kind, isa, threads, number + 1, a.rounds), file=sys.stderr)
    return {name: turns[name] for name in running}


def judge(ready, engines, inputs, folder, reference, notes, kind):
    """Top-1 labels on the pictures kept from calibration; agreement in percent with the first engine's fp32 labels."""
    agreement = {}
    for name in ready:
        try:
            labels = engines[name].labels(ready[name], inputs["judge"], folder)
        except (Failed, ValueError, OSError) as e:
            notes[name, kind] = "gave no labels: %s" % e
            continue
        reference = reference or labels  # kitfox, fp32, comes first
        agreement[name] = 100 * statistics.mean(x == y for x, y in zip(labels, reference))
    return agreement, reference


def scaling(a, kitfox, path, cpus):
    """KitFox's sessions side by side: list of rounds, each one row a count. Frames: what fills about as much time with every count."""
    counts = a.threads
    rounds = [kitfox.sessions(path, counts, a.frames * max(counts), set(cpus[:max(counts)])) for _ in range(min(a.rounds, SCALING_ROUNDS))]
    return list(zip(*rounds))


def machine_limit(a):
    """Multiply-adds a nanosecond of this CPU, measured by the program beside kitfox in its build folder; empty without it."""
    program = os.path.join(os.path.dirname(os.path.abspath(a.kitfox)), "..", "tests", "kernels", "machine_limit")
    try:
        return json.loads(pinned([program], set(usable_cpus()[:1]))[0])
    except (Failed, ValueError):
        return {}


def own_figures(a, kind, path, kitfox, cpus, notes):
    """Steps of one thread against the limit of the machine, and sessions side by side."""
    try:
        before = machine_limit(a)
        steps = kitfox.steps(path, max(a.frames, 20), set(cpus[:1]))
        after = machine_limit(a)
        limit = {k: max(before[k], after[k]) if isinstance(after[k], float) else after[k] for k in after if k in before}
        return {"steps": steps, "limit": limit, "sessions": scaling(a, kitfox, path, cpus)}
    except (Failed, ValueError, KeyError) as e:
        notes["kitfox", kind] = "gave no steps or sessions: %s" % e
        return {}


def run_model(a, model, engines, cpus):
    """All that the report says of one model."""
    notes, tables, own, reference = {}, [], {}, None
    with tempfile.TemporaryDirectory(prefix="kitfox-bench-") as folder:
        inputs = prepare(a, model, folder)
        for kind in sorted(a.kinds):  # fp32 first: its labels are the reference
            ready = contestants(model, kind, folder, inputs, engines, notes)
            agreement, labels = judge(ready, engines, inputs, folder, reference, notes, kind)
            reference = labels if "kitfox" in ready else reference
            for setting in [(kind, isa, threads) for isa in a.isa for threads in a.threads]:
                turns = take_turns(a, ready, engines, setting, set(cpus[:setting[2]]), inputs["judge"][0], notes)
                tables.append((*setting, turns, agreement))
            if "kitfox" in ready:
                own[kind] = own_figures(a, kind, ready["kitfox"], engines["kitfox"], cpus, notes)
        idle = [pinned([a.python, os.path.join(HERE, "worker.py"), "idle", inputs["judge"][0]], set(cpus[:1])) for _ in range(3)]
    rss, start = json.loads(idle[0][0])["rss_mib"], statistics.median(first for _, first, _ in idle)
    return {"model": os.path.basename(model), "tables": tables, "own": own, "notes": notes, "judged": len(inputs["judge"]),
            "calibrated": len(inputs["tensors"]), "idle": (rss, start), **{k: inputs[k] for k in ("photos", "spelling", "weights")}}


def size_of_ours(program):
    """Bytes of the stripped runtime library beside the program in its build folder; None without it."""
    library = os.path.join(os.path.dirname(os.path.abspath(program)), "..", "src", "libkitfox.so")
    if not os.path.exists(library) or not shutil.which("strip"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "stripped")
        return os.path.getsize(out) if subprocess.run(["strip", "-o", out, library]).returncode == 0 else None


def describe(a, kitfox):
    """Commit and size, for the head of the report."""
    p = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    size = size_of_ours(a.kitfox)
    kitfox.versions = "this tree" + " (%s)" % p.stdout.strip() * (p.returncode == 0)
    kitfox.versions += "; libkitfox.so, all that a program needs to run models: %.0f KiB stripped" % (size / 1024) if size else ""


def cpu_name():
    try:
        with open("/proc/cpuinfo") as f:
            return re.search(r"^(?:model name|CPU part)\s*:\s*(.*)$", f.read(), re.M).group(1).strip()
    except (OSError, AttributeError):
        return platform.machine()


def main():
    a = arguments()
    cpus = usable_cpus()
    for t in [t for t in a.threads if t > len(cpus)]:
        print("bench: %d threads left out: %d cores are usable" % (t, len(cpus)), file=sys.stderr)
    a.threads = [t for t in a.threads if t <= len(cpus)]
    engines = {"kitfox": Kitfox(a.kitfox), "pixels": KitfoxPixels(a.kitfox), **{name: Peer(a.python, name) for name in a.peers}}
    describe(a, engines["kitfox"])
    results = [run_model(a, os.path.abspath(model), engines, cpus) for model in a.models]
    text = report.write(results, engines, a, cpu_name(), os.cpu_count())
    slug = re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-")
    out = a.output or os.path.join(HERE, "results", "%s-%s.md" % (datetime.date.today(), slug))
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    with open(out, "w") as f:
        f.write(text)
    print(text, end="")
    print("bench: written to %s" % os.path.relpath(out), file=sys.stderr)


if __name__ == "__main__":
    main()
