#!/usr/bin/env python3
"""Instructions of each Arm kernel beside its scalar twin, counted under qemu-aarch64: a vector kernel takes at most a
quarter.

    test_counts.py PROGRAM [CPU]        PROGRAM: count_kernels, built for aarch64; CPU: max

Prints a table of docs/ARM.md. What stays above a quarter is in EXCEPT, with the share that it may take and the reason.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import count_instructions  # noqa: E402

SHARE = 0.25
# kernel: share, reason
EXCEPT = {
    "across": (0.3, "coefficients of 22 bits need products of 32, for which every byte is widened alone"),
}
OF_LEVELS = {"dotprod": ("gemm_u8", "dwconv_u8"), "i8mm": ("gemm_u8", "dwconv_u8")}


def counted(so, cpu, program, level, kernel, folder):
    """Instructions of one run: the difference of 1 and 3 runs, by two."""
    few, many = (count_instructions.count(so, cpu, None, f"{program} {level} {kernel} {{n}}", n, folder)["all"]
                 for n in (1, 3))
    return (many - few) / 2


def main():
    program, cpu = sys.argv[1], (sys.argv[2:] or ["max"])[0]
    kernels = subprocess.run(["qemu-aarch64", program], capture_output=True, text=True, check=True).stdout.split()
    bad = 0
    print("| kernel | scalar | level | instructions | share |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        so = count_instructions.plugin(folder)
        for kernel in kernels:
            scalar = counted(so, cpu, program, "scalar", kernel, folder)
            sys.stdout.flush()
            for level in ["neon"] + [l for l in OF_LEVELS if kernel in OF_LEVELS[l]]:
                own = counted(so, cpu, program, level, kernel, folder)
                most = EXCEPT.get(kernel, (SHARE,))[0]
                verdict = "" if own <= most * scalar else f" more than {most}"
                bad += bool(verdict)
                print(f"| `{kernel}` | {scalar:.0f} | `{level}` | {own:.0f} | {own / scalar:.3f}{verdict} |")
    print(f"{len(kernels)} kernels, {bad} above their share")
    return bool(bad) or not kernels


if __name__ == "__main__":
    sys.exit(main())
