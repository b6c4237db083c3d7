"""What the tests of the command line share: where things are, how the program is run, one line a check.

The first argument of a test is the program. KITFOX_SOURCE: the source root (default: two folders up), KITFOX_SHARED: models and pictures that
are not ours (default: beside it), KITFOX_PEERS: a Python with numpy, onnx, onnxruntime and Pillow (default: the one that tools make).
"""
import json
import os
import subprocess
import sys

KITFOX = os.path.abspath(sys.argv[1])
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE") or os.path.join(os.path.dirname(__file__), "..", ".."))
SHARED = os.environ.get("KITFOX_SHARED") or os.path.join(ROOT, "..", "shared")
EXAMPLES = os.path.join(ROOT, "examples", "pictures")
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
PEERS = os.environ.get("KITFOX_PEERS") or os.path.join(CACHE, "kitfox", "peers", "bin", "python")
SECONDS = 600  # 500 photos, sanitized, on a busy machine
_failed = 0


def run(*args, stdin=None, cwd=None, env=None):
    """Exit status, standard output and standard error of `kitfox args`; `stdin` is bytes, `env` is added to the environment."""
    p = subprocess.run([KITFOX, *args], input=stdin, capture_output=True, cwd=cwd, env={**os.environ, **(env or {})}, timeout=SECONDS)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def check(what, ok, detail=""):
    """One line; the detail is for failures."""
    global _failed
    _failed += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:2000]}"))


def finish():
    """The last line; the exit status."""
    print(f"{_failed} failures")
    return 1 if _failed else 0


def levels():
    """The instruction sets that this machine can run, the best one last."""
    return [cpu["name"] for cpu in json.loads(run("info", "--cpus", "--json")[1])["cpus"] if cpu["usable"]]


def peers_have(*modules):
    """Does the interpreter of KITFOX_PEERS exist with these modules?"""
    return os.path.exists(PEERS) and subprocess.run([PEERS, "-c", "import " + ", ".join(modules)], capture_output=True).returncode == 0


def rerun_with_numpy():
    """For a test that found no numpy: starts it again in the interpreter of KITFOX_PEERS and ends with its status; skips (77) without one."""
    if os.environ.get("KITFOX_AGAIN") or not os.path.exists(PEERS):
        print("SKIP: numpy is missing, here and in the interpreter of KITFOX_PEERS")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)
