#!/usr/bin/env python3
"""Check the include rules of the house: the floor table in docs/ARCHITECTURE.md is the rule.

Each table row gives a floor, a folder and the folders it may include. A file may include its own folder's headers and those of
the named folders, which must lie on a lower floor. A row may also be a single header of types, which declares no function; who
names it may include it alone. Also: every file starts with a role comment, stays under 800 lines,
functions outside kernels stay under 100 lines, a verb (programs/*/cmd_*.c) has at most 150 lines, and no two files of
src have the same name.
"""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ROW = re.compile(r"^\|\s*(\d+)\s*\|\s*`([^`]+)`\s*\|[^|]*\|([^|]*)\|\s*$")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
FUNCTION = re.compile(r"^[A-Za-z].*\)\s*\{\s*$")


def read_table():
    floors, allowed = {}, {}
    with open(os.path.join(ROOT, "docs", "ARCHITECTURE.md")) as f:
        for line in f:
            m = ROW.match(line)
            if m:
                folder = m.group(2).rstrip("/")
                floors[folder] = int(m.group(1))
                allowed[folder] = re.findall(r"`([^`]+)`", m.group(3))
    return floors, allowed


def folder_of(path, floors):
    parts = path.split("/")
    for n in range(len(parts) - 1, 0, -1):
        if "/".join(parts[:n]) in floors:
            return "/".join(parts[:n])
    return None


def owner_of_include(name, floors):
    if "include/" + name in floors:
        return "include/" + name
    if name.startswith("kitfox/"):
        return "include/kitfox"
    if os.path.exists(os.path.join(ROOT, "src/lab", name)):
        return "src/lab"
    top = name.split("/")[0]
    return "programs/" + top if top in ("common", "serve") else "src/" + top


def check_includes(path, text, floors, allowed):
    here = folder_of(path, floors)
    if here is None:
        return [f"{path}: its folder is not in the floor table"]
    errors = []
    for name in INCLUDE.findall(text):
        if name.endswith(".pb-c.h") or name.endswith(".def") or "/" not in name:
            continue
        there = owner_of_include(name, floors)
        if there.endswith(".h") and (here == "include/kitfox" or "include/kitfox" in allowed[here]):
            continue
        if there == here or here.startswith(there + "/") or there.startswith(here + "/"):
            continue
        if there not in floors:
            errors.append(f"{path}: includes {name}, whose folder is not in the floor table")
        elif floors[there] >= floors[here]:
            errors.append(f"{path}: floor {floors[here]} includes {name} of floor {floors[there]}")
        elif there not in allowed[here] and "everything below" not in allowed[here]:
            errors.append(f"{path}: {here} may not include {there} ({name})")
    return errors


def check_size(path, text):
    errors, lines, start = [], text.split("\n"), None
    if len(lines) > 800:
        errors.append(f"{path}: {len(lines)} lines, at most 800")
    if not text.startswith("/*"):
        errors.append(f"{path}: does not start with its role")
    for i, line in enumerate(lines):
        if FUNCTION.match(line):
            start = i
        elif line == "}" and start is not None:
            if i - start > 100 and "/kernels/" not in path:
                errors.append(f"{path}:{start + 1}: function of {i - start} lines, at most 100")
            start = None
    return errors


# What a verb does is the library's; what it prints has a file of its own.
VERB = re.compile(r"programs/[^/]+/cmd_[^/]*\.c$")
VERB_LINES = 150


def check_verb(path, text):
    lines = text.count("\n")
    if not VERB.match(path) or lines <= VERB_LINES:
        return []
    return [f"{path}: {lines} lines, at most {VERB_LINES} for a verb; the library does the work"]


def check_types(path, text, floors):
    """A header that has a row of its own declares no function: whoever includes it can call nothing by it."""
    return [f"{path}: declares a function"] if path in floors and "KF_API" in text else []


# Names that two files of src have, and why.
SAME_NAME = {}


def check_names(paths):
    """Who looks for a file in a log or a debugger has its name alone."""
    first, errors = {}, []
    for path in sorted(p for p in paths if p.startswith("src/")):
        same = first.setdefault(os.path.basename(path), path)
        if same != path and os.path.basename(path) not in SAME_NAME:
            errors.append(f"{path}: another file has this name: {same}")
    return errors


def main():
    floors, allowed = read_table()
    if len(floors) < 15:
        print("the floor table in docs/ARCHITECTURE.md cannot be read")
        return 1
    errors, paths = [], []
    for top in ("include", "src", "programs", "examples"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in names:
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                with open(os.path.join(ROOT, path)) as f:
                    text = f.read()
                paths.append(path)
                errors += check_includes(path, text, floors, allowed) + check_size(path, text)
                errors += check_types(path, text, floors) + check_verb(path, text)
    errors += check_names(paths)
    if not any(VERB.match(path) for path in paths):
        errors.append("programs: no verb was found")
    print("\n".join(errors))
    print(f"{len(paths)} files, {len(errors)} violations")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
