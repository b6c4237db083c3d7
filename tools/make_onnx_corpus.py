#!/usr/bin/env python3
"""Make the small ONNX files of tests/fuzz/corpus/onnx: one for each storage form and spelling that the reader knows.

Needs the onnx package; the results are committed. Run from the repository root.
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = "tests/fuzz/corpus/onnx"
RNG = np.random.default_rng(7)


def tensor(name, *shape):
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), name)


def save(name, nodes, inits, opset=11, shape=(1, 3, 8, 8), out=(1, 4)):
    graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(OUT, name + ".onnx"))


def head(x):
    return [helper.make_node("GlobalAveragePool", [x], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "fw", "fb"], ["y"], transB=1)]


def main():
    os.makedirs(OUT, exist_ok=True)
    conv = helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    base = [tensor("w", 4, 3, 3, 3), tensor("b", 4), tensor("fw", 4, 4), tensor("fb", 4)]
    save("hardsigmoid", [conv, helper.make_node("HardSigmoid", ["c"], ["h"], alpha=1 / 6, beta=0.5), helper.make_node("Mul", ["c", "h"], ["m"])] + head("m"), base)
    save("hardswish17", [conv, helper.make_node("HardSwish", ["c"], ["m"])] + head("m"), base, opset=17)
    bn = [tensor("g", 4), tensor("be", 4), tensor("mu", 4), numpy_helper.from_array(np.ones(4, np.float32), "va")]
    save("batchnorm9", [conv, helper.make_node("BatchNormalization", ["c", "g", "be", "mu", "va"], ["m"])] + head("m"), base + bn, opset=9)
    save("clip7", [conv, helper.make_node("Clip", ["c"], ["m"], min=0.0, max=6.0)] + head("m"), base, opset=7)
    se = [tensor("w1", 2, 4, 1, 1), tensor("b1", 2), tensor("w2", 4, 2, 1, 1), tensor("b2", 4)]
    save("se", [conv, helper.make_node("ReduceMean", ["c"], ["s"], axes=[2, 3]), helper.make_node("Conv", ["s", "w1", "b1"], ["s1"]), helper.make_node("Relu", ["s1"], ["s2"]),
                helper.make_node("Conv", ["s2", "w2", "b2"], ["s3"]), helper.make_node("HardSigmoid", ["s3"], ["s4"], alpha=1 / 6, beta=0.5), helper.make_node("Mul", ["c", "s4"], ["m"])] + head("m"), base + se)
    pad = [numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64), "pads")]
    save("pad11", [helper.make_node("Pad", ["x", "pads"], ["q"]), helper.make_node("Conv", ["q", "w", "b"], ["c"], strides=[2, 2])] + head("c"), base + pad)
    axes = numpy_helper.from_array(np.array([2, 3], np.int64), "axes")
    save("reducemean18", [conv, helper.make_node("ReduceMean", ["c", "axes"], ["r"], keepdims=0), helper.make_node("Gemm", ["r", "fw", "fb"], ["y"], transB=1)], base + [axes], opset=18)
    shape = [helper.make_node("Shape", ["c"], ["sh"]), helper.make_node("Gather", ["sh", "zero"], ["n"]), helper.make_node("Unsqueeze", ["n"], ["n1"], axes=[0]),
             helper.make_node("Concat", ["n1", "minus"], ["to"], axis=0), helper.make_node("GlobalAveragePool", ["c"], ["p"]), helper.make_node("Reshape", ["p", "to"], ["f"]),
             helper.make_node("MatMul", ["f", "mw"], ["mm"]), helper.make_node("Add", ["mm", "fb"], ["y"])]
    save("shape_subgraph", [conv] + shape, base[:2] + [base[3], tensor("mw", 4, 4), numpy_helper.from_array(np.array(0, np.int64), "zero"), numpy_helper.from_array(np.array([-1], np.int64), "minus")])
    typed = helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 3, 3], RNG.standard_normal(108).astype(np.float32).tolist())
    save("typed_data", [conv] + head("c"), [typed] + base[1:])
    half = helper.make_node("Cast", ["wh"], ["w"], to=TensorProto.FLOAT)
    save("fp16", [half, conv] + head("c"), [numpy_helper.from_array(RNG.standard_normal((4, 3, 3, 3)).astype(np.float16), "wh")] + base[1:])
    save("free_batch", [conv] + head("c"), base, shape=("N", 3, 8, 8), out=("N", 4))
    same = helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2])
    save("auto_pad", [same] + head("c"), base)


if __name__ == "__main__":
    main()
