"""LiteRT: runs MODEL.tflite and MODEL.int8.tflite that lie beside the ONNX file; XNNPACK, its default on CPUs.

Its package converts no ONNX. The usual road, onnx2tf, pins TensorFlow and old versions of the other peers, so it cannot share their
environment; a file made elsewhere is taken as it is.
"""
import os

from peers import Missing

NAME = "LiteRT"
PACKAGES = ["ai-edge-litert"]


def convert(onnx_path, kind, folder, calibration):
    from ai_edge_litert import interpreter  # noqa: F401  a peer without its engine is missing
    stem = os.path.splitext(onnx_path)[0]
    path = stem + (".tflite" if kind == "fp32" else ".int8.tflite")
    if not os.path.exists(path):
        raise Missing("its package converts no ONNX; lay %s beside the model" % os.path.basename(path))
    return path, "converted elsewhere: " + os.path.basename(path)


def load(path, threads):
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    net = Interpreter(model_path=path, num_threads=threads)
    net.allocate_tensors()
    into, out = net.get_input_details()[0], net.get_output_details()[0]
    channels_last = into["shape"][-1] == 3 and into["shape"][1] != 3

    def run(x):
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if channels_last else x
        if into["dtype"] != np.float32:
            scale, zero = into["quantization"]
            limits = np.iinfo(into["dtype"])
            x = np.clip(np.round(x / scale + zero), limits.min, limits.max).astype(into["dtype"])
        net.set_tensor(into["index"], x)
        net.invoke()
        return net.get_tensor(out["index"])
    return run
