#!/usr/bin/env python3
"""The Python package: pictures of every form, tensors, what is refused, life and death of models.

Usage: test_api.py KITFOX, by a Python that has the package (run.py gives it the tree's own). Prints one line a check.
"""

import copy
import os
import pickle
import sys
import threading

from common import (
    EXAMPLES,
    HAVE_SHARED,
    PICTURES,
    case,
    check,
    fails,
    image,
    kitfox,
    np,
    program_json,
    python,
    run,
    run_cases,
    shared,
)

import kfx_file
import tiny_onnx as onnx

try:
    from PIL import Image
except ImportError:
    print("SKIP: this Python has no Pillow")
    sys.exit(77)
model = kitfox.load()
CLASSES = ["airplane", "automobile", "frog", "ship", "truck"]


@case
def same_numbers_as_the_program():
    rows = [program_json("classify", p, "-k", "3")["top"] for p in PICTURES]
    found = model.classify(PICTURES, k=3)
    same = all(
        [(t["index"], t["label"], np.float32(t["score"])) for t in row]
        == [(s.index, s.label, np.float32(s.score)) for s in r]
        for row, r in zip(rows, found)
    )
    check("classify gives the program's scores", same, (rows[0], found[0]))
    check("the example pictures have their classes", [r.label for r in found] == CLASSES, found)
    check(
        "one picture, one result",
        model.classify(PICTURES[0], 3) == found[0]
        and found[0].source is None
        or model.classify(PICTURES[0], 3).source == PICTURES[0],
    )
    row = program_json("info")
    check(
        "info as the program has it",
        (row["macs"], row["parameters"], row["quantized"])
        == (model.info.macs, model.info.parameters, model.info.quantized),
        row,
    )
    check("steps", len(model.steps) > 40 and sum(s.macs for s in model.steps) >= model.info.macs * 0.9)


@case
def forms_of_pictures(top):
    path = PICTURES[0]
    with open(path, "rb") as f:
        data = f.read()
    pixels = image(path)
    png = os.path.join(top, "a.png")
    Image.fromarray(pixels).save(png)
    best = model.classify(png)
    forms = {
        "array": pixels,
        "PIL": Image.fromarray(pixels),
        "RGBA": Image.fromarray(pixels).convert("RGBA"),
        "Fortran order": np.asfortranarray(pixels),
        "negative strides": pixels[::-1][::-1],
        "read-only": pixels.copy(),
        "a view of rows": np.concatenate([pixels, pixels], 1)[:, : pixels.shape[1]],
        "bytes of PNG": open(png, "rb").read(),
        "every channel backwards twice": pixels[..., ::-1][..., ::-1],
        "Path": __import__("pathlib").Path(png),
    }
    forms["read-only"].flags.writeable = False
    for name, x in forms.items():
        check(f"{name}: as its file", model.classify(x) == best, model.classify(x))
    turned = pixels[::-1]
    check("negative strides are read, not ignored", model.classify(turned) == model.classify(turned.copy()) != best)
    check("bytes of a JPEG: as its file", model.classify(data) == model.classify(path))
    check(
        "bytearray and memoryview",
        model.classify(bytearray(data)) == model.classify(memoryview(data)) == model.classify(path),
    )
    cmyk, jpeg = Image.fromarray(pixels).convert("CMYK"), os.path.join(top, "c.jpg")
    cmyk.save(jpeg)
    check("PIL in CMYK: as Pillow converts it", model.classify(cmyk) == model.classify(np.asarray(cmyk.convert("RGB"))))
    check(
        "one row, one column",
        all(
            len(model.classify(p)) == 5
            for p in (pixels[:1], pixels[:, :1], pixels[::-1][:1], np.broadcast_to(pixels[:1, :1], (1, 1, 3)))
        ),
    )
    wide = np.broadcast_to(pixels[:1], (64, *pixels.shape[1:]))
    check("a row that repeats without a copy", model.classify(wide) == model.classify(wide.copy()))


@case
def pictures_that_are_none(top):
    pixels = image()
    wrong = kitfox.ArgumentError
    e = fails(
        "floats where pixels are meant", wrong, "float32 .. multiply by 255", model.classify, pixels / np.float32(255)
    )
    check("an ArgumentError is a ValueError, its status is named", isinstance(e, ValueError) and e.status == "argument")
    fails("CHW", wrong, "transpose(1, 2, 0)", model.classify, pixels.transpose(2, 0, 1))
    fails("RGBA array", wrong, "array[:, :, :3]", model.classify, np.zeros((8, 8, 4), np.uint8))
    fails("grey array", wrong, "grey", model.classify, pixels[:, :, 0])
    fails("a batch", wrong, "as a list", model.classify, pixels[None])
    fails("an empty picture", wrong, "empty", model.classify, pixels[:0])
    fails("NaN", wrong, "float64", model.classify, np.full((8, 8, 3), np.nan))
    fails("int16", wrong, "int16", model.classify, pixels.astype(np.int16))
    fails("a number", wrong, "this is int", model.classify, 7)
    fails("None", wrong, "NoneType", model.classify, None)
    fails("a list within a list", wrong, "this is list", model.classify, [[pixels]])
    e = fails("no such file", FileNotFoundError, "nosuch.jpg", model.classify, os.path.join(top, "nosuch.jpg"))
    check("its name is in filename", e.filename == os.path.join(top, "nosuch.jpg") and isinstance(e, kitfox.Error))
    fails("a directory", OSError, top, model.classify, top)
    fails("a path with a zero byte", ValueError, "zero byte", model.classify, "a\0b")
    fails("no bytes", kitfox.Error, "", model.classify, b"")
    fails("bytes that are no picture", kitfox.UnsupportedError, "JPEG", model.classify, b"no picture at all")
    fails("bytes that lie apart", wrong, "", model.classify, memoryview(b"abcdefgh")[::2])
    with open(PICTURES[0], "rb") as f:
        half = f.read()[:2000]
    fails("half a JPEG", kitfox.Error, "", model.classify, half)
    for k in (0, -1, 1001, 2.5, "3", None):
        fails(f"k = {k!r}", wrong, "1 to 1000", model.classify, pixels, k)
    check("k beyond the classes gives all", len(model.classify(pixels, k=1000)) == 10)


@case
def many(top):
    paths = PICTURES * 6
    alone = [model.classify(p) for p in PICTURES] * 6
    check("a list: in order, as one by one", model.classify(paths) == alone)
    mixed = [PICTURES[0], os.path.join(top, "nosuch.jpg"), image(PICTURES[1]), 3, PICTURES[2]]
    found = list(model.classify_iter(iter(mixed), threads=2))
    check(
        "a failed picture is a result",
        [r.ok for r in found] == [True, False, True, False, True]
        and isinstance(found[1].error, FileNotFoundError)
        and len(found[1]) == 0
        and found[1].label is None,
        found,
    )
    fails("of a list the first error is raised", FileNotFoundError, "nosuch", model.classify, mixed)
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield PICTURES[0]

    stream = model.classify_iter(endless(), threads=2)
    for _ in range(5):
        next(stream)
    check("an endless iterable: memory is bounded", taken <= 9, taken)
    stream.close()

    def breaks():
        yield from PICTURES[:3]
        raise RuntimeError("the camera is gone")

    got = []
    try:
        for r in model.classify_iter(breaks()):
            got.append(r)
    except RuntimeError as e:
        got.append(e)
    check("an iterable that fails: first what came before", len(got) == 4 and all(r.ok for r in got[:3]), got)
    fails("threads = 0", ValueError, "1 to 64", model.classify_iter, [], threads=0)
    check("nothing gives nothing", model.classify([]) == [] and list(model.classify_iter([])) == [])
    check(
        "the error of a picture that Pillow cannot read", not next(model.classify_iter([Image.new("RGB", (0, 5))])).ok
    )


@case
def nv12():
    from_c = os.path.join(EXAMPLES, "frog.jpg")
    pixels = np.asarray(Image.open(from_c).convert("RGB").resize((64, 48), Image.BILINEAR)).astype(np.float64)
    r, g, b = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    y = 0.299 * r + 0.587 * g + 0.114 * b
    half = lambda c: c.reshape(24, 2, 32, 2).mean((1, 3))
    uv = np.stack([half((b - y) * 0.564 + 128), half((r - y) * 0.713 + 128)], -1).reshape(24, 64)
    y, uv = (np.clip(np.round(p), 0, 255).astype(np.uint8) for p in (y, uv))
    frame = np.concatenate([y, uv])
    want = model.nv12(frame, (64, 48))
    check("a frame of a frog", want.label == "frog", want)
    check("bytes", model.nv12(frame.tobytes(), (64, 48)) == want)
    wide = np.zeros((72, 96), np.uint8)
    wide[:, :64] = frame
    check("strides", model.nv12(wide, (64, 48), strides=(96, 96)) == want)
    check("without the last row's padding", model.nv12(wide.reshape(-1)[:-32], (64, 48), strides=(96, 96)) == want)
    check("two planes, rows apart", model.nv12((wide[:48, :64], uv), (64, 48)) == want)
    check("another range, another answer", model.nv12(frame, (64, 48), limited=True) != want)
    wrong = kitfox.ArgumentError
    fails("odd", wrong, "63x48", model.nv12, frame, (63, 48))
    fails("too short", wrong, "4607 .. 4608", model.nv12, frame.tobytes()[:-1], (64, 48))
    fails("too long", wrong, "4609 .. 4608", model.nv12, frame.tobytes() + b"x", (64, 48))
    fails("floats", wrong, "float64", model.nv12, frame.astype(float), (64, 48))
    fails("strides below the width", wrong, "row has 64", model.nv12, frame, (64, 48), strides=(32, 64))
    fails("planes of another shape", wrong, "chroma", model.nv12, (y, y), (64, 48))
    fails("columns apart", wrong, "luma", model.nv12, (np.zeros((48, 128), np.uint8)[:, ::2], uv), (64, 48))


@case
def tensors():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5, 3, 64, 64)).astype(np.float32)
    y = model(x)
    check(
        "N images at once: as one by one",
        y.shape == (5, 10) and np.array_equal(y, np.concatenate([model.run(x[i : i + 1]) for i in range(5)])),
    )
    name = model.inputs[0].name
    check("by name", np.array_equal(model.run(**{name: x[:1]}), y[:1]))
    check(
        "not contiguous", np.array_equal(model(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)), y)
    )
    check("negative strides", np.array_equal(model(x[::-1]), y[::-1]))
    wrong = kitfox.ArgumentError
    fails("float64", wrong, "f64", model, x[:1].astype(np.float64))
    fails("another byte order", wrong, ">f4", model, x[:1].astype(">f4"))
    fails("complex", wrong, "complex64", model, x[:1].astype(np.complex64))
    fails("objects", wrong, "object", model, np.array([None]))
    fails("HWC", wrong, "64", model, x[:1].transpose(0, 2, 3, 1))
    fails("without the first dimension", wrong, "", model, x[0])
    fails("a side of 63", wrong, "63", model, x[:1, :, :63])
    fails("no image", wrong, "0", model, x[:0])
    fails("no input", wrong, "0 inputs", model)
    fails("two inputs", wrong, "2 inputs", model, x, x)
    fails("an unknown name", wrong, name, model, nosuch=x)
    fails("nine dimensions", wrong, "9 dimensions", model, np.zeros((1,) * 9, np.float32))
    bad = x[:1].copy()
    bad[0, 0, 0, 0] = np.nan
    check("NaN goes through, as in any network", np.isnan(model(bad)).any())
    check("the next call is as ever", np.array_equal(model(x[:1]), y[:1]))


def network(nodes, inputs, outputs, init=()):
    """An ONNX file of several inputs and outputs; inputs and outputs are (name, shape, type of ONNX)."""

    def value(name, shape, kind=1):
        dims = b"".join(onnx._bytes(1, onnx._int(1, d)) for d in shape)
        return onnx._bytes(1, name) + onnx._bytes(2, onnx._bytes(1, onnx._int(1, kind) + onnx._bytes(2, dims)))

    graph = (
        b"".join(onnx._bytes(1, n) for n in nodes) + onnx._bytes(2, "net") + b"".join(onnx._bytes(5, t) for t in init)
    )
    graph += b"".join(onnx._bytes(11, value(*i)) for i in inputs) + b"".join(
        onnx._bytes(12, value(*o)) for o in outputs
    )
    return onnx._int(1, 7) + onnx._bytes(8, onnx._bytes(1, "") + onnx._int(2, 11)) + onnx._bytes(7, graph)


def node(op, inputs, outputs, **attributes):
    attrs = b"".join(
        onnx._bytes(5, onnx._bytes(1, k) + onnx._int(3, v) + onnx._int(20, 2)) for k, v in attributes.items()
    )
    return (
        b"".join(onnx._bytes(1, i) for i in inputs)
        + b"".join(onnx._bytes(2, o) for o in outputs)
        + onnx._bytes(3, "/" + outputs[0])
        + onnx._bytes(4, op)
        + attrs
    )


@case
def several_inputs_and_outputs():
    x = np.random.default_rng(3).standard_normal((4, 3, 8, 8)).astype(np.float32)
    two = kitfox.load(
        network(
            [
                node("Relu", ["x"], ["r"]),
                node("GlobalAveragePool", ["r"], ["p"]),
                node("Flatten", ["p"], ["y"], axis=1),
            ],
            [("x", [1, 3, 8, 8])],
            [("y", [1, 3]), ("r", [1, 3, 8, 8])],
        )
    )
    y, r = two(x)
    check("two outputs, four images", np.array_equal(r, np.maximum(x, 0)) and np.allclose(y, r.mean((2, 3)), atol=1e-6))
    add = kitfox.load(
        network([node("Add", ["a", "b"], ["y"])], [("a", [1, 4, 8, 8]), ("b", [1, 4, 8, 8])], [("y", [1, 4, 8, 8])])
    )
    a, b = (np.random.default_rng(k).standard_normal((2, 4, 8, 8)).astype(np.float32) for k in (4, 5))
    check(
        "two inputs, by position and by name",
        all(np.array_equal(got, a + b) for got in (add(a, b), add(a, b=b), add(b=b, a=a))),
    )
    fails("of different numbers of images", kitfox.ArgumentError, "", add, a, b[:1])
    fails("one of two", kitfox.ArgumentError, "1 inputs .. 2: a, b", add, a)
    fails("one twice", kitfox.ArgumentError, "", add, a, a=b)
    fails("no pictures", kitfox.ArgumentError, "preprocess", add.classify, PICTURES[0])
    best = kitfox.load(
        network(
            [
                node("GlobalAveragePool", ["x"], ["p"]),
                node("Flatten", ["p"], ["y"], axis=1),
                node("ArgMax", ["y"], ["best"], axis=1, keepdims=0),
            ],
            [("x", [1, 3, 8, 8])],
            [("best", [1], 7)],
        )
    )
    got = best(x)
    check(
        "ArgMax gives int64, as declared",
        got.dtype == np.int64 == np.dtype(best.outputs[0].dtype) and np.array_equal(got, x.mean((2, 3)).argmax(1)),
        got,
    )
    nhwc = kitfox.load(network([node("Relu", ["x"], ["y"])], [("x", [1, 8, 6, 3])], [("y", [1, 8, 6, 3])]))
    z = x.transpose(0, 2, 3, 1)[:, :, :6]
    check("another layout, not contiguous", np.array_equal(nhwc(z), np.maximum(z, 0)))


@case
def bad_models(top):
    wrong = os.path.join(top, "a.kfx")
    fails("no such model", kitfox.MissingFileError, "nosuch.kfx", kitfox.load, os.path.join(top, "nosuch.kfx"))
    fails("no such ONNX", FileNotFoundError, "nosuch.onnx", kitfox.load, os.path.join(top, "nosuch.onnx"))
    fails("a directory", OSError, top, kitfox.load, top)
    fails("a picture", kitfox.Error, "JPEG", kitfox.load, PICTURES[0])
    open(wrong, "wb").close()
    fails("an empty file", kitfox.FormatError, "a.kfx", kitfox.load, wrong)
    os.mkfifo(os.path.join(top, "pipe"))
    fails("a pipe: nobody waits", kitfox.Error, "pipe", kitfox.load, os.path.join(top, "pipe"))
    built_in = os.path.join(os.path.dirname(kitfox.__file__), "everyday10.kfx")
    with open(built_in, "rb") as f:
        data = f.read()
    with open(wrong, "wb") as f:
        f.write(kfx_file.model_file({"version": 9}, []))
    e = fails("a model of the future", kitfox.UnsupportedError, "a.kfx .. version 9", kitfox.load, wrong)
    check("its status", e is not None and e.status == "unsupported" and not isinstance(e, ValueError))
    with open(wrong, "wb") as f:
        f.write(data[:-1] + bytes([data[-1] ^ 1]))
    fails("one bit of the weights", kitfox.FormatError, "a.kfx", kitfox.load, wrong)
    fails("cut", kitfox.FormatError, "a.kfx", kitfox.load, (open(wrong, "wb").write(data[:-9]), wrong)[1])
    check(
        "the bytes of a model",
        np.array_equal(
            kitfox.load(data)(np.ones((1, 3, 64, 64), np.float32)), model(np.ones((1, 3, 64, 64), np.float32))
        ),
    )
    fails("threads = 65", ValueError, "0 to 64", kitfox.load, threads=65)
    fails("import options for a compiled model", ValueError, "mean", kitfox.load, mean=(0, 0, 0))
    fails("labels too few", ValueError, "2 labels .. 10", kitfox.load, labels=["a", "b"])
    fails("a limit", kitfox.LimitError, "", kitfox.load, max_memory=1000)
    fails("scores that mean nothing", ValueError, "nonsense", kitfox.load, scores="nonsense")
    fails("an array is no model", TypeError, "", kitfox.load, np.zeros(3))
    m = kitfox.load(labels=[f"c{i}" for i in range(10)])
    check("labels", m.classify(PICTURES[0]).label == "c0" and m.labels[9] == "c9")
    (
        fails(
            "weights that are not here",
            FileNotFoundError,
            "kitfox.pull('mobilenetv3_small_075')",
            kitfox.load,
            "mobilenetv3_small_075",
        )
        if not any(w.cached and w.name == "mobilenetv3_small_075" for w in kitfox.weights())
        else None
    )


@case
def life(top):
    m = kitfox.load()
    m.classify(PICTURES[:2])
    m.close()
    m.close()
    for name, call in {
        "classify": lambda: m.classify(PICTURES[0]),
        "a list": lambda: m.classify(PICTURES),
        "run": lambda: m(np.zeros((1, 3, 64, 64), np.float32)),
        "steps": lambda: m.steps,
        "several": lambda: m(np.zeros((2, 3, 64, 64), np.float32)),
        "bench": lambda: kitfox.bench(m),
        "evaluate": lambda: kitfox.evaluate(m, top),
        "verify": lambda: kitfox.verify(m),
        "compare": lambda: kitfox.compare(m, m, top),
    }.items():
        fails(f"{name} after close", kitfox.ArgumentError, "closed", call)
    check("text after close", "everyday10" in str(m) and "<kitfox.Model" in repr(m))
    with kitfox.load() as inner:
        inner.classify(PICTURES[0])
    fails("after with", kitfox.ArgumentError, "closed", inner.classify, PICTURES[0])
    other = pickle.loads(pickle.dumps(model))
    check("pickle: loaded again by its path", other.classify(PICTURES[0]) == model.classify(PICTURES[0]))
    check("copy", copy.deepcopy(model).classify(PICTURES[1]) == model.classify(PICTURES[1]))
    named = pickle.loads(pickle.dumps(kitfox.load(labels=list("abcdefghij"), threads=1)))
    check("pickle: with its options", named.labels == tuple("abcdefghij") and named._threads == 1)
    with open(os.path.join(os.path.dirname(kitfox.__file__), "everyday10.kfx"), "rb") as f:
        memory = kitfox.load(f.read())
    fails("a model of memory does not pickle", TypeError, "save it to a file", pickle.dumps, memory)
    result = model.classify(PICTURES[0])
    check("a result pickles", pickle.loads(pickle.dumps(result)) == result)
    try:
        kitfox.load(os.path.join(top, "x.kfx"))
    except kitfox.Error as e:
        again = pickle.loads(pickle.dumps(e))
        check("an error pickles", type(again) is type(e) and str(again) == str(e) and again.status == "io", repr(again))


@case
def close_while_others_run():
    for _ in range(3):
        m, errors, done = kitfox.load(), [], []

        def work():
            try:
                while True:
                    m.classify(PICTURES[0])
                    done.append(1)
            except kitfox.ArgumentError as e:
                errors.append(str(e))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        while len(done) < 20:
            pass
        m.close()
        for t in threads:
            t.join(60)
        check("running calls end well, later ones are refused", errors == ["this model is closed"] * 4, errors)
        check("nothing is kept", len(m._idle) == 0)


@case
def threads_agree():
    want, wrong = [model.classify(p) for p in PICTURES], []

    def work(i):
        for n in range(30):
            k = (i + n) % len(PICTURES)
            if model.classify(PICTURES[k]) != want[k]:
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    check("eight threads on one model", not wrong, wrong)


@case
def fork():
    want = model.classify(PICTURES)  # sessions with threads, and a pool, are there
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        ok = model.classify(PICTURES[0]) == want[0] and model.classify(PICTURES) == want
        x = np.zeros((3, 3, 64, 64), np.float32)
        ok = ok and model(x).shape == (3, 10)
        os.write(write, b"y" if ok else b"n")
        os._exit(0)
    os.close(write)
    check("a child of fork classifies as its parent", os.read(read, 1) == b"y")
    os.waitpid(pid, 0)
    check("so does the parent afterwards", model.classify(PICTURES) == want)


@case
def the_end_of_the_interpreter():
    code = """import sys, threading, kitfox, numpy as np
m = kitfox.load(); other = [kitfox.load() for _ in range(3)]
m.classify(sys.argv[1:]); m(np.zeros((2, 3, 64, 64), np.float32)); g = m.classify_iter(iter(sys.argv[1:] * 9)); next(g)
sys.keep = (m, other, g)
m.me = m
threading.Thread(target=lambda: [m.classify(sys.argv[1]) for _ in range(200)], daemon=True).start()
"""
    status, out, err = python(code, *PICTURES)
    check("live models, a generator, a thread: a quiet end", status == 0 and err == "", (status, err))


@case
def in_words(top):
    r = model.classify(PICTURES[0], k=2)
    check("a result in one line", str(r).startswith("airplane ") and "\n" not in str(r), str(r))
    check("a result in a notebook", "airplane" in r._repr_html_() and "width:" in r._repr_html_())
    check(
        "a model in a notebook",
        "<table>" in model._repr_html_() and model.preprocess.interpolation in model._repr_html_(),
    )
    evil = kitfox.load(labels=["<script>"] + list("bcdefghij"))
    check("labels are escaped", "<script>" not in evil.classify(PICTURES[0], k=10)._repr_html_())
    check(
        "a failed result in words",
        "error" in str(next(model.classify_iter([top]))) and "<p>" in next(model.classify_iter([top]))._repr_html_(),
    )
    check("all names are documented", all(getattr(kitfox, n).__doc__ for n in kitfox.__all__))
    names = set(kitfox.__all__)
    check(
        "nothing else shows",
        {"load", "quantize", "Error", "pull"} <= names and not {"np", "os", "annotations"} & names,
        names,
    )
    code, out, _ = run("--version")
    check("the program's version", kitfox.__version__ in out, (kitfox.__version__, out))


@case
def documentation():
    import doctest
    import importlib
    import pkgutil

    failed = tried = 0
    for module in pkgutil.walk_packages(kitfox.__path__, "kitfox."):
        if not module.name.endswith(("_native", ".install")):
            r = doctest.testmod(importlib.import_module(module.name))
            failed, tried = failed + r.failed, tried + r.attempted
    r = doctest.testmod(kitfox)
    check("doctests", failed + r.failed == 0 and tried + r.attempted >= 4, (failed, tried))


@case
def a_program_of_its_own():
    """What a service does first, in an interpreter that has nothing else."""
    code = "import sys, kitfox; print(kitfox.load().classify(sys.argv[1], k=1))"
    status, out, err = python(code, PICTURES[2])
    check("three lines", status == 0 and out.startswith("frog "), (out, err))


@case
def from_files():
    if not HAVE_SHARED:
        return print("SKIP: ../shared is not here")
    path = shared("models", "mobilenetv3_small_050.onnx")
    with open(path, "rb") as f:
        data = f.read()
    x = np.load(shared("goldens", "mobilenetv3_small_050", "input_0.npy"))
    want = np.load(shared("goldens", "mobilenetv3_small_050", "output_0.npy"))
    for name, m in {
        "ONNX": kitfox.load(path),
        "its bytes": kitfox.load(data),
        "a graph": kitfox.graph(data).compile(),
        "safetensors": kitfox.load(path.replace(".onnx", ".safetensors")),
    }.items():
        got = m(x)
        check(f"{name}: PyTorch's logits", np.abs(got - want).max() < 1e-4, np.abs(got - want).max())
    g = kitfox.graph(path)
    g.close()
    fails("a closed graph", kitfox.ArgumentError, "closed", g.compile)
    fails("a graph does not pickle", TypeError, "save", pickle.dumps, kitfox.graph(path))
    fails("half an ONNX file", kitfox.Error, "", kitfox.load, data[: len(data) // 2])


sys.exit(run_cases())
