#!/usr/bin/env python3
"""Every operator in the form of every opset: models made by onnx.helper go through simplify and export; onnx.checker accepts what
comes out, ONNX Runtime gives the source's outputs. Also: exported models of ../shared keep timm's names and logits, also by way
of a .kfx.

Argument: the program. Needs the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy), under which it starts itself again;
skips (77) without.
"""
import glob
import os
import subprocess
import sys

from kit import KITFOX, PEERS, SHARED, case, check, peers_have, run_cases

if "inside" not in sys.argv:
    if not peers_have("onnx", "onnxruntime"):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, __file__, *sys.argv[1:], "inside"]).returncode)

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

random = numpy.random.default_rng(3)


class Net:
    """Nodes one after the other; `at` is the value so far."""

    def __init__(self, opset):
        self.opset, self.nodes, self.weights, self.at = opset, [], [], "x"

    def const(self, array, dtype="float32"):
        self.weights.append(numpy_helper.from_array(numpy.asarray(array, dtype), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def add(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.at, *inputs], names, name=f"{op}_{len(self.nodes)}", **attributes))
        self.at = names[0]
        return names

    def ints(self, op, since, name, values, **attributes):
        if self.opset >= since:
            return self.add(op, self.const(values, "int64"), **attributes)
        return self.add(op, **{name: values}, **attributes)

    def clip(self, low, high):
        if self.opset >= 11:
            self.add("Clip", "" if low is None else self.const(low), *([] if high is None else [self.const(high)]))
        else:
            self.add("Clip", **({} if low is None else {"min": low}), **({} if high is None else {"max": high}))

    def model(self, shape, ir):
        graph = helper.make_graph([*self.nodes, helper.make_node("Identity", [self.at], ["y"], name="last")], "forms",
                                  [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "classes"])], self.weights)
        if ir < 4:
            graph.input.extend(helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir)


def moving(opset):
    """Operators that move elements, none of which folds away."""
    n = Net(opset)
    if opset >= 11:
        n.add("Pad", n.const([0, 1, 2, 0, 0, 2, 0, 1], "int64"), n.const(0.5))
    else:
        n.add("Pad", pads=[0, 1, 2, 0, 0, 2, 0, 1], value=0.5)
    n.add("Transpose", perm=[0, 2, 3, 1])
    if opset >= 10:
        n.add("Slice", n.const([1, 0], "int64"), n.const([7, 2 ** 62], "int64"), n.const([1, 2], "int64"), n.const([2, 1], "int64"))
    else:
        n.add("Slice", starts=[1, 0], ends=[4, 9], axes=[1, 2])
    part = n.ints("Split", 13, "split", [3, 4], axis=3, outputs=2)
    n.ints("Unsqueeze", 13, "axes", [1])
    n.ints("Squeeze", 13, "axes", [1])
    n.ints("ReduceMean", 18, "axes", [2], keepdims=0)
    rest, n.at = n.at, part[1]
    n.ints("ReduceMean", 18, "axes", [3], keepdims=1)
    n.add("Concat", part[1], axis=3)
    n.ints("ReduceMean", 18, "axes", [3, 2], keepdims=0)
    n.at, other = rest, n.at
    n.add("Gather", n.const([2, 0], "int64"), axis=2)
    n.add("Reshape", n.const([1, -1], "int64"))
    n.add("Concat", other, axis=1)
    n.add("Softmax", axis=1)
    return n.model([1, 4, 6, 5], 3 if opset == 7 else 8)


def network(opset, between="Tanh"):
    """Convolutions, poolings, activations, a squeeze-and-excite, a residual, matrices."""
    n = Net(opset)
    weight = lambda *s: n.const(random.standard_normal(s) * 0.5)  # noqa: E731
    n.add("Conv", weight(8, 4, 3, 3), weight(8), kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 2, 1])
    n.add("BatchNormalization", weight(8), weight(8), weight(8), n.const(random.random(8) + 0.5), epsilon=1e-3)
    n.clip(0.0, 6.0)
    if opset >= 14:
        n.add("HardSwish")
    n.clip(None, 3.0)
    shortcut = n.at
    n.add("Conv", weight(8, 1, 3, 3), kernel_shape=[3, 3], dilations=[2, 2], pads=[2, 2, 2, 2], group=8)
    n.add("HardSigmoid", alpha=1 / 6, beta=0.5)
    body = n.at
    n.ints("ReduceMean", 18, "axes", [2, 3], keepdims=1)
    n.add("Conv", weight(2, 8, 1, 1), weight(2), kernel_shape=[1, 1])
    n.add("Relu")
    n.add("Conv", weight(8, 2, 1, 1), kernel_shape=[1, 1])
    n.add("HardSigmoid", alpha=0.2, beta=0.5)
    n.add("Mul", body)
    n.add("Conv", weight(8, 8, 1, 1), weight(8), kernel_shape=[1, 1])
    n.add("Add", shortcut)
    n.clip(-1.0, 1.0)
    n.add("Sigmoid")
    n.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2], **({"ceil_mode": 1} if opset >= 10 else {}))
    n.add("AveragePool", kernel_shape=[2, 2], strides=[1, 1], pads=[1, 0, 0, 1], count_include_pad=1)
    n.add("Conv", weight(6, 8, 1, 1), kernel_shape=[1, 1])
    n.add(between)
    n.add("GlobalAveragePool")
    n.add("Flatten", axis=1)
    if opset >= 12:
        n.add("Dropout", n.const(0.25))
    else:
        n.add("Dropout", ratio=0.25)
    n.add("Gemm", weight(5, 6), n.const(random.random(5) + 3), transB=1, alpha=0.5, beta=2.0)
    n.add("Relu")
    n.add("MatMul", weight(5, 3))
    return n.model([1, 4, 17, 15], 8)


def outputs(model, feed):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feed)


def same(verb, source, folder, shape=None, *options):
    """`source` (a path) through the verb, then checker, versions, names and ONNX Runtime; the written model, or None."""
    what, out = f"{verb}: {os.path.basename(source)}", os.path.join(folder, "out.onnx")
    p = subprocess.run([KITFOX, verb, source, "-o", out, "--check", "1", *options], capture_output=True, text=True)
    if p.returncode:
        return check(what, False, p.stderr)
    old, new = onnx.load(source), onnx.load(out)
    try:
        onnx.checker.check_model(new, full_check=True)
    except Exception as e:  # noqa: BLE001: whatever the checker objects to is the finding
        return check(what, False, e)
    names = lambda m: [[v.name for v in m.graph.input if v.name not in {w.name for w in m.graph.initializer}], [v.name for v in m.graph.output]]  # noqa: E731
    check(what + " keeps names and versions", names(old) == names(new) and old.ir_version == new.ir_version
          and old.opset_import[0].version == new.opset_import[0].version, (names(new), new.ir_version))
    feed = {names(old)[0][0]: random.standard_normal(shape or [d.dim_value for d in new.graph.input[0].type.tensor_type.shape.dim]).astype("float32")}
    error = max(abs(a - b).max() / abs(a).max() for a, b in zip(outputs(source, feed), outputs(out, feed)))
    check(what + " computes the same", error <= 1e-5, error)
    return new


@case
def refuses_what_differs(folder):
    """Folding this batch norm leaves nothing of the weights, which the file's own order keeps: the check has to see it."""
    n = Net(13)
    n.add("Mul", n.const(1e30))
    n.add("Conv", n.const(numpy.full((2, 4, 1, 1), 3e-20)), kernel_shape=[1, 1])
    n.add("BatchNormalization", n.const([1e-30, 1e-30]), n.const([0, 0]), n.const([0, 0]), n.const([1, 1]))
    n.add("GlobalAveragePool")
    n.add("Flatten", axis=1)
    source, out = os.path.join(folder, "underflow.onnx"), os.path.join(folder, "kept.onnx")
    onnx.save(n.model([1, 4, 3, 3], 8), source)
    for verb in ("simplify", "export"):
        with open(out, "w") as f:
            f.write("was here")
        p = subprocess.run([KITFOX, verb, source, "-o", out], capture_output=True, text=True)
        with open(out, "rb") as f:
            kept = f.read() == b"was here"
        check(f"{verb}: outputs that differ are refused, nothing is written", p.returncode == 1 and "differ" in p.stderr and kept, (p, kept))
        p = subprocess.run([KITFOX, verb, source, "-o", out, "--check", "0"], capture_output=True, text=True)
        check(f"{verb}: --check 0 does not look", p.returncode == 0, p)


def peers_nodes(source, shape):
    """Nodes that onnxsim and onnxslim leave; those of the two that are installed."""
    counts, size = {}, {"x": shape} if shape else {}
    try:
        import onnxsim
        counts["onnxsim"] = len(onnxsim.simplify(onnx.load(source), overwrite_input_shapes=size or None)[0].graph.node)
    except ImportError:
        print("SKIP: onnxsim is not installed; its node counts are not compared")
    try:
        import onnxslim
        counts["onnxslim"] = len(onnxslim.slim(onnx.load(source), input_shapes=[f"{k}:{','.join(map(str, v))}" for k, v in size.items()] or None).graph.node)
    except ImportError:
        print("SKIP: onnxslim is not installed; its node counts are not compared")
    return counts


def compiled(source, folder, *options):
    """ONNX to .kfx, and .kfx alone to ONNX again: the scores of the first file, and of the compiled model itself."""
    what, kfx, out = f"export .kfx: {os.path.basename(source)}", os.path.join(folder, "m.kfx"), os.path.join(folder, "m.onnx")
    for args in (["import", source, "-o", kfx, *options], ["export", kfx, "-o", out, "--check", "1"]):
        p = subprocess.run([KITFOX, *args], capture_output=True, text=True)
        if p.returncode:
            return check(what, False, p.stderr)
    new = onnx.load(out)
    onnx.checker.check_model(new, full_check=True)
    i = new.graph.input[0]
    feed = {i.name: random.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype("float32")}
    numpy.save(os.path.join(folder, "x.npy"), feed[i.name])
    subprocess.run([KITFOX, "run", kfx, os.path.join(folder, "x.npy"), "-o", os.path.join(folder, "y.npy")], check=True, capture_output=True)
    have = outputs(out, feed)[0]
    errors = [abs(want.reshape(have.shape) - have).max() / abs(want).max() for want in (outputs(source, feed)[0], numpy.load(os.path.join(folder, "y.npy")))]
    check(what + " gives the scores of the source and of the compiled model", max(errors) <= 1e-5, errors)
    names = {w.name for w in new.graph.initializer}
    if os.path.basename(source) == "mobilenetv3_large_100.onnx":
        check(what + ": layers are called as in timm", {"conv_stem.weight", "blocks.0.0.conv_dw.weight", "blocks.2.0.se.conv_reduce.bias",
                                                        "blocks.2.0.se.conv_expand.weight", "conv_head.weight", "classifier.bias"} <= names, sorted(names)[:9])


@case
def opsets(folder):
    for opset in (7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 20, 21):
        for make in (moving, network):
            path = os.path.join(folder, f"{make.__name__}{opset}.onnx")
            onnx.save(make(opset), path)
            onnx.checker.check_model(path, full_check=True)
            for verb in ("simplify", "export"):
                same(verb, path, folder)
        path = os.path.join(folder, f"steps{opset}.onnx")
        onnx.save(network(opset, "Sigmoid"), path)  # no step computes Tanh
        compiled(path, folder)


@case
def models_of_shared(folder):
    models = sorted(glob.glob(os.path.join(SHARED, "models", "*.onnx")))
    if not models:
        print("SKIP: ../shared is not here; only made-up models were written")
    for path in models:
        ppocr = "ppocr" in path
        compiled(path, folder, *(["--input-shape", "1x3x48x192"] if ppocr else []))
        small = same("simplify", path, folder, None, *(["--input-shape", "1x3x48x192"] if ppocr else []))
        peers = peers_nodes(path, [1, 3, 48, 192] if ppocr else None)
        if small and peers:
            check(f"simplify: {os.path.basename(path)}: {len(small.graph.node)} nodes, {peers}", len(small.graph.node) <= min(peers.values()))
        new = same("export", path, folder, None, *(["--input-shape", "1x3x48x192"] if ppocr else []))
        if new and os.path.basename(path) == "mobilenetv3_large_100.onnx":
            kept = {w.name for w in new.graph.initializer} & {w.name for w in onnx.load(path).graph.initializer}
            check("export: timm's tensor names stay", len(kept) == len(new.graph.initializer), len(kept))


sys.exit(run_cases())
