"""What the tests of the Python package share: kit.py of the command line, the package, and a few inputs."""
import json
import os
import subprocess
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
sys.dont_write_bytecode = True
from kit import EXAMPLES, KITFOX, ROOT, SHARED, case, check, once, run, run_cases, says  # noqa: E402,F401

import numpy as np  # noqa: E402,F401

import kitfox  # noqa: E402,F401

PICTURES = sorted(os.path.join(EXAMPLES, name) for name in os.listdir(EXAMPLES) if name.endswith((".jpg", ".JPEG")))
HAVE_SHARED = os.path.isdir(os.path.join(SHARED, "models"))


def shared(*path):
    return os.path.join(SHARED, *path)


def fails(what, kind, pattern, call, *args, **options):
    """Does the call raise an exception of this class, with the pieces of the pattern in its text?"""
    try:
        call(*args, **options)
    except Exception as e:
        check(what, isinstance(e, kind) and says(str(e), pattern), f"{type(e).__mro__[:3]} {e}")
        return e
    check(what, False, "nothing was raised")
    return None


def program_json(*args):
    """The last line of `kitfox args --json`."""
    code, out, err = run(*args, "--json")
    if code:
        check(f"kitfox {' '.join(args)}", False, err)
    return [json.loads(line) for line in out.splitlines()][-1]


def python(code, *args, env=None, timeout=300):
    """Exit status, standard output and standard error of this interpreter with other code."""
    p = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=timeout,
                       env={**os.environ, **(env or {})})
    return p.returncode, p.stdout, p.stderr


def image(path=None):
    """The RGB pixels of a picture, decoded by Pillow."""
    from PIL import Image

    return np.asarray(Image.open(path or PICTURES[0]).convert("RGB"))


def quietly(call, *args, **options):
    """The result, and the warnings as one text."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return call(*args, **options), "\n".join(str(w.message) for w in said)
