"""Run by test_bench.py with the peers' interpreter: respelled networks compute what the file does, and only what is h-swish is joined."""
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

sys.path.insert(0, sys.argv[1])
import respell  # noqa: E402

SIXTH = 1 / 6


def model(nodes, opset=11):
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 64]) for n in ("x", "y")]
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def gate(alpha, beta=0.5, to="g"):
    return helper.make_node("HardSigmoid", ["x"], [to], alpha=alpha, beta=beta)


def answer(m, x):
    ort.set_default_logger_severity(3)  # it remarks on initializers that no node reads
    return ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def check(what, good):
    print(("ok    " if good else "FAIL  ") + what)
    failed.append(what) if not good else None


failed = []
x = np.linspace(-8, 8, 64, dtype=np.float32)[None]
exact = x * np.clip(x / 6 + 0.5, 0, 1)
for order in (["x", "g"], ["g", "x"]):
    plain = model([gate(SIXTH), helper.make_node("Mul", order, ["y"])])
    joined, count = respell.join_swish(plain)
    check("x * h-sigmoid(x), gate %s, is one operator" % ("second" if order[0] == "x" else "first"),
          count == 1 and [n.op_type for n in joined.graph.node] == ["HardSwish"] and joined.opset_import[0].version >= 14)
    check("it computes h-swish", np.allclose(answer(joined, x), exact, atol=1e-6) and np.allclose(answer(plain, x), exact, atol=1e-6))
    check("by relu6 too", np.allclose(answer(respell.by_relu6(joined, True), x), exact, atol=1e-6))
    check("or stays an operator", [n.op_type for n in respell.by_relu6(joined, False).graph.node] == ["HardSwish"])
others = {"another slope": [gate(0.2), helper.make_node("Mul", ["x", "g"], ["y"])],
          "another offset": [gate(SIXTH, 0.4), helper.make_node("Mul", ["x", "g"], ["y"])],
          "a gate of something else": [gate(SIXTH), helper.make_node("Neg", ["x"], ["z"]), helper.make_node("Mul", ["z", "g"], ["y"])],
          "a gate with a second reader": [gate(SIXTH), helper.make_node("Mul", ["x", "g"], ["m"]), helper.make_node("Add", ["m", "g"], ["y"])]}
for what, nodes in others.items():
    m = model(nodes)
    same, count = respell.join_swish(m)
    check(what + " is left alone", count == 0 and same is m)
    check(what + " stays the same by relu6", np.allclose(answer(respell.by_relu6(m, True), x), answer(m, x), atol=1e-6))
check("a gate alone by relu6 has no h-sigmoid", [n.op_type for n in respell.by_relu6(model([gate(SIXTH, to="y")]), False).graph.node] == ["Add", "Clip", "Mul"])
sys.exit(bool(failed))
