"""ONNX Runtime: reads the ONNX file as it is; int8 by its own static quantizer.

Of the quantizer's settings two are not its defaults: scales per channel, and on x86-64 activations in uint8. With int8 activations
half of the convolutions of a MobileNetV3 stay in floating point there, which is slower than fp32 and loses labels.
"""
import os
import platform

NAME = "ONNX Runtime"
PACKAGES = ["onnxruntime"]
RESTRICT = "MLAS has no switch"


def convert(onnx_path, kind, folder, calibration):
    if kind == "fp32":
        return onnx_path, "the ONNX file, all graph optimizations"
    import numpy as np
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
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
    unsigned = platform.machine() in ("x86_64", "AMD64")
    quantize_static(ready, out, Reader(model.graph.input[0].name), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax)
    activations = "uint8 (int8, the default, is slower here)" if unsigned else "int8"
    return out, "quantize_static: QDQ, MinMax, per channel, activations %s, other settings default%s" % (activations, raised)


def load(path, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]
