"""ONNX Runtime: reads the ONNX file as it is; int8 by its own static quantizer.

The quantizer's defaults are kept (QDQ, MinMax, int8 activations and weights); per channel is asked for, as its manual advises.
"""
import os

NAME = "ONNX Runtime"
PACKAGES = ["onnxruntime"]


def convert(onnx_path, kind, folder, calibration):
    if kind == "fp32":
        return onnx_path, "the ONNX file, all graph optimizations"
    import numpy as np
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self, name):
            self.rows = ({name: np.load(path)} for path in calibration["tensors"])

        def get_next(self):
            return next(self.rows, None)

    model = onnx.load(onnx_path)
    raised = ""
    if model.opset_import[0].version < 13:  # scales per channel exist from opset 13 on
        model, raised = version_converter.convert_version(model, 13), ", opset raised to 13"
    source, ready, out = (os.path.join(folder, "ort_%s.onnx" % stage) for stage in ("source", "ready", "int8"))
    onnx.save(model, source)
    quant_pre_process(source, ready, skip_symbolic_shape=True)
    quantize_static(ready, out, Reader(model.graph.input[0].name), quant_format=QuantFormat.QDQ, per_channel=True,
                    calibrate_method=CalibrationMethod.MinMax)
    return out, "quantize_static: QDQ, MinMax, per channel, other settings default" + raised


def load(path, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]
