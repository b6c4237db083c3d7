#!/usr/bin/env python3
"""Networks that were computed wrongly or refused with an internal error when test_random.py or a person tried them, in
their smallest form. ONNX Runtime with its optimizations off says what they give.

Argument: the program. Needs the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""

import os
import subprocess
import sys
import tempfile

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
PEERS = os.environ.get("KITFOX_PEERS") or os.path.join(CACHE, "kitfox", "truth", "bin", "python")
try:
    import numpy as np
    import onnx.parser
    import forms
    import oracle
except ImportError:
    if os.environ.get("KITFOX_AGAIN") or not os.path.exists(PEERS):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx, onnxruntime and numpy is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)

# What it shows, the opset, the graph as onnx.parser reads it, and the verdict that is right.
FOUND = [
    (
        "softmax of opset 9 over another axis than the last, once it has gone before a transposition",
        9,
        "(float[3,1,5,5] x) => (float[5,5,3,1] z) { y = Transpose<perm = [3, 2, 0, 1]>(x) z = Softmax<axis = 3>(y) }",
    ),
    (
        "softmax of opset 9 over channels behind a transposition",
        9,
        "(float[1,5,4,3] x) => (float[1,4,3,5] z) { y = Transpose<perm = [0, 2, 3, 1]>(x) z = Softmax<axis = 3>(y) }",
    ),
    ("an input of rank 3 is read in its own order", 13, "(float[1,4,10] x) => (float[1,4,10] y) { y = Relu(x) }"),
    (
        "rank 3 becomes rank 4",
        12,
        "(float[3,11,7] x) => (float[1,3,11,7] z) { y = Unsqueeze<axes = [0]>(x) z = Relu(y) }",
    ),
    (
        "a constant a channel meets rank 3",
        13,
        "(float[1,3,9] x) => (float[1,3,9] y) <float[1,3,1] c = {1, -2, 3}> { y = Add(c, x) }",
    ),
    (
        "an image becomes rank 3 and meets a constant",
        13,
        "(float[1,4,7,11] x) => (float[1,4,77] z) <int64[3] s = {1, 4, 77}, float[1,4,1] c = {1, 2, 3, 4}>"
         " { y = Reshape(x, s) z = Add(c, y) }",
    ),
    (
        "a reduction to rank 3 meets one number",
        11,
        "(float[1,4,6,6] x) => (float[1,4,6] z) <float[1] c = {2}>"
         " { y = ReduceMean<axes = [-1], keepdims = 0>(x) z = Add(c, y) }",
    ),
    (
        "a reduction to rank 3 meets a constant of rank 2",
        11,
        "(float[1,1,10,12] x) => (float[1,1,10] z) <float[1,1] c = {2}>"
         " { y = ReduceMax<axes = [3], keepdims = 0>(x) z = Sub(y, c) }",
    ),
    (
        "a batch becomes part of a vector before a layer",
        13,
        "(float[2,3,2,2] x) => (float[1,2] z) <int64[2] s = {1, 24}, float[24,2] w = {WEIGHTS48}>"
         " { y = Relu(x) v = Reshape(y, s) z = MatMul(v, w) }",
    ),
    (
        "the batch is squeezed away before a layer",
        13,
        "(float[1,3,2,4] x) => (float[3,2] z) <int64[1] a = {0}, int64[2] s = {3, 8}, float[8,2] w = {WEIGHTS16}>"
        " { y = Squeeze(x, a) v = Reshape(y, s) z = MatMul(v, w) }",
    ),
    (
        "a vector becomes an image",
        13,
        "(float[1,24] x) => (float[1,2,3,4] z) <int64[4] s = {1, 2, 3, 4}> { y = Reshape(x, s) z = Relu(y) }",
    ),
    (
        "an image becomes another image",
        13,
        "(float[1,4,3,2] x) => (float[1,2,4,3] z) <int64[4] s = {1, 2, 4, 3}>"
         " { w = Relu(x) y = Reshape(w, s) z = Sigmoid(y) }",
    ),
    (
        "a pad as wide as the window of a pool stays a pad",
        13,
        "(float[1,4,5,5] x) => (float[1,4,8,8] z) <int64[8] p = {0, 0, 2, 2, 0, 0, 2, 2}>"
        " { w = Relu(x) y = Pad(w, p) z = AveragePool<kernel_shape = [2, 2], count_include_pad = 1>(y) }",
    ),
    (
        "the same before a largest value",
        13,
        "(float[1,4,5,5] x) => (float[1,4,8,8] z) <int64[8] p = {0, 0, 2, 2, 0, 0, 2, 2}>"
        " { w = Relu(x) y = Pad(w, p) z = MaxPool<kernel_shape = [2, 2]>(y) }",
    ),
    ("a network without a step says so", 13, "(float[1,4,2,2] x) => (float[1,4,2,2] y) { y = Identity(x) }", "refused"),
    (
        "a Gather of every place in order, as dynamo exports of channels_last write",
        18,
        "(float[1,4,3,3] x) => (float[1,4] z) <int64[2] a = {-1, -2}, int64[1] f = {-1},"
         " int64[1,4,1,1] i = {0, 1, 2, 3}, int64[2] s = {1, 4}>"
        " { m = ReduceMean<keepdims = 1>(x, a) v = Reshape(m, f) g = Gather<axis = 0>(v, i)"
         " y = Relu(g) z = Reshape(y, s) }",
    ),
    (
        "a Gather of every place out of order",
        18,
        "(float[1,4,3,3] x) => (float[1,4] z) <int64[4] i = {0, 2, 1, 3}, float[4,4] w = {WEIGHTS16}>"
        " { m = GlobalAveragePool(x) v = Flatten(m) g = Gather<axis = 1>(v, i) z = MatMul(g, w) }",
    ),
    (
        "a gate of one layer",
        13,
        "(float[1,3,4,4] x) => (float[1,3,4,4] z) <float[3,3,1,1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}>"
        " { p = GlobalAveragePool(x) c = Conv(p, w) g = HardSigmoid<alpha = 0.1666667, beta = 0.5>(c)"
         " y = Mul(g, x) z = Relu(y) }",
    ),
    (
        "a Concat of more inputs than a step has",
        13,
        "(float[1,2,3,3] x) => (float[1,36,3,3] z) { a = Relu(x) y = Concat<axis = 1>("
        + ", ".join("xa"[k % 2] for k in range(18))
        + ") z = Relu(y) }",
    ),
]


def weights(text):
    """WEIGHTSn as n numbers."""
    for n in (48, 16):
        text = text.replace(f"WEIGHTS{n}", ", ".join(f"{np.sin(k + 1.0):.4f}" for k in range(n)))
    return text


def main():
    program, failed = os.path.abspath(sys.argv[1]), 0
    for what, opset, text, *expected in FOUND:
        model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> found {weights(text)}')
        for k, node in enumerate(model.graph.node):
            node.name = f"n{k}_{node.op_type}"
        feeds = {
            i.name: np.random.RandomState(3)
            .randn(*(d.dim_value for d in i.type.tensor_type.shape.dim))
            .astype(np.float32)
            for i in model.graph.input
        }
        with tempfile.TemporaryDirectory(prefix="kitfox-found-") as folder:
            verdict = oracle.judge(model, feeds, program, folder, True, forms.fault_of)
        good = verdict.kind == (expected[0] if expected else "equal")
        failed += not good
        print(("ok    " if good else "FAIL  ") + what + ("" if good else f": {verdict.kind}: {verdict.text}"))
    print(f"{len(FOUND)} networks, {failed} failures")
    return 1 if failed else 0


sys.exit(main())
