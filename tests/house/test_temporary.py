#!/usr/bin/env python3
"""Tests leave nothing behind: each of these runs with TMPDIR set to an empty folder, which is empty afterwards, and
the build folder has no new file. No test names /tmp itself, or it would not be seen here.

Arguments: the source root, the build folder. tests/cli/kit.py holds every test of the command line to the same.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

SOURCE, BUILD = map(os.path.abspath, sys.argv[1:3])
# Short ones, every kind that makes files: name in meson, its arguments in place of meson's.
TESTS = {"os": None, "cpu": None, "load": None, "files": None, "replay_raw": None, "replay_labels": None,
         "replay_http": None, "replay_onnx": ["-n", "1", "tests/fuzz/corpus/onnx/external.onnx"],
         "sweep": ["--count", "17", "--jobs", "2"], "example-classify": None}
FIXED = re.compile(r'["\']/tmp/')


def fixed_names():
    found = []
    for folder, _, names in os.walk(os.path.join(SOURCE, "tests")):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith((".c", ".h", ".py")) and os.path.abspath(path) != os.path.abspath(__file__):
                with open(path, encoding="utf-8") as f:
                    found += [f"{path}:{n}: names /tmp itself" for n, line in enumerate(f, 1) if FIXED.search(line)]
    return found


def leaves(test, args):
    """What is wrong with the test, in lines."""
    command = test["cmd"]
    if args:
        command = command[:1] + [os.path.join(SOURCE, a) if "/" in a else a for a in args]
    before = set(os.listdir(BUILD))
    with tempfile.TemporaryDirectory() as top:
        mine = os.path.join(top, "tmp")
        os.mkdir(mine)
        p = subprocess.run(command, cwd=BUILD, env={**os.environ, **test["env"], "TMPDIR": mine}, timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        left = os.listdir(mine)
    bad = [f"{test['name']}: left {name} in the temporary folder" for name in left]
    bad += [f"{test['name']}: status {p.returncode}: {p.stdout[-500:]}"] * (p.returncode not in (0, 77))
    return bad + [f"{test['name']}: left {name} in the build folder" for name in set(os.listdir(BUILD)) - before]


def main():
    p = subprocess.run(["meson", "introspect", "--tests", BUILD], capture_output=True, text=True)
    if p.returncode:
        print("SKIP: meson cannot be asked for the tests")
        return 77
    tests = {t["name"]: t for t in json.loads(p.stdout)}
    bad, ran = fixed_names(), 0
    for name, args in TESTS.items():
        if name in tests:  # not every build has all
            bad += leaves(tests[name], args)
            ran += 1
    print("\n".join(["FAIL  " + line for line in bad] + [f"{ran} tests, {len(bad)} complaints"]))
    return bool(bad) or ran < 4


if __name__ == "__main__":
    sys.exit(main())
