"""LiteRT with XNNPACK, its default on CPUs: converted by onnx2tf, quantized by ai-edge-quantizer.

onnx2tf pins old versions of the other peers, so it has an environment of its own, whose interpreter KITFOX_LITERT names. Files MODEL.tflite
and MODEL.int8.tflite that lie beside the ONNX file go before.
"""
import os
import subprocess

from peers import Missing

NAME = "LiteRT"
PACKAGES = ["ai-edge-litert", "ai-edge-quantizer"]
RESTRICT = "XNNPACK has no switch"
HOW = "onnx2tf (flatbuffer_direct), h-%s spelled by relu6; XNNPACK"
SMALLEST = 1e-3  # a range below it is a tensor that is constant


def convert(onnx_path, kind, folder, calibration):
    from ai_edge_litert import interpreter  # noqa: F401  a peer without its engine is missing
    beside = os.path.splitext(calibration["source"])[0] + (".tflite" if kind == "fp32" else ".int8.tflite")
    if os.path.exists(beside):
        return beside, "converted elsewhere: " + os.path.basename(beside)
    if not os.path.exists(os.environ.get("KITFOX_LITERT", "")):
        raise Missing("its package converts no ONNX and onnx2tf is not installed; lay %s beside the model" % os.path.basename(beside))
    if kind == "fp32":
        return onnx2tf(onnx_path, os.path.join(folder, "litert_fp32"), False), HOW % "sigmoid"
    import ai_edge_quantizer  # noqa: F401  before the long way
    path = onnx2tf(onnx_path, os.path.join(folder, "litert_int8"), True)
    out, constant = os.path.join(folder, "litert_int8.tflite"), quantize(path, os.path.join(folder, "litert_int8.tflite"), calibration["tensors"])
    note = HOW % "swish and h-sigmoid" + "; ai-edge-quantizer, recipe static_wi8_ai8: int8 input and output too, rounded before the clock starts"
    return out, note + ("; %d constant tensors given the range of 1, without which XNNPACK refuses the model" % constant) * (constant > 0)


def onnx2tf(onnx_path, work, swish):
    """fp32 .tflite. XNNPACK has no HARD_SWISH in 8 bits: left as an operator it would go back to plain code 21 times."""
    import onnx

    import respell
    tool = os.environ["KITFOX_LITERT"]
    os.makedirs(work, exist_ok=True)
    onnx.save(respell.by_relu6(onnx.load(onnx_path), swish), os.path.join(work, "m.onnx"))
    env = dict(os.environ, PATH=os.path.dirname(tool) + os.pathsep + os.environ.get("PATH", ""))  # it calls onnxsim by name
    p = subprocess.run([tool, "-m", "onnx2tf", "-i", "m.onnx", "-o", ".", "-n"], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                       text=True)
    out = os.path.join(work, "m_float32.tflite")
    if not os.path.exists(out):
        raise RuntimeError("onnx2tf wrote no model: " + (p.stderr or p.stdout)[-200:])
    return out


def quantize(path, out, tensors):
    """Writes the int8 model; gives the number of activations that were constant in calibration.

    Their scale would be next to nothing, and XNNPACK refuses layers that scale by more than 256: squeeze-and-excite layers whose ReLU
    never opens have such outputs.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe
    signature, = Interpreter(model_path=path).get_signature_list().items()
    net = quantizer.Quantizer(path, recipe.static_wi8_ai8())
    rows = [{signature[1]["inputs"][0]: np.ascontiguousarray(np.load(t).transpose(0, 2, 3, 1))} for t in tensors]
    ranges = net.calibrate({signature[0]: rows})
    constant = [r for r in ranges.values() if "max" in r and np.max(r["max"]) - np.min(r["min"]) < SMALLEST]
    for r in constant:
        r["max"] = np.full_like(r["max"], 1)
    net.quantize(ranges).export_model(out, overwrite=True)
    return len(constant)


def load(path, threads):
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    net = Interpreter(model_path=path, num_threads=threads)
    net.allocate_tensors()
    into, out = net.get_input_details()[0], net.get_output_details()[0]
    channels_last = into["shape"][-1] == 3 and into["shape"][1] != 3

    def prepare(x):
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if channels_last else x
        if into["dtype"] == np.float32:
            return x
        scale, zero = into["quantization"]
        limits = np.iinfo(into["dtype"])
        return np.clip(np.round(x / scale + zero), limits.min, limits.max).astype(into["dtype"])

    def run(x):
        net.set_tensor(into["index"], x)
        net.invoke()
        return net.get_tensor(out["index"])
    run.prepare = prepare  # its own input is NHWC and, in 8 bits, whole numbers: what numpy takes to make them is not its work
    return run
