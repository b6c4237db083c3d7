"""One file a peer: NAME, PACKAGES, RESTRICT, convert(onnx_path, kind, folder, calibration) -> (path, note), load(path, threads) -> run(x).

convert writes into folder and gives the path that load takes; kind is "fp32" or "int8". run takes one NCHW float32 tensor, or what its
attribute `prepare`, where it has one, made of it before the clock started. Its attribute `isa()`, where it has one, names the widest
instruction set that the engine says it uses. RESTRICT: word of --isa -> environment that holds the engine to it; a string says why there is none.
PACKAGES starts with the engine itself.
"""
ORDER = ["ort", "openvino", "ncnn", "mnn", "litert"]


class Missing(Exception):
    """No honest way to do this; the text becomes a line of the report."""
