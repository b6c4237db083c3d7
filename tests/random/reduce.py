"""Makes a network that KitFox computes wrongly smaller, as long as it stays wrong in the same way: ends earlier, leaves
nodes out, starts later, has fewer numbers that matter.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from oracle import truth

ELEMENT = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "u": TensorProto.UINT8}


def copy(model):
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def values_of(model, feeds):
    """Every value of the network by name."""
    probe = copy(model)
    del probe.graph.output[:]
    for node in probe.graph.node:
        for name in node.output:
            probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None))
    for o in probe.graph.output:
        o.ClearField("type")
    found = dict(feeds)
    found.update({t.name: numpy_helper.to_array(t) for t in model.graph.initializer})
    found.update(truth(probe, feeds))
    return found


def trimmed(model, feeds):
    """Without the nodes, constants and inputs that no output needs."""
    graph = model.graph
    needed, kept = {o.name for o in graph.output}, []
    for node in reversed(graph.node):
        if any(o in needed for o in node.output):
            kept.append(copy_node(node))
            needed.update(i for i in node.input if i)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for members in (graph.initializer, graph.input):
        keep = [type(m).FromString(m.SerializeToString()) for m in members if m.name in needed]
        del members[:]
        members.extend(keep)
    return model, {n: x for n, x in feeds.items() if n in needed}


def copy_node(node):
    other = onnx.NodeProto()
    other.CopyFrom(node)
    return other


def declare(name, array):
    return helper.make_tensor_value_info(name, ELEMENT[array.dtype.kind], list(array.shape))


def ended(model, feeds, values):
    """The network that ends at each node, first nodes first."""
    for node in model.graph.node[:-1]:
        if values[node.output[0]].dtype.kind != "f" or node.output[0] not in values:
            continue
        other = copy(model)
        del other.graph.output[:]
        other.graph.output.append(declare(node.output[0], values[node.output[0]]))
        yield trimmed(other, feeds)


def one_output(model, feeds, _values):
    if len(model.graph.output) > 1:
        for o in model.graph.output:
            other = copy(model)
            del other.graph.output[:]
            other.graph.output.append(o)
            yield trimmed(other, feeds)


def begun(model, feeds, values):
    """The network whose input is what a node in it gives, last nodes first."""
    constants = {t.name for t in model.graph.initializer}
    for node in reversed(model.graph.node[:-1]):
        name = node.output[0]
        if (
            node.op_type == "Constant"
            or all(i in constants for i in node.input if i)
            or values[name].dtype.kind != "f"
            or len(node.output) > 1
        ):
            continue
        other = copy(model)
        keep = [copy_node(n) for n in other.graph.node if name not in n.output]
        del other.graph.node[:]
        other.graph.node.extend(keep)
        other.graph.input.append(declare(name, values[name]))
        if name not in [o.name for o in other.graph.output]:
            yield trimmed(other, {**feeds, name: values[name]})


def skipped(model, feeds, values):
    """The network without one node, where its first operand has its shape."""
    for k, node in enumerate(model.graph.node):
        for operand in node.input:
            if (
                not operand
                or len(node.output) > 1
                or operand not in values
                or values[operand].dtype != values[node.output[0]].dtype
            ):
                continue
            if values[operand].shape != values[node.output[0]].shape or node.output[0] in [
                o.name for o in model.graph.output
            ]:
                continue
            other = copy(model)
            del other.graph.node[k]
            for n in other.graph.node:
                for j, name in enumerate(n.input):
                    if name == node.output[0]:
                        n.input[j] = operand
            yield trimmed(other, feeds)


def plainer(model, feeds, _values):
    """One constant of ones in place of its numbers, or its numbers rounded."""
    for k, t in enumerate(model.graph.initializer):
        array = numpy_helper.to_array(t)
        if array.dtype.kind == "f":
            for simple in (np.ones_like(array), np.round(array, 1)):
                if not np.array_equal(simple, array):
                    other = copy(model)
                    other.graph.initializer[k].CopyFrom(numpy_helper.from_array(simple, t.name))
                    yield other, feeds
                    break


def reduced(model, feeds, fails):
    """The smallest network found for which fails(model, feeds)."""
    changes, budget = (one_output, ended, begun, skipped, plainer), 600
    again = True
    while again and budget > 0:
        again = False
        for change in changes:
            try:
                values = values_of(model, feeds)
            except Exception:
                values = None
            for other, fed in change(model, feeds, values) if values else ():
                budget -= 1
                if budget <= 0:
                    break
                if len(fed) and fails(other, fed):
                    model, feeds, again = other, fed, True
                    break
    return model, feeds


def described(model):
    """The network as text, a line for a node."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    constants.update(
        {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in model.graph.node if n.op_type == "Constant"}
    )

    def word(name):
        a = constants.get(name)
        return name if a is None else f"{name}{list(a.shape)}" + (f"={a.reshape(-1).tolist()}" if a.size <= 4 else "")

    lines = [f"opset {model.opset_import[0].version}"]
    for i in model.graph.input:
        kind = i.type.tensor_type
        lines.append(
            f"  {i.name} {[d.dim_value or d.dim_param for d in kind.shape.dim]} "
            + TensorProto.DataType.Name(kind.elem_type)
        )
    for n in (n for n in model.graph.node if n.op_type != "Constant"):
        attributes = " ".join(f"{a.name}={helper.get_attribute_value(a)!r:.60}" for a in n.attribute)
        lines.append(
            f"  {', '.join(n.output)} = {n.op_type}({', '.join(word(i) for i in n.input)}) {attributes}  # {n.name}"
        )
    return "\n".join(lines + ["  -> " + ", ".join(o.name for o in model.graph.output)])
