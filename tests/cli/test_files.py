#!/usr/bin/env python3
"""Files as the system has them: pipes and devices as inputs, files that are cut meanwhile, outputs that are inputs, links, modes, full
disks, signals.

Called by meson with the program's path; --full takes more moments. Nothing outside a temporary folder is written.
"""
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

import tiny_onnx
from kit import EXAMPLES, KITFOX, ROOT, check, finish

FULL = "--full" in sys.argv
CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
PREPROCESS = ("-p", "timm:mobilenetv3_large_100")


def run(*args, stdin=None, most=None):
    """Like kit.run, given up after 60 s, with bytes, and with a limit for the size of files."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))) if most else None
    try:
        p = subprocess.run([KITFOX, *args], input=stdin, capture_output=True, timeout=60, preexec_fn=limit)
    except subprocess.TimeoutExpired:
        return "waits", b"", ""
    return p.returncode, p.stdout, p.stderr.decode(errors="replace")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)
    return path


def npy(shape, values):
    import array
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + array.array("f", values).tobytes()


def external(location):
    """x [1, 4] to [1, 2]: the weights of the one layer are in another file."""
    entries = b"".join(tiny_onnx._bytes(13, tiny_onnx._bytes(1, k) + tiny_onnx._bytes(2, v)) for k, v in (("location", location), ("offset", "8"), ("length", "32")))
    tensor = tiny_onnx._int(1, 2) + tiny_onnx._int(1, 4) + tiny_onnx._int(2, 1) + tiny_onnx._bytes(8, "w") + entries + tiny_onnx._int(14, 1)
    g = tiny_onnx.Graph([1, 4])
    g.add("Gemm", "w", g.const([2], [0, 1]), transB=1)
    data = tiny_onnx._bytes(5, tensor)
    whole = g.bytes([1, 2])
    graph = b"".join(tiny_onnx._bytes(1, n) for n in g.nodes) + tiny_onnx._bytes(2, "e") + data + b"".join(tiny_onnx._bytes(5, tiny_onnx._tensor(*t)) for t in g.init)
    graph += tiny_onnx._bytes(11, tiny_onnx._value("x", g.shape)) + tiny_onnx._bytes(12, tiny_onnx._value(g.out, [1, 2]))
    return whole[:whole.index(b"\x42")] + tiny_onnx._bytes(8, tiny_onnx._bytes(1, "") + tiny_onnx._int(2, 11)) + tiny_onnx._bytes(7, graph)


class Place:
    """A folder with one of everything: models, pictures with labels, tensors, YAML."""

    def __init__(self, top):
        self.top = top
        write(self("m.onnx"), tiny_onnx.classifier([1, 3, 32, 32], 3, 2)[0])
        write(self("t.onnx"), tiny_onnx.mlp(6)[0])
        write(self("in.npy"), npy([1, 6], range(6)))
        write(self("names.txt"), "a\nb\n")
        os.makedirs(self("data"))
        pictures = sorted(n for n in os.listdir(EXAMPLES) if n.endswith(".jpg"))[:4]
        for k, name in enumerate(pictures):
            shutil.copy(os.path.join(EXAMPLES, name), self("data", f"{k}.jpg"))
        write(self("data", "labels.csv"), "".join(f"{k}.jpg,{k % 2}\n" for k in range(4)))
        write(self("list"), "0.jpg\n1.jpg\n")
        assert run("import", self("m.onnx"), *PREPROCESS, "-o", self("m.kfx"))[0] == 0

    def __call__(self, *names):
        return os.path.join(self.top, *names)

    def names(self):
        return sorted(os.path.join(d, n) for d, _, files in os.walk(self.top) for n in files)


# ---- inputs -----------------------------------------------------------------------------------------------------------


def pipes(p):
    pipe = {}
    for suffix in ("kfx", "onnx", "safetensors", "npy", "jpg", "yaml", "txt"):
        pipe[suffix] = p("pipe." + suffix)
        os.mkfifo(pipe[suffix])
    data, out = p("data"), p("never")
    for folder, name in (("odd", "labels.csv"), ("calib", "1.jpg"), ("side", "config.json"), ("stem", "m.json")):
        os.makedirs(p(folder))
        os.mkfifo(p(folder, name))
    shutil.copy(p("data", "0.jpg"), p("calib", "0.jpg"))
    for folder in ("side", "stem"):
        shutil.copy(CHECKPOINT, p(folder, "m.safetensors"))
    os.mkfifo(p("weights"))
    write(p("piped.onnx"), external("weights"))
    picture = p("data", "0.jpg")
    inputs = [("info", pipe["kfx"]), ("info", pipe["onnx"]), ("verify", pipe["kfx"]), ("bench", "-n", "1", pipe["kfx"]), ("import", pipe["safetensors"], "-o", out),
              ("import", pipe["onnx"], "-o", out), ("import", p("m.onnx"), "-l", pipe["txt"], "-o", out), ("import", p("piped.onnx"), "-o", out),
              ("import", p("side", "m.safetensors"), "-o", out), ("import", p("stem", "m.safetensors"), "-o", out), ("simplify", pipe["onnx"], "-o", out),
              ("export", pipe["kfx"], "-o", out), ("check", pipe["onnx"]), ("check", pipe["yaml"]), ("classify", pipe["kfx"], picture), ("classify", pipe["jpg"]),
              ("classify", "-l", pipe["txt"], picture), ("classify", "-l", "/dev/zero", picture), ("classify", "/dev/zero"), ("run", pipe["kfx"], p("in.npy"), "-o", out),
              ("run", p("t.onnx"), pipe["npy"], "-o", out), ("compare", pipe["kfx"], p("m.kfx"), "--data", data), ("compare", p("m.kfx"), p("m.kfx"), "--data", data, "--list", pipe["txt"]),
              ("eval", p("m.kfx"), "--data", p("odd")), ("eval", p("m.kfx"), "--data", data, "--list", pipe["txt"]), ("quantize", pipe["onnx"], "--calib", data, "-o", out),
              ("quantize", p("m.onnx"), "--calib", data, "--calib-list", pipe["txt"], "-o", out), ("quantize", p("m.onnx"), *PREPROCESS, "--calib", p("calib"), "-o", out),
              ("quantize", pipe["yaml"]), ("stream", pipe["kfx"], "--nv12", "32x32"), ("stream", "--nv12", "32x32", "-l", pipe["txt"])]
    for args in inputs:
        code, _, err = run(*args, stdin=b"")
        check("not waited for: " + " ".join(os.path.basename(a) for a in args), code == 1 and "not a regular file" in err, (code, err))
    check("nothing was written", not os.path.exists(out))
    code, _, err = run("eval", p("m.kfx"), "--data", data, "--list", "-", stdin=b"0.jpg\n2.jpg\n")
    check("a list on standard input", code == 0, err)


def limits(p):
    labels = write(p("many.txt"), b"label\n" * (3 << 19))
    code, _, err = run("classify", "-l", labels, p("data", "0.jpg"))
    check("labels: too large", code == 1 and f"{9 << 20} bytes" in err and str(8 << 20) in err, err)
    write(p("side2.safetensors"), read(CHECKPOINT))
    write(p("side2.json"), b"[" + b"[]," * (3 << 20) + b"[]]")
    code, _, err = run("import", p("side2.safetensors"), "-o", p("never"))
    check("the JSON of a checkpoint: too large", code == 1 and f"{3 * (3 << 20) + 4} bytes" in err and str(8 << 20) in err, err)
    write(p("head.safetensors"), (17 << 20).to_bytes(8, "little") + b"{" + b" " * (17 << 20))
    code, _, err = run("import", p("head.safetensors"), "-o", p("never"))
    check("the header of a checkpoint: too large", code == 1 and str(17 << 20) in err and str(16 << 20) in err, err)


def links_of_external_data(p):
    folder = p("ext")
    os.makedirs(os.path.join(folder, "sub"))
    good = bytes(range(48))
    write(p("secret"), good)
    write(os.path.join(folder, "w"), good)
    os.symlink("../secret", os.path.join(folder, "out"))
    os.symlink("w", os.path.join(folder, "in"))
    os.symlink("..", os.path.join(folder, "up"))
    for location, code, word in (("w", 0, ""), ("in", 0, ""), ("out", 1, "leads out of the model's folder"), ("up/secret", 1, "leads out of the model's folder"),
                                 ("../secret", 1, "leaves the model's folder"), ("/etc/hostname", 1, "leaves the model's folder")):
        model = write(os.path.join(folder, "m.onnx"), external(location))
        got, _, err = run("import", model, "-o", p("ext.kfx"))
        check(f"external data in {location}", got == code and word in err, (got, err))
    write(os.path.join(folder, "m.onnx"), external("w"))
    code, _, err = run("import", os.path.join(folder, "m.onnx"), "-o", os.path.join(folder, "w"))
    check("onto its external data", code == 1 and "is the input" in err and read(os.path.join(folder, "w")) == good, (code, err))


def cut_meanwhile(p):
    """The unit test meets each moment; here whole programs are hit, and none may die of a signal."""
    whole = read(CHECKPOINT)
    path, bad = p("cut.safetensors"), []
    shutil.copy(os.path.join(ROOT, "data", "everyday10.json"), p("cut.json"))
    random.seed(3)
    for k in range(40 if FULL else 4):
        write(path, whole)
        child = subprocess.Popen([KITFOX, "import", path, "-o", p("cut.kfx")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(random.random() * 0.01)
        os.truncate(path, len(whole) // 2)
        err = child.communicate(timeout=60)[1]
        if child.returncode not in (0, 1):
            bad.append((child.returncode, err))
    check("a file that is cut while it is read ends nobody", not bad, bad)


# ---- outputs ----------------------------------------------------------------------------------------------------------


def onto_inputs(p):
    data, kfx, onnx = p("data"), p("m.kfx"), p("m.onnx")
    shutil.copy(CHECKPOINT, p("c.safetensors"))
    shutil.copy(os.path.join(ROOT, "data", "everyday10.json"), p("c.json"))
    os.symlink("m.onnx", p("soft"))
    os.link(onnx, p("hard"))
    csv, picture = p("data", "labels.csv"), p("data", "0.jpg")
    quantize = ("quantize", onnx, *PREPROCESS, "--calib", data)
    before = {n: read(n) for n in p.names() if stat.S_ISREG(os.stat(n).st_mode)}
    rows = [("import", onnx, "-o", onnx), ("import", onnx, "-o", p("soft")), ("import", onnx, "-o", p("hard")), ("import", p("soft"), "-o", p("hard")),
            ("import", onnx, "-l", p("names.txt"), "-o", p("names.txt")), ("import", p("c.safetensors"), "-o", p("c.json")), ("simplify", onnx, "-o", onnx), ("export", kfx, "-o", kfx),
            ("run", p("t.onnx"), p("in.npy"), "-o", p("in.npy")), ("run", p("t.onnx"), "x=" + p("in.npy"), "-o", p("in.npy")), ("run", p("t.onnx"), p("in.npy"), "-o", p("t.onnx")),
            ("classify", picture, "--annotate", picture), ("classify", picture, p("data", "1.jpg"), "--annotate", p("data", "%s.jpg")),
            ("eval", kfx, "--data", data, "--predictions", csv), ("eval", kfx, "--data", data, "--confusion", picture), ("eval", kfx, "--data", data, "--list", p("list"), "--predictions", p("list")),
            ("compare", kfx, onnx, *PREPROCESS, "--data", data, "--report", kfx), ("compare", kfx, kfx, "--data", data, "--report", p("data", "3.jpg")),
            (*quantize, "-o", onnx), (*quantize, "-o", p("data", "2.jpg")), (*quantize, "-o", p("q.kfx"), "--report", onnx),
            (*quantize, "--calib-list", p("list"), "-o", p("list")), (*quantize, "-o", p("q.kfx"), "--report", p("data", "labels.csv"))]
    for args in rows:
        code, _, err = run(*args)
        check("onto an input: " + " ".join(os.path.basename(a) for a in args), code == 1 and "is the input" in err, (code, err))
    code, _, err = run(*quantize, "-o", p("q.kfx"), "--report", p("q.kfx"))
    check("two outputs of one name", code == 1 and "too; give another name" in err, (code, err))
    check("all inputs are as they were", before == {n: read(n) for n in before} and not os.path.exists(p("q.kfx")))


def kinds_of_outputs(p):
    onnx, old = p("m.onnx"), p("old.kfx")
    assert run("import", onnx, "-o", p("new.kfx"))[0] == 0
    whole = read(p("new.kfx"))
    mask = os.umask(0)
    os.umask(mask)
    check("a new file has the mode that umask leaves", stat.S_IMODE(os.stat(p("new.kfx")).st_mode) == 0o666 & ~mask)
    write(old, "old")
    os.chmod(old, 0o600)
    os.symlink("old.kfx", p("link.kfx"))
    code, _, err = run("import", onnx, "-o", p("link.kfx"))
    check("a link is followed and stays, the mode is kept", code == 0 and os.path.islink(p("link.kfx")) and read(old) == whole and stat.S_IMODE(os.stat(old).st_mode) == 0o600, err)
    os.mkfifo(p("sink"))
    got = []
    reader = threading.Thread(target=lambda: got.append(read(p("sink"))))
    reader.start()
    code, _, err = run("import", onnx, "-o", p("sink"))
    reader.join(60)
    check("a pipe is written through", code == 0 and got == [whole] and stat.S_ISFIFO(os.stat(p("sink")).st_mode), err)
    os.symlink("/proc/self/fd/1", p("stdout"))  # as /dev has it; never the machine's own: a broken build would replace it
    for name in ("-", p("stdout")):
        code, out, err = run("import", onnx, "-o", name)
        check(f"import to {name}", code == 0 and out == whole, (code, len(out), err))
    assert run("simplify", onnx, "-o", p("s.onnx"))[0] == 0 and run("run", p("t.onnx"), p("in.npy"), "-o", p("o.npy"))[0] == 0
    code, out, err = run("simplify", onnx, "-o", "-")
    check("simplify to -: the report is not in the way", code == 0 and out == read(p("s.onnx")) and "opset" in err, (code, err))
    code, out, err = run("run", p("t.onnx"), p("in.npy"), "-o", "-")
    check("run to -", code == 0 and out == read(p("o.npy")), (code, err))
    code, out, err = run("eval", p("m.kfx"), "--data", p("data"), "--predictions", "-")
    check("eval's predictions to -", code == 0 and out.startswith(b"file,class_index") and out.count(b"\n") == 5 and "top-1" in err, (code, out, err))
    quantize = ("quantize", onnx, *PREPROCESS, "--calib", p("data"))
    for args in ((*quantize, "-o", "-"), (*quantize, "-o", p("q.kfx"), "--report", "-"), ("classify", p("data", "0.jpg"), "--annotate", "-"),
                 ("compare", p("m.kfx"), p("m.kfx"), "--data", p("data"), "--report", p("stdout")), ("eval", p("m.kfx"), "--data", p("data"), "--confusion", "-")):
        code, out, err = run(*args)
        check("no way to -: " + " ".join(os.path.basename(a) for a in args), code == 1 and out == b"" and "standard output has other text" in err, (code, out, err))
    check("no file is called -, the link is one", not os.path.exists("-") and os.path.islink(p("stdout")) and not os.path.exists(p("q.kfx")))


def before_the_work(p):
    """A model that is not there is found when it is read; an output that cannot be written before that."""
    bad, none = p("absent", "out"), p("none.onnx")
    for args in (("import", none, "-o", bad), ("simplify", none, "-o", bad), ("export", none, "-o", bad), ("run", none, p("in.npy"), "-o", bad), ("quantize", none, "--calib", p("data"), "-o", bad),
                 ("quantize", none, "--calib", p("data"), "-o", p("q.kfx"), "--report", bad), ("eval", none, "--data", p("data"), "--predictions", bad),
                 ("eval", none, "--data", p("data"), "--confusion", bad), ("compare", none, none, "--data", p("data"), "--report", bad),
                 ("classify", none, p("data", "0.jpg"), "--annotate", bad), ("import", none, "-o", p("data"))):
        code, _, err = run(*args)
        check("found first: " + " ".join(os.path.basename(a) for a in args), code == 1 and "cannot write" in err and args[-1] in err, (code, err))


def full_disk(p):
    """RLIMIT_FSIZE stands in for a full disk: the kernel says EFBIG where it would say ENOSPC."""
    data = p("data")
    rows = [("import", p("m.onnx"), "-o"), ("export", p("m.onnx"), "-o"), ("run", p("t.onnx"), p("in.npy"), "-o"), ("classify", p("data", "0.jpg"), "--annotate"),
            ("eval", p("m.kfx"), "--data", data, "--predictions"), ("eval", p("m.kfx"), "--data", data, "--confusion"), ("compare", p("m.kfx"), p("m.kfx"), "--data", data, "--report"),
            ("quantize", p("m.onnx"), *PREPROCESS, "--calib", data, "-o")]
    kept = write(p("kept"), "kept")
    for args in rows:
        before = p.names()
        results = [run(*args, name, most=64) for name in ((p("fresh"), kept) if FULL or args[0] in ("import", "eval") else (p("fresh"),))]
        what = "no room: " + " ".join(os.path.basename(a) for a in args)
        if "--annotate" in args and "cairo is not installed" in results[0][2]:
            continue
        check(what, all(r[0] == 1 and "cannot write" in r[2] for r in results), results)
        check("    nothing new, the old one whole", p.names() == before and read(kept) == b"kept", set(p.names()) ^ set(before))


def signals(p):
    data, ends = p("data"), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    os.makedirs(p("sig"))
    verbs = [("import", CHECKPOINT, "-o", p("sig", "a")), ("simplify", CHECKPOINT, "--check", "0", "-o", p("sig", "b")), ("quantize", p("m.onnx"), *PREPROCESS, "--calib", data, "-o", p("sig", "c"))]
    wrong, hit = [], 0
    random.seed(5)
    for args in verbs:
        begun = time.monotonic()
        run(*args)
        usual = time.monotonic() - begun
        for k in range(60 if FULL else 3):
            child = subprocess.Popen([KITFOX, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(usual * (0.3 + random.random() * 0.7))
            child.send_signal(ends[k % 3])
            child.wait(60)
            hit += child.returncode == -ends[k % 3]
            left = [n for n in os.listdir(p("sig")) if n not in "abc"]
            if child.returncode not in (0, -ends[k % 3]) or left:
                wrong.append((args[0], child.returncode, left))
    check("ended by a signal: that status, no temporary", not wrong and hit > 0, (hit, wrong))
    code = subprocess.run(["sh", "-c", 'trap "" HUP; "$0" "$@" & kill -HUP $!; wait $!', KITFOX, *verbs[0]], capture_output=True, timeout=60).returncode
    check("an ignored SIGHUP stays ignored", code == 0, code)


def main():
    for test in (pipes, limits, links_of_external_data, cut_meanwhile, onto_inputs, kinds_of_outputs, before_the_work, full_disk, signals):
        with tempfile.TemporaryDirectory() as top:
            os.chdir(top)
            begun = time.monotonic()
            test(Place(top))
            os.chdir("/")
            print(f"      {test.__name__}: {time.monotonic() - begun:.1f} s")
    return finish()


sys.exit(main())
