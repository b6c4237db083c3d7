# Files that once failed: illegal ones must be refused with a reason, legal ones must run. In a build with sanitizers
# each run is also held to its memory. Usage: test_cases.py KITFOX
import os
import re
import struct
import sys

from kfx_file import Program
from kit import EXAMPLES, ROOT, case, check, levels, run, run_cases

CASES = os.path.join(ROOT, "tests", "data", "cases")


def refused(name, path, *words):
    for verb in (("info", path), ("bench", "-n", "1", path)):
        code, _, err = run(*verb)
        check(f"{name}: {verb[0]} refuses it", code == 1 and all(w in err for w in words), (code, err))


def runs(name, path):
    for level in levels():
        code, out, err = run("bench", "-n", "2", "-t", "1,2", path, env={"KITFOX_CPU": level})
        check(f"{name}: runs on {level}", code == 0 and out.count("FPS") == 2, (code, out, err))


def quantizes(folder, name):
    """A legal network: quantized, close to the float network, and the same integers on every level."""
    out = os.path.join(folder, name + ".kfx")
    code, text, err = run("quantize", os.path.join(CASES, name), "--calib", EXAMPLES, "-p",
                          "timm:mobilenetv3_large_100", "-o", out)
    found = re.search(r"SQNR (-?[0-9.]+) dB", text + err)
    check(f"{name}: is quantized, and close", code == 0 and found and float(found.group(1)) > 35, (code, text, err))
    if code:
        return
    runs(name, out)
    for level in levels():
        code, text, err = run("verify", out, env={"KITFOX_CPU": level})
        check(f"{name}: gives the same integers on {level}", code == 0, (code, text, err))


def write(folder, name, program):
    path = os.path.join(folder, name + ".kfx")
    with open(path, "wb") as f:
        f.write(program.file())
    return path


def head(p, x, residual=None, c=4, **fields):
    """An fc step from x to f32, which is the output."""
    k, y = p.tensors[x]["shape"][3], p.tensor("f32", 1, 1, 1, c)
    consts = {"w": p.const("I8", [c, k], bytes(c * k)), "bias": p.ints(c), "mul": p.floats(c)}
    p.step("fc", [x] if residual is None else [x, residual], y, {**consts, **fields.pop("consts", {})}, **fields)
    p.end("out", y)
    return consts


def quantized(p, dtype, n, h, w, c, **quant):
    x, q = p.tensor("f32", n, h, w, c), p.tensor(dtype, n, h, w, c, **quant)
    p.end("in", x)
    low, high = p.tensors[q]["qmin"], p.tensors[q]["qmax"]
    p.step("quantize", [x], q, {"inv": p.floats(1)}, qlo=low, qhi=high)
    return q


@case
def not_finite(folder):
    """NaN in, NaN out, through a whole network with ReLU, h-swish and gates; one pixel is enough."""
    model, x, y = os.path.join(ROOT, "data", "everyday10.safetensors"), os.path.join(folder, "x.npy"), os.path.join(folder, "y.npy")
    for what, hole in (("NaN", float("nan")), ("a difference of infinities", float("inf"))):
        values = [0.25] * (3 * 64 * 64)
        values[777], values[778] = hole, -hole
        text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 64, 64), }".ljust(117) + "\n"
        with open(x, "wb") as f:
            f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + struct.pack(f"<{len(values)}f", *values))
        for level in levels():
            code, _, err = run("run", model, x, "-o", y, env={"KITFOX_CPU": level})
            with open(y, "rb") as f:
                got = struct.unpack("<10f", f.read()[-40:])
            check(f"{what}: no finite score on {level}", code == 0 and all(g != g for g in got), (code, err, got))


@case
def second_input(folder):
    p = Program()
    x = quantized(p, "u8", 1, 1, 1, 16)
    head(p, x)
    runs("a fc step", write(folder, "fc", p))  # the others differ from it by one thing
    p = Program()
    x, r = quantized(p, "u8", 1, 1, 1, 16), quantized(p, "u8", 1, 1, 1, 1)
    head(p, x, r)
    refused("fc with a residual", write(folder, "residual", p), "2 inputs; at least 1 and at most 1")
    p = Program()
    a, b = quantized(p, "u8", 1, 2, 2, 4), quantized(p, "u8", 1, 1, 1, 1)
    q, y = p.tensor("u8", 1, 2, 2, 4), p.tensor("f32", 1, 2, 2, 4)
    p.step("act", [a, b], q, {"inv": p.floats(1)}, qhi=255)
    p.step("dequantize", [q], y)
    p.end("out", y)
    refused("act with a second input", write(folder, "act", p), "2 inputs; at least 1 and at most 1")


def moved(bound):
    """Numbers up to 32767 that a step moves into a tensor of narrower bounds, and a sum that counts on these."""
    p = Program()
    x = quantized(p, "i16", 1, 1, 1, 64)
    y = p.tensor("i16", 1, 1, 1, 64, qmin=-bound, qmax=bound)
    p.step("to_nchw", [x], y, qlo=-bound, qhi=bound)
    out = p.tensor("f32", 1, 1, 1, 4)
    heavy = p.const("I16", [4, 64], (30000).to_bytes(2, "little") * 256)
    p.step("fc", [y], out, {"w": heavy, "bias": p.ints(4), "mul": p.floats(4)})
    p.end("out", out)
    return p


@case
def roles(folder):
    p = Program()
    x = quantized(p, "u8", 1, 1, 1, 16)
    head(p, x, consts={"k": 1, "inv": 1}, act=["hswish", 0.0, 0.0])  # 1 is w
    refused("weights as a factor", write(folder, "k", p), "(fc)")
    p = Program()
    x = quantized(p, "u8", 1, 1, 1, 16)
    head(p, x, border_bias=1, kh=4096, kw=4096, sh=-2147483648, dh=2147483647)
    refused("a bias table of a fc step", write(folder, "border", p), "(fc)")
    p = Program()
    x = quantized(p, "u8", 1, 1, 1, 16)
    head(p, x)
    p.consts = [p.consts[0]] * len(p.consts)
    refused("a constant that is named twice", write(folder, "twice", p), "named twice")


def acts(sides, outputs):
    """Activations of an image of `sides` squared, all of which are outputs."""
    p = Program()
    x = p.tensor("f32", 1, sides, sides, 1)
    p.end("in", x)
    for _ in range(outputs):
        y = p.tensor("f32", 1, sides, sides, 1)
        p.step("act", [x], y, act=["clip", 0.0, 1.0])
        p.end("out", y)
    return p


def window(op, sides, taps, pad, **more):
    p = Program()
    out = sides + 2 * pad - more.get("dh", 1) * (taps - 1)
    x, y = p.tensor("f32", 1, sides, sides, 1), p.tensor("f32", 1, out, out, 1)
    p.end("in", x)
    consts = {"w": p.const("F32", [1, taps, taps, 1], bytes(4 * taps * taps))} if op == "conv" else {}
    fields = {"kh": taps, "kw": taps, "sh": 1, "sw": 1, "dh": 1, "dw": 1, "group": 1, **more}
    p.step(op, [x], y, consts, pt=pad, pl=pad, pb=pad, pr=pad, **fields)
    p.end("out", y)
    return p


def over(name, path, number, option, *more):
    """Nothing is wrong with the file, but running it would take more than the limit: a model may be looked at."""
    code, _, err = run("info", path)
    check(f"{name}: info looks at it", code == 0, (code, err))
    for verb in ("bench", "-n", "1"), ("run", "-o", path + ".npz", path + ".npy"):
        code, _, err = run(verb[0], path, *verb[1:], *more)
        found = re.search(r"([0-9]+); at most ([0-9]+) are accepted", err)
        check(f"{name}: {verb[0]} names both numbers, and the option", code == 1 and option in err and found and
              found.group(2) == number and int(found.group(1)) > int(number), (code, err))


@case
def limits(folder):
    plenty = ("--max-operations", str(10**15))
    over("33 GB of outputs", write(folder, "bomb", acts(16384, 31)), str(4 << 30), "--max-memory", *plenty)
    over("the same", write(folder, "bomb", acts(16384, 31)), str(1 << 38), "--max-operations")
    over("a pool of 4096 squared", write(folder, "pool", window("max_pool", 4096, 4096, 2048)), str(1 << 38),
         "--max-operations")
    over("a dilated convolution", write(folder, "dilated", window("conv", 4096, 128, 200, dh=3, dw=3)), str(1 << 38),
         "--max-operations")
    small = write(folder, "small", acts(8, 1))
    runs("a small step", small)
    over("a small step", small, "512", "--max-memory", "--max-memory", "512")
    over("a small step", small, "100", "--max-operations", "--max-operations", "100")
    code, out, err = run("bench", small, "-n", "1", "--max-memory", "2M", "--max-operations", "100000")
    check("limits that are just met run", code == 0 and "FPS" in out, (code, err))
    for bad in ("0", "-1", "1Q", "1KB", "", "99999999999999999999", "20000000000G"):
        code, _, err = run("bench", small, "--max-memory", bad)
        check(f"--max-memory {bad!r} is refused", code == 2 and "number of bytes" in err, (code, err))


@case
def series(folder):
    """A file of 5,000 of each: seconds or minutes, as long as anything was quadratic."""
    n = 5000
    p = acts(1, n)
    for _ in range(n):
        p.tensor("f32", 1, 1, 1, 1)
    for _ in range(n):
        p.floats(1)
    p.consts.reverse()
    code, out, err = run("info", "--nodes", "--json", write(folder, "many", p))
    check("5,000 steps, outputs, unused tensors and constants load", code == 0 and out.count('"act"') == n, err)


@case
def stored(folder):
    for name in sorted(os.listdir(CASES)):
        path = os.path.join(CASES, name)
        if name.startswith("B"):
            refused(name, path, "step s0 (conv)")
        elif name.endswith(".kfx"):
            runs(name, path)
        elif name.endswith(".onnx"):
            quantizes(folder, name)


@case
def proofs(folder):
    refused("numbers moved past a proof", write(folder, "moved", moved(1)), "(to_nchw)", "outside the output's")
    refused("a sum that overflows", write(folder, "sum", moved(32767)), "(fc)", "could overflow")


sys.exit(run_cases())
