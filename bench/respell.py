"""Other spellings of the same network, for converters that know one of them only. Runs with the peers' interpreter (onnx, numpy).

x * HardSigmoid(x) is how exporters below opset 14 write h-swish. Engines that fuse only the operator HardSwish compute it in pieces, and
one of them in reference code, so every peer gets the operator. Nothing is approximated.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

SWISH_OPSET = 14  # HardSwish exists from here on


def is_gate(node):
    """HardSigmoid that is relu6(x + 3) / 6; its own defaults are another function."""
    given = {a.name: a.f for a in node.attribute}
    return node.op_type == "HardSigmoid" and abs(given.get("alpha", 0.2) - 1 / 6) < 1e-6 and given.get("beta", 0.5) == 0.5


def swishes(graph):
    """Pairs (gate, product) whose gate is read by the product alone."""
    made, readers = {o: n for n in graph.node for o in n.output}, {}
    for name in [i for n in graph.node for i in n.input] + [o.name for o in graph.output]:
        readers[name] = readers.get(name, 0) + 1
    for node in graph.node:
        for a, b in ((0, 1), (1, 0)) if node.op_type == "Mul" else ():
            gate = made.get(node.input[b])
            if gate is not None and is_gate(gate) and gate.input[0] == node.input[a] and readers[gate.output[0]] == 1:
                yield gate, node
                break


def join_swish(model):
    """The model with HardSwish operators, and how many were joined; the model itself where there is nothing to join."""
    if not list(swishes(model.graph)):
        return model, 0
    if model.opset_import[0].version < SWISH_OPSET:
        model = version_converter.convert_version(model, SWISH_OPSET)
    pairs = list(swishes(model.graph))
    for gate, node in pairs:
        x = gate.input[0]
        del node.input[:]
        node.input.append(x)
        node.op_type = "HardSwish"
        model.graph.node.remove(gate)
    onnx.checker.check_model(model)
    return model, len(pairs)


def by_relu6(model, swish):
    """Gates, and if `swish` is true HardSwish too, as add, clip to 0..6 and multiply: the spelling of Keras, which int8 kernels have."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    del out.graph.node[:]
    constants = {"kitfox_three": 3, "kitfox_zero": 0, "kitfox_six": 6, "kitfox_sixth": 1 / 6}
    out.graph.initializer.extend([numpy_helper.from_array(np.float32(v), n) for n, v in constants.items()])
    for node in model.graph.node:
        joined = swish and node.op_type == "HardSwish"
        if not joined and not is_gate(node):
            out.graph.node.append(node)
            continue
        x, end = node.input[0], node.output[0]
        gate = end + "_gate" if joined else end
        steps = [("Add", [x, "kitfox_three"], end + "_shifted"), ("Clip", [end + "_shifted", "kitfox_zero", "kitfox_six"], end + "_clipped"),
                 ("Mul", [end + "_clipped", "kitfox_sixth"], gate)] + [("Mul", [x, gate], end)] * joined
        out.graph.node.extend([helper.make_node(op, ins, [to], name=to + "_" + op) for op, ins, to in steps])
    onnx.checker.check_model(out)
    return out
