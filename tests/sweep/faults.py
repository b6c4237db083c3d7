#!/usr/bin/env python3
"""Puts known faults back into the tree, one at a time, and shows which check finds each.

faults.py [--work DIR] [--dry-run] [PATCH...]: without arguments every patch of tests/sweep/faults. A patch is a diff
against this tree under lines that say what the fault is, the first of them its name. The committed tree is copied to
DIR (default: a temporary folder that is removed), built once with AddressSanitizer and UndefinedBehaviorSanitizer, and
again for each fault. Exit status 1: a fault that no check finds, or a check that fails without one.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# Checks: name, targets to build, command in the build folder.
CHECKS = (
    ("sweep", "tests/sweep/sweep", ["tests/sweep/sweep", "--count", "500", "--jobs", str(os.cpu_count() or 1)]),
    ("replay_program", "tests/fuzz/replay_program", ["meson", "test", "--no-rebuild", "-v", "replay_program"]),
    ("replay_kfx", "tests/fuzz/replay_kfx", ["meson", "test", "--no-rebuild", "-v", "replay_kfx"]),
    ("steps", "tests/unit/test_steps", ["tests/unit/test_steps"]),
)
SIGNS = re.compile(r'SUMMARY: .*|.*runtime error: .*|.*its bounds are.*|.*gives other integers.*|FAIL .*|'
                   r'.*status \d+ ".*', re.M)
SETUP = ["meson", "setup", "build", "-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false"]


def run(command, folder, **more):
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **more)


def need(command, folder, **more):
    done = run(command, folder, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}")


def copy_tree(tree):
    os.makedirs(tree)
    archive = subprocess.Popen(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE)
    need(["tar", "x"], tree, stdin=archive.stdout)
    if archive.wait():
        sys.exit("git archive failed; this script needs a checkout")
    need(SETUP, tree)


def check(tree):
    """What each check says: "" when it passes, else the first sign of a fault."""
    build = os.path.join(tree, "build")
    need(["ninja"] + [target for _, target, _ in CHECKS], build)
    found = []
    for _, _, command in CHECKS:
        done = run(command, build)
        sign = SIGNS.search(done.stdout)
        text = " ".join(sign.group(0).split()) if sign else f"exit {done.returncode}"
        found.append(text if done.returncode else "")
    return found


def fits(patch):
    done = run(["patch", "--dry-run", "-p1", "-i", os.path.abspath(patch)], ROOT)
    if done.returncode:
        print(f"{os.path.basename(patch)} does not fit the tree any more: {done.stdout.strip()}")
    return done.returncode == 0


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--work", help="folder for the copy and its build; kept")
    options.add_argument("--dry-run", action="store_true", help="only say whether each patch still fits this tree")
    options.add_argument("patches", nargs="*")
    given = options.parse_args()
    patches = given.patches or sorted(glob.glob(os.path.join(HERE, "faults", "*.patch")))
    if given.dry_run:
        return any([not fits(patch) for patch in patches])
    work = given.work or tempfile.mkdtemp(prefix="kitfox-faults-")
    tree = os.path.join(work, "tree")
    if not os.path.isdir(tree):
        copy_tree(tree)
    bad = any(check(tree))
    print(f"without a fault: {'a check fails' if bad else 'all checks pass'}\n")
    print("| fault | " + " | ".join(name for name, _, _ in CHECKS) + " | first sign |")
    print("|---|" + "---|" * len(CHECKS) + "---|", flush=True)
    for patch in patches:
        need(["patch", "-p1", "-i", os.path.abspath(patch)], tree)
        found = check(tree)
        need(["patch", "-p1", "-R", "-i", os.path.abspath(patch)], tree)
        with open(patch, encoding="utf-8") as f:
            name = f.readline().strip()
        bad = bad or not any(found)
        first = next((sign for sign in found if sign), "")[:100].replace("|", "/")
        print(f"| {name} | " + " | ".join("found" if sign else "" for sign in found) + f" | {first} |", flush=True)
    if not given.work:
        shutil.rmtree(work)
    return bad


if __name__ == "__main__":
    sys.exit(main())
