#!/usr/bin/env python3
"""Simplified files against outside truth: onnx.checker accepts them, ONNX Runtime gives the source's outputs.

Argument: the program. Needs ../shared and the interpreter that KITFOX_PEERS names (onnx, onnxruntime, numpy); skips (77) without.
"""
import glob
import os
import subprocess
import sys

from kit import PEERS, SHARED, case, check, peers_have, run, run_cases

COMPARE = """
import sys, numpy, onnx, onnxruntime
model = onnx.load(sys.argv[2])
onnx.checker.check_model(model, full_check=True)
old, new = (onnxruntime.InferenceSession(p, providers=["CPUExecutionProvider"]) for p in sys.argv[1:3])
assert [i.name for i in old.get_inputs()] == [i.name for i in new.get_inputs()]
assert [o.name for o in old.get_outputs()] == [o.name for o in new.get_outputs()]
source = onnx.load(sys.argv[1], load_external_data=False)
assert source.opset_import[0].version == model.opset_import[0].version and source.ir_version == model.ir_version
x = {i.name: numpy.random.default_rng(1).random(i.shape, dtype=numpy.float32) for i in new.get_inputs()}
for a, b in zip(old.run(None, x), new.run(None, x)):
    assert abs(a - b).max() <= 1e-5 * abs(a).max(), abs(a - b).max()
"""
models = sorted(glob.glob(os.path.join(SHARED, "models", "*.onnx")))
if not models or not peers_have("onnx", "onnxruntime"):
    print("SKIP: ../shared or the interpreter of KITFOX_PEERS with onnx and onnxruntime is missing")
    sys.exit(77)


@case
def simplified(folder):
    for model in models:
        out = os.path.join(folder, "out.onnx")
        shape = ["--input-shape", "1x3x48x192"] if "ppocr" in model else []
        code, _, err = run("simplify", model, "-o", out, "--check", "0", *shape)
        if code == 0:
            p = subprocess.run([PEERS, "-c", COMPARE, model, out], capture_output=True, text=True)
            code, err = p.returncode, p.stderr
        check(os.path.basename(model), code == 0, err[-500:])


sys.exit(run_cases())
