#!/usr/bin/env python3
"""Constant affine maps (Mul, Add, Sub, Div, Neg, batch norm) wherever people put them: ONNX Runtime's numbers in f32, few steps,
and in int8 the same answers. Random networks with such maps in random places; pixels that the network normalizes itself.

Argument: the program; `--many N` for more random networks. Needs the interpreter that KITFOX_PEERS names (onnx, onnxruntime,
numpy, Pillow), under which it starts itself again; skips (77) without.
"""

import os
import re
import subprocess
import sys
import tempfile

from kit import EXAMPLES, PEERS, ROOT, case, check, peers_have, run, run_cases, says

if "inside" not in sys.argv:
    if not peers_have("onnx", "onnxruntime"):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, __file__, *sys.argv[1:], "inside"]).returncode)

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

onnxruntime.set_default_logger_severity(4)


class Net:
    """Nodes one after the other; `at` is the value so far, `c` its channels, `size` its extent (0: a vector)."""

    def __init__(self, seed, c=3, size=16):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.weights, self.at = [], [], "x"
        self.shape, self.c, self.size = [1, c, size, size] if size else [1, c], c, size

    def const(self, array, dtype="float32"):
        self.weights.append(numpy_helper.from_array(numpy.asarray(array, dtype), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def some(self, *shape, low=-1.0, high=1.0):
        return self.const(self.random.uniform(low, high, shape))

    def add(self, op, *inputs, left=False, **attributes):
        names = [*inputs, self.at] if left else [self.at, *inputs]
        self.at = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [self.at], name=f"{op}_{len(self.nodes)}", **attributes))
        return self

    def conv(self, out=8, k=3, pad=1, stride=1, group=1, bias=True):
        group = self.c if group == "dw" else group
        out = self.c if group == self.c else out
        w = self.some(out, self.c // group, k, k)
        self.add(
            "Conv",
            w,
            *([self.some(out)] if bias else []),
            kernel_shape=[k, k],
            pads=[pad] * 4,
            strides=[stride] * 2,
            group=group,
        )
        self.c, self.size = out, (self.size + 2 * pad - k) // stride + 1
        return self

    def gemm(self, out=10, bias=True):
        self.add("Gemm", self.some(out, self.c), *([self.some(out)] if bias else []), transB=1)
        self.c = out
        return self

    def matmul(self, out):
        self.add("MatMul", self.some(self.c, out))
        self.c = out
        return self

    def gap(self):
        self.add("GlobalAveragePool").add("Flatten")
        self.size = 0
        return self

    def by_channel(self, low=-1.0, high=1.0):
        """One number a channel, in one of the shapes that broadcast so."""
        shapes = [(self.c,), (1, self.c)] if not self.size else [(self.c, 1, 1), (1, self.c, 1, 1)]
        return self.some(*shapes[self.random.integers(2)], low=low, high=high)

    def norm(self):
        self.add(
            "BatchNormalization",
            self.some(self.c),
            self.some(self.c),
            self.some(self.c),
            self.some(self.c, low=0.3, high=2),
            epsilon=1e-3,
        )
        return self

    def affine(self, op, left=False, scalar=False, low=None):
        low = {"Div": 0.4}.get(op, -1.0) if low is None else low
        self.add(op, self.some(low=low, high=2) if scalar else self.by_channel(low, 2), left=left)
        return self

    def file(self, folder, name="m"):
        y = [1, self.c, self.size, self.size] if self.size else [1, self.c]
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(self.at, TensorProto.FLOAT, y)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path = os.path.join(folder, name + ".onnx")
        onnx.save(model, path)
        return path


def compare(path, x):
    """Largest difference from ONNX Runtime over the largest output, or the error; and ONNX Runtime's output."""
    folder = os.path.dirname(path)
    numpy.save(os.path.join(folder, "in.npy"), x)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    want = session.run(None, {"x": x})[0]
    code, _, err = run("run", path, os.path.join(folder, "in.npy"), "-o", os.path.join(folder, "out.npy"))
    if code:
        return err, want
    got = numpy.load(os.path.join(folder, "out.npy"))
    return float(numpy.abs(got - want).max() / max(1e-6, numpy.abs(want).max())), want


def steps(path):
    found = re.search(r"^steps +(\d+)", run("info", path)[1], re.M)
    return int(found.group(1)) if found else -1


def same(what, net, most=None):
    with tempfile.TemporaryDirectory() as folder:
        path = net.file(folder)
        worst, _ = compare(path, net.random.normal(size=net.shape).astype("float32"))
        n = steps(path)
        check(
            f"{what}: equals ONNX Runtime, {n} steps",
            isinstance(worst, float) and worst < 1e-5 and (most is None or n <= most),
            (worst, n),
        )


def tail(net):
    return net.gap().gemm()


# ---- into the layer before or behind ---------------------------------------------------------------------------------


@case
def maps_fold_into_layers():
    for seed, (op, left) in enumerate(
        [("Mul", False), ("Mul", True), ("Add", True), ("Sub", False), ("Sub", True), ("Div", False)]
    ):
        for scalar in False, True:
            name = f"{op}, constant {'left' if left else 'right'}, {'scalar' if scalar else 'by channel'}"
            same(f"conv, {name}", tail(Net(seed).conv().affine(op, left, scalar)), 3)
            same(
                f"depthwise conv, {name}, relu",
                tail(Net(seed).conv().conv(group="dw").affine(op, left, scalar).add("Relu")),
                4,
            )
            same(f"gemm, {name}", tail(Net(seed).conv()).affine(op, left, scalar), 3)
            same(f"{name}, conv without padding", tail(Net(seed).affine(op, left, scalar).conv(pad=0)), 3)
            same(f"{name}, conv with padding", tail(Net(seed).affine(op, left, scalar).conv()), 4)
            same(f"{name}, gemm", Net(seed, 12, 0).affine(op, left, scalar).gemm(), 1)
    same("conv, Neg", tail(Net(7).conv().add("Neg")), 3)
    same(
        "grouped conv behind and before",
        tail(Net(8).conv(8).conv(8, group=2).affine("Mul").affine("Add").conv(8, k=1, pad=0, group=4)),
        5,
    )
    same("MatMul, Add, Div", Net(9, 12, 0).matmul(5).affine("Add").affine("Div"), 1)
    same("a padded convolution takes a factor", tail(Net(10).affine("Mul").conv()), 3)


@case
def maps_pass_what_they_commute_with():
    same("relu, positive factor", tail(Net(20).conv().add("Relu").affine("Mul", low=0.1).conv()), 4)
    same("relu, negative factor, padded conv", tail(Net(21).conv().add("Relu").affine("Mul", low=-2).conv()), 4)
    same("relu, shift, padded conv", tail(Net(22).conv().add("Relu").affine("Mul").affine("Add").conv()), 5)
    clip = Net(23).conv()
    clip.add("Clip", clip.const(0), clip.const(6))
    same("clip, one map", tail(clip.affine("Mul", scalar=True).affine("Add", scalar=True).conv()), 4)
    same(
        "max pool, positive factor",
        tail(Net(24).conv().add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4).affine("Mul", low=0.1)),
        4,
    )
    same(
        "max pool, negative factor",
        tail(Net(25).conv().add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4).affine("Mul", low=-2).conv()),
        5,
    )
    for count in 0, 1:
        pool = Net(26).conv().add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=count)
        same(
            f"average pool that counts {count} padding, map",
            tail(pool.affine("Mul").affine("Add").add("Relu")),
            6 if count else 5,
        )
    same("global pool, map, relu", Net(27).conv().add("Relu").gap().affine("Mul").affine("Add").add("Relu").gemm(), 5)
    same("global pool, map, gemm", Net(28).conv().add("Relu").gap().affine("Mul").affine("Add").gemm(), 3)
    flat = Net(29, 4, 2).affine("Mul").affine("Add").add("Flatten")
    flat.c, flat.size = 16, 0
    same("map, flatten of a map of pixels, gemm", flat.gemm(), 2)


@case
def forms_of_exporters():
    same("temperature", tail(Net(40).conv()).affine("Div", scalar=True), 3)
    same("prior", tail(Net(41).conv()).affine("Add"), 3)
    same("batch norm last", tail(Net(42).conv()).norm(), 3)
    same("batch norm between layers", tail(Net(43).conv()).norm().add("Relu").gemm(), 4)
    same("batch norm of a vector, alone", Net(44, 12, 0).norm().add("Relu"), 3)
    same(
        "Keras' batch norm",
        tail(
            Net(45)
            .conv(bias=False)
            .affine("Mul")
            .affine("Add")
            .add("Relu")
            .conv(group="dw", bias=False)
            .affine("Mul")
            .affine("Add")
        ),
        4,
    )
    same("Keras' batch norm and an exported one", tail(Net(46).conv(bias=False).affine("Mul").norm().add("Relu")), 3)
    layer = Net(47).conv()
    kept = layer.at
    layer.conv(group="dw").affine("Mul").add("Add", kept)
    same("LayerScale before a residual sum", tail(layer), 4)
    same("means and std first", tail(Net(48).affine("Sub").affine("Div").conv()), 4)
    gate = Net(49).conv()
    kept = gate.at
    gate.add("GlobalAveragePool")
    gate.conv(4, 1, 0).add("Relu").conv(8, 1, 0).add("Add", gate.const(3)).add(
        "Clip", gate.const(0), gate.const(6)
    ).add("Mul", gate.const(1 / 6))
    gate.add("Mul", kept)
    gate.size = 16
    same("a gate by a spelled-out h-sigmoid", tail(gate), 5)


@case
def exports_spell_maps_out():
    nets = {
        "vector": Net(50, 12, 0).norm().add("Relu"),
        "padded": tail(Net(51).affine("Sub").affine("Div").conv()),
        "pooled": Net(52).conv().add("Relu").gap().affine("Mul").affine("Add").add("Relu").gemm(),
    }
    for name, net in nets.items():
        with tempfile.TemporaryDirectory() as folder:
            path, x = net.file(folder), net.random.normal(size=net.shape).astype("float32")
            _, want = compare(path, x)
            for verb in "export", "simplify":
                out = os.path.join(folder, verb + ".onnx")
                code, _, err = run(verb, path, "-o", out)
                got = onnxruntime.InferenceSession(out).run(None, {"x": x})[0] if code == 0 else None
                check(
                    f"{name}: {verb} gives the same numbers",
                    code == 0 and numpy.abs(got - want).max() < 1e-5 * numpy.abs(want).max(),
                    err,
                )


# ---- random networks -------------------------------------------------------------------------------------------------


def random_net(seed):
    net = Net(seed, size=12)
    pick = net.random.integers
    for _ in range(pick(2, 7)):
        kind = pick(9)
        if kind < 3 or net.size < 4:
            net.affine(["Mul", "Add", "Sub", "Div"][pick(4)], scalar=bool(pick(2)))
        elif kind == 3:
            net.norm()
        elif kind < 6:
            net.conv(
                6,
                k=int(pick(1, 4)),
                pad=int(pick(2)),
                stride=int(pick(1, 3)),
                group=[1, "dw"][pick(2)],
                bias=bool(pick(2)),
            )
        elif kind == 6:
            net.add("Relu")
        elif kind == 7:
            net.add("Clip", net.const(-0.5), net.const(2))
        else:
            net.add(["MaxPool", "AveragePool"][pick(2)], kernel_shape=[3, 3], pads=[1] * 4)
    net.gap()
    for _ in range(pick(3)):
        net.affine(["Mul", "Add", "Sub", "Div"][pick(4)], scalar=bool(pick(2)))
    net.gemm()
    for _ in range(pick(3)):
        net.affine(["Mul", "Add", "Div"][pick(3)], scalar=bool(pick(2)))
    return net


@case
def random_networks_keep_their_numbers():
    many = int(sys.argv[sys.argv.index("--many") + 1]) if "--many" in sys.argv else 40
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1000, 1000 + many):
            net = random_net(seed)
            worst, _ = compare(net.file(folder), net.random.normal(size=net.shape).astype("float32"))
            if not isinstance(worst, float) or worst > 1e-4:
                bad.append((seed, [n.op_type for n in net.nodes], worst))
    check(f"{many} random networks equal ONNX Runtime", not bad, bad[:5])


# ---- preprocessing inside --------------------------------------------------------------------------------------------

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SAME_CROP = ["--crop-pct", "1", "--interpolation", "bilinear"]


def normalizing(folder, name, *maps):
    """everyday10 behind maps of its input: (operator, constant)."""
    model = onnx.load(os.path.join(ROOT, "data", "everyday10.onnx"))
    graph, at, nodes = model.graph, "", []
    given = at = graph.input[0].name
    for n in graph.node:
        for i, v in enumerate(n.input):
            n.input[i] = "normalized" if v == given else v
    for i, (op, constant) in enumerate(maps):
        shape = (1, 3, 1, 1) if isinstance(constant, list) else ()
        graph.initializer.append(numpy_helper.from_array(numpy.reshape(numpy.float32(constant), shape), f"map{i}"))
        out = "normalized" if i + 1 == len(maps) else f"mapped{i}"
        nodes.append(helper.make_node(op, [at, f"map{i}"], [out], name=f"prepare{i}"))
        at = out
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)
    path = os.path.join(folder, name + ".onnx")
    onnx.save(model, path)
    return path


FORMS = {
    "pixels": [("Div", 255.0), ("Sub", MEAN), ("Div", STD)],
    "folded": [("Mul", [1 / 255 / s for s in STD]), ("Add", [-m / s for m, s in zip(MEAN, STD)])],
    "unit": [("Sub", MEAN), ("Div", STD)],
    "caffe": [("Sub", [255 * m for m in MEAN]), ("Div", [255 * s for s in STD])],
}


@case
def pictures_reach_a_network_that_normalizes():
    with tempfile.TemporaryDirectory() as folder:
        pictures = sorted(os.path.join(EXAMPLES, f) for f in os.listdir(EXAMPLES) if f.endswith(".jpg"))
        plain = os.path.join(ROOT, "data", "everyday10.onnx")
        want = run("classify", "-k1", plain, *pictures)[1]
        for name, maps in FORMS.items():
            path = normalizing(folder, name, *maps)
            out = run("info", path)[1]
            std = "std 1 1 1" if name == "unit" else "std 0.003922 0.003922 0.003922"
            check(
                f"{name}: recognized",
                says(out, f"mean 0 0 0, {std} .. recognized from normalization in the network"),
                out,
            )
            code, compiled, err = run("import", path, *SAME_CROP, "-o", path + ".kfx")
            check(f"{name}: compiles", code == 0, err)
            got = run("compare", plain, path + ".kfx", "--data", EXAMPLES)[1]
            found = re.search(r"SQNR ([0-9.]+) dB", got)
            check(f"{name}: the same scores of pictures", found and float(found.group(1)) > 80, got)
        check("pictures have answers", want.count("\n") >= len(pictures), want)


@case
def the_stem_reads_pixels():
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "plain.kfx")
        code, _, err = run(
            "quantize", os.path.join(ROOT, "data", "everyday10.onnx"), "--calib", EXAMPLES, "-o", plain, "--no-doctor"
        )
        check("the plain network is quantized", code == 0, err)
        for name in "pixels", "unit":
            path, out = normalizing(folder, name, *FORMS[name]), os.path.join(folder, name + ".kfx")
            code, _, err = run("quantize", path, *SAME_CROP, "--calib", EXAMPLES, "-o", out, "--no-doctor")
            check(f"{name}: is quantized", code == 0, err)
            check(f"{name}: no step for the map", steps(out) == steps(plain), (steps(out), steps(plain)))
            check(f"{name}: the declared input stays", "mean 0 0 0" in run("info", out)[1], run("info", out)[1])
            got = run("compare", plain, out, "--data", EXAMPLES)[1]
            found = re.search(r"agreement ([0-9.]+) %.*SQNR ([0-9.]+) dB", got)
            check(f"{name}: the integers of the plain network, nearly", found and float(found.group(2)) > 20, got)
            x = numpy.random.default_rng(1).integers(0, 256, (1, 3, 64, 64)).astype("float32") / (
                255 if name == "unit" else 1
            )
            numpy.save(os.path.join(folder, "x.npy"), x)
            scores = []
            for model in path, out:
                run("run", model, os.path.join(folder, "x.npy"), "-o", os.path.join(folder, "y.npy"))
                scores.append(numpy.load(os.path.join(folder, "y.npy")).ravel())
            near = numpy.corrcoef(*scores)[0, 1]
            check(f"{name}: raw input means the same in f32 and in int8", near > 0.98, scores)


@case
def maps_are_quantized():
    forms = {
        "relu, map, padded conv": lambda n: n.conv().add("Relu").affine("Mul").affine("Add").conv(),
        "global pool, map": lambda n: n.conv(16).add("Relu").gap().affine("Mul").affine("Add"),
    }
    for name, form in forms.items():
        with tempfile.TemporaryDirectory() as folder:
            net = form(Net(60))
            path, calib = (tail(net) if net.size else net.add("Relu").gemm()).file(folder), os.path.join(
                folder, "calib"
            )
            os.mkdir(calib)
            for i in range(40):
                numpy.save(os.path.join(calib, f"{i}.npy"), net.random.normal(size=net.shape).astype("float32"))
            code, out, err = run("quantize", path, "--calib", calib, "-o", path + ".kfx", "--no-doctor")
            found = re.search(r"agreement with float ([0-9.]+) %", out + err)
            check(
                f"{name}: int8 gives the answers of f32",
                code == 0 and found and float(found.group(1)) >= 97,
                (out, err),
            )


# ---- maps that are none ----------------------------------------------------------------------------------------------


@case
def odd_constants_are_refused_by_name():
    half = numpy.reshape([1, 0] * 4, (8, 1, 1))
    odd = {
        "division by 0": ("Div", 0, "Div_2 .. divides by 0"),
        "division by a channel of 0": ("Div", half, "Div_2 .. divides by 0"),
        "a factor of infinity": ("Mul", numpy.inf, "Mul_2 .. not a finite number"),
        "a shift of NaN": ("Add", numpy.nan, "Add_2 .. not a finite number"),
        "one number a column": ("Mul", numpy.arange(16.0), "Mul_2 .. not one number for each channel"),
        "one number a pixel": ("Add", numpy.arange(256.0).reshape(16, 16), "Add_2 .. not one number for each channel"),
    }
    for name, (op, constant, message) in odd.items():
        with tempfile.TemporaryDirectory() as folder:
            net = Net(70).conv().add("Relu")
            path = tail(net.add(op, net.const(constant))).file(folder)
            worst, _ = compare(path, net.random.normal(size=net.shape).astype("float32"))
            check(f"{name}: refused", isinstance(worst, str) and says(worst, message), worst)
    over = Net(71).conv().add("Relu")
    with tempfile.TemporaryDirectory() as folder:
        path = tail(over.add("Add", over.const(1)).add("Div", over.const(2), left=True)).file(folder)
        worst, _ = compare(path, over.random.normal(size=over.shape).astype("float32"))
        check(
            "a constant over the input: refused",
            isinstance(worst, str) and says(worst, "Div_3 .. divides a constant"),
            worst,
        )
    zeros = Net(72).conv().add("Relu")
    same("a factor of 0", tail(zeros.add("Mul", zeros.const(half)).conv()), 5)
    small = Net(73).conv().add("Relu")
    same(
        "factors that only together are ordinary",
        tail(small.add("Mul", small.const(1e-30)).add("Mul", small.const(1e30))),
    )


sys.exit(run_cases())
