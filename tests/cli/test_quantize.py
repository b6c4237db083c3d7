# quantize and compare as a user runs them: the built-in network on its own pictures, every switch, bad input, and, where ../shared is
# here, the accuracy on labelled pictures against the float network. Usage: test_quantize.py KITFOX
import json, os, shutil, sys

from kit import EXAMPLES, ROOT, SHARED, case, check, levels, once, run, run_cases

ONNX = os.path.join(ROOT, "data", "everyday10.safetensors")


def rows(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def quantize(folder, name, *args):
    out = os.path.join(folder, name + ".kfx")
    code, text, err = run("quantize", ONNX, "--calib", EXAMPLES, "-o", out, "--json", *args)
    return code, out, rows(text), err


@once
def plain(folder):
    """The built-in network with the defaults: status, file, rows, messages."""
    return quantize(folder, "all", "--nodes")


@case
def switches(folder):
    code, out, table, err = plain()
    check("quantize: built-in network on its pictures", code == 0 and table[-1]["agreement"] == 100 and table[-1]["sqnr_db"] > 18, (err, table[-1:]))
    dtypes = {r["node"]: r["dtype"] for r in table if "node" in r}
    check("quantize: convolutions are 8 bit, logits stay float", dtypes["/conv_stem/Conv"] == "u8" and dtypes["/classifier/Gemm"] == "f32", dtypes)
    code, text, err = run("info", out, "--json")
    check("info: tells a quantized model", code == 0 and rows(text)[0]["quantized"], (text, err))
    top = [[t["index"] for t in r["top"][:1]] for m in ("everyday10", out)
           for r in rows(run("classify", m, "--json", *(os.path.join(EXAMPLES, f) for f in sorted(os.listdir(EXAMPLES)) if f.endswith(".jpg")))[1])]
    check("classify: same answers as float", len(top) == 10 and top[:5] == top[5:], top)
    frog = os.path.join(EXAMPLES, "frog.jpg")
    same = [run("classify", out, "--json", frog, env={"KITFOX_CPU": cpu})[1].split('"ms"')[0]
            for cpu in levels()]
    check("classify: same numbers on every instruction set", len(set(same)) == 1, same)
    for flag in ("--no-per-channel", "--no-channel-scales", "--no-bias-correction", "--no-rounding", "--no-cross"):
        code, other, table, err = quantize(folder, flag, flag)
        check("quantize: " + flag, code == 0 and table[-1]["sqnr_db"] > 5, (err, table[-1:]))
        differs = open(other, "rb").read() != open(out, "rb").read()
        check("quantize: " + flag + " changes the model", differs)
    code, other, table, err = quantize(folder, "gain", "--gain")
    check("quantize: --gain changes the model", code == 0 and table[-1]["sqnr_db"] > 18 and open(other, "rb").read() != open(out, "rb").read(), (err, table[-1:]))
    for method in ("max", "percentile", "kl"):
        code, _, table, err = quantize(folder, method, "--method", method)
        check("quantize: --method " + method, code == 0 and table[-1]["sqnr_db"] > 5, (err, table[-1:]))
    code, _, table, err = quantize(folder, "wide", "--nodes", "--int16", "/bn1/act/Mul")  # a name that was fused away
    wide = {r["node"]: r["dtype"] for r in table if "node" in r}
    check("quantize: --int16 answers to fused names", code == 0 and wide["/conv_stem/Conv"] == "i16", (err, wide))


@case
def bad_input(folder):
    empty, out = os.path.join(folder, "empty"), os.path.join(folder, "none.kfx")
    os.mkdir(empty)
    broken = os.path.join(folder, "broken")
    os.mkdir(broken)
    open(os.path.join(broken, "a.jpg"), "wb").write(b"\xff\xd8\xff nothing")
    mixed = os.path.join(folder, "mixed")
    os.mkdir(mixed)
    shutil.copy(os.path.join(EXAMPLES, "frog.jpg"), mixed)
    npy = b"\x93NUMPY\x01\x00v\x00" + ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 64, 64), }".ljust(117) + "\n").encode()
    open(os.path.join(mixed, "x.npy"), "wb").write(npy + b"\0" * (4 * 3 * 64 * 64))
    for name, args, want, word in (("no such folder", ["--calib", os.path.join(folder, "missing")], 1, "missing"), ("an empty folder", ["--calib", empty], 1, "no pictures"),
                                   ("a broken picture", ["--calib", broken], 1, "a.jpg"), ("pictures and tensors mixed", ["--calib", mixed], 1, "mixed"),
                                   ("an unknown node", ["--calib", EXAMPLES, "--int16", "nonsense"], 1, "nonsense"), ("an unknown method", ["--calib", EXAMPLES, "--method", "best"], 2, "best"),
                                   ("a list that is missing", ["--calib", EXAMPLES, "--calib-list", os.path.join(folder, "l")], 1, "No such file"), ("no calibration", [], 2, "--calib")):
        code, _, err = run("quantize", ONNX, "-o", out, *args)
        check("quantize: " + name, code == want and word in err and not os.path.exists(out), (code, err))
    code, _, err = run("quantize", plain()[1], "--calib", EXAMPLES, "-o", out)
    check("quantize: a model that is quantized already", code == 1 and plain()[1] in err and "quantized" in err and not os.path.exists(out), err)


@case
def comparing():
    quantized = plain()[1]
    code, text, err = run("compare", "everyday10", "everyday10", "--data", EXAMPLES, "--json")
    check("compare: a model with itself", code == 0 and rows(text)[0]["identical"], (text, err))
    code, text, err = run("compare", "everyday10", quantized, "--data", EXAMPLES, "--json")
    check("compare: float with quantized", code == 0 and rows(text)[0]["agreement"] == 100 and not rows(text)[0]["identical"], (text, err))
    code, _, err = run("compare", "everyday10", "--data", EXAMPLES)
    said, row = plain()[2][-1], rows(text)[0]
    same = abs(said["sqnr_db"] - row["sqnr_db"]) < 1e-9 and said["agreement"] == row["agreement"]
    check("quantize prints what compare measures of the file", same, (said, row))
    check("compare: one model is too few", code == 2, err)


@case
def labelled(folder):
    if not os.path.isdir(SHARED):
        print("SKIP: ../shared is not here; no accuracy on labelled pictures")
        return
    data, out = os.path.join(SHARED, "data", "everyday10-test"), os.path.join(folder, "e.kfx")
    files = sorted(os.path.relpath(os.path.join(d, f), data) for d, _, names in os.walk(data) for f in names)
    calib, rest = os.path.join(folder, "calib.txt"), os.path.join(folder, "rest.txt")
    open(calib, "w").write("\n".join(files[::10]))
    open(rest, "w").write("\n".join(f for i, f in enumerate(files) if i % 10))
    code, text, err = run("quantize", ONNX, "--calib", data, "--calib-list", calib, "-o", out, "--json")
    check("quantize: 200 of the labelled pictures", code == 0, err)
    code, text, err = run("compare", "everyday10", out, "--data", data, "--list", rest, "--json")
    row = rows(text)[0] if code == 0 else {}
    check("compare: 1,800 others agree with float", row.get("images") == 1800 and row["agreement"] >= 98.5 and row["sqnr_db"] > 26, (row, err))
    print(row)
    accuracy = [rows(run("eval", m, "--data", data, "--json")[1])[0]["top1"] for m in ("everyday10", out)]
    check("eval: accuracy within half a point of float", accuracy[0] - accuracy[1] <= 0.5, accuracy)
    print(accuracy)


sys.exit(run_cases())
