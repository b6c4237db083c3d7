"""What a network should give: ONNX Runtime with its optimizations off, and the reference evaluator in double precision
where the two disagree. Judges an answer of KitFox, or names the node at which it refused.
"""

import collections
import os
import re
import subprocess

import numpy as np
import onnx
import onnxruntime
from net import save
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

Verdict = collections.namedtuple(
    "Verdict", "kind text difference notes", defaults=((),)
)  # equal, refused, form, or one of FAULTS
Case = collections.namedtuple("Case", "model feeds program folder several files names ours theirs double plain notes")
TOLERANCE = 1e-4
# What later stages say of a program that an earlier one made wrongly: no refusal that a person can do anything about.
INSIDE = re.compile(
    "does not fit input and output|is not the number of its channels|of its output do not fit|does not broadcast to"
)
SECONDS = 120


def truth(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))


def in_double(model, feeds):
    """The same network in double precision, or None where the reference evaluator cannot run it."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for k, t in enumerate(wide.graph.initializer):
        if t.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
            wide.graph.initializer[k].CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name)
            )
    for node in wide.graph.node:
        for a in node.attribute:
            if node.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
            if a.HasField("t") and a.t.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
                a.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(a.t).astype(np.float64), a.t.name))
    try:
        session = ReferenceEvaluator(wide)
        return dict(
            zip(
                session.output_names,
                session.run(None, {n: x if x.dtype == np.uint8 else x.astype(np.float64) for n, x in feeds.items()}),
            )
        )
    except Exception:
        return None


def distance(a, b):
    """The largest difference beside the largest number of `b`; infinite where only one has NaN or infinity."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not b.size:
        return 0.0
    good = np.isfinite(b)
    if not np.array_equal(good, np.isfinite(a)):
        return np.inf
    if not good.any():
        return 0.0
    return float(np.abs(a[good] - b[good]).max() / max(np.abs(b[good]).max(), 1e-30))


def chosen(model, feeds, name, ours, theirs):
    """Indices that differ: do they choose numbers that hardly differ?"""
    makers = {o: n for n in model.graph.node for o in n.output}
    node = makers[name]
    if node.op_type not in ("ArgMax", "TopK"):
        return False
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(onnx.helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None))
    x = truth(probe, feeds)[node.input[0]] if node.input[0] not in feeds else feeds[node.input[0]]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    axis = attributes.get("axis", 0 if node.op_type == "ArgMax" else -1)
    if node.op_type == "ArgMax" and not attributes.get("keepdims", 1):
        ours, theirs = np.expand_dims(ours, axis), np.expand_dims(theirs, axis)
    ours = np.asarray(ours, np.int64)
    if ours.min() < 0 or ours.max() >= x.shape[axis]:
        return False
    return distance(np.take_along_axis(x, ours, axis), np.take_along_axis(x, theirs, axis)) < TOLERANCE


def judge_output(model, feeds, name, ours, theirs, double):
    """None where the answer is right, else what is wrong; and the difference."""
    if ours is None:
        return "no output", np.inf
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"shape {ours.shape} for {theirs.shape}", np.inf
    if theirs.dtype.kind in "iu":
        if np.array_equal(ours, theirs) or chosen(model, feeds, name, ours, theirs):
            return None, 0.0
        return f"indices {ours.reshape(-1)[:4]} for {theirs.reshape(-1)[:4]}", np.inf
    d = distance(ours, theirs)
    if d <= TOLERANCE:
        return None, d
    exact = double()
    if exact is not None and distance(ours, exact[name]) <= max(TOLERANCE, 20 * distance(theirs, exact[name])):
        return None, 0.0  # ONNX Runtime's own error is as large
    return f"difference {d:.1e}", d


def kitfox_run(program, folder, files, outputs, several, model="model.onnx"):
    """Exit status, standard error and the outputs by name."""
    for name in outputs:
        if os.path.exists(os.path.join(folder, f"out_{name}.npy")):
            os.remove(os.path.join(folder, f"out_{name}.npy"))
    out = "out_%s.npy" if several else f"out_{outputs[0]}.npy"
    try:
        p = subprocess.run(
            [program, "run", model, *files, "-o", out], cwd=folder, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return None, "no answer", {}
    found = {}
    for name in outputs:
        path = os.path.join(folder, f"out_{name}.npy")
        if p.returncode == 0 and os.path.exists(path):
            found[name] = np.load(path)
    return p.returncode, p.stderr, found


def refusal(model, text):
    """The operator and the reason of a refusal, without the numbers; None where no node or input is named."""
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("kitfox:") and "assumed" not in line and "note" not in line
    ]
    line = re.sub(r"^kitfox: (model.onnx: )?", "", lines[-1] if lines else text)
    named = re.search(r"\bn(\d+)_([A-Za-z]+)", line)
    if not named and not re.search(r"\b(in\d|v\d+|c\d+)", line):
        return None
    if INSIDE.search(line):
        return None
    reason = re.sub(r"\b[vc]\d+\w*|\bin\d+", "X", re.sub(r"^.*?n\d+_\w+(/\w+)*(\.\w+)?( \(\w+\))?:", "", line))
    reason = ";".join(reason.split(";")[:2]) if "cannot be compiled" in reason else reason.split(";")[0]
    return f"{named.group(2) if named else 'value'}: {re.sub(r'[0-9]+', '#', reason).strip()[:100]}"


def ordinary(model):
    """Are its constants of a size that 8 bits can be expected to hold?"""
    arrays = (np.abs(numpy_helper.to_array(t)) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    return all(a.max(initial=0) < 1e3 and a[a > 0].min(initial=1) > 1e-5 for a in arrays)


def judge(model, feeds, program, folder, several, forms=None):
    """Runs one network in `folder`, and its other forms if forms(case) is given; a Verdict."""
    try:
        theirs = truth(model, feeds)
    except Exception as e:
        return Verdict("invalid", str(e)[:300], 0.0)
    if any(t.dtype.kind == "f" and not np.isfinite(t).all() for t in theirs.values()):
        return Verdict("vague", "not finite", 0.0)
    files = save(model, feeds, folder)
    names = list(theirs)
    code, err, ours = kitfox_run(program, folder, files, names, several and len(names) > 1)
    if code is None or code < 0 or code > 2 or "AddressSanitizer" in err or "runtime error" in err:
        return Verdict("crash", f"status {code}: {err[-300:]}", 0.0)
    if code:
        reason = refusal(model, err)
        return Verdict("refused", reason, 0.0) if reason else Verdict("unnamed", err.strip()[-200:], 0.0)
    held, worst = [], 0.0

    def double():
        held or held.append(in_double(model, feeds))
        return held[0]

    for name in names if several else names[:1]:
        fault, d = judge_output(model, feeds, name, ours.get(name), theirs[name], double)
        if fault:
            return Verdict("wrong", f"{name}: {fault}", d)
        worst = max(worst, d)
    if not forms:
        return Verdict("equal", "", worst)
    case = Case(
        model,
        feeds,
        program,
        folder,
        several and len(names) > 1,
        files,
        names,
        ours,
        theirs,
        double,
        ordinary(model),
        [],
    )
    fault = forms(case)
    return Verdict("form" if fault else "equal", fault or "", worst, tuple(case.notes))
