"""OpenVINO: reads the ONNX file through its C++ frontend; int8 by NNCF where that imports.

fp32 is asked for by name: left alone, the CPU plugin computes in bf16 where the processor can.
"""
import os

NAME = "OpenVINO"
PACKAGES = ["openvino", "nncf"]
# oneDNN's cap, and that of the plugin's own kernels. One fully connected layer may stay with MLAS, which has none.
RESTRICT = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}}


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
    compiled = ov.Core().compile_model(path, "CPU", config)
    request = compiled.create_infer_request()

    def run(x):
        request.set_input_tensor(x)
        request.infer()  # with the input as its argument the binding takes 35 us more
        return request.get_output_tensor(0).data

    def isa():
        """The widest set in the names of the primitives that were chosen, such as brgconv_avx512_1x1_f32."""
        info = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
        names = " ".join(i["primitiveType"].astype(str) for i in info if "primitiveType" in i)
        return next((word for word in ("avx512", "avx2", "sse") if word in names), "unknown")

    def prepare(x):
        run.given = x  # the tensor is a view of it
        return ov.Tensor(x, shared_memory=True)
    run.prepare = prepare
    run.isa = isa
    return run
