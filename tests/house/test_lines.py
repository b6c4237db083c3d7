#!/usr/bin/env python3
"""Every C file is as clang-format 14 leaves it with the tree's .clang-format, and no line is longer than 120 columns.
Outside kernels a line of include, src and programs has at most one conditional expression (?:).

Argument: the source root. The formatter is looked for beside the Python of KITFOX_PEERS (tests/requirements.txt pins
it), then in PATH; another version formats otherwise, so without this one only the width is checked.
"""
import os
import re
import shutil
import subprocess
import sys

# Files with lines of several conditional expressions, and how many. It only shrinks: a file that has fewer must say so
# here, a new file has none.
SEVERAL = {
    "src/lab/data/dataset.c": 1,
    "src/lab/data/raw.c": 2,
    "src/lab/data/text.c": 1,
}
# Comments, strings, characters and directives, where a "?" is no operator.
NO_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*""",
                     re.S | re.M)


def several_conditionals(text):
    """Numbers of the lines that hold more than one conditional operator."""
    code = NO_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
    return [number for number, line in enumerate(code.split("\n"), 1) if line.count("?") > 1]


def detector_works():
    text = '''a = b ? c : d;
s = x ? "what? why?" : "?"; /* ? ? */
c = x ? '?' : '"'; // ? ?
#define M(x) ((x) ? 1 : (y) ? 2 : \\
    (z) ? 3 : (w) ? 4 : 5)
/* ?
 ? ? */ n = p ? q : r ? s : t;
'''
    return several_conditionals(text) == [7]


root = sys.argv[1]
listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "*.c", "*.h"], capture_output=True, text=True)
if listing.returncode:
    print("SKIP: no git checkout, so no list of files")
    sys.exit(77)
files = [os.path.join(root, name) for name in listing.stdout.split("\0") if name]
bad = 0
if not detector_works():
    print("FAIL  conditional expressions are not counted right")
    bad += 1
for path in files:
    with open(path, encoding="utf-8") as source:
        text = source.read()
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > 120:
            print(f"FAIL  {path}:{number}: {len(line)} columns")
            bad += 1
    name = os.path.relpath(path, root)
    if not name.startswith(("include/", "src/", "programs/")) or "/kernels/" in name:
        continue
    found, known = several_conditionals(text), SEVERAL.get(name, 0)
    if len(found) != known:
        print(f"FAIL  {path}: {len(found)} lines with several conditional expressions, {known} are known: {found}")
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
