#!/usr/bin/env python3
"""Random networks with what people put around a MobileNet in random places. ONNX Runtime with its optimizations off
says what they give: KitFox has to give the same numbers, or to refuse and name a node.

Usage: test_random.py KITFOX [--first N] [--count N] [--jobs N] [--keep FOLDER] [--refused] [--unnamed]
A network that is computed wrongly is made smaller and kept in FOLDER/SEED (model.onnx, inputs, expected) if given.
Needs the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""

import argparse
import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import warnings

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
PEERS = os.environ.get("KITFOX_PEERS") or os.path.join(CACHE, "kitfox", "truth", "bin", "python")
try:
    import numpy as np
    import forms
    import generate
    import oracle
    import reduce
    from net import save
except ImportError:
    if os.environ.get("KITFOX_AGAIN") or not os.path.exists(PEERS):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx, onnxruntime and numpy is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)

FAULTS = ("wrong", "form", "crash", "unnamed", "invalid")


def options():
    p = argparse.ArgumentParser()
    p.add_argument("kitfox")
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--count", type=int, default=60)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--keep")
    p.add_argument("--refused", action="store_true", help="list the reasons of refusals, with a number that has each")
    return p.parse_args()


def judged(seed, program, several):
    """The verdict of one number."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="kitfox-random-") as folder:
        model, feeds = generate.network(seed)
        return seed, oracle.judge(model, feeds, program, folder, several, forms.fault_of)


def kind_of(verdict):
    """What has to stay as a network is made smaller: the kind, and the form that is wrong."""
    return verdict.kind, verdict.text.split(":")[0] if verdict.kind == "form" else ""


def minimal(seed, program, several, verdict):
    """The network of this number made smaller, as long as the verdict is of the same kind."""
    other = forms.fault_of if verdict.kind == "form" else None
    with tempfile.TemporaryDirectory(prefix="kitfox-random-") as folder:

        def fails(model, feeds):
            return kind_of(oracle.judge(model, feeds, program, folder, several, other)) == kind_of(verdict)

        return reduce.reduced(*generate.network(seed), fails)


def keep(folder, model, feeds, text):
    os.makedirs(folder, exist_ok=True)
    files = save(model, feeds, folder)
    with open(os.path.join(folder, "cmd"), "w") as f:
        f.write(f"kitfox run model.onnx {' '.join(files)} -o out.npy\n")
    with open(os.path.join(folder, "line"), "w") as f:
        f.write(text + "\n")
    for name, y in oracle.truth(model, feeds).items():
        np.save(os.path.join(folder, f"expected_{name}.npy"), y)


def report(seed, verdict, o, several):
    """A fault as a command that repeats it, and the smallest network that has it."""
    print(f"FAIL  {verdict.kind}: {verdict.text}\n      repeat: {sys.argv[0]} {o.kitfox} --first {seed} --count 1")
    if verdict.kind == "invalid":
        return
    model, feeds = minimal(seed, o.kitfox, several, verdict)
    print("      " + reduce.described(model).replace("\n", "\n      "), flush=True)
    if o.keep:
        keep(os.path.join(o.keep, str(seed)), model, feeds, f"{verdict.kind}: {verdict.text}")


def main():
    o = options()
    o.kitfox = os.path.abspath(o.kitfox)
    several = "%s" in subprocess.run([o.kitfox, "run", "--help"], capture_output=True, text=True).stdout
    kinds, reasons, faults, worst, quantized = collections.Counter(), {}, [], 0.0, 0
    with concurrent.futures.ProcessPoolExecutor(o.jobs) as pool:
        jobs = [pool.submit(judged, seed, o.kitfox, several) for seed in range(o.first, o.first + o.count)]
        for job in concurrent.futures.as_completed(jobs):
            seed, verdict = job.result()
            kinds[verdict.kind] += 1
            worst = max(worst, verdict.difference) if verdict.kind == "equal" else worst
            for note in (note for note in verdict.notes if note != "int8"):
                reasons.setdefault(note, []).append(seed)
            quantized += "int8" in verdict.notes
            if verdict.kind == "refused":
                reasons.setdefault(verdict.text, []).append(seed)
            elif verdict.kind in FAULTS:
                faults.append((seed, verdict))
    for seed, verdict in sorted(faults)[:20]:
        report(seed, verdict, o, several)
    if o.refused:
        for reason, seeds in sorted(reasons.items(), key=lambda item: -len(item[1])):
            print(f"{len(seeds):6d}  {reason}  (such as {min(seeds)})")
    print(
        f"{o.count} networks: {kinds['equal']} equal (largest difference {worst:.1e}), {quantized} also in int8, "
        f"{kinds['refused']} refused, "
        f"{kinds['vague']} not finite, {len(faults)} faults ({', '.join(f'{kinds[k]} {k}' for k in FAULTS)})"
    )
    return 1 if faults or not kinds["equal"] else 0


sys.exit(main())
