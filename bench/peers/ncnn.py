"""ncnn: converted by pnnx, its own converter, with fp32 weights and fp32 arithmetic.

int8 is left out: the quantizer (ncnn2table, ncnn2int8) is a C++ tool that no PyPI package carries.
"""
import os
import shutil
import subprocess

from peers import Missing

NAME = "ncnn"
PACKAGES = ["ncnn", "pnnx"]
RESTRICT = "decided when it is compiled"


def convert(onnx_path, kind, folder, calibration):
    if kind == "int8":
        raise Missing("its quantizer (ncnn2table, ncnn2int8) is in no PyPI package")
    import importlib.util
    import ncnn  # noqa: F401  a peer without its engine is missing before anything is converted
    found = importlib.util.find_spec("pnnx")
    if not found:
        raise Missing("its converter pnnx is not installed")
    tool = os.path.join(os.path.dirname(found.origin), "pnnx")
    work = os.path.join(folder, "ncnn")
    os.makedirs(work, exist_ok=True)
    shutil.copyfile(onnx_path, os.path.join(work, "m.onnx"))
    os.chmod(tool, os.stat(tool).st_mode | 0o100) if not os.access(tool, os.X_OK) else None
    p = subprocess.run([tool, "m.onnx", "fp16=0"], cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    out = os.path.join(work, "m.ncnn.param")
    if not os.path.exists(out):
        raise RuntimeError("pnnx wrote no model: " + (p.stderr or p.stdout)[-200:])
    return out, "pnnx, fp16=0; fp16 and bf16 arithmetic off, other options default"


def load(path, threads):
    import ncnn
    import numpy as np
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    if net.load_param(path) or net.load_model(path[:-len("param")] + "bin"):
        raise RuntimeError("ncnn cannot load what pnnx wrote")
    first, last = net.input_names()[0], net.output_names()[0]

    def run(x):
        extractor = net.create_extractor()
        extractor.input(first, ncnn.Mat(x[0]))
        status, out = extractor.extract(last)
        if status:
            raise RuntimeError("ncnn: extract returned %d" % status)
        return np.array(out)
    return run
