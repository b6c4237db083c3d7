"""What the tests of the command line share: where things are, how the program is run, cases, one line a check.

A test is a file of functions with @case; its last line is sys.exit(run_cases()). `test_x.py PROGRAM --list` prints the
names of its cases, `--only NAME` (more than once for several) runs those alone.
The first argument of a test is the program. KITFOX_SOURCE: the source root (default: two folders up), KITFOX_SHARED: models and pictures that
are not ours (default: beside it), KITFOX_PEERS: a Python with numpy, onnx, onnxruntime and Pillow (default: the one that tools make).
"""
import functools
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

KITFOX = os.path.abspath(sys.argv[1])
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE") or os.path.join(os.path.dirname(__file__), "..", ".."))
SHARED = os.environ.get("KITFOX_SHARED") or os.path.join(ROOT, "..", "shared")
EXAMPLES = os.path.join(ROOT, "examples", "pictures")
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
PEERS = os.environ.get("KITFOX_PEERS") or os.path.join(CACHE, "kitfox", "peers", "bin", "python")
SECONDS = 600  # 500 photos, sanitized, on a busy machine
_cases, _failed, _checks, _top = [], 0, 0, None


def run(*args, stdin=None, cwd=None, env=None):
    """Exit status, standard output and standard error of `kitfox args`; `stdin` is bytes, `env` is added to the environment."""
    p = subprocess.run([KITFOX, *args], input=stdin, capture_output=True, cwd=cwd, env={**os.environ, **(env or {})}, timeout=SECONDS)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def unguessed(err):
    """Standard error without the note about preprocessing that nobody stated, for tests of other notes: test_guess.py has that one."""
    return "".join(line for line in err.splitlines(True) if "say --preprocess or --mean" not in line and "recognized from" not in line)


def check(what, ok, detail=""):
    """One line; the detail is for failures."""
    global _failed, _checks
    _failed += not ok
    _checks += 1
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:2000]}"))


def says(text, pattern):
    """Does a message have the pieces of the pattern, which " .. " separates, in their order? Places, numbers, names and a
    key word or two; the sentence around them may be mended."""
    at = 0
    for piece in pattern.split(" .. "):
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def only_error(out):
    """Is the output of --json one line, that of the error?"""
    lines = [json.loads(line) for line in out.splitlines()]
    return len(lines) == 1 and lines[0]["kind"] == "error" and set(lines[0]["error"]) == {"status", "text"}


def case(function):
    """Declares a case. It is called with an empty folder of its own, removed afterwards, or without an argument."""
    _cases.append(function)
    return function


def once(make):
    """For what several cases need: make(folder) is called when the first of them asks, and its folder outlives them."""
    @functools.lru_cache(maxsize=None)
    def made():
        folder = os.path.join(_top, "once-" + make.__name__)
        os.mkdir(folder)
        return make(folder)
    return made


def _run_case(function):
    """A case that raises has failed; the next one runs all the same."""
    global _failed
    before, home, name = _failed, os.getcwd(), function.__name__
    folder = os.path.join(_top, name)
    os.mkdir(folder)
    try:
        function(*[folder][:len(inspect.signature(function).parameters)])
    except SystemExit as e:
        if e.code == 143:
            raise
        _failed += 1
        print(e)
    except Exception:
        _failed += 1
        traceback.print_exc(file=sys.stdout)
    os.chdir(home)
    shutil.rmtree(folder)
    if _failed > before:
        print(f"FAIL  case {name}; alone: --only {name}")


def _wanted():
    """The cases that the arguments ask for, or the exit status."""
    names = [function.__name__ for function in _cases]
    assert len(set(names)) == len(names), names
    if "--list" in sys.argv:
        print("\n".join(names))
        return 0
    only = [sys.argv[k + 1:k + 2] for k, word in enumerate(sys.argv) if word == "--only"]
    only = [word for words in only for word in words or [""]]
    unknown = [name for name in only if name not in names]
    if unknown:
        print(f"--only {unknown[0]}: no such case; the cases are {' '.join(names)}")
        return 2
    return [function for function in _cases if not only or function.__name__ in only]


def finish():
    """The exit status of a test without cases."""
    print(f"{_checks} checks, {_failed} failures")
    return 1 if _failed else 0


def run_cases():
    """Runs the cases that the arguments ask for, and ends the program: a status that nobody takes fails no test."""
    sys.exit(status_of_cases())


def status_of_cases():
    """Runs the cases that the arguments ask for; the exit status. What they leave in TMPDIR is a failure."""
    global _failed, _top
    wanted = _wanted()
    if isinstance(wanted, int):
        return wanted
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a test that takes too long tidies up, too
    with tempfile.TemporaryDirectory(prefix="kitfox-cli-") as _top:
        tempfile.tempdir = os.environ["TMPDIR"] = os.path.join(_top, "tmp")
        os.mkdir(tempfile.tempdir)
        for function in wanted:
            _run_case(function)
        left = [name for name in os.listdir(tempfile.tempdir) if name != ".ses"]  # ONNX Runtime's
    if left:
        _failed += 1
        print(f"FAIL  left in the temporary folder: {left[:9]}")
    print(f"{len(wanted)} cases, {_checks} checks, {_failed} failures")
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
