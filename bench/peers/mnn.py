"""MNN: its converter and its offline quantizer, called through the native module of its package.

MNN.tools is never imported: on import it installs a logging package with pip, and its commands report their use over the network.
"""
import json
import os
import subprocess
import sys

NAME = "MNN"
PACKAGES = ["MNN"]
RESTRICT = "it has no switch"


def convert(onnx_path, kind, folder, calibration):
    import _tools  # the native half of MNN.tools
    fp32, out = os.path.join(folder, "mnn_fp32.mnn"), os.path.join(folder, "mnn_%s.mnn" % kind)
    if not os.path.exists(fp32):
        _tools.mnnconvert(arguments(onnx_path, fp32))
    if not os.path.exists(fp32):
        raise RuntimeError("mnnconvert wrote no model")
    if kind == "fp32":
        return fp32, "mnnconvert, default settings; precision normal"
    if offline(fp32, out, folder, calibration):
        return out, "mnnquant: KL activations, MAX_ABS weights (its documented defaults)"
    _tools.mnnconvert(arguments(onnx_path, out) + ["--weightQuantBits", "8"])
    if not os.path.exists(out):
        raise RuntimeError("neither mnnquant nor mnnconvert wrote a model")
    return out, "weights alone (mnnconvert --weightQuantBits 8, memory low), because its offline quantizer mnnquant failed here"


def arguments(onnx_path, out):
    return ["mnnconvert", "-f", "ONNX", "--modelFile", onnx_path, "--MNNModel", out, "--bizCode", "bench"]


def offline(fp32, out, folder, calibration):
    """mnnquant in a process of its own: where it fails it aborts."""
    config = {"format": "RGB", "mean": calibration["mean255"], "normal": calibration["normal255"], "width": calibration["width"],
              "height": calibration["height"], "path": calibration["pictures"], "used_image_num": len(calibration["tensors"]),
              "feature_quantize_method": "KL", "weight_quantize_method": "MAX_ABS"}
    config_path = os.path.join(folder, "mnn.json")
    with open(config_path, "w") as f:
        json.dump(config, f)
    code = "import sys, _tools; _tools.mnnquant(['mnnquant'] + sys.argv[1:])"  # like a program's; with three strings, as its own command calls it, it aborts
    status = subprocess.run([sys.executable, "-c", code, fp32, out, config_path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return status.returncode == 0 and os.path.exists(out)


def load(path, threads):
    import MNN
    import numpy as np
    net = MNN.Interpreter(path)
    memory = "low" if "int8" in os.path.basename(path) else "normal"  # low asks for int8 arithmetic where the engine has it
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "normal", "memory": memory})
    into, out = net.getSessionInput(session), net.getSessionOutput(session)
    shape = out.getShape()

    def prepare(x):
        return MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe)

    def run(x):
        into.copyFrom(x)
        net.runSession(session)
        host = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Caffe)
        out.copyToHostTensor(host)
        return host.getNumpyData().copy()  # a view of host, which goes with this call
    run.prepare = prepare
    run.keep = net  # the session dies with its interpreter
    return run
