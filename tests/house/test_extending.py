#!/usr/bin/env python3
"""Every file that docs/EXTENDING.md names exists, and every example commit is in the history where there is one."""
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PATH = re.compile(r"`([a-z]+(?:/[A-Za-z0-9_.]+)*/?[A-Za-z0-9_]+\.(?:c|h|def|py|md|sh|build|json)"
                  r"|[A-Z]+\.md|(?:src|tests)/[a-z/]+/?)`")
LOCAL = re.compile(r"[a-z0-9_]+\.(?:c|h|def)$")
COMMIT = re.compile(r'commit\s+"([^"]+)"')


def exists(name):
    """A path from the root, or a bare file name that one folder of src has."""
    if os.path.exists(os.path.join(ROOT, name)):
        return True
    return bool(LOCAL.match(name)) and any(name in files for _, _, files in os.walk(os.path.join(ROOT, "src")))


def history():
    log = subprocess.run(["git", "-C", ROOT, "log", "--format=%s"], capture_output=True, text=True)
    return log.stdout.splitlines() if log.returncode == 0 else []


def main():
    with open(os.path.join(ROOT, "docs", "EXTENDING.md"), encoding="utf-8") as f:
        page = f.read()
    names = sorted(set(PATH.findall(page)))
    if len(names) < 40:
        sys.exit(f"only {len(names)} files were found on the page; the expression that finds them is wrong")
    missing = [name for name in names if not exists(name)]
    subjects = history()
    named = [" ".join(subject.split()) for subject in COMMIT.findall(page)]
    unknown = [subject for subject in named if len(subjects) > 100 and subject not in subjects]
    for what in missing:
        print(f"docs/EXTENDING.md names {what}, which does not exist")
    for what in unknown:
        print(f"docs/EXTENDING.md names the commit {what!r}, which is not in the history")
    print(f"{len(names)} files")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
