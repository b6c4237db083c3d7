#!/usr/bin/env python3
"""Files as the system has them: pipes and devices as inputs, files that are cut meanwhile, outputs that are inputs,
links, modes, full disks, signals.

Called by meson with the program's path; --full takes more moments, --short (under sanitizers) every sixth command and
no signals, whose unit test is run there. Nothing outside a temporary folder is written.
"""
import array
import functools
import json
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import tiny_onnx
from kit import EXAMPLES, KITFOX, ROOT, case, check, run_cases

FULL, SHORT = "--full" in sys.argv, "--short" in sys.argv
CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
PREPROCESS = ("-p", "timm:mobilenetv3_large_100")
YAML = """model_parameters:
  onnx_model: './m.onnx'
  march: "bayes-e"
  working_dir: '.'
  output_model_file_prefix: 'net'
input_parameters:
  input_name: ""
  input_type_rt: 'rgb'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: './data'
  preprocess_on: True
  calibration_type: 'default'
compiler_parameters:
  compile_mode: 'latency'
"""


def run(*args, stdin=None, most=None):
    """Like kit.run, given up after ten minutes, with bytes, and with a limit for the size of files."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))) if most else None
    try:
        p = subprocess.run([KITFOX, *args], input=stdin, capture_output=True, timeout=600, preexec_fn=limit)
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
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + array.array("f", values).tobytes()


def external(location):
    """x [1, 4] to [1, 2]: the weights of the one layer are in another file."""
    t = tiny_onnx
    where = (("location", location), ("offset", "8"), ("length", "32"))
    entries = b"".join(t._bytes(13, t._bytes(1, k) + t._bytes(2, v)) for k, v in where)
    weights = t._int(1, 2) + t._int(1, 4) + t._int(2, 1) + t._bytes(8, "w") + entries + t._int(14, 1)
    g = t.Graph([1, 4])
    g.add("Gemm", "w", g.const([2], [0, 1]), transB=1)
    graph = b"".join(t._bytes(1, n) for n in g.nodes) + t._bytes(2, "e") + t._bytes(5, weights)
    graph += b"".join(t._bytes(5, t._tensor(*c)) for c in g.init)
    graph += t._bytes(11, t._value("x", g.shape)) + t._bytes(12, t._value(g.out, [1, 2]))
    return t._int(1, 7) + t._bytes(8, t._bytes(1, "") + t._int(2, 11)) + t._bytes(7, graph)


def lines_of(table):
    return table.strip().splitlines()[::6 if SHORT else 1]


def placed(test):
    """A case in a folder with one of everything."""
    @functools.wraps(test)
    def inside(top):
        os.chdir(top)
        begun = time.monotonic()
        test(Place(top))
        print(f"      {test.__name__}: {time.monotonic() - begun:.1f} s")
    return case(inside)


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

    def args(self, line):
        """Words of a command; @ stands for this folder."""
        quantize = "quantize @m.onnx -p timm:mobilenetv3_large_100 --calib @data"
        return line.replace("QUANTIZE", quantize).replace("@", self.top + "/").split()

    def names(self):
        return sorted(os.path.join(d, n) for d, _, files in os.walk(self.top) for n in files)


# ---- inputs ----------------------------------------------------------------------------------------------------


INPUTS = """
info @pipe.kfx
info @pipe.onnx
verify @pipe.kfx
bench -n 1 @pipe.kfx
import @pipe.safetensors -o @never
import @pipe.onnx -o @never
import @m.onnx -l @pipe.txt -o @never
import @piped.onnx -o @never
import @side/m.safetensors -o @never
import @stem/m.safetensors -o @never
simplify @pipe.onnx -o @never
export @pipe.kfx -o @never
check @pipe.onnx
check @pipe.yaml
classify @pipe.kfx @data/0.jpg
classify @pipe.jpg
classify -l @pipe.txt @data/0.jpg
classify -l /dev/zero @data/0.jpg
classify /dev/zero
run @pipe.kfx @in.npy -o @never
run @t.onnx @pipe.npy -o @never
compare @pipe.kfx @m.kfx --data @data
compare @m.kfx @m.kfx --data @data --list @pipe.txt
eval @m.kfx --data @odd
eval @m.kfx --data @data --list @pipe.txt
quantize @pipe.onnx --calib @data -o @never
QUANTIZE --calib-list @pipe.txt -o @never
quantize @m.onnx -p timm:mobilenetv3_large_100 --calib @calib -o @never --strict
quantize @pipe.yaml
stream @pipe.kfx --nv12 32x32
stream --nv12 32x32 -l @pipe.txt
"""


@placed
def pipes(p):
    for suffix in ("kfx", "onnx", "safetensors", "npy", "jpg", "yaml", "txt"):
        os.mkfifo(p("pipe." + suffix))
    for folder, name in (("odd", "labels.csv"), ("calib", "1.jpg"), ("side", "config.json"), ("stem", "m.json")):
        os.makedirs(p(folder))
        os.mkfifo(p(folder, name))
    shutil.copy(p("data", "0.jpg"), p("calib", "0.jpg"))
    for folder in ("side", "stem"):
        shutil.copy(CHECKPOINT, p(folder, "m.safetensors"))
    os.mkfifo(p("weights"))
    write(p("piped.onnx"), external("weights"))
    for line in lines_of(INPUTS):
        code, _, err = run(*p.args(line), stdin=b"")
        check("not waited for: " + line, code == 1 and "not a regular file" in err, (code, err))
    check("nothing was written", not os.path.exists(p("never")))
    code, _, err = run(*p.args("eval @m.kfx --data @data --list -"), stdin=b"0.jpg\n2.jpg\n")
    check("a list on standard input", code == 0, err)


@placed
def limits(p):
    labels = write(p("many.txt"), b"label\n" * (3 << 19))
    code, _, err = run("classify", "-l", labels, p("data", "0.jpg"))
    check("labels: too large", code == 1 and f"{9 << 20} bytes" in err and str(8 << 20) in err, err)
    write(p("side2.safetensors"), read(CHECKPOINT))
    write(p("side2.json"), b"[" + b"[]," * (3 << 20) + b"[]]")
    code, _, err = run("import", p("side2.safetensors"), "-o", p("never"))
    check("the JSON of a checkpoint: too large",
          code == 1 and f"{3 * (3 << 20) + 4} bytes" in err and str(8 << 20) in err, err)
    write(p("head.safetensors"), (17 << 20).to_bytes(8, "little") + b"{" + b" " * (17 << 20))
    code, _, err = run("import", p("head.safetensors"), "-o", p("never"))
    check("the header of a checkpoint: too large", code == 1 and str(17 << 20) in err and str(16 << 20) in err, err)


@placed
def links_of_external_data(p):
    folder = p("ext")
    os.makedirs(os.path.join(folder, "sub"))
    good = bytes(range(48))
    write(p("secret"), good)
    write(os.path.join(folder, "w"), good)
    os.symlink("../secret", os.path.join(folder, "out"))
    os.symlink("w", os.path.join(folder, "in"))
    os.symlink("..", os.path.join(folder, "up"))
    link, path = "leads out of the model's folder", "leaves the model's folder"
    for location, code, word in (("w", 0, ""), ("in", 0, ""), ("out", 1, link), ("up/secret", 1, link),
                                 ("../secret", 1, path), (p("secret"), 1, path)):
        model = write(os.path.join(folder, "m.onnx"), external(location))
        got, _, err = run("import", model, "-o", p("ext.kfx"))
        check(f"external data in {location}", got == code and word in err, (got, err))
    write(os.path.join(folder, "m.onnx"), external("w"))
    code, _, err = run("import", os.path.join(folder, "m.onnx"), "-o", os.path.join(folder, "w"))
    same = read(os.path.join(folder, "w")) == good
    check("onto its external data", code == 1 and "is the input" in err and same, (code, err))


@placed
def cut_meanwhile(p):
    """The unit test meets each moment; here whole programs are hit, and none may die of a signal."""
    whole = read(CHECKPOINT)
    path, bad = p("cut.safetensors"), []
    shutil.copy(os.path.join(ROOT, "data", "everyday10.json"), p("cut.json"))
    random.seed(3)
    for k in range(40 if FULL else 4):
        write(path, whole)
        child = subprocess.Popen([KITFOX, "import", path, "-o", p("cut.kfx")], stderr=subprocess.PIPE)
        time.sleep(random.random() * 0.01)
        os.truncate(path, len(whole) // 2)
        err = child.communicate(timeout=600)[1]
        if child.returncode not in (0, 1):
            bad.append((child.returncode, err))
    check("a file that is cut while it is read ends nobody", not bad, bad)


# ---- outputs ---------------------------------------------------------------------------------------------------


ONTO = """
import @m.onnx -o @m.onnx
import @m.onnx -o @soft
import @m.onnx -o @hard
import @soft -o @hard
import @m.onnx -l @names.txt -o @names.txt
import @c.safetensors -o @c.json
simplify @m.onnx -o @m.onnx
export @m.kfx -o @m.kfx
run @t.onnx @in.npy -o @in.npy
run @t.onnx x=@in.npy -o @in.npy
run @t.onnx @in.npy -o @t.onnx
classify @data/0.jpg --annotate @data/0.jpg
classify @data/0.jpg @data/1.jpg --annotate @data/%s.jpg
eval @m.kfx --data @data --predictions @data/labels.csv
eval @m.kfx --data @data --confusion @data/0.jpg
eval @m.kfx --data @data --list @list --predictions @list
compare @m.kfx @t.onnx --data @data --report @m.kfx
compare @m.kfx @m.kfx --data @data --report @data/3.jpg
QUANTIZE -o @m.onnx
QUANTIZE -o @data/2.jpg
QUANTIZE -o @q.kfx --report @m.onnx
QUANTIZE --calib-list @list -o @list
QUANTIZE -o @q.kfx --report @data/labels.csv
quantize @q.yaml
"""


@placed
def onto_inputs(p):
    shutil.copy(CHECKPOINT, p("c.safetensors"))
    shutil.copy(os.path.join(ROOT, "data", "everyday10.json"), p("c.json"))
    os.symlink("m.onnx", p("soft"))
    os.link(p("m.onnx"), p("hard"))
    os.link(p("m.onnx"), p("net_original_float_model.onnx"))
    write(p("q.yaml"), YAML)
    before = {n: read(n) for n in p.names()}
    for line in lines_of(ONTO):
        code, _, err = run(*p.args(line))
        check("onto an input: " + line, code == 1 and "is the input" in err, (code, err))
    code, _, err = run(*p.args("QUANTIZE -o @q.kfx --report @q.kfx"))
    check("two outputs of one name", code == 1 and "too; give another name" in err, (code, err))
    check("all inputs are as they were", before == {n: read(n) for n in p.names()})


TO_DASH = """
QUANTIZE -o -
QUANTIZE -o @q.kfx --report -
classify @data/0.jpg --annotate -
compare @m.kfx @m.kfx --data @data --report @stdout
eval @m.kfx --data @data --confusion -
"""


@placed
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
    kept = os.path.islink(p("link.kfx")) and stat.S_IMODE(os.stat(old).st_mode) == 0o600
    check("a link is followed and stays, the mode is kept", code == 0 and kept and read(old) == whole, err)
    os.mkfifo(p("sink"))
    got = []
    reader = threading.Thread(target=lambda: got.append(read(p("sink"))))
    reader.start()
    code, _, err = run("import", onnx, "-o", p("sink"))
    reader.join(60)
    check("a pipe is written through", code == 0 and got == [whole] and stat.S_ISFIFO(os.stat(p("sink")).st_mode), err)
    os.symlink("/proc/self/fd/1", p("stdout"))  # never the machine's own: a broken build replaces it
    for name in ("-", p("stdout")):
        code, out, err = run("import", onnx, "-o", name)
        check(f"import to {name}", code == 0 and out == whole, (code, len(out), err))
    for line, talk in (("simplify @m.onnx -o", "opset"), ("run @t.onnx @in.npy -o", ""),
                       ("eval @m.kfx --data @data --predictions", "top-1")):
        assert run(*p.args(line), p("file"))[0] == 0
        code, out, err = run(*p.args(line), "-")
        ok = code == 0 and out == read(p("file")) and talk in err
        check(f"to -, and the report is not in the way: {line}", ok, (code, err))
    for line in lines_of(TO_DASH):
        code, out, err = run(*p.args(line))
        ok = code == 1 and out == b"" and "standard output" in err
        check("no way to -: " + line, ok, (code, out, err))
    same = os.path.islink(p("stdout")) and not os.path.exists(p("q.kfx"))
    check("no file is called -, the link is one", not os.path.exists("-") and same)


FIRST = """
import @none.onnx -o @absent/out
simplify @none.onnx -o @absent/out
export @none.onnx -o @absent/out
run @none.onnx @in.npy -o @absent/out
quantize @none.onnx --calib @data -o @absent/out
quantize @none.onnx --calib @data -o @q.kfx --report @absent/out
eval @none.onnx --data @data --predictions @absent/out
eval @none.onnx --data @data --confusion @absent/out
compare @none.onnx @none.onnx --data @data --report @absent/out
classify @none.onnx @data/0.jpg --annotate @absent/out
import @none.onnx -o @data
"""


@placed
def before_the_work(p):
    """A model that is not there is found when it is read; an output that cannot be written before that."""
    for line in lines_of(FIRST):
        args = p.args(line)
        code, _, err = run(*args)
        check("found first: " + line, code == 1 and "cannot write" in err and args[-1] in err, (code, err))


NO_ROOM = """
import @m.onnx -o
export @m.onnx -o
run @t.onnx @in.npy -o
classify @data/0.jpg --annotate
eval @m.kfx --data @data --predictions
eval @m.kfx --data @data --confusion
compare @m.kfx @m.kfx --data @data --report
QUANTIZE -o
"""


@placed
def full_disk(p):
    """RLIMIT_FSIZE stands in for a full disk: the kernel says EFBIG where it would say ENOSPC."""
    kept = write(p("kept"), "kept")
    for line in lines_of(NO_ROOM):
        before = p.names()
        both = FULL or line.startswith(("import", "eval"))
        results = [run(*p.args(line), name, most=64) for name in ((p("fresh"), kept) if both else (p("fresh"),))]
        if "--annotate" in line and "cairo is not installed" in results[0][2]:
            continue
        check("no room: " + line, all(r[0] == 1 and "cannot write" in r[2] for r in results), results)
        same = p.names() == before and read(kept) == b"kept"
        check("    nothing new, the old one whole", same, set(p.names()) ^ set(before))


@placed
def together(p):
    """What quantize CONFIG.yaml and pull write in several steps keeps links and modes too, and replaces files alone."""
    write(p("q.yaml"), YAML.replace("working_dir: '.'", "working_dir: 'out'"))
    os.makedirs(p("out"))
    write(p("real"), "old")
    os.chmod(p("real"), 0o600)
    os.symlink("../real", p("out", "net.kfx"))
    code, _, err = run("quantize", p("q.yaml"))
    kept = os.path.islink(p("out", "net.kfx")) and stat.S_IMODE(os.stat(p("real")).st_mode) == 0o600
    check("YAML: a link is followed and stays", code == 0 and kept and len(read(p("real"))) > 1000, err)
    before = read(p("real"))
    os.unlink(p("out", "net_quantize.log"))
    os.mkfifo(p("out", "net_quantize.log"))
    code, _, err = run("quantize", p("q.yaml"))
    check("YAML: a pipe is not replaced", code == 1 and "not a regular file" in err, (code, err))
    check("    and nothing is written", read(p("real")) == before and not [n for n in p.names() if n.endswith(".part")])


@placed
def pulled(p):
    weights = json.loads(run("pull", "--list", "--json")[1].splitlines()[0])
    architecture, tag = weights["repository"].split("/")[1].split(".", 1)
    mirror = p("mirror", *weights["repository"].split("/"))
    os.makedirs(mirror)
    os.makedirs(p("got"))
    shutil.copy(CHECKPOINT, os.path.join(mirror, "model.safetensors"))
    config = {"architecture": architecture, "pretrained_cfg": {"tag": tag}}
    write(os.path.join(mirror, "config.json"), json.dumps(config))
    write(p("real"), "old")
    os.chmod(p("real"), 0o600)
    os.symlink("../real", p("got", "model.safetensors"))
    pull = ("pull", weights["name"], "--mirror", "file://" + p("mirror"), "--force", "-o", p("got"))
    code, _, err = run(*pull)
    if "libcurl is not installed" in err:
        return
    kept = os.path.islink(p("got", "model.safetensors")) and stat.S_IMODE(os.stat(p("real")).st_mode) == 0o600
    check("pull: a link is followed and stays", code == 0 and kept and read(p("real")) == read(CHECKPOINT), err)
    os.unlink(p("got", "config.json"))
    os.mkfifo(p("got", "config.json"))
    code, _, err = run(*pull)
    check("pull: a pipe is not replaced", code == 1 and stat.S_ISFIFO(os.stat(p("got", "config.json")).st_mode), err)


def signals(p):
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    os.makedirs(p("sig"))
    shutil.copy(CHECKPOINT, p("c.safetensors"))
    lines = ("import @c.safetensors -o @sig/a", "simplify @c.safetensors --check 0 -o @sig/b")
    if FULL:
        lines += ("QUANTIZE -o @sig/c",)
        write(p("q.yaml"), YAML.replace("working_dir: '.'", "working_dir: 'sig/out'"))
        lines += ("quantize @q.yaml",)
    verbs = [p.args(line) for line in lines]
    wrong, hits = [], 0
    random.seed(5)
    for args in verbs:
        begun = time.monotonic()
        run(*args)
        wait = time.monotonic() - begun
        wanted, hit = 60 if FULL else 3, 0
        # A signal that comes too late says nothing: then the next one comes earlier. The machine's load decides.
        for turn in range(4 * wanted):
            number = ends[turn % 3]
            child = subprocess.Popen([KITFOX, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait * random.random())
            child.send_signal(number)
            child.wait(600)
            hit += child.returncode == -number
            wait *= 1.05 if child.returncode else 0.8
            left = [n for n in p.names() if ".kitfox-" in n or n.endswith(".part")]
            if child.returncode not in (0, -number) or left:
                wrong.append((args[0], child.returncode, left))
            if hit == wanted:
                break
        hits += hit
    check("ended by a signal: that status, no temporary", not wrong and hits >= len(verbs), (hits, wrong))
    command = ["sh", "-c", 'trap "" HUP; "$0" "$@" & kill -HUP $!; wait $!', KITFOX, *verbs[0]]
    code = subprocess.run(command, capture_output=True, timeout=600).returncode
    check("an ignored SIGHUP stays ignored", code == 0, code)


if not SHORT:
    placed(signals)
sys.exit(run_cases())
