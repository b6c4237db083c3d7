#!/usr/bin/env python3
"""Every operator with every operand and attribute wrong in every way that a file can have it wrong: ranks, extents,
types, missing ones, axes twice or by the dozen, numbers beyond 32 bits. Each model is refused with a reason, or it
gives the shape, the type and the values that ONNX Runtime gives; what onnx's own inference refuses is refused.

Arguments: the program tests/e2e/onnx_operands; `all` for every model instead of every sixth; a folder to keep models
that fail. The interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy) makes the models and judges the answers;
where that is none, KITFOX_MAKER (onnx, numpy) makes them, and only sanitizers judge. Without both only the files of
tests/data/cases/operands are read, each of which is refused.
"""
import os
import re
import subprocess
import sys

from kit import KITFOX, PEERS, ROOT, case, check, peers_have, run_cases

CASES = os.path.join(ROOT, "tests", "data", "cases", "operands")


def answers(models):
    """A line for each model, all in one process; fails with what the process said when it ends early."""
    stdin = b"".join(b"%d\n%b" % (len(m), m) for m in models)
    limits = os.environ.get("ASAN_OPTIONS", "") + ":allocator_may_return_null=1:max_allocation_size_mb=256"
    p = subprocess.run([KITFOX], input=stdin, capture_output=True, timeout=500,
                       env={**os.environ, "ASAN_OPTIONS": limits})
    lines = p.stdout.decode(errors="replace").splitlines()
    if p.returncode or len(lines) != len(models):
        check(f"model {len(lines)} of {len(models)} ends the process", False, p.stderr.decode(errors="replace")[:1500])
    return lines


@case
def kept():
    names = sorted(os.listdir(CASES))
    for name, line in zip(names, answers([open(os.path.join(CASES, n), "rb").read() for n in names])):
        check(f"{name} is refused", line.startswith("refused import"), line)


if "inside" not in sys.argv:
    maker = os.environ.get("KITFOX_MAKER", "")
    if peers_have("onnx", "onnxruntime"):
        sys.exit(subprocess.run([PEERS, __file__, *sys.argv[1:], "inside"]).returncode)
    elif os.path.exists(maker):
        sys.exit(subprocess.run([maker, __file__, *sys.argv[1:], "inside", "unjudged"]).returncode)
    print("the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing: no more models")
    sys.exit(run_cases())

import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ALL = "all" in sys.argv
KEEP = next((a for a in sys.argv[2:] if os.path.isdir(a)), None)
F, L, B = np.float32, np.int64, np.bool_
JUDGED = "unjudged" not in sys.argv
if JUDGED:
    import onnxruntime
    onnxruntime.set_default_logger_severity(4)


def f(*shape):
    """Numbers between 0.25 and 1.75, no two neighbours equal."""
    n = int(np.prod(shape))
    return ((np.arange(n) * 37 % 13 + 2) / 8).astype(F).reshape(shape)


def ints(*values):
    return np.array(values, L)


class Case:
    """A node: arrays for its inputs (None: absent), attributes, opset."""

    def __init__(self, op, *inputs, outputs=1, opset=19, **attrs):
        self.op, self.inputs, self.outputs, self.opset = op, list(inputs), outputs, opset
        self.attrs, self.what = attrs, "as it is"

    def copy(self, what):
        c = Case(self.op, *self.inputs, outputs=self.outputs, opset=self.opset, **self.attrs)
        c.what = what
        return c

    def with_input(self, k, array, what):
        c = self.copy(f"input {k} {what}")
        c.inputs[k:k + 1] = [array]
        return c

    def with_attr(self, name, value):
        c = self.copy(f"{name} = {str(value)[:60]}")
        c.attrs[name] = value
        return c

    def widened(self):
        """As the reader takes it: other floating types in f32."""
        c = self.copy(self.what)
        c.inputs = [a.astype(F) if a is not None and a.dtype in (np.float16, np.float64) else a for a in self.inputs]
        return c

    def model(self, constant):
        """All inputs constants, or the first one an input of the graph."""
        names = ["" if a is None else f"i{k}" for k, a in enumerate(self.inputs)]
        free = [] if constant or not names or not names[0] else [0]
        node = helper.make_node(self.op, names, [f"y{k}" if k else "y" for k in range(self.outputs)], name="node")
        for name, value in self.attrs.items():
            made = isinstance(value, onnx.AttributeProto)
            node.attribute.append(value if made else helper.make_attribute(name, value))
        weights = [numpy_helper.from_array(a, n) for k, (a, n) in enumerate(zip(self.inputs, names))
                   if n and k not in free]
        inputs = [helper.make_tensor_value_info(names[k], helper.np_dtype_to_tensor_dtype(self.inputs[k].dtype),
                                                self.inputs[k].shape) for k in free]
        if not inputs:
            inputs = [helper.make_tensor_value_info("unread", TensorProto.FLOAT, [1])]
        out = onnx.ValueInfoProto(name="y")
        graph = helper.make_graph([node], "operands", inputs, [out], weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


CONV = dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], dilations=[1, 1], group=2)
POOL = dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], ceil_mode=0)
BASES = [
    Case("Conv", f(1, 4, 5, 6), f(6, 2, 3, 2), f(6), **CONV),
    Case("BatchNormalization", f(2, 3, 4), f(3), f(3), f(3), f(3), epsilon=1e-3),
    Case("Clip", f(2, 3), F(0.5), F(1.5)),
    Case("Clip", ints(-5, 3, 9), L(0), L(4)),
    Case("Clip", f(2, 3), opset=10, min=0.5, max=1.5),
    Case("HardSigmoid", f(2, 3), alpha=0.25, beta=0.5),
    *(Case(op, f(2, 3)) for op in ("Relu", "HardSwish", "Sigmoid", "Neg", "Abs", "Ceil", "Floor", "Sqrt", "Exp", "Log",
                                   "Erf", "Tanh", "Identity", "Shape", "Size")),
    *(Case(op, f(2, 1, 3), f(4, 1)) for op in ("Add", "Sub", "Mul", "Div", "Pow", "Equal", "Less", "Greater")),
    *(Case(op, ints(7, -7, 9), ints(2, 2, -4)) for op in ("Add", "Sub", "Mul", "Mod", "Equal")),
    *(Case(op, f(2, 3), f(3), f(2, 1)) for op in ("Min", "Max")),
    Case("Not", f(2, 3) > 1),
    *(Case(op, f(2, 3) > 1, f(3) > 0.5) for op in ("And", "Or")),
    Case("Where", f(2, 1) > 1, f(2, 3), f(3)),
    Case("GlobalAveragePool", f(2, 3, 4, 5)),
    Case("ReduceMean", f(2, 3, 4), ints(1, -1), keepdims=0),
    Case("ReduceMean", f(2, 3, 4), opset=13, axes=[0, 2], keepdims=1),
    Case("ReduceSum", f(2, 3, 4), ints(1, -1), keepdims=1),
    Case("ReduceSum", f(2, 3, 4), noop_with_empty_axes=1, keepdims=0),
    Case("ReduceMax", f(2, 3, 4), ints(1, -1), keepdims=0),
    Case("ReduceMax", f(2, 3, 4), opset=13, axes=[0, 2], keepdims=1),
    Case("GlobalMaxPool", f(2, 3, 4, 5)),
    Case("LeakyRelu", f(2, 3) - 1, alpha=0.25),
    Case("PRelu", f(2, 3, 4) - 1, f(3, 1)),
    *(Case(op, f(2, 3), f(3), f(2, 1)) for op in ("Sum", "Mean")),
    Case("CastLike", f(2, 3), ints(1)),
    *(Case(op, f(2, 3, 4), axis=1, keepdims=0, select_last_index=1) for op in ("ArgMax", "ArgMin")),
    Case("TopK", f(2, 5, 4), ints(3), outputs=2, axis=1, largest=0, sorted=1),
    Case("TopK", f(2, 5), opset=9, outputs=2, k=3, axis=1),
    Case("LogSoftmax", f(2, 3, 4), axis=1),
    Case("ReduceSum", f(2, 3, 4), opset=11, axes=[0, 2], keepdims=0),
    Case("AveragePool", f(1, 2, 5, 6), count_include_pad=1, **POOL),
    Case("MaxPool", f(1, 2, 5, 6), dilations=[2, 1], **POOL),
    Case("Gemm", f(2, 3), f(4, 3), f(4), alpha=0.5, beta=2.0, transA=0, transB=1),
    Case("Gemm", f(3, 2), f(3, 4), f(2, 1), transA=1, transB=0),
    Case("MatMul", f(2, 3), f(3, 4)),
    Case("Flatten", f(2, 3, 4), axis=2),
    Case("Reshape", f(2, 3, 4), ints(0, -1, 2), allowzero=0),
    Case("Squeeze", f(2, 1, 3, 1), ints(1, -1)),
    Case("Squeeze", f(2, 1, 3, 1), opset=11, axes=[1]),
    Case("Unsqueeze", f(2, 3), ints(0, -1)),
    Case("Unsqueeze", f(2, 3), opset=11, axes=[1]),
    Case("Transpose", f(2, 3, 4), perm=[2, 0, 1]),
    Case("Concat", f(2, 3), f(2, 1), f(2, 2), axis=1),
    Case("Split", f(2, 5), ints(2, 3), outputs=2, axis=1),
    Case("Split", f(2, 5), outputs=2, axis=1, num_outputs=2),
    Case("Split", f(2, 5), outputs=2, opset=11, axis=1, split=[2, 3]),
    Case("Shape", f(2, 3, 4), start=1, end=-1),
    Case("Gather", f(2, 3, 4), ints(2, -1), axis=1),
    Case("Slice", f(4, 5, 6), ints(1, -1), ints(9, 0), ints(0, -1), ints(2, -1)),
    Case("Slice", f(4, 5, 6), opset=9, starts=[1, 0], ends=[3, 99], axes=[0, 2]),
    Case("Pad", f(2, 3), ints(1, 0, 2, -1), F(0.5)),
    Case("Pad", f(2, 3, 4), ints(1, 0, 2, -1), F(0.5), ints(0, -1)),
    Case("Pad", f(2, 3), opset=10, pads=[1, 0, 2, 1], value=0.5),
    Case("Cast", f(2, 3), to=7),
    Case("ConstantOfShape", ints(2, 3), value=numpy_helper.from_array(ints(5))),
    Case("Range", L(1), L(9), L(3)),
    Case("Range", L(9), L(0), L(-2)),
    Case("Expand", f(2, 1), ints(3, 1, 4)),
    Case("Tile", f(2, 3), ints(2, 3)),
    Case("Dropout", f(2, 3), F(0.5), B(False)),
    Case("Softmax", f(2, 3, 4), axis=1),
    Case("QuantizeLinear", f(2, 3), f(3), np.array([1, 2, 3], np.uint8), axis=1),
    Case("DequantizeLinear", np.arange(6, dtype=np.int8).reshape(2, 3), F(0.5), np.int8(3)),
]
OF_NUMBERS = ("ConstantOfShape", "Range")  # their results' sizes are in their first input
EXTREMES = (-1, 0, 1, 2, 9, 2 ** 20 + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1, 2 ** 40, 2 ** 63 - 1, -2 ** 31, -2 ** 63)


def resized(a, axis, extent):
    index = np.arange(extent) % max(a.shape[axis], 1)
    return np.take(a, index, axis)


def wrong_shapes(c, k, a):
    yield c.with_input(k, a[None], "of rank + 1, in front")
    yield c.with_input(k, a[..., None], "of rank + 1, behind")
    yield c.with_input(k, a.reshape((1,) * (8 - a.ndim) + a.shape), "of rank 8")
    yield c.with_input(k, a.reshape((1,) * (9 - a.ndim) + a.shape), "of rank 9")
    if a.ndim:
        yield c.with_input(k, a[0], "of rank - 1")
        yield c.with_input(k, a.reshape(-1)[0], "a scalar")
    for axis in range(a.ndim):
        for extent in {a.shape[axis] + 1, a.shape[axis] - 1, 0, 1}:
            yield c.with_input(k, resized(a, axis, extent), f"with {extent} on axis {axis}")
        if a.size < 64:
            yield c.with_input(k, resized(a, axis, 17), f"with 17 on axis {axis}")
    yield c.with_input(k, np.zeros((0, 2 ** 30, 2 ** 20), a.dtype), "empty and huge")


def wrong_numbers(c, k, a):
    """Shapes, axes, pads and indices."""
    for i in range(a.size):
        for value in EXTREMES:
            changed = a.copy()
            changed.reshape(-1)[i] = value
            yield c.with_input(k, changed, f"with {value} at {i}")
    yield c.with_input(k, np.full_like(a, a.reshape(-1)[0]), "all the same")
    for n in (0, *range(9, 17)):
        yield c.with_input(k, np.zeros(n, L), f"{n} zeros")
        yield c.with_input(k, np.arange(n, dtype=L), f"0 to {n}")
        yield c.with_input(k, np.ones(n, L), f"{n} ones")


def wrong_inputs(c):
    for k, a in enumerate(c.inputs):
        yield from wrong_shapes(c, k, np.asarray(a))
        if a.dtype == L:
            yield from wrong_numbers(c, k, np.asarray(a))
        for dtype in (F, np.float64, np.float16, L, np.int32, np.int8, np.uint8, B):
            if dtype != a.dtype:
                yield c.with_input(k, np.asarray(a).astype(dtype), f"in {np.dtype(dtype).name}")
        yield c.with_input(k, None, "missing")
        less = c.copy(f"only {k} inputs")
        less.inputs = c.inputs[:k]
        yield less
    for extra in (1, 70):
        more = c.copy(f"{extra} inputs too many")
        more.inputs = c.inputs + [c.inputs[-1]] * extra
        yield more
    for outputs in (2, 3, 6, 70):
        more = c.copy(f"{outputs} outputs")
        more.outputs = outputs
        yield more


def wrong_attributes(c):
    for name, value in c.attrs.items():
        if isinstance(value, int):
            for other in EXTREMES:
                yield c.with_attr(name, other)
            yield c.with_attr(name, float(value))
            yield c.with_attr(name, [value, value])
        elif isinstance(value, list):
            for i in range(len(value)):
                for other in EXTREMES:
                    yield c.with_attr(name, value[:i] + [other] + value[i + 1:])
            yield c.with_attr(name, value[:-1] or helper.make_attribute(name, [], attr_type=onnx.AttributeProto.INTS))
            for n in (1, *range(8, 17), 70):
                yield c.with_attr(name, (value * n)[:max(n, len(value) + 1)])
                yield c.with_attr(name, list(range(n)))
            yield c.with_attr(name, value[0])
            yield c.with_attr(name, [float(v) for v in value])
        elif isinstance(value, float):
            for other in (float("inf"), float("nan"), -1e30, 1):
                yield c.with_attr(name, other)
        else:
            yield c.with_attr(name, numpy_helper.from_array(np.zeros(0, F)))
            yield c.with_attr(name, numpy_helper.from_array(ints(1, 2)))
            yield c.with_attr(name, numpy_helper.from_array(np.array([True])))
            yield c.with_attr(name, numpy_helper.from_array(np.array([200], np.uint8)))
            yield c.with_attr(name, numpy_helper.from_array(ints(2 ** 40 + 1)))
        less = c.copy(f"without {name}")
        del less.attrs[name]
        yield less
    if not c.attrs:
        yield c.with_attr("axis", 2 ** 40)


def cases():
    for base in BASES:
        yield base
        yield from wrong_inputs(base)
        yield from wrong_attributes(base)


# What is accepted here although onnx or ONNX Runtime refuses it: part of what they say, from which opset on they take
# it (0: never), and the reason.
ALLOWED = (
    ("Unrecognized attribute", 0, "an attribute that the operator does not have is not read"),
    ("not in allowed output sizes", 0, "outputs of training that nobody reads are dropped"),
    ("This number of op outputs should be 1", 0, "the same"),
    ("has unsupported type", 12, "element types of newer opsets are taken in older ones"),
    ("NOT_IMPLEMENTED", 0, "valid; ONNX Runtime has no kernel for the type"),
    ("min_ <= max_", 0, "valid: the upper bound wins"),
    ("Unsupported pooling size", 0, "valid; ONNX Runtime has no kernel for the rank"),
    ("pads[dim] < kernel_shape[dim]", 0, "valid: a window wholly in padding gives the identity of the pooling"),
    ("Axes input is null", 0, "valid; ONNX Runtime wants the list"),
    ("Input to 'Range' op should be scalars", 0, "a vector of one number, as ONNX Runtime takes it"),
)


def allowed(c, why):
    return any(words in why and (not since or c.opset < since) for words, since, _ in ALLOWED)


KINDS = {"f32": TensorProto.FLOAT, "i64": TensorProto.INT64, "i32": TensorProto.INT32, "i16": TensorProto.INT16,
         "i8": TensorProto.INT8, "u8": TensorProto.UINT8, "bool": TensorProto.BOOL}


def numbers(dtype, shape):
    v = np.arange(int(np.prod(shape))) % 7 - 3
    other = {"f": v * 0.25, "u": v + 3, "b": np.arange(v.size) % 2}
    return other.get(np.dtype(dtype).kind, v).astype(dtype).reshape(shape)


def peer(model, line):
    """The output as ONNX Runtime has it, None for a large one; an exception where onnx or ONNX Runtime refuses the
    model, or does not find the type and shape of the answer in it."""
    word, kind, *shape = line.split(":")[0].split()
    extents = [int(d) for d in shape[0].split("x")] if shape else []
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", KINDS[kind], extents))
    onnx.checker.check_model(model)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    if word == "large":
        return None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {}
    for i in model.graph.input:
        t = i.type.tensor_type
        feed[i.name] = numbers(helper.tensor_dtype_to_np_dtype(t.elem_type), [d.dim_value for d in t.shape.dim])
    return session.run(["y"], feed)[0]


def same(line, want):
    """Do the values of "ran TYPE SHAPE : VALUES" differ from the array? Returns how."""
    have = np.array([float(v) for v in line.split(":")[1].split()])
    right = want.reshape(-1)[:len(have)].astype(np.float64)
    if np.allclose(have, right, rtol=1e-5, atol=1e-6, equal_nan=True):
        return None
    return f"values {have[:8]}, {right[:8]} are right"


def judge(c, constant, line):
    """What is wrong with the answer, or None."""
    if line.startswith("refused") or not JUDGED:
        return line if c.what == "as it is" and not line.startswith("ran") else None
    if not constant and c.inputs and c.inputs[0] is not None and c.inputs[0].shape[:1] == (0,):
        return None  # a batch of 0 in an input is taken for a free one, and is 1
    if c.op == "Range" and f"with {-2 ** 63} at" in c.what and "i64 0 :" in line:
        return None  # onnx's own difference overflows
    try:
        want = peer(c.widened().model(constant), line)
    except Exception as e:
        why = str(e).replace("\n", " ")
        return None if allowed(c, why) else f"{line[:100]}, but refused: {why[-400:]}"
    roots = c.op == "Pow" and np.asarray(c.inputs[0]).dtype.kind == "i"  # of negative numbers: a NaN, made an integer
    return None if want is None or roots else same(line, want)


def operators():
    """ONNX's names in ops.def, but not the operators that passes make."""
    with open(os.path.join(ROOT, "src", "graph", "ops.def"), encoding="utf-8") as table:
        rows = re.findall(r'^KF_OP\(\w+, +"(\w+)"', table.read(), re.M)
    check("ops.def is read", len(rows) > 60, len(rows))
    return set(rows[:rows.index("FullyConnected")])


@case
def every_operand():
    work = [(c, constant) for n, c in enumerate(cases()) for constant in (True, False)
            if (ALL or c.what == "as it is" or n % 6 == 3 * constant) and (constant or c.op not in OF_NUMBERS)]
    models = [c.model(constant) for c, constant in work]
    lines = answers([m.SerializeToString() for m in models])
    counts, bad = {}, 0
    for n, ((c, constant), model, line) in enumerate(zip(work, models, lines)):
        counts.setdefault(c.op, [0, 0])[line.startswith("refused")] += 1
        problem = judge(c, constant, line)
        if not problem:
            continue
        bad += 1
        check(f"{c.op} (opset {c.opset}), {c.what}, {'constant' if constant else 'computed'}", False, problem)
        if KEEP:
            onnx.save(model, os.path.join(KEEP, f"{n}_{c.op}.onnx"))
    for op in operators() - set(counts):
        check(f"{op} has a row of BASES", False)
    for op, (ran, no) in sorted(counts.items()):
        check(f"{op}: {ran} ran, {no} were refused", ran > 0 and no > 0)


sys.exit(run_cases())
