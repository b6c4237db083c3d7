#!/usr/bin/env python3
"""Orders of axes and channels: NHWC in and out, BGR in every spelling, u8 inputs, and moves in the middle of a network.
Each network runs as ONNX Runtime runs it, and so do the files that `simplify` and `export` make of it.

Argument: the program. Needs the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""

import json
import os
import subprocess
import sys

from kit import KITFOX, PEERS, SHARED, case, check, peers_have, run, run_cases, says

if "inside" not in sys.argv:
    if not peers_have("onnx", "onnxruntime"):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, __file__, *sys.argv[1:], "inside"]).returncode)

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

random = numpy.random.default_rng(8)
NCHW, NHWC = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
P, Q = ("Transpose", [], NCHW), ("Transpose", [], NHWC)
IN = [1, 8, 6, 3]  # NHWC; H and W differ, so that no axis can take the place of another


class Net:
    def __init__(self):
        self.nodes, self.weights = [], []

    def const(self, array):
        array = numpy.asarray(array)
        array = array.astype({"i": "int64", "f": "float32"}.get(array.dtype.kind, array.dtype))
        self.weights.append(numpy_helper.from_array(array, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def add(self, op, inputs, attributes):
        """An operator on names and constants; `parts` is the number of its outputs."""
        attributes = dict(attributes)
        out = [f"v{len(self.nodes)}_{k}" for k in range(attributes.pop("parts", 1))]
        names = [i if isinstance(i, str) else self.const(i) for i in inputs]
        self.nodes.append(helper.make_node(op, names, out, name=f"{op}_{len(self.nodes)}", **attributes))
        return out[0]


def net(steps, shape, dtype=TensorProto.FLOAT, out=None):
    """Steps in a row: (operator, what follows the first input, attributes), or a function of the net and the value so far."""
    n, at = Net(), "x"
    for step in steps:
        at = (
            step(n, at)
            if callable(step)
            else n.add(step[0], [at, *(step[1] if len(step) > 1 else [])], step[2] if len(step) > 2 else {})
        )
    graph = helper.make_graph(
        [*n.nodes, helper.make_node("Identity", [at], ["y"], name="last")],
        "layout",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        n.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def conv(c, o, k=3, group=1, **more):
    pad = k // 2
    return (
        "Conv",
        [random.standard_normal((o, c // group, k, k)), random.standard_normal(o)],
        {"pads": [pad] * 4, "group": group, **more},
    )


def runtime(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def near(want, got):
    if want.shape != got.shape:
        return f"{want.shape} is wanted, {got.shape} came"
    error = abs(want - got).max() / max(1.0, abs(want).max())
    return None if error <= 1e-5 else f"differs by {error}"


def steps_of(folder, path):
    out = os.path.join(folder, "steps.kfx")
    code, _, err = run("import", path, "-o", out)
    lines = run("info", out, "--nodes")[1].splitlines() if code == 0 else []
    return [line.split()[1] for line in lines if line[:4].strip().isdigit()], err


written = 0


def same(folder, name, model, moves=0):
    """Equal numbers, and as many moves in the program as are known to remain. Every third is also written."""
    global written
    written += 1
    verbs = () if written % 3 else ("simplify", "export")
    path, feed, got = (os.path.join(folder, name.replace(" ", "_") + end) for end in (".onnx", ".in.npy", ".out.npy"))
    onnx.save(model, path)
    type_ = model.graph.input[0].type.tensor_type
    shape = [d.dim_value for d in type_.shape.dim]
    x = random.standard_normal(shape).astype("float32")
    if type_.elem_type == TensorProto.UINT8:
        x = random.integers(0, 256, shape).astype("uint8")
    numpy.save(feed, x)
    want = runtime(path, x)
    code, _, err = run("run", path, feed, "-o", got)
    if code:
        return check(name, False, err)
    wrong = near(want, numpy.load(got))
    check(name, not wrong, wrong)
    steps, err = steps_of(folder, path)
    check(f"{name}: {moves} moves", steps.count("move") == moves, (steps, err))
    for verb in verbs:
        out = os.path.join(folder, "written.onnx")
        code, _, err = run(verb, path, "-o", out)
        wrong = err if code else near(want, runtime(out, x))
        check(f"{name}: {verb}", not wrong, wrong)
    return None


HEAD = [("GlobalAveragePool",), ("Flatten",), ("Gemm", [random.standard_normal((8, 5)), random.standard_normal(5)])]


@case
def nhwc_input(folder):
    same(folder, "nhwc", net([P, conv(3, 8), *HEAD], IN))
    same(
        folder,
        "scaled first",
        net([("Mul", [numpy.float32([0.5, 2, 3])]), ("Add", [numpy.float32(-1)]), P, conv(3, 8, 1), *HEAD], IN),
    )
    same(folder, "padded first", net([("Pad", [[0, 1, 2, 0, 0, 0, 1, 0]]), P, conv(3, 8), *HEAD], IN))
    same(folder, "gray", net([("Reshape", [[-1, 1, 8, 6]]), conv(1, 8), *HEAD], [1, 8, 6, 1]))
    same(folder, "gray by transpose", net([P, conv(1, 8), *HEAD], [1, 8, 6, 1]))
    same(folder, "one pixel", net([("Reshape", [[-1, 7, 1, 1]]), conv(7, 8, 1), *HEAD], [1, 1, 1, 7]))
    same(folder, "two of a batch", net([P, conv(3, 8), *HEAD], [2, 8, 6, 3]))
    path = os.path.join(folder, "nhwc.onnx")
    run("import", path, "-o", os.path.join(folder, "nhwc.kfx"))
    for file in (path, os.path.join(folder, "nhwc.kfx")):
        text = run("info", file)[1]
        check("info has the declared shape", "1x8x6x3" in text, text)
    numpy.save(os.path.join(folder, "turned.npy"), numpy.zeros((1, 3, 8, 6), "float32"))
    code, _, err = run("run", path, os.path.join(folder, "turned.npy"), "-o", os.path.join(folder, "none.npy"))
    check("the other order is refused", code != 0 and says(err, "1x3x8x6 .. 1x8x6x3"), err)


@case
def nhwc_inside(folder):
    def gate(n, x):
        """Squeeze-and-excite on NHWC."""
        mean = n.add("ReduceMean", [x], {"axes": [1, 2], "keepdims": 1})
        deep = n.add("MatMul", [n.add("Reshape", [mean, [1, 8]], {}), random.standard_normal((8, 4))], {})
        deep = n.add("MatMul", [n.add("Relu", [deep], {}), random.standard_normal((4, 8))], {})
        return n.add("Mul", [x, n.add("Reshape", [n.add("Sigmoid", [deep], {}), [1, 1, 1, 8]], {})], {})

    def joined(n, x):
        return n.add("Concat", [x, n.add("Relu", [x], {}), n.add("Neg", [x], {})], {"axis": 3})

    def added(n, x):
        return n.add(
            "Mul",
            [
                n.add("Sigmoid", [x], {}),
                n.add("Add", [n.add("Clip", [x, numpy.float32(0), numpy.float32(6)], {}), x], {}),
            ],
            {},
        )

    start, back = [P, conv(3, 8), Q], [P, conv(8, 8), *HEAD]
    rows = random.standard_normal((8 * 6 * 8, 5))
    same(
        folder,
        "elements",
        net(
            [
                *start,
                added,
                ("Mul", [random.standard_normal(8)]),
                ("Add", [random.standard_normal((1, 1, 1, 8))]),
                *back,
            ],
            IN,
        ),
    )
    same(folder, "pad", net([*start, ("Pad", [[0, 1, 0, 0, 0, 0, 2, 0]]), *back], IN))
    same(folder, "concat", net([*start, joined, P, conv(24, 8), *HEAD], IN))
    same(folder, "mean", net([*start, ("ReduceMean", [], {"axes": [1, 2], "keepdims": 0}), HEAD[2]], IN))
    same(
        folder,
        "mean kept",
        net([*start, ("ReduceMean", [], {"axes": [-3, -2], "keepdims": 1}), ("Reshape", [[-1, 8]]), HEAD[2]], IN),
    )
    same(folder, "gate", net([*start, gate, *back], IN))
    same(folder, "squeeze", net([P, conv(3, 8), ("GlobalAveragePool",), Q, ("Squeeze", [[1, 2]]), HEAD[2]], IN))
    same(
        folder,
        "softmax",
        net([P, conv(3, 8), ("GlobalAveragePool",), Q, ("Softmax", [], {"axis": -1}), P, ("Flatten",)], IN),
    )
    same(folder, "flatten", net([*start, ("Flatten",), ("MatMul", [rows])], IN))
    same(
        folder,
        "reshape, transposed weights",
        net([*start, ("Reshape", [[1, -1]]), ("Gemm", [rows.T], {"transB": 1})], IN),
    )
    same(
        folder,
        "two turns",
        net(
            [
                *start,
                ("Transpose", [], {"perm": [0, 3, 2, 1]}),
                ("Transpose", [], {"perm": [0, 1, 3, 2]}),
                conv(8, 8),
                *HEAD,
            ],
            IN,
        ),
    )
    same(folder, "deep", net([*start, *[("Relu",), ("Neg",)] * 70, *back], IN))
    same(folder, "nhwc output", net([P, conv(3, 8), Q], IN, out=[1, 8, 6, 8]), moves=1)


def split_turned(axis, order=(2, 1, 0)):
    def step(n, x):
        n.add("Split", [x], {"axis": axis, "parts": 3})
        return n.add("Concat", [f"v{len(n.nodes) - 1}_{k}" for k in order], {"axis": axis})

    return step


def sliced_turned(axis):
    def step(n, x):
        return n.add("Concat", [n.add("Slice", [x, [k], [k + 1], [axis]], {}) for k in (2, 0, 1)], {"axis": axis})

    return step


@case
def channel_order(folder):
    gather, back = ("Gather", [[2, 1, 0]], {"axis": 1}), ("Slice", [[-1], [-4], [1], [-1]])
    one = [1, 3, 8, 6]
    for name, turn in {
        "gather": gather,
        "slice": back,
        "split": split_turned(1),
        "slices": sliced_turned(1),
        "negative gather": ("Gather", [[-1, 0, -2]], {"axis": -3}),
    }.items():
        same(folder, "bgr " + name, net([turn, conv(3, 8), *HEAD], one))
        same(
            folder,
            "bgr depthwise " + name,
            net(
                [turn, conv(3, 6, group=3), ("Relu",), ("MaxPool", [], {"kernel_shape": [2, 2]}), conv(6, 8), *HEAD],
                one,
            ),
        )
    scale = ("Mul", [random.standard_normal((3, 1, 1))])
    same(folder, "bgr scaled", net([gather, scale, ("Pad", [[0, 0, 1, 1, 0, 0, 1, 1]]), conv(3, 8, 1), *HEAD], one))
    for name, turn in {
        "slice": ("Slice", [[2], [-9], [3], [-1]]),
        "gather": ("Gather", [[2, 1, 0]], {"axis": 3}),
        "split": split_turned(-1),
    }.items():
        same(folder, "nhwc bgr " + name, net([turn, P, conv(3, 8), *HEAD], IN))
    same(
        folder,
        "before a matrix",
        net(
            [
                conv(3, 8),
                ("GlobalAveragePool",),
                ("Flatten",),
                ("Gather", [[3, 1, 0, 2, 7, 6, 5, 4]], {"axis": 1}),
                HEAD[2],
            ],
            one,
        ),
    )
    same(folder, "no order", net([("Gather", [[0, 1, 2]], {"axis": 1}), conv(3, 8), *HEAD], one))


@case
def moves(folder):
    def halves(n, x):
        n.add("Split", [x, [3, 5]], {"axis": 1, "parts": 2})
        a, b = (f"v{len(n.nodes) - 1}_{k}" for k in (0, 1))
        return n.add("Concat", [n.add("Relu", [b], {}), a], {"axis": 1})

    def focus(n, x):
        parts = [n.add("Slice", [x, [h, w], [99, 99], [2, 3], [2, 2]], {}) for h in (0, 1) for w in (0, 1)]
        return n.add("Concat", parts, {"axis": 1})

    one = [1, 3, 8, 6]
    same(folder, "upside down", net([conv(3, 8), ("Slice", [[-1], [-99], [2], [-1]]), conv(8, 8), *HEAD], one), moves=1)
    same(
        folder, "h and w", net([conv(3, 8), ("Transpose", [], {"perm": [0, 1, 3, 2]}), conv(8, 8), *HEAD], one), moves=1
    )
    same(folder, "some channels", net([conv(3, 10), ("Slice", [[1], [9], [1]]), conv(8, 8), *HEAD], one), moves=1)
    same(
        folder,
        "every second",
        net([conv(3, 16), ("Gather", [[1, 3, 5, 7, 9, 11, 13, 15]], {"axis": 1}), conv(8, 8), *HEAD], one),
        moves=1,
    )
    same(
        folder,
        "one row",
        net(
            [conv(3, 8), ("Gather", [numpy.int64(2)], {"axis": 2}), ("Reshape", [[1, 8, 1, 6]]), conv(8, 8), *HEAD], one
        ),
        moves=1,
    )
    same(folder, "split", net([conv(3, 8), halves, conv(8, 8), *HEAD], one), moves=2)
    same(folder, "focus", net([focus, conv(12, 8), *HEAD], one), moves=4)
    same(folder, "turned input", net([("Transpose", [], {"perm": [0, 1, 3, 2]}), conv(3, 8), *HEAD], one), moves=1)


@case
def bytes_input(folder):
    u8, cast = TensorProto.UINT8, ("Cast", [], {"to": TensorProto.FLOAT})
    same(folder, "u8 nhwc", net([cast, P, ("Div", [numpy.float32(255)]), conv(3, 8), *HEAD], IN, u8))
    same(
        folder,
        "u8 nchw",
        net(
            [
                cast,
                ("Sub", [numpy.float32([[[100]], [[110]], [[120]]])]),
                ("Mul", [numpy.float32(0.02)]),
                conv(3, 8, 1),
                *HEAD,
            ],
            [1, 3, 8, 6],
            u8,
        ),
    )
    same(folder, "u8 turned first", net([("Transpose", [], NCHW), cast, conv(3, 8), *HEAD], IN, u8))
    same(
        folder,
        "u8 bgr",
        net(
            [cast, ("Slice", [[-1], [-4], [3], [-1]]), P, ("Mul", [numpy.float32(1 / 255)]), conv(3, 8), *HEAD], IN, u8
        ),
    )
    path = os.path.join(folder, "u8_nhwc.onnx")
    kfx = os.path.join(folder, "u8.kfx")
    code, _, err = run("import", path, "-o", kfx, "--labels", label_file(folder))
    check("u8 is compiled", code == 0, err)
    code, out, err = run("classify", kfx, os.path.join(SHARED, "pictures", "frog.jpg"))
    check("u8 classifies a picture", code == 0 and "label" in out, (out, err))


def pictures(folder, n=24, side=32):
    """Smooth pictures that differ in their colours, as PPM."""
    os.makedirs(os.path.join(folder, "calib"))
    y, x = numpy.mgrid[0:side, 0:side] / side
    for k in range(n):
        waves = [
            numpy.sin((k + 3 * c + 1) * x + (2 * k - c) * y) * 100 + 128 + random.normal(0, 8, (side, side))
            for c in range(3)
        ]
        with open(os.path.join(folder, "calib", f"{k}.ppm"), "wb") as f:
            f.write(
                b"P6 %d %d 255\n" % (side, side) + numpy.clip(numpy.stack(waves, -1), 0, 255).astype("uint8").tobytes()
            )
    return os.path.join(folder, "calib")


@case
def quantized(folder):
    """Integers take the same layouts, types and moves, and two filters for each channel: scores as those of the float network."""
    calib, u8, f32 = pictures(folder), TensorProto.UINT8, TensorProto.FLOAT
    tail = [conv(3, 8, strides=[2, 2]), ("Relu",), conv(8, 8), ("Relu",), *HEAD]
    flipped = [*tail[:2], ("Slice", [[-1], [-99], [2], [-1]]), *tail[2:]]
    turn = ("Slice", [[-1], [-4], [3], [-1]])
    nets = {
        "u8": net(
            [
                ("Cast", [], {"to": f32}),
                turn,
                ("Mul", [numpy.float32(1 / 255)]),
                P,
                conv(3, 6, group=3),
                ("Relu",),
                conv(6, 3, 1),
                *tail,
            ],
            [1, 32, 32, 3],
            u8,
        ),
        "f32": net([P, conv(3, 3, group=3), Q, ("Relu",), P, *flipped], [1, 32, 32, 3]),
    }
    for name, model in nets.items():
        path, kfx, small = (os.path.join(folder, name + end) for end in (".onnx", ".kfx", ".8.kfx"))
        onnx.save(model, path)
        code, _, err = run("quantize", path, "--mean", "0", "--std", "0.5", "--calib", calib, "-o", small)
        check(f"{name} is quantized", code == 0, err)
        run("import", path, "--mean", "0", "--std", "0.5", "-o", kfx)
        lines = run("info", small, "--nodes")[1].splitlines()
        moved = any(" move " in line for line in lines) == (name == "f32")
        check(f"{name}: all steps work on integers", moved and not any("dequantize" in line for line in lines), lines)
        code, _, err = run("verify", small)
        check(f"{name}: verify", code == 0, err)
        picture = random.integers(0, 256, (1, 32, 32, 3)).astype("uint8")
        numpy.save(os.path.join(folder, "p.npy"), picture)
        real = picture if name == "u8" else (picture.astype("float32") / 255 / numpy.float32(0.5))
        numpy.save(os.path.join(folder, "r.npy"), real)
        got = []
        for file, feed in ((small, "p.npy"), (kfx, "r.npy"), (small, "r.npy")):
            code, _, err = run("run", file, os.path.join(folder, feed), "-o", os.path.join(folder, "y.npy"))
            check(f"{name} runs {feed}", code == 0, err)
            got.append(numpy.load(os.path.join(folder, "y.npy")).ravel())
        cosine = float(got[0] @ got[1] / numpy.linalg.norm(got[0]) / numpy.linalg.norm(got[1]))
        check(f"{name}: near its float form", cosine > 0.999, cosine)
        check(f"{name}: pixels as f32 are the same", (got[0] == got[2]).all(), (got[0], got[2]))
        out = os.path.join(folder, name + ".qdq.onnx")
        code, _, err = run("export", small, "-o", out)
        if name == "f32":
            check(
                "a move has no ONNX form", code == 1 and says(err, "a move step has no ONNX form .. compiled from"), err
            )
            continue
        wrong = err if code else near(got[0].reshape(1, -1), runtime(out, real.astype("float32")))
        check(f"{name}: written as ONNX", not wrong, wrong)


@case
def keras(folder):
    """Networks of Keras by tf2onnx give what Keras gave; a permutation that is broken on purpose does not."""
    models = os.path.join(SHARED, "models", "keras")
    names = sorted(f[:-5] for f in os.listdir(models) if f.endswith(".onnx")) if os.path.isdir(models) else []
    for name in names:
        base, got = os.path.join(models, name), os.path.join(folder, "y.npy")
        code, _, err = run("run", base + ".onnx", base + ".in.npy", "-o", got)
        wrong = err if code else abs(numpy.load(got) - numpy.load(base + ".out.npy")).max() > 1e-4
        check(f"keras {name}", not wrong, wrong)
    for which in (0, -1) if "k_misc" in names else ():
        base, path = os.path.join(models, "k_misc"), os.path.join(folder, "broken.onnx")
        model = onnx.load(base + ".onnx")
        turns = [n for n in model.graph.node if n.op_type == "Transpose"]
        turns[which].attribute[0].ints[:] = [0, 3, 2, 1]
        onnx.save(model, path)
        code, _, err = run("run", path, base + ".in.npy", "-o", got)
        error = abs(numpy.load(got) - numpy.load(base + ".out.npy")).max()
        check(f"broken permutation {which} is seen", code == 0 and error > 1e-4, (error, err))


def label_file(folder):
    path = os.path.join(folder, "labels.txt")
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(f"label{k}\n" for k in range(5)))
    return path


@case
def moved_channels(folder):
    """A shuffle of channels by five dimensions, and a Gather that takes a channel twice."""
    five = [("Reshape", [[1, 2, 4, 8, 6]]), ("Transpose", [], {"perm": [0, 2, 1, 3, 4]}), ("Reshape", [[1, 8, 8, 6]])]
    same(folder, "shuffle", net([conv(3, 8), *five, ("Relu",), conv(8, 8), *HEAD], [1, 3, 8, 6]))
    same(folder, "twice", net([("Gather", [[0, 0, 2]], {"axis": 1}), conv(3, 8), *HEAD], [1, 3, 8, 6]))


@case
def refused(folder):
    def check_refused(name, model, pattern):
        path = os.path.join(folder, name + ".onnx")
        onnx.save(model, path)
        code, _, err = run("import", path, "-o", os.path.join(folder, name + ".kfx"))
        check(f"{name} is refused", code == 1 and says(err, pattern), err)

    u8 = net(
        [
            ("QuantizeLinear", [numpy.float32(0.3), numpy.uint8(0)]),
            ("Cast", [], {"to": TensorProto.FLOAT}),
            conv(3, 8),
            *HEAD,
        ],
        [1, 3, 8, 6],
    )
    check_refused("rounded", u8, "QuantizeLinear_0")
    part = net([("Cast", [], {"to": TensorProto.FLOAT}), conv(3, 8), *HEAD], [1, 3, 8, 6], TensorProto.INT16)
    check_refused("i16", part, "input x .. i16")


if __name__ == "__main__":
    sys.exit(run_cases())
