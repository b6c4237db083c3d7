#!/usr/bin/env python3
"""What the verbs do, from Python: the same numbers to the digit, the same bytes, progress, and what is refused.

Usage: test_lab.py KITFOX, by a Python that has the package (run.py gives it the tree's own). Prints one line a check.
"""

import hashlib
import json
import os
import shutil
import struct
import sys
import threading

from common import (
    EXAMPLES,
    HAVE_SHARED,
    ROOT,
    case,
    check,
    fails,
    kitfox,
    np,
    once,
    program_json,
    quietly,
    run,
    run_cases,
    says,
    shared,
)

sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))
import http_server as hs  # noqa: E402

CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
CLASSES = {"airplane": 0, "automobile": 1, "frog": 6, "ship": 8, "truck": 9}


def labelled(folder):
    os.makedirs(folder)
    for name in CLASSES:
        shutil.copy(os.path.join(EXAMPLES, name + ".jpg"), folder)
    with open(os.path.join(folder, "labels.csv"), "w") as f:
        f.write("file,class_index\n" + "".join(f"{n}.jpg,{k}\n" for n, k in CLASSES.items()))
    return folder


@once
def quantized(folder):
    """The Python package's file, and what it said."""
    out = os.path.join(folder, "q.kfx")
    return out, quietly(kitfox.quantize, CHECKPOINT, EXAMPLES, out, report=os.path.join(folder, "r.html"))


def printed(*values):
    """Numbers as the program's JSON has them."""
    return tuple(float(f"{v:.10g}") for v in values)


def read(path):
    with open(path, "rb") as f:
        return f.read()


@case
def quantize_as_the_verb(top):
    out, (q, said) = quantized()
    verb = os.path.join(top, "verb.kfx")
    row = program_json("quantize", CHECKPOINT, "-c", EXAMPLES, "-o", verb)
    check("the verb's bytes", read(verb) == read(out))
    check(
        "the verb's numbers",
        (row["agreement"], row["agreement_low"], row["sqnr_db"], row["samples"])
        == printed(q.agreement, q.low, q.sqnr, q.samples),
        (row, q),
    )
    check("a line, a table", says(str(q), "q.kfx .. 100.00 % agree .. SQNR") and "<table>" in q._repr_html_())
    check("the report is a page", b"<html" in read(os.path.join(os.path.dirname(out), "r.html")))
    check("nodes", len(q.nodes) > 40 and all(n.dtype in ("int8", "int16", "float") for n in q.nodes), q.nodes[:2])
    m, pixels = kitfox.load(out), kitfox_pixels("frog")
    rows = np.stack([pixels, pixels[::-1], pixels[:, ::-1]])
    same = m(np.ascontiguousarray(rows.transpose(0, 3, 1, 2)))
    check(
        "a quantized model takes pixels, as declared and in NHWC, one and three",
        same.shape == (3, 10)
        and np.array_equal(m(rows), same)
        and np.array_equal(m(rows[1:2]), same[1:2])
        and same[0].argmax() == 6,
    )
    arrays = [np.asarray(kitfox_pixels(name)) for name in sorted(CLASSES)]
    again = os.path.join(top, "arrays.kfx")
    r, _ = quietly(kitfox.quantize, CHECKPOINT, arrays, again)
    check("arrays of pixels: as their files", read(again) == read(out) and r.agreement == q.agreement, (r, q))


def kitfox_pixels(name):
    """A picture at the input's size, as the C library prepares it."""
    from kitfox import _pictures
    from kitfox._call import ffi, lib, new_error

    m = kitfox.load()
    picture, held = _pictures.load(os.path.join(EXAMPLES, name + ".jpg"), exif=False)
    small, err = ffi.gc(ffi.new("kf_image *"), lib.kf_image_free), new_error()
    assert lib.kf_image_preprocess(picture, m._how, small, err) == 0 and held is None
    rows = np.frombuffer(ffi.buffer(small.pixels, small.stride * small.height), np.uint8)
    return rows.reshape(small.height, small.stride)[:, : 3 * small.width].reshape(small.height, small.width, 3).copy()


@case
def quantize_is_refused(top):
    out = os.path.join(top, "o.kfx")
    picture = np.zeros((64, 64, 3), np.uint8)
    noise = [np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8) for i in range(8)]
    nan = np.full((1, 3, 64, 64), np.nan, np.float32)
    for name, kind, text, args, options in (
        ("no samples", ValueError, "no calibration samples", ([],), {}),
        ("samples of another size", ValueError, "sample 0 .. 64 x 64 x 3", ([picture[:63]] * 8,), {}),
        ("float64 samples", ValueError, "sample 0 .. float64", ([picture.astype(float)],), {}),
        ("NaN", ValueError, "sample 1", ([np.zeros_like(nan), nan],), {}),
        ("a folder without pictures", OSError, "", (top,), {}),
        ("no such folder", OSError, "nosuch", (os.path.join(top, "nosuch"),), {}),
        ("an unknown method", ValueError, "nonsense .. mse", (noise,), {"method": "nonsense"}),
        ("an unknown node", ValueError, "nosuch", (noise,), {"int16": ["nosuch"]}),
        ("an unknown switch", TypeError, "nosuch .. per_channel", (noise,), {"nosuch": True}),
    ):
        fails(name, kind, text, quietly, kitfox.quantize, CHECKPOINT, args[0], out, **options)
    fails(
        "a folder that is not there, for the output",
        OSError,
        "nosuch",
        kitfox.quantize,
        CHECKPOINT,
        noise,
        os.path.join(top, "nosuch", "o.kfx"),
    )
    fails(
        "a quantized model",
        kitfox.UnsupportedError,
        "quantized already",
        quietly,
        kitfox.quantize,
        quantized()[0],
        noise,
        out,
    )
    check("no file was written", os.listdir(top) == [], os.listdir(top))
    g = kitfox.graph(CHECKPOINT)
    fails(
        "in the middle",
        kitfox.Cancelled,
        "",
        quietly,
        kitfox.quantize,
        g,
        noise,
        out,
        progress=lambda done, total: False,
    )
    fails("the graph is closed then", ValueError, "closed", kitfox.quantize, g, noise, out)
    check("still no file", os.listdir(top) == [], os.listdir(top))


@case
def evaluate_as_the_verb(top):
    folder, table = labelled(os.path.join(top, "d")), os.path.join(top, "p.csv")
    row = program_json("eval", "-d", folder, "--predictions", table)
    e = kitfox.evaluate("everyday10", folder)
    check(
        "the verb's numbers",
        (row["top1"], row["top5"], row["images"], row["skipped"]) == printed(e.top1, e.top5, e.images, e.failed),
        (row, e),
    )
    lines = [line.split(",") for line in open(table).read().splitlines()[1:]]
    check(
        "the verb's predictions",
        [(w[0], int(w[1]), int(w[2])) for w in lines] == [(p.name, p.truth, p.top[0][0]) for p in e.predictions],
        (lines, e.predictions),
    )
    check("in words", says(str(e), "5 pictures, top-1 100.00 % .. 0 skipped") and e._repr_html_().startswith("<iframe"))
    with open(os.path.join(folder, "frog.jpg"), "wb") as f:
        f.write(b"no picture")
    e = kitfox.evaluate("everyday10", folder)
    check(
        "a picture that cannot be read",
        (e.images, e.failed) == (4, 1) and [p.error is not None for p in e.predictions].count(True) == 1,
        e,
    )
    fails("strict", kitfox.Error, "frog.jpg", kitfox.evaluate, "everyday10", folder, strict=True)
    fails("an empty folder", kitfox.Error, "", kitfox.evaluate, "everyday10", EXAMPLES)
    fails("no such folder", FileNotFoundError, "nosuch", kitfox.evaluate, "everyday10", os.path.join(top, "nosuch"))


@case
def compare_as_the_verb(top):
    folder = labelled(os.path.join(top, "d"))
    out = quantized()[0]
    row = program_json("compare", "everyday10", out, "-d", folder)
    c = kitfox.compare("everyday10", out, folder)
    check(
        "the verb's numbers",
        (row["agreement"], row["sqnr_db"], row["cosine"], row["mcnemar_p"])
        == printed(c.agreement, c.sqnr, c.cosine, c.p)
        and c.images == row["images"] == 5,
        (row, c),
    )
    check("nodes", len(c.nodes) > 30 and max(n.cosine for n in c.nodes) <= 1.0000001, len(c.nodes))
    check("in words", says(str(c), "5 pictures .. agree .. SQNR .. top-1 100.00 %") and "<iframe" in c._repr_html_())
    same = kitfox.compare("everyday10", "everyday10", folder, node_images=0)
    check("a model and itself", same.agreement == 100 and same.sqnr == float("inf") and same.nodes == ())


@case
def other_verbs(top):
    m = quantized()[0]
    v = kitfox.verify(m)
    check(
        "verify", v.ok and v.verdict == "identical" and v.steps == v.exact == program_json("verify", m)["exact"] > 40, v
    )
    b = kitfox.bench("everyday10", frames=5, profile=True)
    check(
        "bench",
        len(b.ms) == 5 == b.frames
        and 0 < b.lowest <= b.median <= b.highest
        and len(b.steps) == 55
        and all(w[0] for w in b.steps),
        b,
    )
    fails("no frames", ValueError, "", kitfox.bench, "everyday10", frames=0)
    code, out, _ = run("zoo")
    check("zoo", all(a.name in out and a.parameters > 0 for a in kitfox.zoo()) and len(kitfox.zoo()) > 10)
    check("weights", any(w.name == "mobilenetv3_large_100" and w.licence for w in kitfox.weights()))
    onnx = os.path.join(top, "e.onnx")
    r = kitfox.export_onnx(CHECKPOINT, onnx, runs=1)
    check("export", r.path == onnx and r.nodes_after > 50 and r.max_difference < 1e-5, r)
    s = kitfox.simplify(onnx, os.path.join(top, "s.onnx"), runs=1)
    check("simplify", s.nodes_after <= s.nodes_before, s)
    c = kitfox.check(onnx)
    check(
        "check",
        c.ok and {n.fate for n in c} <= {"supported", "fused", "folded"} and says(str(c), "all of them"),
        str(c),
    )
    kitfox.graph(CHECKPOINT).save_onnx(os.path.join(top, "g.onnx"))
    check("a graph as ONNX", kitfox.check(os.path.join(top, "g.onnx")).ok)
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    check("the export computes the same", np.abs(kitfox.load(onnx)(x) - kitfox.load()(x)).max() < 1e-4)
    fails("check of a picture", kitfox.Error, "JPEG", kitfox.check, os.path.join(EXAMPLES, "frog.jpg"))
    fails("no such file", FileNotFoundError, "nosuch", kitfox.check, os.path.join(top, "nosuch.onnx"))
    fails("export over a folder", OSError, "", kitfox.export_onnx, CHECKPOINT, top)


YAML = """model_parameters:
  onnx_model: '{model}'
  working_dir: 'out'
  output_model_file_prefix: 'm'
input_parameters:
  input_type_rt: 'nv12'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: '{data}'
  preprocess_on: True
  calibration_type: 'default'
compiler_parameters:
  compile_mode: 'latency'
"""


@case
def a_yaml_of_the_zoo(top):
    onnx, config = os.path.join(top, "m.onnx"), os.path.join(top, "c.yaml")
    os.chdir(top)  # where the log of the verb goes
    kitfox.export_onnx(CHECKPOINT, onnx, runs=1)
    with open(config, "w") as f:
        f.write(YAML.format(model=onnx, data=EXAMPLES))
    q, said = quietly(kitfox.quantize_config, config, report=os.path.join(top, "r.html"))
    mine = read(q.path)
    code, out, err = run("quantize", config, cwd=top)
    check("the verb's bytes", code == 0 and read(os.path.join(top, "out", "m.kfx")) == mine, err)
    check(
        "its log", "Cosine" in q.log and q.path.endswith("out/m.kfx") and b"<html" in read(os.path.join(top, "r.html"))
    )
    check("a key without meaning: a warning", "compile_mode" in said or "latency" in said, said)
    names, file = [f"class {i}" for i in range(10)], os.path.join(top, "names.txt")
    with open(file, "w") as f:
        f.write("\n".join(names))
    for labels in (names, file):
        q, _ = quietly(kitfox.quantize_config, config, labels=labels, rounding=False, data=EXAMPLES)
        check("the names of its classes are given", kitfox.load(q.path).labels == tuple(names), q)
    code, _, err = run("quantize", config, "--labels", file, "--no-rounding", cwd=top)
    check(
        "so does the verb, with the same bytes",
        code == 0 and read(q.path) == read(os.path.join(top, "out", "m.kfx")),
        err,
    )
    fails("more names than classes", ValueError, "11", quietly, kitfox.quantize_config, config, labels=names + ["x"])
    fails("a switch that is none", TypeError, "nosuch", quietly, kitfox.quantize_config, config, nosuch=True)
    with open(config, "a") as f:
        f.write("  nosuch: 1\n")
    fails("an error has its place", ValueError, "c.yaml:18:", kitfox.quantize_config, config)


@case
def options_of_the_import(top):
    onnx, eight = os.path.join(top, "m.onnx"), os.path.join(top, "eight.onnx")
    kitfox.export_onnx(CHECKPOINT, onnx, runs=0, max_fold_bytes=1 << 28)
    kitfox.graph(onnx, batch=8).save_onnx(eight)
    check("batch", kitfox.load(eight).inputs[0].shape == (8, 3, 64, 64), kitfox.load(eight).inputs)
    check("    of another file", kitfox.load(eight, batch=1).inputs[0].shape == (1, 3, 64, 64))
    folder = labelled(os.path.join(top, "d"))
    e, row = kitfox.evaluate(eight, folder), program_json("eval", eight, "-d", folder)
    check("evaluate: one picture at a time, as the verb", e.top1 == row["top1"] == 100, (e, row))
    check("    check", kitfox.check(eight, batch=1).ok and kitfox.check(onnx, batch=4).ok)
    check("scores", kitfox.graph(onnx, scores="independent").compile().info.scores == "independent")
    check("pillow", kitfox.load(onnx, pillow="13").info is not None)
    for name, kind, text, options in (
        ("an unknown Pillow", ValueError, "pillow", {"pillow": "7"}),
        ("unknown scores", ValueError, "nosuch", {"scores": "nosuch"}),
        ("a negative batch", ValueError, "batch", {"batch": -1}),
        ("a negative limit", ValueError, "max_fold_bytes", {"max_fold_bytes": -1}),
    ):
        fails(name, kind, text, kitfox.graph, onnx, **options)
    s = os.path.join(top, "s.onnx")
    check("simplify: a checkpoint", kitfox.simplify(CHECKPOINT, s, runs=0, qdq="scales").nodes_after > 40)
    fails(
        "    of another architecture",
        ValueError,
        "16x16x1x1",
        kitfox.simplify,
        CHECKPOINT,
        s,
        arch="mobilenetv3_small_050",
    )
    fails("a limit of memory", kitfox.LimitError, "", kitfox.verify, "everyday10", max_memory=1000)
    fails("    of operations", kitfox.LimitError, "", kitfox.verify, "everyday10", max_operations=1000)


@case
def pictures_that_fail(top):
    folder, out = labelled(os.path.join(top, "d")), os.path.join(top, "q.kfx")
    with open(os.path.join(folder, "frog.jpg"), "wb") as f:
        f.write(b"no picture")
    c, said = quietly(kitfox.compare, "everyday10", "everyday10", folder)
    check("compare: one is skipped", (c.images, c.skipped) == (4, 1) and "frog.jpg" in said, (c, said))
    fails(
        "    strict", kitfox.Error, "frog.jpg", quietly, kitfox.compare, "everyday10", "everyday10", folder, strict=True
    )
    q, said = quietly(kitfox.quantize, CHECKPOINT, folder, out, rounding=False)
    check("quantize: one is skipped", q.samples == 4 and "frog.jpg" in said, (q, said))
    os.unlink(out)
    fails("    strict", kitfox.Error, "frog.jpg", quietly, kitfox.quantize, CHECKPOINT, folder, out, strict=True)
    fails("    limits", kitfox.LimitError, "", quietly, kitfox.quantize, CHECKPOINT, EXAMPLES, out, max_operations=1000)
    check("    no file is left", not os.path.exists(out))
    picture, m = os.path.join(EXAMPLES, "frog.jpg"), kitfox.load()
    kitfox.limit_pixels(100)
    try:
        fails("a limit of pixels", kitfox.LimitError, "100", m.classify, picture)
    finally:
        kitfox.limit_pixels(0)
    check("    and without it", m.classify(picture).label == "frog")
    fails("    below 0", ValueError, "", kitfox.limit_pixels, -1)


@case
def progress_is_told(top):
    folder, seen = labelled(os.path.join(top, "d")), []
    kitfox.evaluate("everyday10", folder, threads=1, progress=lambda done, total: seen.append((done, total)))
    check("(done, total)", seen[-1] == (5, 5) and seen == sorted(seen), seen)

    class Mine(Exception):
        pass

    def broken(done, total):
        raise Mine("of the caller")

    m = kitfox.load()
    for name, call in {
        "evaluate": lambda p: kitfox.evaluate(m, folder, progress=p),
        "compare": lambda p: kitfox.compare(m, m, folder, progress=p),
        "bench": lambda p: kitfox.bench(m, frames=50, progress=p),
        "simplify": lambda p: kitfox.export_onnx(CHECKPOINT, os.path.join(top, "x.onnx"), progress=p),
        "quantize": lambda p: quietly(kitfox.quantize, CHECKPOINT, EXAMPLES, os.path.join(top, "x.kfx"), progress=p),
    }.items():
        fails(f"{name}: an exception of progress comes out as it is", Mine, "of the caller", call, broken)
        fails(f"{name}: False stops", kitfox.Cancelled, "", call, lambda done, total: False)
    check("nothing half-written", sorted(os.listdir(top)) == ["d"], os.listdir(top))


@case
def ctrl_c_in_the_first_instruction_of_a_callback(top):
    """Python raises KeyboardInterrupt wherever it is, also before a callback's first line: it must not get lost."""
    folder = labelled(os.path.join(top, "d"))
    hits = []

    def trace(frame, event, arg):
        if frame.f_code.co_name == "kf_py_progress" and not hits:
            hits.append(event)
            sys.settrace(None)
            raise KeyboardInterrupt

    sys.settrace(trace)
    try:
        kitfox.evaluate("everyday10", folder, threads=1)
        check("KeyboardInterrupt comes out", False, "evaluate returned")
    except KeyboardInterrupt:
        check("KeyboardInterrupt comes out", hits == ["call"], hits)
    finally:
        sys.settrace(None)


@case
def a_bar_of_tqdm(top):
    """A stand-in for tqdm: what it is told, and that it is closed."""
    import types

    bars = []

    class Bar:
        def __init__(self, desc, leave):
            self.desc, self.total, self.n, self.closed = desc, None, 0, False
            bars.append(self)

        def reset(self, total):
            self.total, self.n = total, 0

        def update(self, more):
            self.n += more

        def close(self):
            self.closed = True

    before = {name: sys.modules.get(name) for name in ("tqdm", "tqdm.auto")}
    sys.modules["tqdm"], sys.modules["tqdm.auto"] = types.ModuleType("tqdm"), types.ModuleType("tqdm.auto")
    sys.modules["tqdm.auto"].tqdm = Bar
    folder = labelled(os.path.join(top, "d"))
    try:
        kitfox.evaluate("everyday10", folder, threads=1, progress=True)
        check(
            "progress=True: a bar that reaches its end",
            [(b.total, b.n, b.closed) for b in bars] == [(5, 5, True)],
            bars,
        )
        kitfox.evaluate("everyday10", folder)
        kitfox.evaluate("everyday10", folder, progress=False)
        check("nobody watches here: no bar", len(bars) == 1)
        sys.modules["tqdm.auto"] = None
        kitfox.evaluate("everyday10", folder, progress=True)
        check("without tqdm: no bar, no error", len(bars) == 1)
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.__setitem__(name, module)


@case
def warnings_may_be_errors(top):
    import warnings

    flat = [np.zeros((64, 64, 3), np.uint8)] * 8
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        kitfox.quantize(CHECKPOINT, flat, os.path.join(top, "flat.kfx"))
    check(
        "samples that teach nothing: a warning that names the caller's file",
        said and all(w.filename == __file__ for w in said),
        [(w.filename, str(w.message)) for w in said],
    )
    os.unlink(os.path.join(top, "flat.kfx"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fails(
            "a warning that is an error ends the call",
            UserWarning,
            "",
            kitfox.quantize,
            CHECKPOINT,
            flat,
            os.path.join(top, "x.kfx"),
        )
    check("and writes nothing", os.listdir(top) == [])


@case
def several_at_once(top):
    """The lab's calls in threads of their own: each with its own callbacks."""
    folder, found = labelled(os.path.join(top, "d")), []

    def work():
        seen = []
        e = kitfox.evaluate("everyday10", folder, progress=lambda done, total: seen.append(done))
        found.append((e.top1, len(e.predictions), bool(seen)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("four evaluations at once", found == [(100.0, 5, True)] * 4, found)


# ---- downloads --------------------------------------------------------------------------------------------------------

NAME, REPO = "mobilenetv3_small_050", "timm/mobilenetv3_small_050.lamb_in1k"


def weights(seed, count=50000):
    head = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    return struct.pack("<Q", len(head)) + head + np.random.default_rng(seed).bytes(4 * count)


BODY = weights(1)
CONFIG = json.dumps({"architecture": NAME, "pretrained_cfg": {"tag": "lamb_in1k"}}).encode()


def without_curl(folder, **options):
    """kitfox.pull as on a machine without libcurl."""
    from kitfox import _lab

    options.setdefault("wait", 10)

    class NoCurl:
        def __getattr__(self, name):
            return getattr(real, name) if name != "kf_pull" else lambda *_: real.KF_ERR_UNSUPPORTED

    real = _lab.lib
    _lab.lib = NoCurl()
    try:
        return kitfox.pull(NAME, output=folder + "/", mirror=options.pop("mirror", server.url), **options)
    finally:
        _lab.lib = real


server = hs.Server()


def serve(*answers, config=None, plain=False):
    base = f"/{REPO}/" if plain else f"/{REPO}/resolve/main/"
    server.answers = {base + "model.safetensors": list(answers), base + "config.json": [config or hs.good(CONFIG)]}
    server.seen = []


def arrived(folder):
    return (
        sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
        and read(os.path.join(folder, "model.safetensors")) == BODY
    )


@case
def pull_without_libcurl(top):
    os.environ["no_proxy"] = "*"
    d = lambda name: os.path.join(top, name)
    sha = hashlib.sha256(BODY).hexdigest()
    serve(hs.good(BODY, ETag='"v1"'))
    seen = []
    path = without_curl(d("a"), sha256=sha, progress=lambda done, total: seen.append((done, total)))
    check(
        "both files arrive",
        path == d("a") + "/model.safetensors" and arrived(d("a")) and seen[-1] == (len(BODY), len(BODY)),
    )
    serve(hs.status(500))
    check("what is there is not asked for", without_curl(d("a")) == path and server.seen == [], server.seen)
    serve(hs.good(BODY), plain=True)
    without_curl(d("plain"))
    check("a mirror of plain folders", arrived(d("plain")))
    os.makedirs(d(f"files/{REPO}"))
    for name, data in (("model.safetensors", BODY), ("config.json", CONFIG)):
        with open(d(f"files/{REPO}/{name}"), "wb") as f:
            f.write(data)
    without_curl(d("local"), mirror="file://" + d("files"))
    check("a folder", arrived(d("local")))
    serve(hs.broken(BODY, 70000, ETag='"v1"'), hs.good(BODY, ETag='"v1"'))
    without_curl(d("resumed"))
    asked = [r for p, r, _ in server.seen if r]
    check("a broken transfer is gone on with", arrived(d("resumed")) and asked == ["bytes=70000-"], server.seen)
    serve(hs.broken(BODY, 70000, ETag='"v1"'), hs.good(BODY, ETag='"v2"'))
    without_curl(d("other"))
    check("but not under another validator", arrived(d("other")))
    serve(hs.broken(weights(2), 70000, ETag='"v1"'), hs.good(BODY, obeys_if_range=False, ETag='"v2"'))
    without_curl(d("mixed"))
    check("nor where the server sends the rest of another file", arrived(d("mixed")))
    serve(hs.broken(BODY, 70000), hs.good(BODY))
    without_curl(d("none"))
    check("and not without one", arrived(d("none")) and not [r for p, r, _ in server.seen if r])
    serve(hs.status(503), hs.good(BODY))
    without_curl(d("busy"))
    check("a busy server is asked again", arrived(d("busy")))
    serve(hs.dripping(BODY, 0.01), hs.good(BODY))
    without_curl(d("slow"), timeout=1, slowest=1 << 30)
    check("a server below `slowest` too", arrived(d("slow")))


@case
def pull_refuses(top):
    d = lambda name: os.path.join(top, name)
    for name, kind, text, answers, more in (
        ("404", OSError, "no such file", [hs.status(404)], {}),
        ("403", OSError, "403", [hs.status(403)], {}),
        ("500 again and again", OSError, "500", [hs.status(500)], {}),
        ("one attempt", OSError, "500", [hs.status(500), hs.good(BODY)], {"retries": 1}),
        ("no attempt", ValueError, "0", [hs.good(BODY)], {"retries": 0}),
        ("an error page", kitfox.FormatError, "safetensors", [hs.good(b"<html>")], {}),
        ("cut, the server says so", kitfox.FormatError, "safetensors", [hs.good(BODY[:9000])], {}),
        ("another hash", kitfox.FormatError, "SHA-256", [hs.good(BODY)], {"sha256": "0" * 64}),
        (
            "the hub's own hash",
            kitfox.FormatError,
            "published",
            [hs.good(BODY, X_Linked_ETag='"' + "0" * 64 + '"')],
            {},
        ),
    ):
        serve(*answers)
        folder = d(name.replace(" ", "-"))
        fails(name, kind, text, without_curl, folder, **more)
        check(f"{name}: nothing is left", not os.path.isdir(folder) or os.listdir(folder) == [], folder)
    serve(hs.good(BODY), config=hs.good(CONFIG.replace(b"050", b"075")))
    fails("a configuration of other weights", kitfox.FormatError, "other weights", without_curl, d("c"))
    serve(hs.good(BODY))
    os.makedirs(d("there"))
    with open(d("there/config.json"), "wb") as f:
        f.write(b"{}")
    fails("a configuration that is there", OSError, "other weights .. force", without_curl, d("there"))
    without_curl(d("there"), force=True)
    check("force replaces it", arrived(d("there")))
    fails("no such name", ValueError, "nosuch", kitfox.pull, "nosuch")
    fails("a mirror that is no URL", ValueError, "ftp", kitfox.pull, NAME, mirror="ftp://x")
    serve(hs.dripping(BODY, 0.001, ETag='"v1"'))
    fails("False stops", kitfox.Cancelled, "", without_curl, d("stop"), progress=lambda done, total: done < 20)
    check("and leaves nothing", os.listdir(d("stop")) == [], os.listdir(d("stop")))
    fails("a redirect to a file", OSError, "", without_curl_redirect, d("r"))


def without_curl_redirect(folder):
    serve(hs.status(302, Location="file:///etc/hostname"))
    without_curl(folder)


@case
def pulled_weights_load_by_name(top):
    if not HAVE_SHARED:
        return print("SKIP: ../shared is not here")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = top
    try:
        folder = os.path.join(top, "kitfox", "weights", NAME)
        os.makedirs(folder)
        shutil.copy(shared("models", NAME + ".safetensors"), os.path.join(folder, "model.safetensors"))
        check("by their name", kitfox.load(NAME).info.arch == NAME)
    finally:
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before


sys.exit(run_cases())
