"""The command line as such: one letter has one meaning, suggestions, pictures that are skipped, and what a terminal gets."""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import sys
import termios
import time
import unicodedata

from kit import EXAMPLES, KITFOX, ROOT, case, check, once, run, run_cases

VERBS = [line.split()[0] for line in run("--help")[1].splitlines() if re.match(r"  \w", line)]
ONNX = os.path.join(ROOT, "data", "everyday10.onnx")
OPTION = re.compile(r"^ +(?:-(.), )?\s*--([\w-]+)(?:=(\S+))?", re.M)
# Words that have two meanings, for reasons: names of files in two verbs of their own.
TWO_MEANINGS = {"list": {"pull"}, "frames": {"check"}}
# Which verbs have what several verbs share: those in which it has an effect.
SHARED_BY = {
    "json": set(VERBS) - {"rdk"},  # its tools have their own flags
    "labels": {"classify", "stream", "info", "import", "check", "quantize", "compare", "eval", "serve"},
    "preprocess": {"classify", "stream", "run", "info", "import", "check", "quantize", "compare", "eval", "bench", "serve"},
    "input-shape": {"classify", "stream", "run", "info", "import", "check", "quantize", "compare", "eval", "bench", "simplify", "export", "serve"},
    "batch": {"classify", "stream", "run", "info", "import", "check", "quantize", "compare", "eval", "bench", "serve"},
    "threads": {"classify", "stream", "run", "quantize", "compare", "eval", "verify", "bench", "serve"},
    "max-memory": {"classify", "stream", "run", "info", "quantize", "compare", "eval", "verify", "bench", "serve"},
    "limit": {"quantize", "compare", "eval"},
    "max-pixels": {"quantize", "compare", "eval", "classify", "serve"},
    "list": {"quantize", "compare", "eval", "pull"},
    "strict": {"quantize", "compare", "eval", "classify"},
    "top": {"classify", "stream"},
    "nodes": {"info", "quantize", "compare"},
}


@once
def table(_):
    """{verb: {long name: (letter, argument, help)}}, as --help has it."""
    all_ = {}
    for verb in VERBS:
        text = run(verb, "--help")[1]
        found = list(OPTION.finditer(text))
        ends = [m.start() for m in found[1:]] + [len(text)]
        all_[verb] = {m[2]: (m[1], m[3], " ".join(text[m.end():end].split())) for m, end in zip(found, ends)}
    return all_


@case
def one_meaning():
    letters, words = {}, {}
    for verb, options in table().items():
        for name, (letter, arg, _) in options.items():
            letters.setdefault(letter, set()).add(name)
            if verb not in TWO_MEANINGS.get(name, ()):
                words.setdefault(name, set()).add((letter, arg is not None))
    check("a letter means one word", all(len(names) == 1 for letter, names in letters.items() if letter), letters)
    check("a word has one letter, and an argument always or never", all(len(kinds) == 1 for kinds in words.values()), words)
    for name, verbs in SHARED_BY.items():
        have = {verb for verb, options in table().items() if name in options}
        check(f"--{name}: where it has an effect", have == verbs, have ^ verbs)
    for name in ("limit", "strict"):
        said = {table()[verb][name][2].replace("Mandatory", "\0").split("\0")[0] for verb in SHARED_BY[name]}
        check(f"--{name}: one sentence in all verbs", len(said) == 1, said)


@case
def suggestions():
    for args, text in ((["clasify"], "did you mean classify?"), (["qauntize"], "did you mean quantize?"), (["Info"], "did you mean info?"), (["xyzzy"], "try one of"),
                       (["classify", "--tpo", "3"], "did you mean --top?"), (["eval", "--dtaa=x"], "did you mean --data?"), (["compare", "--limits", "3"], "did you mean --limit?"),
                       (["zoo", "--nothing-like-it"], "there is no such option; --help"), (["zoo", "-p", "x"], "-p: there is no such option"), (["zoo", "-Nx"], "-N: there is no such"),
                       (["classify", "--max", "3"], "which one: --max-pixels, --max-fold-bytes, --max-memory, --max-operations?"), (["info", "--arch"], "--arch: its argument is missing"),
                       (["info", "-a"], "-a: its argument is missing"), (["info", "--nodes=3"], "--nodes: takes no argument"), (["info", "--\x1b[31m"], "--\\x1b[31m: there is no such")):
        code, out, err = run(*args)
        check(" ".join(args), code == 2 and out == "" and text in err and "\x1b" not in err, (code, out, err))
    for args in (["info", "--no"], ["info", "-Nj"], ["zoo", "--js"], ["info", "--", "everyday10"], ["classify", "-k3", os.path.join(EXAMPLES, "frog.jpg")]):
        check("taken: " + " ".join(args)[:30], run(*args)[0] == 0, args)
    for args in (["verify", "--labels", "x"], ["zoo", "--threads", "2"], ["import", "a", "-o", "b", "--threads", "2"], ["bench", "--preprocess", "timm:everyday10"]):
        check("without an effect: " + " ".join(args)[:40], run(*args)[0] == 2)


@case
def inputs(folder):
    """A name that no input has, and a file of another shape: named, and nothing is written."""
    npy, out = os.path.join(folder, "in.npy"), os.path.join(folder, "out.npy")
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 64, 2), }".ljust(117) + "\n"
    with open(npy, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00v\x00" + head.encode() + bytes(4 * 3 * 64 * 2))
    for arg, words in ((f"pixels={npy}", ("pixels=", "no such input", "data")), (npy, (npy + ": data", "1x3x64x2 given", "1x3x64x64"))):
        code, _, err = run("run", "everyday10", arg, "-o", out)
        check(f"run {os.path.basename(arg)}", code == 1 and all(w in err for w in words) and not os.path.exists(out), (code, err))
    for args in (("--bgr", "--color", "rgb"), ("--color", "rgb", "--bgr")):
        code, _, err = run("info", ONNX, *args)
        check(" ".join(args), code == 2 and "--bgr and --color say different things" in err, (code, err))
    check("--bgr twice", run("info", ONNX, "--bgr", "--color", "bgr")[0] == 0)


@case
def skipped(folder):
    """One rule: what can be read counts, the others are named and counted; --strict ends at the first, and none at all is a failure, status 1. A folder with some that can be read is no failure. `classify` was given each by name: status 1."""
    good, bad = os.path.join(folder, "good"), os.path.join(folder, "bad")
    for name in ("frog", "ship"):
        os.makedirs(os.path.join(good, name))
        shutil.copy(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(good, name, "a.jpg"))
        os.makedirs(os.path.join(bad, name))
        for where in (good, bad):
            with open(os.path.join(EXAMPLES, name + ".jpg"), "rb") as f, open(os.path.join(where, name, "b.jpg"), "wb") as to:
                to.write(f.read()[:2000])
    out = os.path.join(folder, "q.kfx")
    verbs = {
        "classify": lambda d: ["classify", *(os.path.join(d, n, f) for n in ("frog", "ship") for f in sorted(os.listdir(os.path.join(d, n))))],
        "eval": lambda d: ["eval", "--data", d],
        "compare": lambda d: ["compare", "everyday10", ONNX, "--data", d, "--nodes", "--node-images", "2"],
        "quantize": lambda d: ["quantize", ONNX, "--calib", d, "-o", out, "--no-rounding", "--data", good],
    }
    for verb, args in verbs.items():
        done = int(verb == "classify")
        code, text, err = run(*args(good))
        check(f"{verb}: goes on, and counts", code == done and "2 of 4 pictures cannot be read and were skipped" in err and err.count("b.jpg") >= 2, (code, text, err))
        code, text, err = run(*args(good), "--json")
        last = [json.loads(line) for line in text.splitlines()]
        counts = [row["skipped"] for row in last if "skipped" in row] or [sum("error" in row for row in last)]
        check("    --json", code == done and counts == [2], (code, text, err))
        code, text, err = run(*args(good), "--strict")
        check("    --strict", code == 1 and "b.jpg" in err and "were skipped" not in err, (code, text, err))
        code, text, err = run(*args(bad))
        check("    none is left", code == 1 and "b.jpg" in err or "none of 2" in err and code == 1, (code, text, err))


def on_terminal(columns, args, kind="xterm"):
    """What a terminal of so many columns gets from both streams."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.environ.update(TERM=kind)
        os.execv(KITFOX, [KITFOX, *args])
    text = b""
    while select.select([fd], [], [], 120)[0]:
        try:
            more = os.read(fd, 1 << 16)
        except OSError:
            break
        if not more:
            break
        text += more
    os.waitpid(pid, 0)
    os.close(fd)
    return text.decode().replace("\r\n", "\n")


def width(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in re.sub(r"\x1b\[[\d;]*[mK]", "", line))


@case
def narrow(folder):
    frog = os.path.join(folder, "f.jpg")
    shutil.copy(os.path.join(EXAMPLES, "frog.jpg"), frog)
    for args in (["--help"], ["info"], ["zoo"], ["bench", "-n", "2"], ["classify", frog], ["check", ONNX], ["eval", "--help"], ["clasify"]):
        wide, slim = on_terminal(200, args), on_terminal(40, args)
        longest = max(width(line) for line in slim.split("\n"))
        words = set(re.findall(r"[^\s|]{2,38}", re.sub(r"\x1b\[[\d;]*[mK]", "", wide))) if args[0] not in ("bench", "classify") else set()
        cut = [w for w in words if w not in slim and not any(c in w for c in "█·")]
        over = [line for line in slim.split("\n") if width(line) > 40 and " " in line.strip()]
        check(f"40 columns: {' '.join(args)[:20]}", longest <= 40 or not over, over[:3])
        if args[0] in ("info", "zoo", "clasify"):
            check("    no word is cut", not cut, cut[:9])
    check("on a pipe lines stay", max(len(line) for line in run("bench", "-n", "2")[1].splitlines()) > 80)


@case
def dumb(folder):
    frog = os.path.join(folder, "f\x1b[31m.jpg")
    shutil.copy(os.path.join(EXAMPLES, "frog.jpg"), frog)
    text = on_terminal(80, ["classify", frog], "dumb")
    check("TERM=dumb: neither colours nor blocks", "frog" in text and "\x1b" not in text and text.isascii() and "f\\x1b[31m.jpg" in text and "####" in text, text)
    text = on_terminal(80, ["classify", frog])
    check("a terminal: our colours, not those of a name", "\x1b[32m" in text and "\x1b[31m" not in text and "█" in text, text)
    text = on_terminal(80, ["quantize", ONNX, "--calib", EXAMPLES, "-o", os.path.join(folder, "q.kfx"), "--no-rounding"], "dumb")
    check("TERM=dumb: progress moves no cursor", "\x1b" not in text and "\r" not in text and "reading the samples" in text, text)
    begun = time.monotonic()
    text = on_terminal(80, ["quantize", ONNX, "--calib", EXAMPLES, "-o", os.path.join(folder, "q.kfx")])
    took = time.monotonic() - begun
    steps = [s.split("\x1b")[0] for s in text.split("\r")]
    order = [steps.index(next(s for s in steps if s.startswith(w))) for w in ("reading the samples", "quantizing ...", "quantizing, nodes: ")]
    check("progress: from the first moment, in order", order == sorted(order) and steps[1].startswith("reading"), text[:300])
    check("progress: time left after a second", took < 4 or re.search(r"quantizing, nodes: \d+ of \d+, \d+ s left", text), text[-600:])


def height(path):
    with open(path, "rb") as f:
        return struct.unpack(">I", f.read(24)[20:24])[0]


@case
def annotated(folder):
    os.chdir(folder)
    frog, ship = (os.path.join(EXAMPLES, n + ".jpg") for n in ("frog", "ship"))
    for k in (1, 5, 7, 10):
        run("classify", frog, "-k", str(k), "-A", f"{k}.png")
    check("all k rows are drawn", [height(f"{k}.png") - height("1.png") for k in (5, 7, 10)] == [4 * 34, 6 * 34, 9 * 34], [height(f"{k}.png") for k in (1, 5, 7, 10)])
    pages = []
    for label in ("W" * 90, "W" * 91, "W" * 12, "\u00e9" * 90):
        with open("l.txt", "w") as f:
            f.write(f"{label}\n" * 10)
        check("    drawn", run("classify", frog, "-k", "1", "-A", "l.png", "-l", "l.txt")[0] == 0)
        with open("l.png", "rb") as f:
            pages.append(f.read())
    check("long labels end alike, in an ellipsis; others do not", pages[0] == pages[1] and len(set(pages)) == 3)
    os.mkdir("a")
    shutil.copy(ship, "a/frog.png")
    for paths, pattern, noted in (((frog, ship), "x.png", True), ((frog, "a/frog.png"), "%s-x.png", True), ((frog, ship), "%s-x.png", False), ((frog,), "x.png", False)):
        code, out, err = run("classify", *paths, "--annotate", pattern)
        check(f"one name for several: {pattern}, {len(paths)}", code == 0 and ("have one output name" in err) == noted, err)


if __name__ == "__main__":
    sys.exit(run_cases())
