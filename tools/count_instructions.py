#!/usr/bin/env python3
"""Instructions of one inference on an emulated Arm core: the difference of a run with 2 and one with 8 frames, by six.

`bench` warms up with a tenth of the frames and three more: three in both runs.

    tools/count_instructions.py [--cpu neoverse-n1] [--root FOLDER] [--json] NAME=COMMAND...

In COMMAND, {n} is the number of frames; it has to use one thread. Without commands: KitFox's `bench` for each model
given by --model, with --program (default build/test-aarch64/programs/kitfox). --root is passed to qemu as -L, for
programs of another system's folder. Counts are not time: a load that misses, a wait for a result and a branch that was
guessed wrong cost nothing here. The plugin (tools/count_plugin.c) is built on demand.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FEW, MANY = 2, 8  # frames
KINDS = ("all", "loads", "stores", "dot", "mmla", "mlal", "fmla")


def plugin(folder):
    to = os.path.join(folder, "count.so")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", to,
                    os.path.join(HERE, "count_plugin.c")], check=True)
    return to


def count(so, cpu, root, command, n, folder):
    out = os.path.join(folder, "counts")
    words = ["qemu-aarch64", "-cpu", cpu] + (["-L", root] if root else []) + ["-plugin", f"{so},out={out}"]
    subprocess.run(words + shlex.split(command.format(n=n)), check=True, stdout=subprocess.DEVNULL)
    with open(out) as f:
        return json.load(f)


def main():
    p = argparse.ArgumentParser(description="Instructions of one inference on an emulated Arm core.")
    p.add_argument("--cpu", default="neoverse-n1")
    p.add_argument("--root", help="folder of another system's libraries")
    p.add_argument("--program", default="build/test-aarch64/programs/kitfox")
    p.add_argument("--model", action="append", default=[], help="measured with --program")
    p.add_argument("--json", action="store_true")
    p.add_argument("commands", nargs="*", metavar="NAME=COMMAND")
    a = p.parse_args()
    runs = [(os.path.basename(m), f"{shlex.quote(a.program)} bench -t 1 -n {{n}} {shlex.quote(m)}") for m in a.model]
    runs += [tuple(c.split("=", 1)) for c in a.commands]
    if not runs:
        p.error("nothing to count: give --model FILE or NAME=COMMAND")
    with tempfile.TemporaryDirectory() as folder:
        so = plugin(folder)
        if not a.json:
            print(f"| {a.cpu}, millions | instructions | loads | stores | dot | mmla | mlal | fmla |")
            print("|---|---|---|---|---|---|---|---|")
        for name, command in runs:
            few, many = (count(so, a.cpu, a.root, command, n, folder) for n in (FEW, MANY))
            one = {k: (many[k] - few[k]) / (MANY - FEW) for k in KINDS}
            if a.json:
                print(json.dumps({"name": name, "cpu": a.cpu, **one}))
            else:
                print(f"| {name} | " + " | ".join(f"{one[k] / 1e6:.3f}" for k in KINDS) + " |")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
