#!/usr/bin/env python3
"""kitfox verify: float and quantized models at every instruction set, vectors altered in the file, the made-up input redone here.

Arguments: the program, the source root. Networks of ../shared are verified too where they are.
"""
import array
import hashlib
import json
import math
import os
import struct
import sys

from kit import ROOT, SHARED, case, check, levels, once, run, run_cases, says

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_onnx

PREFIX = 8 + len('{"__metadata__":{"kitfox.hash":"')


def read(path):
    """Header and program of a .kfx, and its tensor bytes."""
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    return header, json.loads(header["__metadata__"]["kitfox.program"]), data[8 + n:]


def write(path, header, program, tensors):
    """As docs/FORMAT.md says, the hash included."""
    header["__metadata__"] = {"kitfox.hash": "0" * 64, "kitfox.program": json.dumps(program, separators=(",", ":"))}
    text = json.dumps({"__metadata__": header["__metadata__"], **{k: v for k, v in header.items() if k != "__metadata__"}}, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    data = bytearray(struct.pack("<Q", len(text)) + text + tensors)
    data[PREFIX:PREFIX + 64] = hashlib.sha256(bytes(data)).hexdigest().encode()
    with open(path, "wb") as f:
        f.write(data)


def altered(path, to, change):
    header, program, tensors = read(path)
    change(program)
    write(to, header, program, tensors)
    return program


def mix(x):
    x = x * 2654435761 & 0xffffffff
    x ^= x >> 15
    return x * 2246822519 & 0xffffffff


def made_up(n):
    return bytes(mix(i + 1) >> 24 for i in range(n))


def quantized(folder, model, side, name):
    os.makedirs(os.path.join(folder, "cal"), exist_ok=True)
    pixels = lambda k: array.array("B", [int(127.5 + 120 * math.sin(k + i / 9)) for i in range(side * side * 3)]).tobytes()
    for k in range(4):
        with open(os.path.join(folder, "cal", f"{k}.ppm"), "wb") as f:
            f.write(b"P6 %d %d 255\n" % (side, side) + pixels(k))
    out = os.path.join(folder, name)
    code, _, err = run("quantize", model, "--calib", os.path.join(folder, "cal"), "-o", out, "--no-rounding")
    check(f"quantize {name}", code == 0, err)
    return out


def every_rung(path, exact):
    for level in [None, *levels()]:
        for threads in ("1", "3"):
            code, out, err = run("verify", path, "--json", "-t", threads, env={"KITFOX_CPU": level} if level else None)
            r = json.loads(out) if code == 0 else {}
            check(f"{os.path.basename(path)} on {level or 'the best'}, {threads} threads", code == 0 and r["agrees"] and r["identical"] == exact and r["steps"] > 5 and (not exact or r["exact"] == r["steps"]), (out, err))


@once
def vectors(folder):
    onnx = os.path.join(ROOT, "data", "everyday10.onnx")
    plain = os.path.join(folder, "float.kfx")
    check("import", run("import", onnx, "-o", plain)[0] == 0)
    small = quantized(folder, onnx, 64, "int8.kfx")
    every_rung(plain, False)
    every_rung(small, True)
    code, out, err = run("verify", small)
    check("what is printed", code == 0 and out.startswith(f"{small}: identical, all ") and "byte for byte" in out, out)
    code, out, err = run("verify", plain)
    check("    of float", code == 0 and out.startswith(f"{plain}: agrees, 0 of ") and "the others within 1e-04" in out, out)
    code, out, err = run("verify", plain, small)
    check("several models", code == 0 and len(out.splitlines()) == 2, out)
    code, out, err = run("verify")
    check("the built-in one", code == 0 and out.startswith("everyday10: "), out)
    again = os.path.join(folder, "again.kfx")
    altered(small, again, lambda p: None)
    check("a file written here is read", run("verify", again)[0] == 0, run("verify", again)[2])
    return plain, small


@case
def printed():
    """The checks of the files that the other cases alter."""
    vectors()


@case
def alterations(folder):
    plain, small = vectors()
    bad = os.path.join(folder, "bad.kfx")
    names = [s["name"] for s in read(small)[1]["steps"]]
    for k in (0, 7, len(names) - 1):
        def change(p, k=k):
            h = p["meta"]["golden"]["steps"][k]
            p["meta"]["golden"]["steps"][k] = ("0" if h[0] != "0" else "1") + h[1:]
        altered(small, bad, change)
        code, out, err = run("verify", bad)
        check(f"hash of step {k}", code == 1 and f"{bad}: step {k}, {names[k]} (" in err and says(err, "first that differs"), err)
        code, out, err = run("verify", bad, "--json")
        row, last = (json.loads(line) for line in out.splitlines())
        check("    --json", code == 1 and row["step"]["node"] == names[k] and row["agrees"] is False and last["kind"] == "error", out)
    names = [s["name"] for s in read(plain)[1]["steps"]]

    def sums(p):
        p["meta"]["golden"]["steps"][9][1] += p["meta"]["golden"]["steps"][9][0] * 1e-3
    altered(plain, bad, sums)
    code, out, err = run("verify", bad)
    check("sums of step 9", code == 1 and f"step 9, {names[9]} (" in err and "at most 1e-04 is allowed" in err, err)
    header, program, tensors = read(small)
    name = program["consts"][program["steps"][4]["consts"]["w"]]
    tensors = bytearray(tensors)
    tensors[header[name]["data_offsets"][0]] ^= 3
    write(bad, header, program, bytes(tensors))
    code, out, err = run("verify", bad)
    check("a weight of step 4", code == 1 and f"step 4, {program['steps'][4]['name']} (" in err, err)
    for what, change, words in [("no list", lambda g: g.update(steps=1), "golden: steps is not a list"), ("too short", lambda g: g["steps"].pop(), "golden: steps is not a list"),
                                ("upper case", lambda g: g["steps"].__setitem__(0, "A" * 32), "golden: steps[0]"), ("three sums", lambda g: g["steps"].__setitem__(1, [1, 2, 3]), "golden: steps[1]"),
                                ("negative", lambda g: g["steps"].__setitem__(1, [-1, 2]), "golden: steps[1]"), ("scores", lambda g: g.update(scores=["x"]), "golden: scores[0]"),
                                ("many scores", lambda g: g.update(scores=[1] * 65), "golden: scores is not"), ("no formula", lambda g: g.pop("input"), "golden: no input formula")]:
        altered(small, bad, lambda p: change(p["meta"]["golden"]))
        code, out, err = run("info", bad)
        check(f"refused at load: {what}", code == 1 and words in err, err)
    altered(small, bad, lambda p: p["meta"].pop("golden"))
    code, out, err = run("verify", bad)
    check("without a vector", code == 1 and says(err, f"{bad}: .. no golden vector") and "kitfox import or quantize" in err, err)
    altered(small, bad, lambda p: p["meta"]["golden"].update(input=2))
    check("a newer formula is as none", run("info", bad)[0] == 0 and "no golden vector" in run("verify", bad)[2])
    code, out, err = run("verify", os.path.join(ROOT, "tests", "golden", "small_v1.kfx"))
    check("a file of before", code == 1 and "no golden vector" in err, err)
    code, out, err = run("verify", os.path.join(ROOT, "data", "everyday10.onnx"))
    check("an ONNX file", code == 1 and "no golden vector" in err, err)


@case
def formula(folder):
    """One convolution, redone here in integers from the made-up input and the numbers of the file: the hash is of its output."""
    g = tiny_onnx.Graph([1, 3, 8, 8])
    g.conv(3, 4), g.add("Relu"), g.add("GlobalAveragePool"), g.add("Flatten", axis=1), g.fc(4, 3)
    onnx = os.path.join(folder, "tiny.onnx")
    with open(onnx, "wb") as f:
        f.write(g.bytes([1, 3]))
    path = quantized(folder, onnx, 8, "tiny.kfx")
    header, program, tensors = read(path)
    step = program["steps"][0]
    out, x = program["tensors"][step["out"]], made_up(8 * 8 * 3)
    const = lambda role, code: array.array(code, tensors[slice(*header[program["consts"][step["consts"][role]]]["data_offsets"])])
    w, bias, mul = const("w", "b"), const("bias", "i"), const("mul", "f")
    f32 = lambda v: struct.unpack("<f", struct.pack("<f", v))[0]
    classes = lambda n: [0 if i == 0 else 1 for i in range(n)]  # 8 pixels, pad 1, stride 2: only the first tap of the first row or column is outside
    result = bytearray()
    for y in range(4):
        for xo in range(4):
            for o in range(4):
                acc = bias[(classes(4)[y] * 2 + classes(4)[xo]) * 4 + o]
                for ky in range(3):
                    for kx in range(3):
                        sy, sx = 2 * y + ky - 1, 2 * xo + kx - 1
                        if 0 <= sy < 8 and 0 <= sx < 8:
                            acc += sum(x[(sy * 8 + sx) * 3 + c] * w[((o * 3 + ky) * 3 + kx) * 3 + c] for c in range(3))
                v = f32(f32(acc) * mul[o if len(mul) > 1 else 0])
                v = min(max(v, step.get("qlo", 0) - out["zero"]), step.get("qhi", 0) - out["zero"])
                result.append(round(v) + out["zero"])
    want = hashlib.sha256(bytes(result)).hexdigest()[:32]
    check("the hash is that of integers computed here", step["op"] == "conv" and step.get("direct") == 1 and program["meta"]["golden"]["steps"][0] == want, (step, program["meta"]["golden"], want))


@case
def shared(folder):
    models = {"mobilenetv3_large_100.onnx": 224, "torchvision_mobilenet_v3_small_op17.onnx": 224}
    for name, side in models.items():
        source = os.path.join(SHARED, "models", name)
        if not os.path.exists(source):
            print(f"skip  {name}: ../shared is not here")
            continue
        every_rung(quantized(folder, source, side, name[:-5] + ".kfx"), True)


sys.exit(run_cases())
