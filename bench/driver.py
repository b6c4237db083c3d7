#!/usr/bin/env python3
"""The peer benchmark: converts each model for each engine, lets them take turns, writes one Markdown report.

Run by run.sh, which prepares the peers' interpreter and the kitfox program. Standard library only.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile

import report
from engines import Failed, Kitfox, Peer, pinned, usable_cpus
from peers import ORDER

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    p = argparse.ArgumentParser(prog="bench/run.sh", description="KitFox and its peers on the same models, in turns.")
    p.add_argument("models", nargs="+", metavar="MODEL.onnx")
    p.add_argument("--photos", metavar="DIR", help="pictures for calibration and agreement (default: drawn colours)")
    p.add_argument("--limit", type=int, default=200, metavar="N", help="photos to use at most, half of them for calibration (default 200)")
    p.add_argument("--rounds", type=int, default=10, metavar="N", help="turns of each engine (default 10)")
    p.add_argument("--frames", type=int, default=50, metavar="N", help="timed runs a turn (default 50)")
    p.add_argument("--threads", default="1,2", metavar="1,2", help="thread counts (default 1,2)")
    p.add_argument("--kinds", default="fp32,int8", metavar="fp32,int8", help="number formats (default both)")
    p.add_argument("--peers", default=",".join(ORDER), metavar="A,B", help="peers to run (default: %(default)s)")
    p.add_argument("--output", metavar="FILE", help="the report (default bench/results/DATE-CPU.md)")
    p.add_argument("--python", required=True, help=argparse.SUPPRESS)
    p.add_argument("--kitfox", required=True, help=argparse.SUPPRESS)
    a = p.parse_args()
    a.threads, a.kinds, a.peers = [int(t) for t in a.threads.split(",")], a.kinds.split(","), [x for x in a.peers.split(",") if x]
    for name, bad in (("--peers", set(a.peers) - set(ORDER)), ("--kinds", set(a.kinds) - {"fp32", "int8"})):
        if bad:
            p.error("%s: unknown %s" % (name, ", ".join(sorted(bad))))
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
        return path, json.load(f)


def contestants(a, model, kind, folder, path, engines, notes):
    """Engines that could convert the model: name -> path of the converted file."""
    ready = {}
    for name, engine in engines.items():
        print("bench: %s: converting for %s, %s" % (os.path.basename(model), name, kind), file=sys.stderr)
        try:
            ready[name], notes[name, kind] = engine.convert(model, kind, folder, path)
        except (Failed, ValueError) as e:
            notes[name, kind] = "left out: %s" % e
    return ready


def take_turns(a, ready, engines, threads, cpus, tensor, notes, kind):
    """A B A B ...: name -> list of one result a round; an engine that fails once is out."""
    turns, running = {name: [] for name in ready}, list(ready)
    for number in range(a.rounds):
        for name in running[:]:
            try:
                turn = engines[name].bench(ready[name], threads, a.frames, tensor, cpus)
                turn["start_ms"] = engines[name].first(ready[name], threads, tensor, cpus)
                turns[name].append(turn)
            except (Failed, ValueError, KeyError) as e:
                notes[name, kind] = "failed with %d threads: %s" % (threads, e)
                running.remove(name)
        print("bench: %s, threads %d: round %d of %d" % (kind, threads, number + 1, a.rounds), file=sys.stderr)
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


def run_model(a, model, engines, cpus):
    """All that the report says of one model."""
    notes, tables, reference = {}, [], None
    with tempfile.TemporaryDirectory(prefix="kitfox-bench-") as folder:
        path, inputs = prepare(a, model, folder)
        for kind in sorted(a.kinds):  # fp32 first: its labels are the reference
            ready = contestants(a, model, kind, folder, path, engines, notes)
            agreement, labels = judge(ready, engines, inputs, folder, reference, notes, kind)
            reference = labels if "kitfox" in ready else reference
            for threads in a.threads:
                turns = take_turns(a, ready, engines, threads, set(cpus[:threads]), inputs["judge"][0], notes, kind)
                tables.append((kind, threads, turns, agreement))
        idle = [pinned([a.python, os.path.join(HERE, "worker.py"), "idle", inputs["judge"][0]], set(cpus[:1])) for _ in range(3)]
    rss, start = json.loads(idle[0][0])["rss_mib"], statistics.median(first for _, first, _ in idle)
    return {"model": os.path.basename(model), "tables": tables, "notes": notes, "photos": inputs["photos"], "judged": len(inputs["judge"]),
            "calibrated": len(inputs["tensors"]), "idle": (rss, start)}


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
    engines = {"kitfox": Kitfox(a.kitfox), **{name: Peer(a.python, name) for name in a.peers}}
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
