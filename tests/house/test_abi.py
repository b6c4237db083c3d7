#!/usr/bin/env python3
"""The interface is that of abi/*.abi: names, arguments, and the layout of every public type.

test_abi.py [--write] CC...: for each library of src/libkitfox.map, empty functions with the declarations of the public
headers are compiled with debug information and read by abidw. So what is compared depends on no build and no optimizer;
that the libraries export these functions and no others is the test `symbols`. --write replaces the kept dumps.
Exit status 77: abidw or abidiff is not there. KITFOX_SOURCE is the source root."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

root = os.environ.get("KITFOX_SOURCE", ".")
include = os.path.join(root, "include")
DUMP = ["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-architecture", "--no-parameter-names",
        "--no-elf-needed", "--no-write-default-sizes"]


def declarations():
    """(result, name, parameters) of every public function."""
    for path in sorted(glob.glob(os.path.join(include, "kitfox", "*.h"))):
        with open(path) as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        yield from re.findall(r"\bKF_API\b([^;{]*?)\b(kf_\w+)\s*\(([^;]*?)\)\s*(?:KF_PRINTF[^;]*)?;", text, re.S)


def libraries():
    with open(os.path.join(root, "src", "libkitfox.map")) as f:
        for name, body in re.findall(r"^(\w+)(?:: \w+)? \{(.*?)^\}", f.read(), re.S | re.M):
            yield name, set(re.findall(r"^\s+(kf_\w+);", body, re.M))


def make(cc, folder, name, functions):
    source, library = os.path.join(folder, name + ".c"), os.path.join(folder, name + ".so")
    headers = sorted(os.path.basename(h) for h in glob.glob(os.path.join(include, "kitfox", "*.h")))
    with open(source, "w") as f:
        f.writelines(f'#include "kitfox/{h}"\n' for h in headers)
        f.write("#include <stdlib.h>\n")
        f.writelines(f"{result} {call}({arguments}) {{ abort(); }}\n"
                     for result, call, arguments in declarations() if call in functions)
    subprocess.run(cc + ["-std=c11", "-g", "-O0", "-fPIC", "-shared", "-I", include, "-ffile-prefix-map=" + folder + "=.",
                         "-o", library, source], check=True)
    dump = os.path.join(folder, name + ".abi")
    subprocess.run(DUMP + ["--out-file", dump, library], check=True)
    return dump


def compare(kept, now, name):
    if not os.path.exists(kept):
        print(f"FAIL  {kept} is missing")
        return 1
    said = subprocess.run(["abidiff", "--harmless", kept, now], capture_output=True, text=True)
    if said.returncode == 0:
        return 0
    print(f"FAIL  {name}: the interface differs from {kept}; docs/ABI.md says what to do\n{said.stdout}{said.stderr}")
    return 1


def main():
    write = "--write" in sys.argv
    cc = [a for a in sys.argv[1:] if a != "--write"]
    if not shutil.which("abidw") or not shutil.which("abidiff"):
        print("abidw or abidiff is not there (Debian: abigail-tools)")
        return 77
    failures = count = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, functions in libraries():
            now, kept = make(cc, folder, name, functions), os.path.join(root, "abi", name + ".abi")
            count += len(functions)
            if write:
                shutil.copyfile(now, kept)
            else:
                failures += compare(kept, now, name)
    print(f"{count} functions, {failures} failures")
    return 1 if failures or count < 150 else 0


sys.exit(main())
