"""The Python of tests that need more than the package: notebooks, Spark, Ray. KITFOX_LAB names it; `test.sh
--full` makes one (tests/requirements-lab.txt). A test that calls `need` goes on in that Python, or ends with status 77:
skipped.
"""
import importlib.util
import os
import sys

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
LAB = os.environ.get("KITFOX_LAB") or os.path.join(CACHE, "kitfox", "lab", "bin", "python")


def need(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if not missing:
        return
    if not os.environ.get("KITFOX_IN_LAB") and os.access(LAB, os.X_OK):
        os.execve(LAB, [LAB, *sys.argv], {**os.environ, "KITFOX_IN_LAB": "1"})
    print(f"SKIP: {', '.join(missing)} cannot be imported by {sys.executable}, and KITFOX_LAB names no other Python")
    sys.exit(77)
