#!/usr/bin/env python3
"""The inner loops of the Arm kernels, and how llvm-mca schedules them for Cortex-A55 and Neoverse-N1: a table.

    tools/schedules.py [--build FOLDER] [--show KERNEL]      (default: build/test-aarch64-runtime)

A loop is a run of instructions that ends with a branch back to its first and has no other such branch inside. Of each
kernel the three loops with the most multiplies are shown. The rate compares multiplies per cycle with what the core can
do at most: one 128-bit SDOT or FMLA a cycle on A55, two on N1, one widening multiply on both. llvm-mca knows no caches:
every load hits the first level. Version 19: older ones give A55 two SDOTs a cycle and take another core's model for N1.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

LINE = re.compile(r"^\s+([0-9a-f]+):\t([^/]*)")
FUNCTION = re.compile(r"^[0-9a-f]+ <([\w.]+)>:$")
BRANCH = re.compile(r"^(b\.\w+|b|cbn?z|tbn?z)\s.*?([0-9a-f]+) <")
WORK = (
    ("dot", re.compile(r"^(s|u|us|su)dot\s")),
    ("mmla", re.compile(r"^(s|u|us)mmla\s")),
    ("fma", re.compile(r"^fml[as]\s")),
    ("mlal", re.compile(r"^[su]ml[as]l2?\s|^[su]mull2?\s")),
)
MOST = {
    "cortex-a55": {"dot": 1, "mmla": 1, "fma": 1, "mlal": 1},
    "neoverse-n1": {"dot": 2, "mmla": 2, "fma": 2, "mlal": 1},
}


def functions(path):
    """Name: list of (address, text)."""
    found, name = {}, None
    out = subprocess.run(
        ["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    for line in out.splitlines():
        m = FUNCTION.match(line)
        if m:
            name = m.group(1)
            found.setdefault(name, [])
            continue
        m = LINE.match(line)
        if m and name:
            found[name].append((int(m.group(1), 16), m.group(2).strip()))
    return found


def loops(code):
    places = {address: i for i, (address, _) in enumerate(code)}
    back = []
    for i, (address, text) in enumerate(code):
        m = BRANCH.match(text)
        if m and int(m.group(2), 16) <= address and int(m.group(2), 16) in places:
            back.append((places[int(m.group(2), 16)], i))
    return [
        [text for _, text in code[a : b + 1]]
        for a, b in back
        if not any(a <= c and d < b for c, d in back if (c, d) != (a, b))
    ]


def multiplies(loop):
    counts = {name: sum(bool(rule.match(t)) for t in loop) for name, rule in WORK}
    kind = max(counts, key=counts.get)
    return kind, counts[kind]


def cycles(loop, cpu):
    text = "\n".join(re.sub(r"[0-9a-f]+ <.*>", "0", t) for t in loop)
    attributes = "-mattr=+v8.2a,+dotprod,+i8mm"
    p = subprocess.run(
        [
            "llvm-mca-19",
            "-mtriple=aarch64",
            f"-mcpu={cpu}",
            attributes,
            "-iterations=200",
            "-instruction-info=0",
            "-resource-pressure=0",
        ],
        input=text,
        capture_output=True,
        text=True,
    )
    m = re.search(r"Total Cycles:\s+(\d+)", p.stdout)
    if not m:
        raise SystemExit(f"llvm-mca says: {p.stderr[:400]}")
    return int(m.group(1)) / 200


def main():
    p = argparse.ArgumentParser(description="Schedules of the inner loops of the Arm kernels.")
    p.add_argument("--build", default="build/test-aarch64-runtime")
    p.add_argument("--show", help="print the loops of this kernel")
    a = p.parse_args()
    if not shutil.which("llvm-mca-19"):
        print("llvm-mca-19 is not here; on Debian 12: apt-get install llvm-19", file=sys.stderr)
        return 77
    print(
        "| kernel | loop | multiplies | A55 cycles | of its most | N1 cycles | of its most |\n|---|---|---|---|---|---|---|"
    )
    rows = 0
    for path in sorted(glob.glob(os.path.join(a.build, "src", "kernels", "libkernels-*.a.p", "*.o"))):
        for name, code in functions(path).items():
            ranked = sorted(loops(code), key=lambda l: -multiplies(l)[1])[:3]
            for loop in ranked:
                kind, n = multiplies(loop)
                if n < 2:
                    continue
                row = f"| `{name}` ({os.path.basename(path).split('.')[0].split('_')[-1]}) | {len(loop)} instructions | {n} {kind} |"
                for cpu in ("cortex-a55", "neoverse-n1"):
                    c = cycles(loop, cpu)
                    row += f" {c:.1f} | {100 * n / c / MOST[cpu][kind]:.0f} % |"
                print(row)
                if a.show == name:
                    print("\n".join("    " + t for t in loop))
                rows += 1
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
