"""One file a peer: NAME, PACKAGES, convert(onnx_path, kind, folder, calibration) -> (path, note), load(path, threads) -> run(x).

convert writes into folder and gives the path that load takes; kind is "fp32" or "int8". run takes one NCHW float32 tensor.
"""
ORDER = ["ort", "openvino", "ncnn", "mnn", "litert"]


class Missing(Exception):
    """No honest way to do this; the text becomes a line of the report."""
