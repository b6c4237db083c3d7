#!/usr/bin/env python3
"""Every C file is as clang-format 14 leaves it with the tree's .clang-format, and no line is longer than 120 columns.

Argument: the source root. The formatter is looked for beside the Python of KITFOX_PEERS (tests/requirements.txt pins
it), then in PATH; another version formats otherwise, so without this one only the width is checked.
"""
import os
import shutil
import subprocess
import sys

root = sys.argv[1]
listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "*.c", "*.h"], capture_output=True, text=True)
if listing.returncode:
    print("SKIP: no git checkout, so no list of files")
    sys.exit(77)
files = [os.path.join(root, name) for name in listing.stdout.split("\0") if name]
bad = 0
for path in files:
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if len(line.rstrip("\n")) > 120:
                print(f"FAIL  {path}:{number}: {len(line) - 1} columns")
                bad += 1


def formatter():
    for path in (os.path.join(os.path.dirname(os.environ.get("KITFOX_PEERS", "")), "clang-format"),
                 shutil.which("clang-format-14"), shutil.which("clang-format")):
        if path and os.access(path, os.X_OK):
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if " version 14." in version:
                return path
    return None


tool = formatter()
if tool:
    run = subprocess.run([tool, "--dry-run", "-Werror", *files], capture_output=True, text=True)
    unformatted = sorted({line.split(":")[0] for line in run.stderr.splitlines() if "error: code should be" in line})
    bad += len(unformatted)
    for path in unformatted:
        print(f"FAIL  {path}: run `clang-format -i` on it")
else:
    print("clang-format 14 is not here; only the width is checked")
print(f"{len(files)} files, {bad} complaints")
sys.exit(1 if bad else 0 if tool else 77)
