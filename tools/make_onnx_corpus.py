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
    operators()


# ---- every operator of src/graph/ops.def, in networks that compile: so most changes of them reach the runtime too ----

def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def scalar(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.array(value, dtype), name)


def number(text):
    return float(text) if "." in text else int(text)


def nodes(text):
    """A node a line: "Conv x w b -> c strides=2,2 group=4"."""
    made = []
    for line in text.strip().splitlines():
        left, right = line.split("->")
        op, *inputs = left.split()
        pairs = [w.split("=") for w in right.split() if "=" in w]
        attributes = {k: [number(x) for x in v.split(",")] if "," in v else number(v) for k, v in pairs}
        made.append(helper.make_node(op, inputs, [w for w in right.split() if "=" not in w], **attributes))
    return made


def layers():
    """Kinds of convolution and pool, one after the other, and the activations between them."""
    first = [tensor("w", 4, 3, 3, 3), tensor("b", 4), tensor("wd", 4, 1, 3, 3)]
    save("op_convolutions", nodes("""
        Conv x w b -> c pads=1,1,1,1 strides=2,2
        Relu c -> r
        Conv r wd -> d group=4 pads=1,1,1,1
        Clip d lo hi -> e
        Conv e wg -> g group=2
        HardSwish g -> h
        Conv h w5 -> k dilations=1,2 pads=0,2,1,2 strides=1,2
        Sigmoid k -> s
        Mul k s -> m
        GlobalAveragePool m -> y"""), first + [tensor("wg", 4, 2, 1, 1), tensor("w5", 4, 4, 2, 3), scalar("lo", 0),
                                              scalar("hi", 6)], opset=17, out=(1, 4, 1, 1))
    save("op_pools", nodes("""
        MaxPool x -> a kernel_shape=3,3 strides=2,2 pads=1,1,1,1
        AveragePool x -> b kernel_shape=2,2 strides=2,2 ceil_mode=1
        Concat a b -> c axis=1
        AveragePool c -> d kernel_shape=3,2 pads=1,0,1,1 count_include_pad=1
        Pad d pads -> e
        Conv e wp -> f strides=1,2
        ReduceMean f -> y axes=2,3 keepdims=0"""), [ints("pads", 0, 0, 1, 0, 0, 0, 0, 2), tensor("wp", 3, 6, 2, 2)],
         opset=13, out=(1, 3))
    save("op_residual", nodes("""
        Conv x w b -> c pads=1,1,1,1 strides=2,2
        Conv c wd -> d group=4 pads=1,1,1,1
        Add c d -> a
        HardSigmoid a -> h alpha=0.1666667 beta=0.5
        Mul a h -> m
        Max m zero -> n
        Min n six -> o
        Add o c -> y"""), first + [scalar("zero", 0), scalar("six", 6)], opset=13, out=(1, 4, 4, 4))


def heads():
    """Matrices, views, and what is left of a network at its end."""
    base = [tensor("w", 4, 3, 3, 3), tensor("b", 4), tensor("fw", 4, 5), tensor("fb", 5), ints("axes", 2, 3)]
    save("op_matmul", nodes("""
        Conv x w b -> c pads=1,1,1,1 strides=4,4
        GlobalAveragePool c -> p
        Squeeze p axes -> q
        MatMul q fw -> m
        Add m fb -> a
        Softmax a -> y axis=-1"""), base, opset=13, out=(1, 5))
    save("op_gemm", nodes("""
        Conv x w b -> c pads=1,1,1,1 strides=4,4
        ReduceMean c -> p axes=2,3 keepdims=0
        Dropout p -> q
        Gemm q fw fb -> g alpha=0.5 beta=2.0
        Unsqueeze g axes -> u
        Identity u -> y"""), base, opset=13, out=(1, 5, 1, 1))
    save("op_views", nodes("""
        Conv x w b -> c pads=1,1,1,1 strides=4,4
        Reshape c to -> r
        Flatten r -> f
        Gemm f gw -> g
        Reshape g to2 -> h
        Concat h h -> y axis=1"""), base[:2] + [ints("to", 0, -1), ints("to2", 1, 4, 1, 1), tensor("gw", 16, 4)],
         opset=13, out=(1, 8, 1, 1))


def folded():
    """Constants through every operator that is only folded, into the weights of a convolution."""
    base = [tensor("w0", 4, 3, 3, 3), tensor("b", 4), scalar("two", 2), scalar("small", 0.1)]
    save("op_math", nodes("""
        Abs w0 -> w1
        Sqrt w1 -> w2
        Neg w2 -> w3
        Exp w3 -> w4
        Log w4 -> w5
        Erf w5 -> w6
        Tanh w6 -> w7
        Mul w7 two -> w8
        Ceil w8 -> w9
        Sub w9 w8 -> w10
        Pow w10 two -> w11
        Div w11 two -> w12
        Floor w12 -> w13
        Add w13 w12 -> w14
        Min w14 w8 w12 -> w15
        Max w15 small -> w16
        Transpose w16 -> w17 perm=0,1,3,2
        Clip w17 small two -> w18
        Conv x w18 b -> y pads=1,1,1,1"""), base, opset=13, out=(1, 4, 8, 8))
    save("op_logic", nodes("""
        Greater w0 small -> g
        Less w0 two -> l
        And g l -> a
        Not a -> n
        Equal w0 two -> e
        Or n e -> o
        Where o w0 small -> w1
        Split w1 sizes -> s0 s1 axis=0
        Concat s1 s0 -> w2 axis=0
        Gather w2 order -> w3 axis=1
        Slice w3 from to axes steps -> w4
        ReduceSum b zero -> b0 keepdims=1
        Expand b0 four -> b1
        Tile b1 one -> b2
        Conv x w4 b2 -> y"""), base + [ints("sizes", 1, 3), ints("order", 2, 0, 1), ints("from", 0, 2),
                                       ints("to", 3, -4), ints("axes", 2, 3), ints("steps", 1, -1), ints("zero", 0),
                                       ints("four", 4), ints("one", 1)], opset=13, out=(1, 4, 6, 6))
    batchnorm = [tensor("g", 4), tensor("be", 4), tensor("mu", 4),
                 numpy_helper.from_array(np.ones(4, np.float32), "va")]
    save("op_affine", nodes("""
        Conv x w0 -> c
        BatchNormalization c g be mu va -> d
        Relu d -> y"""), base[:1] + batchnorm, opset=13, out=(1, 4, 6, 6))


def shapes():
    """Arithmetic of shapes, as exporters write it."""
    one = helper.make_tensor("v", TensorProto.INT64, [1], [1])
    ones = helper.make_node("ConstantOfShape", ["len"], ["ones"], value=one)
    save("op_shapes", [ones] + nodes("""
        Conv x w b -> c pads=1,1,1,1 strides=2,2
        Shape c -> s
        Gather s zero -> n
        Size s -> rank
        Range zero rank one -> r
        Gather s r -> s2
        Slice s2 from to -> hw
        Cast hw -> f to=1
        Div f two -> h
        Floor h -> k
        Cast k -> i to=7
        Mod i four -> j
        Mul j ones -> jj
        Gather jj axis -> half
        Mul half pair -> sum
        Unsqueeze n axis -> n1
        Concat n1 sum -> shape axis=0
        GlobalAveragePool c -> p
        Reshape p shape -> y"""), [tensor("w", 4, 3, 3, 3), tensor("b", 4), scalar("zero", 0, np.int64),
                                  scalar("one", 1, np.int64), ints("from", 2), ints("to", 4), scalar("two", 2),
                                  ints("four", 4), ints("len", 2), ints("axis", 0), ints("pair", 2)],
         opset=13, out=(1, 4))


def floats():
    """Operators of runtime tensors that have no step: they import, run in the reference and are written."""
    save("op_floats", nodes("""
        Abs x -> a
        Sqrt a -> b
        Neg b -> c
        Exp c -> d
        Erf d -> e
        Tanh e -> f
        Sub f x -> g
        Div g d -> h
        Pow d two -> i
        Min h i x -> j
        Transpose j -> k perm=0,2,3,1
        Split k sizes -> l m axis=3
        Concat m l -> n axis=-1
        Slice n from to -> o
        Softmax o -> p axis=1
        Greater p half -> q
        Where q p o -> y"""), [scalar("two", 2), ints("sizes", 1, 2), ints("from", 0, 1), ints("to", 1, 7),
                              scalar("half", 0.5)], opset=13, out=(1, 6, 8, 3))


def external():
    """Weights in a file beside the network; fuzz_onnx.c makes it."""
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3, 3, 3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "16"), ("length", "432")):
        w.external_data.add(key=key, value=value)
    graph = helper.make_graph(nodes("Conv x w b -> y strides=2,2"), "external",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 3, 3))], [w, tensor("b", 4)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    with open(os.path.join(OUT, "external.onnx"), "wb") as f:
        f.write(model.SerializeToString())


def operators():
    layers()
    heads()
    folded()
    shapes()
    floats()
    external()


if __name__ == "__main__":
    main()
