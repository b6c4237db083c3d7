#!/usr/bin/env python3
"""What classifiers end with, and small operators in the middle: reductions over any axes,
ranks between, slopes, borders, choices. Each network runs as ONNX Runtime runs it, and so do the
files that `simplify` and `export` make of it.

Argument: the program. Needs the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""
import json
import os
import subprocess
import sys

from kit import KITFOX, PEERS, case, check, peers_have, run_cases, says

if "inside" not in sys.argv:
    if not peers_have("onnx", "onnxruntime"):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, __file__, *sys.argv[1:], "inside"]).returncode)

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SHAPE = [1, 3, 8, 6]  # H and W differ, so that no axis can take the place of another
random = numpy.random.default_rng(5)


def net(steps, opset=18, outputs=None, shape=None, classes=7, head=True):
    """A convolution to `classes` channels, then the steps: (operator, constants or names after the first input,
    attributes). A step that is a str names the value so far; "@name" begins again from a name."""
    nodes, weights, at, named = [], [], "x", {}

    def const(array, dtype=None):
        array = numpy.asarray(array, dtype or ("int64" if numpy.asarray(array).dtype.kind == "i" else "float32"))
        weights.append(numpy_helper.from_array(array, f"w{len(weights)}"))
        return weights[-1].name

    if head:
        taps = const(random.standard_normal((classes, (shape or SHAPE)[1], 3, 3)))
        bias = const(random.standard_normal(classes))
        nodes.append(helper.make_node("Conv", ["x", taps, bias], ["c"], pads=[1, 1, 1, 1], name="conv"))
        at = "c"
    for step in steps:
        if isinstance(step, str):
            if step[0] == "@":
                at = named[step[1:]]
            else:
                named[step] = at
            continue
        op, extra, attributes = step[0], step[1] if len(step) > 1 else [], dict(step[2]) if len(step) > 2 else {}
        parts = attributes.pop("parts", 1)
        names = [named[e[1:]] if isinstance(e, str) else const(e) for e in extra]
        out = [f"v{len(nodes)}" + (f"_{k}" if k else "") for k in range(parts)]
        nodes.append(helper.make_node(op, [at, *names], out, name=f"{op}_{len(nodes)}", **attributes))
        at = out[0]
        named.update({f"{op}{k}": name for k, name in enumerate(out)})
    ends = [named[name] for name in outputs or []] or [at]
    graph = helper.make_graph(nodes, "tails", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape or SHAPE)],
                              [onnx.ValueInfoProto(name=name) for name in ends], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def runtime(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})


def kitfox(*args):
    p = subprocess.run([KITFOX, *args], capture_output=True, text=True, timeout=120)
    return p.returncode, p.stderr


def near(want, got):
    if want.shape != got.shape or want.dtype != got.dtype:
        return f"{want.shape} {want.dtype} is wanted; {got.shape} {got.dtype} came"
    if want.dtype.kind == "i":
        return None if (want == got).all() else f"{want.ravel()[:8]} is wanted; {got.ravel()[:8]} came"
    error = abs(want - got).max() / max(1.0, abs(want).max())
    return None if error <= 1e-5 else f"differs by {error}"


def written(path, x, want, verb, folder):
    out = os.path.join(folder, "written.onnx")
    status, err = kitfox(verb, path, "-o", out)
    if status:
        return check(f"{os.path.basename(path)}: {verb}", False, err)
    wrong = [near(a, b) for a, b in zip(want, runtime(out, x))]
    check(f"{os.path.basename(path)}: {verb}", not any(wrong), wrong)


def same(name, model, folder, verbs=("simplify", "export")):
    path, feed, out = (os.path.join(folder, name + end) for end in (".onnx", ".in.npy", ".out.npy"))
    onnx.save(model, path)
    x = random.standard_normal([d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]).astype("float32")
    numpy.save(feed, x)
    want = runtime(path, x)
    outs = [out] if len(want) == 1 else [f"{out[:-4]}.{k}.npy" for k in range(len(want))]
    status, err = kitfox("run", path, feed, *(word for o in outs for word in ("-o", o)))
    if status:
        return check(name, False, err)
    wrong = [text for a, b in zip(want, outs) if (text := near(a, numpy.load(b)))]
    check(name, not wrong, wrong)
    for verb in verbs:
        written(path, x, want, verb, folder)


def refused(name, model, folder, pattern):
    path = os.path.join(folder, name + ".onnx")
    onnx.save(model, path)
    status, err = kitfox("import", path, "-o", os.path.join(folder, name + ".kfx"))
    check(f"{name} is refused", status == 1 and says(err, pattern), (status, err))


FLAT = [("GlobalAveragePool",), ("Flatten", [], {"axis": 1})]
KEEP, DROP = {"keepdims": 1}, {"keepdims": 0}


@case
def reductions(folder):
    for op in ("ReduceMean", "ReduceSum", "ReduceMax"):
        for axes in ([2, 3], [3, 2], [-1, -2], [3], [-2], [1], [1, 2, 3], [1, 3], [1, 2]):
            if op == "ReduceMax" and {1} & set(axes):
                continue
            for keep in (KEEP, DROP):
                name = f"{op}{'_'.join(map(str, axes)).replace('-', 'm')}_{keep['keepdims']}"
                same(name, net([(op, [axes], keep)]), folder, ("export",) if axes == [2, 3] else ())
    for axes in ([2, 3], [1], [0, 1, 2, 3]):
        same(f"attribute_{len(axes)}", net([("ReduceMean", [], {"axes": axes, **DROP})], 13), folder)
    same("all_axes", net([("ReduceMean", [], DROP)]), folder)
    same("all_kept", net([("ReduceSum", [], KEEP)]), folder)
    for opset in (13, 18):
        same(f"noop_axes{opset}", net([("ReduceSum", [[2, 3]], {"noop_with_empty_axes": 1, **DROP})], opset), folder)
        same(f"noop_none{opset}", net([("ReduceSum", [], {"noop_with_empty_axes": 1})] + FLAT, opset), folder)
    same("noop_empty", net([("ReduceMean", [numpy.zeros(0, "int64")], {"noop_with_empty_axes": 1})] + FLAT), folder)
    same("noop_last", net(FLAT + [("ReduceMean", [], {"noop_with_empty_axes": 1})]), folder)
    same("op_noop_empty_is_all", net([("ReduceMean", [numpy.zeros(0, "int64")], KEEP)]), folder)
    same("max_pool", net([("GlobalMaxPool",), ("Flatten",)]), folder)
    same("vector_mean", net(FLAT + [("ReduceMean", [[1]], KEEP)]), folder)
    same("vector_sum", net(FLAT + [("ReduceSum", [[-1]], DROP)]), folder)


@case
def one_after_the_other(folder):
    mean = lambda axis, keep=DROP: ("ReduceMean", [[axis]], keep)  # noqa: E731
    same("mean3_mean2", net([mean(3), mean(2)]), folder)
    same("mean2_mean2", net([mean(2), mean(2)]), folder)
    same("mean3_kept_mean2", net([mean(3, KEEP), mean(2, KEEP), ("Flatten",)]), folder)
    same("mean3_squeeze_mean2", net([mean(3, KEEP), ("Squeeze", [[3]]), mean(2)]), folder)
    same("flatten2_mean", net([("Reshape", [[1, 7, 48]]), mean(2)]), folder)
    same("flatten2_mean_sum", net([("Reshape", [[1, 7, 48]]), mean(2), ("ReduceSum", [[1]], KEEP)]), folder)
    same("mean_of_sum", net([("ReduceSum", [[3]], DROP), mean(2)]), folder)
    same("max_of_max", net([("ReduceMax", [[3]], DROP), ("ReduceMax", [[2]], DROP)]), folder)
    same("squeezes", net([("GlobalAveragePool",), ("Squeeze", [[3]]), ("Squeeze", [[2]])]), folder)
    relu = [("GlobalAveragePool",), ("Squeeze", [[3]]), ("Relu",), ("Squeeze", [[2]])]
    same("squeeze_relu_squeeze", net(relu), folder)
    same("unsqueezes", net(FLAT + [("Unsqueeze", [[2]]), ("Unsqueeze", [[3]]), ("Relu",), ("Flatten",)]), folder)
    same("rank3_relu", net([("Reshape", [[1, 7, 48]]), ("Relu",), mean(2)]), folder)
    same("rank1", net(FLAT + [("Squeeze", [[0]])]), folder)
    same("rank1_softmax", net(FLAT + [("Squeeze", [[0]]), ("Softmax", [], {"axis": 0})]), folder)
    same("rank3_softmax", net(FLAT + [("Unsqueeze", [[1]]), ("Softmax", [], {"axis": -1})]), folder)
    same("rank4_softmax", net([("GlobalAveragePool",), ("Softmax", [], {"axis": 1}), ("Squeeze", [[2, 3]])]), folder)
    same("map_softmax", net([("Softmax", [], {"axis": 1})]), folder)
    same("flatten0", net([("GlobalAveragePool",), ("Flatten", [], {"axis": 0})]), folder)
    same("rank3_end", net([("Reshape", [[1, 7, 48]])]), folder)
    same("rank5_end", net([("Reshape", [[1, 7, 2, 4, 6]])]), folder)
    matrix = [("Reshape", [[1, 7]]), ("MatMul", [random.standard_normal((7, 4))]), ("Reshape", [[4]])]
    same("matmul_rank1", net([("GlobalAveragePool",), *matrix]), folder)


@case
def slopes(folder):
    same("leaky", net([("LeakyRelu", [], {"alpha": 0.2})]), folder)
    same("leaky_default", net([("LeakyRelu",), ("GlobalAveragePool",)]), folder)
    for name, alpha in (("0", 0.0), ("negative", -0.5), ("1", 1.0), ("2", 2.0)):
        same("leaky_" + name, net([("LeakyRelu", [], {"alpha": alpha})]), folder)
    same("leaky_vector", net(FLAT + [("LeakyRelu", [], {"alpha": 0.3})]), folder)
    same("leaky_rank3", net([("Reshape", [[1, 7, 48]]), ("LeakyRelu",), ("ReduceMean", [[2]], DROP)]), folder)
    same("leaky_one_channel", net([("LeakyRelu",)], classes=1), folder)
    shapes = (("channels", (7, 1, 1)), ("scalar", ()), ("one", (1,)), ("ones", (1, 1, 1)), ("rank4", (1, 7, 1, 1)))
    for name, shape in shapes:
        same("prelu_" + name, net([("PRelu", [random.standard_normal(shape)])]), folder)
    same("prelu_zero", net([("PRelu", [numpy.zeros((7, 1, 1))])]), folder)
    same("prelu_vector", net(FLAT + [("PRelu", [random.standard_normal(7)])]), folder)
    refused("prelu_pixels", net([("PRelu", [random.standard_normal((8, 6))])]), folder, "PRelu_1 .. slope")
    refused("prelu_row", net([("PRelu", [random.standard_normal(6)])]), folder, "PRelu_1 .. slope")
    refused("prelu_odd", net([("PRelu", [random.standard_normal((5, 1, 1))])]), folder, "PRelu_1 .. broadcast")


@case
def sums(folder):
    twice = ["a", ("Relu",), "b", "@a"]
    same("sum1", net([("Sum",)]), folder)
    same("sum2", net([*twice, ("Sum", ["@b"])]), folder)
    same("sum3", net([*twice, ("Sum", ["@b", "@a"])]), folder)
    like = numpy.float32(1)
    float_again = ("Cast", [], {"to": TensorProto.FLOAT})
    same("cast_like", net([("CastLike", [like]), ("GlobalAveragePool",), float_again]), folder)


@case
def choices(folder):
    for keep in (KEEP, DROP):
        for axis in (1, -1):
            same(f"argmax{axis}_{keep['keepdims']}", net(FLAT + [("ArgMax", [], {"axis": axis, **keep})]), folder)
    same("argmin", net(FLAT + [("ArgMin", [], {"axis": 1, **DROP})]), folder)
    same("argmax_softmax", net(FLAT + [("Softmax", [], {"axis": 1}), ("ArgMax", [], {"axis": 1, **DROP})]), folder)
    same("argmax_pixel", net([("GlobalAveragePool",), ("ArgMax", [], {"axis": 1, **DROP})]), folder)
    same("argmax_map", net([("ArgMax", [], {"axis": 1, **DROP})]), folder)
    same("argmax_rank1", net(FLAT + [("Squeeze", [[0]]), ("ArgMax", [], {"axis": 0, **DROP})]), folder)
    ties = [("Mul", [numpy.zeros((1, 7))])]
    for last in (0, 1):
        same(f"argmax_ties{last}", net(FLAT + ties + [("ArgMax", [], {"axis": 1, "select_last_index": last})]), folder)
    for largest in (0, 1):
        for ends in (["TopK0", "TopK1"], ["TopK1", "TopK0"], ["TopK1"], ["TopK0"]):
            top = ("TopK", [[3]], {"largest": largest, "parts": 2, "axis": 1})
            verbs = ("simplify", "export") if largest else ()
            same(f"topk{largest}_{'_'.join(ends)}", net(FLAT + [top], outputs=ends), folder, verbs)
    same("topk_all", net(FLAT + ties + [("TopK", [[7]], {"parts": 2})], outputs=["TopK1"]), folder)
    same("topk_opset9", net(FLAT + [("TopK", [], {"parts": 2, "k": 2})], 9, outputs=["TopK0", "TopK1"]), folder)
    same("scores_too", net(FLAT + ["s", ("ArgMax", [], {"axis": 1}), "i"], outputs=["s", "i"]), folder)
    same("log_softmax", net(FLAT + [("LogSoftmax", [], {"axis": 1})]), folder)
    same("log_softmax_far", net(FLAT + [("Mul", [200.0]), ("LogSoftmax", [], {"axis": -1})]), folder)
    same("log_softmax_map", net([("LogSoftmax", [], {"axis": 1})]), folder)
    batch = net(FLAT + [("ArgMax", [], {"axis": 0})], shape=[2, 3, 8, 6])
    refused("argmax_batch", batch, folder, "ArgMax .. another axis")
    refused("argmax_rows", net([("ArgMax", [], {"axis": 2})]), folder, "ArgMax .. another axis")
    many = net(FLAT + [("TopK", [[8]], {"parts": 2})], outputs=["TopK0"])
    refused("topk_many", many, folder, "TopK .. k is 8 .. 7 elements")
    unsorted = ("TopK", [[3]], {"parts": 2, "sorted": 0})
    refused("topk_unsorted", net(FLAT + [unsorted], outputs=["TopK0"]), folder, "TopK .. sorted")


@case
def borders(folder):
    image = lambda top, left, bottom, right: numpy.array([0, 0, top, left, 0, 0, bottom, right])  # noqa: E731
    weights = random.standard_normal((5, 7, 3, 3))
    for value in (0.0, 0.7, -3.0, 1e6):
        pad = ("Pad", [image(1, 0, 2, 3), numpy.float32(value)])
        most = [("Relu",), ("MaxPool", [], {"kernel_shape": [3, 3]})]
        for name, after in (("alone", []), ("conv", [("Conv", [weights])]), ("relu", most)):
            same(f"pad_{value:g}_{name}", net([pad, *after]), folder, ("export",))
    same("pad_wide", net([("Pad", [image(9, 8, 0, 11)])]), folder)
    first = [("Pad", [image(1, 1, 1, 1), numpy.float32(0.25)]), ("Conv", [random.standard_normal((5, 3, 3, 3))])]
    same("pad_first", net(first, head=False), folder)
    crops = {"rows": image(-1, 0, -2, 0), "all": image(-1, -2, -3, -1), "and_pad": image(-1, 3, 2, -2)}
    for name, pads in crops.items():
        same("pad_crop_" + name, net([("Pad", [pads, numpy.float32(0.7)])]), folder)
    for name, pads in (("batch", [1, 0, 0, 0, 0, 0, 0, 0]), ("channels", [0, 1, 0, 0, 0, 0, 0, 0])):
        refused("pad_" + name, net([("Pad", [numpy.array(pads)])]), folder, "Pad_1 .. it pads")


@case
def borders_of_the_image(folder):
    """Pads by edge and by reflection, alone, cut on another side, and before what reads them."""
    image = lambda *sides: numpy.array([0, 0, *sides[:2], 0, 0, *sides[2:]])  # noqa: E731
    weights = random.standard_normal((5, 7, 3, 3))
    for mode in ("edge", "reflect"):
        pad = lambda *sides: ("Pad", [image(*sides)], {"mode": mode})  # noqa: B023,E731
        amounts = {"one": (1, 1, 1, 1), "odd": (3, 0, 2, 5), "crop": (-2, 4, 3, -1), "most": (7, 5, 7, 5)}
        for name, sides in amounts.items():
            same(f"pad_{mode}_{name}", net([pad(*sides)]), folder)
        same(f"pad_{mode}_conv", net([("Relu",), pad(1, 2, 0, 1), ("Conv", [weights])]), folder)
        same(f"pad_{mode}_first", net([pad(1, 1, 1, 1), ("Conv", [weights[:, :3]])], head=False), folder)
        same(f"pad_{mode}_channels", net([("Pad", [numpy.array([0, 2, 0, 1, 0, 3, 0, 0])], {"mode": mode})]), folder)
        batch = net([("Pad", [numpy.array([1, 0, 0, 0, 0, 0, 0, 0])], {"mode": mode})], shape=[2, 3, 8, 6])
        refused(f"pad_{mode}_batch", batch, folder, "Pad_1 .. it pads the batch")
    wide = ("Pad", [image(0, 6, 0, 0)], {"mode": "reflect"})
    refused("pad_reflect_wide", net([wide]), folder, "Pad_1 .. 6 pads .. axis 3 by reflection .. has 6")
    refused("pad_wrap", net([("Pad", [image(1, 1, 1, 1)], {"mode": "wrap"})], 19), folder, "Pad .. edge and reflect")
    places = numpy.array([3, 0, 0, 6, -1, 2])
    same("gather_channels", net([("Gather", [places], {"axis": 1})]), folder)
    same("gather_rows", net([("Gather", [places], {"axis": 2})]), folder)


def shuffle(groups, channels, rank=5):
    """As torch writes it: a view, a transposition, a view back."""
    image = [8, 6] if rank == 5 else [48]
    order = [0, 2, 1, *range(3, rank)]
    return [("Reshape", [numpy.array([1, groups, channels // groups, *image])]), ("Transpose", [], {"perm": order}),
            ("Reshape", [numpy.array([1, channels, 8, 6])])]


@case
def shuffled_channels(folder):
    conv = lambda *size: ("Conv", [random.standard_normal(size)])  # noqa: E731
    grouped = lambda g, *size: ("Conv", [random.standard_normal(size)], {"group": g})  # noqa: E731
    after = {"alone": [], "conv": [("Relu",), conv(5, 12, 1, 1)], "group": [grouped(3, 12, 4, 1, 1)],
             "depthwise": [grouped(12, 12, 1, 3, 3), conv(4, 12, 1, 1)],
             "half": [("Slice", [numpy.array(v) for v in ([6], [12], [1])]), conv(5, 6, 1, 1)]}
    for name, steps in after.items():
        for groups in (2, 3, 4):
            model = net([*shuffle(groups, 12), *steps], classes=12)
            same(f"shuffle_{name}_{groups}", model, folder)
    same("shuffle_rank4", net(shuffle(3, 12, 4), classes=12), folder)
    twice = shuffle(2, 12) + [("Relu",)] + shuffle(3, 12)
    same("shuffle_twice", net(twice, classes=12), folder)
    rows = [("Reshape", [numpy.array([1, 3, 12, 4, 4])]), ("Transpose", [], {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", [numpy.array([1, 12, 12, 4])])]  # splits rows too: no shuffle
    path = os.path.join(folder, "no_shuffle.onnx")
    onnx.save(net(rows, classes=12), path)
    out = subprocess.run([KITFOX, "check", path], capture_output=True, text=True).stdout
    check("what splits rows too is no shuffle", says(out, "unsupported .. Transpose"), out)


def files_of(folder, count=8):
    for k in range(count):
        numpy.save(os.path.join(folder, f"c{k}.npy"), random.standard_normal(SHAPE).astype("float32"))
    return folder


@case
def judged_by_the_scores(folder):
    """A quantized network gives indices; the scores behind them say how near it is to the float form."""
    data = os.path.join(folder, "data")
    os.mkdir(data)
    files_of(data)
    border = ("Pad", [numpy.array([0, 0, 1, 1, 0, 0, 1, 1]), numpy.float32(0.5)])
    slope = ("PRelu", [numpy.linspace(-0.5, 0.5, 7).reshape(7, 1, 1)])
    networks = {"argmax": FLAT + [("ArgMax", [], {"axis": 1, **DROP})],
                "cast": FLAT + [("ArgMax", [], {"axis": 1}), ("Cast", [], {"to": TensorProto.FLOAT})],
                "log": FLAT + [("LogSoftmax", [], {"axis": 1})], "leaky": [("LeakyRelu",)] + FLAT,
                "prelu": [slope] + FLAT,
                "sum": [("ReduceSum", [[3]], DROP), ("ReduceSum", [[2]], DROP)], "pad": [border] + FLAT,
                "shuffle": [("Relu",), ("Gather", [numpy.array([6, 0, 4, 1, 5, 2, 3])], {"axis": 1})] + FLAT,
                "edge": [(*border[:1], border[1][:1], {"mode": "edge"})] + FLAT,
                "reflect": [("Pad", [numpy.array([0, 0, 2, 1, 0, 0, -1, 3])], {"mode": "reflect"})] + FLAT}
    for name, steps in networks.items():
        path, out = os.path.join(folder, name + ".onnx"), os.path.join(folder, name + ".kfx")
        onnx.save(net(steps), path)
        p = subprocess.run([KITFOX, "quantize", path, "-c", data, "-o", out, "--json"], capture_output=True, text=True)
        check(f"{name} is quantized", p.returncode == 0, p.stderr)
        if p.returncode:
            continue
        result = [json.loads(line) for line in p.stdout.splitlines()][-1]
        check(f"{name}: agreement and SQNR", (result["agreement"] or 100) >= 75 and result["sqnr_db"] > 25, result)
        got = os.path.join(folder, name + ".npy")
        want = runtime(path, numpy.load(os.path.join(data, "c0.npy")))[0]
        status, err = kitfox("run", out, os.path.join(data, "c0.npy"), "-o", got)
        have = None if status else numpy.load(got)
        alike = not status and (have.dtype, have.shape) == (want.dtype, want.shape)
        check(f"{name} keeps type and shape", alike, (err, have))
        if have is not None and want.dtype.kind == "f" and name != "cast":
            check(f"{name} is near", abs(want - have).max() < 0.1 * abs(want).max(), (want, have))


if __name__ == "__main__":
    sys.exit(run_cases())
