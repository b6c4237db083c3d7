#!/usr/bin/env python3
"""Each library exports what src/libkitfox.map lists for it and a public header declares; nothing else is visible.

Arguments: [--write] shared libraries. KITFOX_SOURCE is the source root. --write makes the list anew. A group of the list is a
library, which also exports what is after the colon: libkitfoxc has all of libkitfox. `private` names are data that
libraries share; no header declares them. The Debian packages have such lists too, with the version that each name came
with (debian/*.symbols): they hold the same names, and --write completes them.
"""
import os
import re
import subprocess
import sys

ROOT = os.environ.get("KITFOX_SOURCE", ".")
LIST = os.path.join(ROOT, "src", "libkitfox.map")
HEAD = """# What each library exports, in the order of the alphabet; the test `symbols` compares. After a change of a public header:
# KITFOX_SOURCE=. python3 tests/house/test_symbols.py --write LIBRARY.so...
"""
CONTAINS = {"libkitfoxc": "libkitfox"}


def exported(lib):
    out = subprocess.run(["nm", "-D", "--defined-only", lib], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1]: line.split()[-2] for line in out.splitlines() if line.strip()}


def declared():
    names, folder = set(), os.path.join(ROOT, "include", "kitfox")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        names.update(re.findall(r"KF_API[^;]*?\b(kf_[a-z0-9_]+)\(", text))
    return names


def read_list():
    """Names by library, those of the contained one included, and the private ones."""
    groups, private = {}, set()
    with open(LIST) as f:
        text = re.sub(r"#.*", "", f.read())
    for name, base, body in re.findall(r"(\w+)(?::\s*(\w+))?\s*\{([^}]*)\}", text):
        words = body.split()
        private.update(w.rstrip(";") for w in words if words[words.index(w) - 1] == "private")
        groups[name] = {w.rstrip(";") for w in words if w != "private"} | groups.get(base, set())
    return groups, private


def write_list(found):
    text = HEAD
    for lib, names in found.items():
        base = CONTAINS.get(lib)
        text += f"\n{lib}{': ' + base if base else ''} {{\n"
        for name in sorted(set(names) - set(found.get(base, ()))):
            text += f"    {'' if names[name] in 'TW' else 'private '}{name};\n"
        text += "}\n"
    with open(LIST, "w") as f:
        f.write(text)


def debian_list(lib):
    return os.path.join(ROOT, "debian", f"{lib}0.symbols")


def read_debian(lib):
    """The first line of the list of a package, and names with their versions."""
    with open(debian_list(lib)) as f:
        first, *lines = f.read().splitlines()
    return first, dict(re.fullmatch(r" (\w+)@Base (\S+)", line).groups() for line in lines)


def write_debian(lib, names):
    first, known = read_debian(lib)
    with open(os.path.join(ROOT, "meson.build")) as f:
        version = re.search(r"^project\(.*\bversion: '([^']+)'", f.read(), re.M)[1]
    with open(debian_list(lib), "w") as f:
        f.write(f"{first}\n" + "".join(f" {n}@Base {known.get(n, version)}\n" for n in sorted(names)))


def main(args):
    found = {os.path.basename(lib).split(".")[0]: exported(lib) for lib in args if lib != "--write"}
    if "--write" in args:
        write_list(found)
        for lib, names in found.items():
            write_debian(lib, names)
    groups, private = read_list()
    bad, all_names = [], set()
    for lib, names in found.items():
        print(f"{lib}: {len(names)} symbols")
        all_names.update(names)
        bad += [f"{lib}: {n} is exported but not in src/libkitfox.map" for n in sorted(set(names) - groups[lib])]
        bad += [f"{lib}: {n} is in src/libkitfox.map but not exported" for n in sorted(groups[lib] - set(names))]
        unlike = sorted(set(names) ^ set(read_debian(lib)[1]))
        bad += [f"{lib}: {n} is exported or in debian/{lib}0.symbols, not both" for n in unlike]
        hidden = [n for n in names if not n.startswith("kf_") or n.startswith(("kf__", "kf_k_"))]
        bad += [f"{lib}: {n} must not be visible" for n in hidden]
    public = declared()
    bad += [f"declared but not defined: {n}" for n in sorted(public - all_names)]
    bad += [f"exported but not declared: {n}" for n in sorted(all_names - public - private)]
    print(f"{len(public)} public functions, private: {', '.join(sorted(private))}")
    print("\n".join(bad))
    return bool(bad)


sys.exit(main(sys.argv[1:]))
