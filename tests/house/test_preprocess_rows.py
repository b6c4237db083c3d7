#!/usr/bin/env python3
"""Every member of kf_preprocess has its row in preprocess.def, in the same order; what is reserved has none.

The texts are compared: sizes would not show a member that lies where the structure has padding.
"""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def text(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


def main():
    types = text("include", "kitfox", "types.h")
    body = re.search(r"typedef struct kf_preprocess \{(.*?)\} kf_preprocess;", types, re.S)
    members = re.findall(r"(\w+)(?:\[\d+\])?;", body.group(1)) if body else []
    rows = re.findall(r"^KF_FIELD\((\w+)", text("src", "preprocess", "preprocess.def"), re.M)
    if members[:1] != ["valid"] or members[-1:] != ["reserved"] or members[1:-1] != rows:
        print(f"members of kf_preprocess: {members}\nrows of preprocess.def, between `valid` and `reserved`: {rows}")
        return 1
    print(f"{len(rows)} fields")
    return 0


if __name__ == "__main__":
    sys.exit(main())
