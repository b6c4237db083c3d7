"""OpenVINO: reads the ONNX file through its C++ frontend; int8 by NNCF where that imports.

fp32 is asked for by name: left alone, the CPU plugin computes in bf16 where the processor can.
"""
import os

NAME = "OpenVINO"
PACKAGES = ["openvino", "nncf"]


def convert(onnx_path, kind, folder, calibration):
    import openvino as ov
    model = ov.Core().read_model(onnx_path)  # not convert_model, which reports its use over the network
    out, note = os.path.join(folder, "openvino_%s.xml" % kind), "IR with fp32 weights; CPU, latency hint, inference precision f32"
    if kind == "int8":
        os.environ["NNCF_CI"] = "1"  # its switch against reporting use over the network
        import nncf
        import numpy as np
        data = nncf.Dataset([np.load(path) for path in calibration["tensors"]])
        model, note = nncf.quantize(model, data), "nncf.quantize, default settings (preset performance)"
    ov.save_model(model, out, compress_to_fp16=False)
    return out, note


def load(path, threads):
    import openvino as ov
    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32",
              "ENABLE_CPU_PINNING": False}
    request = ov.Core().compile_model(path, "CPU", config).create_infer_request()

    def run(x):
        request.infer([x], share_inputs=True)
        return request.get_output_tensor(0).data
    return run
