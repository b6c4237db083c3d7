#!/usr/bin/env python3
"""The command line as a user meets it: exit statuses, texts, JSON keys, bad files for every argument.

Called by meson with the program's path; KITFOX_SOURCE is the source root. Prints one line a check.
"""
import json
import os
import shutil
import struct
import subprocess
import sys

import tiny_onnx
from kit import EXAMPLES, KITFOX, ROOT, SHARED, case, check, levels, run, run_cases

NAMES = ["airplane", "automobile", "frog", "ship", "truck"]


@case
def pictures_are_right():
    paths = [os.path.join(EXAMPLES, n + ".jpg") for n in NAMES]
    code, out, err = run("classify", "--json", "-k", "3", *paths)
    rows = [json.loads(line) for line in out.splitlines()]
    check("classify: five pictures, five lines", code == 0 and len(rows) == 5, (code, err))
    for name, row in zip(NAMES, rows):
        check(f"classify: {name} first", row["top"][0]["label"] == name and row["top"][0]["score"] > 0.5, row)
        check(f"classify: {name} keys", set(row) == {"kind", "model", "image", "top", "ms", "preprocess_origin"} and len(row["top"]) == 3, row)
    with open(paths[0], "rb") as f:
        code, out, _ = run("classify", "--json", "-", stdin=f.read())
    check("classify: - reads standard input", code == 0 and json.loads(out)["top"][0]["label"] == "airplane", out)
    for level in levels():
        code, out, _ = run("classify", "--json", paths[2], env={"KITFOX_CPU": level})
        check(f"classify: KITFOX_CPU={level}", code == 0 and json.loads(out)["top"][0]["label"] == "frog", out)


@case
def instruction_sets():
    code, out, _ = run("info", "--cpus", "--json")
    cpus = json.loads(out)["cpus"]
    check("info --cpus: scalar first, and usable", code == 0 and cpus[0]["name"] == "scalar" and cpus[0]["usable"], out)
    best = [c for c in cpus if c["usable"]][-1]
    check("info --cpus: the last usable one is in use", os.environ.get("KITFOX_CPU") or best["now"], out)
    check("info --cpus: one is in use", sum(c["now"] for c in cpus) == 1, out)
    text = [line.split() for line in run("info", "--cpus")[1].splitlines()]
    check("info --cpus: the same in words", [(t[0], t[1] == "usable", t[2:] == ["now"]) for t in text] ==
          [(c["name"], c["usable"], c["now"]) for c in cpus], text)
    for c in cpus:
        lines = run("info", "--cpus", env={"KITFOX_CPU": c["name"]})[1].splitlines()
        now = [line.split()[0] for line in lines if line.endswith(" now")]
        check(f"info --cpus: KITFOX_CPU={c['name']}", len(now) == 1 and (now == [c["name"]]) == c["usable"], now)
    code, out, _ = run("info", "--cpus", env={"KITFOX_CPU": "scalar"})
    check("info --cpus: KITFOX_CPU lowers the one in use", code == 0 and out.startswith("scalar     usable now"), out)


@case
def environment():
    said = lambda name, value: run("info", "--cpus", env={name: value})
    for name, bad, good in (("KITFOX_CPU", ("bogus", "AVX2"), ("scalar", "")),
                            ("KITFOX_THREADS", ("abc", "0", "-4", "4x", "65"), ("1", "64", ""))):
        for value in bad:
            code, _, err = said(name, value)
            check(f"{name}={value}: a note", code == 0 and f"note: {name}={value} is no" in err, (code, err))
        for value in good:
            check(f"{name}={value}: no note", said(name, value)[2] == "", value)
    here = [c["name"] for c in json.loads(run("info", "--cpus", "--json")[1])["cpus"]]
    other = "avx2" if "neon" in here else "neon"
    code, out, err = said("KITFOX_CPU", other)
    check(f"KITFOX_CPU={other}: an error", code == 2 and not out and "another architecture" in err, (code, err))
    check("    it lists this architecture's", all(name in err for name in here), err)
    code, out, _ = run("info", "--cpus", "--json", env={"KITFOX_CPU": other})
    check("    --json", code == 2 and json.loads(out)["kind"] == "error", (code, out))
    code, out, _ = run("--help")
    check("--help names both variables", code == 0 and "KITFOX_CPU=" in out and "KITFOX_THREADS=" in out, out)


@case
def annotated(folder):
    code, _, err = run("classify", "--annotate", os.path.join(folder, "%s.png"), os.path.join(EXAMPLES, "frog.jpg"))
    with open(os.path.join(folder, "frog.png"), "rb") as f:
        check("classify: --annotate writes a PNG", code == 0 and f.read(8) == b"\x89PNG\r\n\x1a\n", err)


@case
def usage_errors():
    for args in ([], ["frobnicate"], ["classify"], ["classify", "-k", "0", "x.jpg"], ["classify", "--no-such"], ["run", "m.onnx"],
                 ["import", "a.onnx"], ["eval"], ["bench", "--threads", "0"], ["info", "a", "b"]):
        code, _, err = run(*args)
        check("usage: " + " ".join(args), code == 2 and err, (code, err))
    for args in (["classify", "--threads", "4294967297", "x.jpg"], ["classify", "-k", "18446744073709551617", "x.jpg"], ["bench", "--frames", "4294967297"],
                 ["bench", "--threads", ",".join("1" * 100)], ["simplify", "a.onnx", "-o", "b.onnx", "--check", "4294967296"], ["export", "a.onnx", "-o", "b.onnx", "--check", "4294967296"],
                 ["import", "a.onnx", "-o", "b.kfx", "--resize", "4294967552"], ["eval", "--data", "x", "--limit", "99999999999999999999"]):
        code, _, err = run(*args)
        check("usage: a number that does not fit: " + " ".join(args)[:60], code == 2 and args[0] in err, (code, err))
    code, out, _ = run("classify", "--help")
    check("usage: classify --help", code == 0 and "IMAGE" in out)
    code, out, _ = run("--version")
    check("usage: --version", code == 0 and out.startswith("kitfox "))


@case
def bad_files(folder):
    files = {"empty": b"", "magic": b"not a model at all, only words" * 10, "short": b"\x08\x06"}
    paths = {"missing": os.path.join(folder, "missing"), "directory": os.path.join(folder, "directory")}
    os.mkdir(paths["directory"]) # its links lie in the test's folder, not beside it
    for name, data in files.items():
        paths[name] = os.path.join(folder, name)
        with open(paths[name], "wb") as f:
            f.write(data)
    picture = os.path.join(EXAMPLES, "frog.jpg")
    for name, path in paths.items():
        for suffix in (".kfx", ".onnx"):
            link = path + suffix
            if os.path.exists(path) and not os.path.exists(link):
                os.symlink(path, link)
            for args in (["classify", link, picture], ["info", link], ["bench", link], ["eval", link, "--data", EXAMPLES]):
                code, _, err = run(*args)
                check(f"bad model: {args[0]} {name}{suffix}", code == 1 and err.startswith("kitfox: " + link), (code, err))
        code, _, err = run("classify", path)
        check(f"bad picture: {name}", code == 1 and err.startswith("kitfox: " + path), (code, err))
        code, _, err = run("classify", "--labels", path, os.path.join(folder, "none.onnx"), picture)
        check(f"bad labels: {name}", code == 1 and err.startswith("kitfox: "), (code, err))
    names = os.path.join(folder, "names.txt")
    for what, data, text in (("Latin-1", b"cr\xe8me\n" * 10, "UTF-8"), ("a zero byte", b"a\0b\n" * 10, "not a label list"), ("cut JSON", b'["a", "b"', "not valid JSON at line 1")):
        with open(names, "wb") as f:
            f.write(data)
        code, out, err = run("classify", "--json", "--labels", names, picture)
        check(f"bad labels: {what}", code == 1 and json.loads(out)["error"]["text"].startswith(names) and err.startswith("kitfox: " + names) and text in err, (code, out, err))
    latin = os.path.join(os.fsencode(os.path.dirname(names)), b"cr\xe8me.jpg")
    shutil.copy(picture, latin)
    code, out, err = run("classify", "--json", latin)
    check("a name that is not UTF-8 is replaced", code == 0 and json.loads(out)["image"].endswith("cr\ufffdme.jpg"), (code, out, err))
    code, out, err = run("classify", "--json", paths["missing"] + ".jpg", picture)
    rows = [json.loads(line) for line in out.splitlines()]
    check("classify: a failing picture does not stop the others", code == 1 and rows[0]["error"]["status"] == "io" and "1 of 2 pictures" in err and rows[1]["top"][0]["label"] == "frog", out)
    code, _, err = run("eval", "--data", folder)
    check("eval: a folder without classes", code == 1 and "no pictures" in err, err)


@case
def model_file(folder):
    onnx, kfx = os.path.join(ROOT, "data", "everyday10.onnx"), os.path.join(folder, "e.kfx")
    labels = os.path.join(folder, "labels.txt")
    with open(labels, "w") as f:
        f.write("\n".join("abcdefghij") + "\n")
    code, _, err = run("import", onnx, "-o", kfx, "--labels", labels, "--preprocess", "timm:everyday10")
    check("import: writes a model", code == 0 and os.path.getsize(kfx) > 6000000, err)
    code, out, _ = run("classify", "--json", kfx, os.path.join(EXAMPLES, "frog.jpg"))
    check("import: labels travel with the model", json.loads(out)["top"][0]["label"] == "g", out)
    info = json.loads(run("info", "--json", kfx)[1])
    check("info: counts", info["macs"] == 5502720 and info["stored"] == 1522050 and info["labels"] == 10, info)
    check("info: preprocessing", info["preprocess"]["interpolation"] == "bilinear" and info["preprocess"]["width"] == 64, info)
    check("info: keys", {"name", "parameters", "macs", "nodes", "input", "quantized"} <= set(info), info)
    other, frog = os.path.join(folder, "other.txt"), os.path.join(EXAMPLES, "frog.jpg")
    with open(other, "w") as f:
        f.write("\n".join("klmnopqrst") + "\n")
    for model in ([kfx], ["everyday10"], []):
        what = model[0].rsplit("/", 1)[-1] if model else "no model"
        code, out, err = run("classify", *model, frog, "--json", "--labels", other)
        check(f"classify: --labels replace those of {what}", code == 0 and json.loads(out)["top"][0]["label"] == "q", (out, err))
        code, _, err = run("classify", *model, frog, "--labels", os.path.join(folder, "missing.txt"))
        check(f"classify: missing --labels with {what}", code == 1 and "missing.txt" in err, (code, err))
        for option in (["--preprocess", "timm:everyday10"], ["--input-shape", "1x3x32x32"]):
            code, out, err = run("classify", *model, frog, *option)
            check(f"classify: {option[0]} is refused with {what}", code == 1 and out == "" and option[0] in err, (code, out, err))
    with open(kfx, "rb") as f:
        data = bytearray(f.read())
    for at in (3, 100, 5000, len(data) // 2, len(data) - 1):
        bad = os.path.join(folder, "bad.kfx")
        changed = bytearray(data)
        changed[at] ^= 0x10
        with open(bad, "wb") as f:
            f.write(changed)
        code, _, err = run("info", bad)
        check(f"import: byte {at} altered is refused", code == 1 and err.startswith("kitfox: " + bad), (code, err))
    code, _, err = run("import", onnx, "-o", os.path.join(folder, "no", "such", "x.kfx"))
    check("import: unwritable output", code == 1 and "cannot write" in err, err)
    code, _, err = run("import", onnx, "-o", kfx, "--input-shape", "1x3x32x32")
    check("import: shape that contradicts the file", code == 1 and "--input-shape" in err, err)
    code, _, err = run("import", onnx, "-o", kfx, "--preprocess", "timm:nonsense")
    check("import: unknown preprocessing", code == 1 and "nonsense" in err, err)
    with open(os.path.join(folder, "nine.txt"), "w") as f:
        f.write("\n".join("abcdefghi"))
    code, _, err = run("classify", onnx, "--labels", os.path.join(folder, "nine.txt"), os.path.join(EXAMPLES, "frog.jpg"))
    check("classify: labels of the wrong count", code == 1 and "9 labels" in err and "10 classes" in err, err)


@case
def full_disk():
    if not os.path.exists("/dev/full"):
        print("SKIP: no /dev/full here")
        return
    for args in (["classify", os.path.join(EXAMPLES, "frog.jpg")], ["info", "--json"], ["bench", "-n", "3"], ["--help"], ["--version"]):
        with open("/dev/full", "w") as full:
            p = subprocess.run([KITFOX, *args], stdout=full, stderr=subprocess.PIPE, timeout=120)
        check(f"full disk: {args[0]} fails", p.returncode == 1 and b"standard output: cannot write" in p.stderr, (p.returncode, p.stderr))


@case
def labelled_folders(folder):
    data = os.path.join(folder, "labelled")
    for name in ("frog", "ship"):
        os.makedirs(os.path.join(data, name))
        os.symlink(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(data, name, name + ".jpg"))
    code, out, err = run("eval", "--data", data, "--limit", "1", "--json")
    check("eval: --limit 1", code == 0 and json.loads(out)["images"] == 1 and json.loads(out)["top1"] == 100, (code, out, err))
    for index, fits in (("6", True), ("10", False), ("-1", False), ("4294967302", False), ("99999999999999999999", False)):
        with open(os.path.join(data, "labels.csv"), "w") as f:
            f.write("file,class_index\nfrog/frog.jpg," + index + "\n")
        code, out, err = run("eval", "--data", data, "--json")
        check(f"eval: class {index} in labels.csv", (code == 0 and json.loads(out)["top1"] == 100) if fits else (code == 1 and "out of range" in err), (code, out, err))


@case
def verdicts(folder):
    onnx = os.path.join(ROOT, "data", "everyday10.onnx")
    code, out, err = run("check", onnx, "--json")
    *rows, last = [json.loads(line) for line in out.splitlines()]
    check("check: the last line is the verdict", last["kind"] == "verdict" and last["fits"] and last["nodes"] == 141, last)
    kinds = {v: sum(r["verdict"] == v for r in rows) for v in ("supported", "fused", "folded", "unsupported")}
    check("check: every node has a verdict, none unsupported", code == 0 and len(rows) == 141 and kinds["unsupported"] == 0 and kinds["fused"] > 60, (kinds, err))
    checkpoint = os.path.join(ROOT, "data", "everyday10.safetensors")
    code, _, err = run("check", checkpoint)
    check("check: a checkpoint is recognized", code == 0, err)
    code, _, err = run("check", checkpoint, "--arch", "mobilenetv3_large_100")
    check("check: the first tensor that does not fit is named", code == 1 and "tensor blocks." in err, err)
    code, _, err = run("check", checkpoint, "--arch", "nonsense")
    check("check: an unknown architecture is refused", code == 1 and "nonsense" in err, err)
    for shape in ("1x3x64x32", "1x3x+64x64", "1x3x4294967360x4294967360", "1x3x64x64x", "1x3x64", "1x3x", "1x3x31x31"):
        code, _, err = run("check", checkpoint, "-s", shape) # 4294967360 is 2^32 + 64
        check("check: a checkpoint's input is square", code == 1 and "1x3xNxN" in err, (shape, err))
    with open(os.path.join(ROOT, "data", "everyday10.onnx"), "rb") as f:
        onnx = f.read()
    strange = os.path.join(folder, "strange.onnx")
    with open(strange, "wb") as f:  # another operator name of the same length, in every h-swish and gate
        f.write(onnx.replace(b"\x0bHardSigmoid", b"\x0bSoftSigmoid"))
    code, out, err = run("check", strange, "--json")
    table = [row for row in map(json.loads, out.splitlines()) if row["kind"] == "node"]
    bad = [r for r in table if r["verdict"] == "unsupported"]
    check("check: every node of a file that cannot be imported", code == 1 and len(table) == 141 and bad and all(r["op"] == "SoftSigmoid" for r in bad)
          and len(bad) == onnx.count(b"\x0bHardSigmoid") and "SoftSigmoid" in err, (code, len(table), len(bad), err))
    code, _, err = run("check", os.path.join(ROOT, "examples", "pictures", "frog.jpg"))
    check("check: not a model", code == 1 and "frog.jpg: this is a JPEG picture" in err, err)


@case
def foreign_domains(folder):
    """An operator of another domain is named with it; ONNX Runtime's own say where they come from."""
    path = os.path.join(folder, "foreign.onnx")
    for op, domain, hint in (("FusedConv", "com.microsoft", True), ("Conv", "com.microsoft.nchwc", True),
                             ("Relu", "com.microsoftish", False), ("Scaler", "ai.onnx.ml", False),
                             ("HardSwish", "my.own", False), ("Relu", "ai.onnx", None)):
        g = tiny_onnx.Graph([1, 3, 8, 8])
        name = g.add(op)
        g.nodes[-1] += tiny_onnx._bytes(7, domain)
        g.add("Relu")
        with open(path, "wb") as f:
            f.write(g.bytes([1, 3, 8, 8]))
        code, out, err = run("check", path, "--json")
        row = json.loads(out.splitlines()[0])
        if hint is None:
            check(f"check: {domain} is ONNX's own", code == 0 and row["op"] == "Relu", (out, err))
            continue
        named = row["op"] == f"{domain}.{op}" and row["node"] == name and row["verdict"] == "unsupported"
        check(f"check: {domain}.{op} is named with its domain", code == 1 and named, out)
        told = [("ORT_ENABLE_BASIC" in text) == hint for text in (row["detail"], err)]
        check(f"    with where it comes from{'' if hint else ', which is not known'}", all(told), (row, err))
        code, _, err = run("import", path, "-o", os.path.join(folder, "never.kfx"))
        check("    by import too", code == 1 and f"{domain}.{op}" in err and ("ORT_ENABLE_BASIC" in err) == hint, err)


@case
def simplified(folder):
    onnx, out = os.path.join(ROOT, "data", "everyday10.onnx"), os.path.join(folder, "small.onnx")
    code, text, err = run("simplify", onnx, "-o", out, "--check", "1", "--json")
    row = json.loads(text) if code == 0 else {}
    check("simplify: counts and a difference", row.get("nodes_before") == 141 and row["nodes_after"] <= 141 and row["max_difference"] <= 1e-5, (text, err))
    code, _, err = run("check", out)
    check("simplify: what it wrote is read again", code == 0, err)
    pictures = ("--preprocess", "everyday10", "--json")  # the JSON beside everyday10.onnx says so; nothing lies beside what is written
    old, new = (json.loads(run("classify", m, os.path.join(EXAMPLES, "frog.jpg"), *pictures)[1])["top"] for m in (onnx, out))
    check("simplify: the same scores", all(a["index"] == b["index"] and abs(a["score"] - b["score"]) < 1e-6 for a, b in zip(old, new)), (old, new))
    none = os.path.join(folder, "no", "such", "x.onnx")
    code, _, err = run("simplify", onnx, "-o", none, "--check", "0")
    check("simplify: unwritable output", code == 1 and "cannot write" in err, err)
    code, text, err = run("export", onnx, "-o", out, "--json")
    row = json.loads(text) if code == 0 else {}
    check("export: keys, counts and a difference", set(row) == {"kind", "model", "output", "opset", "nodes_before", "nodes_after", "checked", "max_difference"}
          and row["nodes_after"] <= 141 and row["checked"] == 3 and row["max_difference"] <= 1e-5, (text, err))
    new = json.loads(run("classify", out, os.path.join(EXAMPLES, "frog.jpg"), *pictures)[1])["top"]
    check("export: the same scores", all(a["index"] == b["index"] and abs(a["score"] - b["score"]) < 1e-5 for a, b in zip(old, new)), (old, new))
    kfx, back = os.path.join(folder, "for-export.kfx"), os.path.join(folder, "back.onnx")
    run("import", onnx, "-o", kfx)
    code, text, err = run("export", kfx, "-o", back, "--check", "1")
    new = json.loads(run("classify", back, os.path.join(EXAMPLES, "frog.jpg"), *pictures)[1])["top"] if code == 0 else []
    check("export: a compiled model gives ONNX with the same scores", len(new) == len(old) and
          all(a["index"] == b["index"] and abs(a["score"] - b["score"]) < 1e-5 for a, b in zip(old, new)), (old, new, err))
    code, _, err = run("export", kfx, "-o", back, "--input-shape", "1x3x32x32")
    check("export: --input-shape is refused with a compiled model", code == 1 and "compiled already" in err, err)
    code, text, err = run("export", os.path.join(ROOT, "data", "missing.onnx"), "-o", out)
    check("export: a missing file", code == 1 and "missing.onnx" in err and text == "", (text, err))
    for verb in ("simplify", "export"):
        for args in ([onnx], ["-o", out], [onnx, onnx, "-o", out], [onnx, "-o", out, "--check", "-1"]):
            check(f"{verb}: usage", run(verb, *args)[0] == 2, args)
    # node counts after onnxsim 0.8.1 and onnxslim 0.1.98
    peers = {"ch_ppocr_mobile_v2.0_cls": (219, 179), "mobilenetv3_large_100": (161, 161), "mobilenetv3_small_050": (142, 142), "small_050_external": (142, 142), "small_050_fp16": (142, 142),
             "tf_mobilenetv3_large_minimal_100": (92, 92), "torchvision_mobilenet_v3_small_op11": (141, 141), "torchvision_mobilenet_v3_small_op17": (122, 122)}
    for name, counts in peers.items():
        model = os.path.join(SHARED, "models", name + ".onnx")
        if not os.path.exists(model):
            print(f"SKIP: {name} is not here; its node count is not compared")
            continue
        shape = ["--input-shape", "1x3x48x192"] if "ppocr" in name else []
        code, text, err = run("simplify", model, "-o", out, "--check", "0", "--json", *shape)
        check(f"simplify: {name} has no more nodes than its peers give", code == 0 and json.loads(text)["nodes_after"] <= min(counts), (text, err))
        check(f"simplify: {name} is read again", code == 0 and run("check", out)[0] == 0)


@case
def raw_tensors(folder):
    onnx, npy, out = os.path.join(ROOT, "data", "everyday10.onnx"), os.path.join(folder, "in.npy"), os.path.join(folder, "out.npy")

    def write(shape, count, descr="<f4", order="'fortran_order': False", version=1):
        header = f"{{'descr': '{descr}', {order}, 'shape': {shape}, }}"
        header += " " * (117 - len(header)) + "\n"
        with open(npy, "wb") as f:
            f.write(b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header.encode() + b"\0" * (4 * count))

    write("(1, 3, 64, 64)", 3 * 64 * 64)
    code, _, err = run("run", onnx, npy, "-o", out)
    check("run: zeros in, ten scores out", code == 0 and os.path.getsize(out) == 128 + 40, err)
    code, _, err = run("run", onnx, "data=" + npy, "-o", out)
    check("run: input by name", code == 0, err)
    for what, args in {"wrong shape": ("(1, 3, 32, 32)", 3 * 32 * 32), "too short": ("(1, 3, 64, 64)", 10), "wrong type": ("(1, 3, 64, 64)", 3 * 64 * 64, "<f8"),
                       "columns first, no space": ("(1, 3, 64, 64)", 3 * 64 * 64, "<f4", "'fortran_order':True"), "an order that is not told": ("(1, 3, 64, 64)", 3 * 64 * 64, "<f4", "'x': 1"),
                       "version 4": ("(1, 3, 64, 64)", 3 * 64 * 64, "<f4", "'fortran_order': False", 4), "4 GB promised": ("(1073741824,)", 10)}.items():
        write(*args)
        code, _, err = run("run", onnx, npy, "-o", out)
        check(f"run: {what}", code == 1 and err.startswith("kitfox: "), (code, err))

sys.exit(run_cases())
