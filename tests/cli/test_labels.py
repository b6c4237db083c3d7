#!/usr/bin/env python3
"""Which label means which class: lists with a background line, class folders, models in the place of pictures, batches.

Right answers are those of the built-in network on its own drawings, and class numbers that --predictions writes out.
Called by meson with the program's path; KITFOX_SOURCE is the source root. Prints one line a check.
"""
import csv
import json
import os
import shutil
import sys

import tiny_onnx
from kit import EXAMPLES, ROOT, SHARED, case, check, once, run, run_cases, says, unguessed

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
ONNX, TIMM = os.path.join(ROOT, "data", "everyday10.onnx"), ("--preprocess", "timm:everyday10")
FROG = os.path.join(EXAMPLES, "frog.jpg")


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else ("\n".join(data) + "\n").encode())
    return path


def first(*args):
    """Best class of a picture, or the exit status and the errors."""
    code, out, err = run("classify", "-k", "1", "--json", *args)
    if code:
        return code, err
    return json.loads(out.splitlines()[0])["top"][0]["label"], unguessed(err)


def pictures(folder, names, picture=FROG):
    """A data set with one picture in a folder of each name."""
    for name in names:
        os.makedirs(os.path.join(folder, name))
        shutil.copy(picture, os.path.join(folder, name, "p.jpg"))
    return folder


def truths(folder, *args, list_of=None):
    """{folder: class} by eval, or the exit status and the errors."""
    out_csv = folder + ".csv"
    code, _, err = run("eval", *args, "--data", folder, "--predictions", out_csv)
    if code:
        return code, err
    with open(out_csv, newline="") as f:
        return {r["file"].split("/")[0]: int(r["class_index"]) for r in csv.DictReader(f)}, unguessed(err)


@once
def tiny(folder):
    """Networks of that many classes."""
    return {n: write(os.path.join(folder, f"n{n}.onnx"), tiny_onnx.classifier([1, 3, 32, 32], 3, n)[0]) for n in (6, 1000, 1001)}


@case
def background(top):
    for k, word in enumerate(("background", "Dummy", "__background__", "none", "???", "0:background")):
        labels = write(os.path.join(top, f"l{k}.txt"), [word] + CLASSES)
        got = [first(FROG, "-l", labels), first(ONNX, FROG, *TIMM, "-l", labels)]
        check(f"{word}: classify, both kinds of model", all(g[0] == "frog" and says(g[1], "note: .. background class .. 10 classes") for g in got), got)
    out, listed = os.path.join(top, "m.kfx"), json.dumps(["background"] + CLASSES)
    labels = write(os.path.join(top, "l.json"), listed.encode())
    data = pictures(os.path.join(top, "d"), CLASSES)
    for verb in (("import", ONNX, "-o", out), ("quantize", ONNX, "-o", out, "--calib", EXAMPLES), ("eval", ONNX, "--data", data), ("compare", ONNX, "everyday10", "--data", data)):
        code, text, err = run(*verb, *TIMM, "-l", labels)
        check(f"{verb[0]}: a background line", code == 0 and err.count("background class") == 1, (code, text, err))
        if "-o" in verb:
            check(f"{verb[0]}: the rest names the classes", first(out, FROG)[0] == "frog", first(out, FROG))
    check("eval: folders are found by the shifted names", truths(data, ONNX, *TIMM, "-l", labels)[0] == {n: k for k, n in enumerate(CLASSES)})
    wrong = {"11 labels": CLASSES + ["other"], "9 labels": CLASSES[1:], "12 labels": ["background"] + CLASSES + ["other"], "first 9 labels": ["background"] + CLASSES[2:]}
    for what, names in wrong.items():
        names = names[:9] if what.startswith("first") else names
        labels = write(os.path.join(top, "wrong.txt"), names)
        for verb in (("classify", FROG), ("classify", ONNX, FROG), ("import", ONNX, "-o", out), ("quantize", ONNX, "-o", out, "--calib", EXAMPLES), ("eval", ONNX, "--data", data),
                     ("compare", ONNX, "everyday10", "--data", data)):
            code, text, err = run(*verb, *(TIMM if ONNX in verb else ()), "-l", labels)
            check(f"{verb[0]}: {what}", code == 1 and not text and says(err, f"wrong.txt: {len(names)} labels; .. 10 classes"), (code, text, err))


@case
def in_yaml(top):
    """A YAML file's network gets its labels by the same rule, for the outputs that stay."""
    p = lambda name: os.path.join(top, name)
    shutil.copy(ONNX, p("m.onnx"))
    shutil.copytree(EXAMPLES, p("cal"))
    config = write(p("c.yaml"), """model_parameters:
  onnx_model: m.onnx
  working_dir: out
  output_model_file_prefix: m
input_parameters:
  input_type_rt: rgb
  input_layout_rt: NHWC
  input_type_train: rgb
  input_layout_train: NCHW
  norm_type: data_mean_and_scale
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: cal
  preprocess_on: True
  calibration_type: default
compiler_parameters:
  compile_mode: latency
""".encode())
    code, _, err = run("check", config, "-l", write(p("l11.txt"), ["none"] + CLASSES))
    check("YAML: a background line", code == 0 and err.count("background class") == 1, (code, err))
    for names in (CLASSES[1:], CLASSES + ["other"]):
        code, _, err = run("check", config, "-l", write(p("wrong.txt"), names))
        check(f"YAML: {len(names)} labels", code == 1 and says(err, f"labels: {len(names)} labels; .. 10 classes"), (code, err))


@case
def thousand(top):
    """The count 1001 alone says nothing; the first line and the network's classes do."""
    names = ["tench, Tinca tinca"] + [f"c{k}" for k in range(1, 1000)]
    plain, more = write(os.path.join(top, "l1000.txt"), names), write(os.path.join(top, "l1001.txt"), ["background"] + names)
    other, strange = write(os.path.join(top, "other.txt"), names + ["other"]), write(os.path.join(top, "strange.txt"), [f"x{k}" for k in range(1000)])
    at = {n: json.loads(run("classify", tiny()[n], FROG, "-k", "1", "--json")[1])["top"][0]["index"] for n in (1000, 1001)}
    for n in (1000, 1001):
        want = (names if n == 1000 else ["background"] + names)[at[n]]
        for labels in (plain, more):
            out = os.path.join(top, "m.kfx")
            got, err = first(tiny()[n], FROG, "-l", labels)
            check(f"{n} classes: classify with {os.path.basename(labels)}", got == want and (str(n) in labels) == ("note: " not in err), (got, want, err))
            code, _, err = run("import", tiny()[n], "-l", labels, "-o", out)
            check(f"{n} classes: import with {os.path.basename(labels)}", code == 0 and first(out, FROG) == (want, ""), (err, first(out, FROG)))
    for n, labels in ((1000, other), (1001, strange)):
        got = first(tiny()[n], FROG, "-l", labels)
        check(f"{n} classes: {os.path.basename(labels)} is refused", got[0] == 1 and f"model has {n} classes" in got[1], got)
    out = os.path.join(top, "own.kfx")
    run("import", tiny()[6], "-l", write(os.path.join(top, "l6.txt"), ["Background class"] + list("abcde")), "-o", out)
    index = json.loads(run("classify", out, FROG, "-k", "1", "--json")[1])["top"][0]["index"]
    got = first(out, FROG, "-l", write(os.path.join(top, "l5.txt"), list("vwxyz")))
    check("a model whose own labels begin with the background: a list without it", got[0] == ["background", *"vwxyz"][index] and "classes 1 to 5" in got[1], (got, index))
    got = first(tiny()[6], FROG, "-l", os.path.join(top, "l5.txt"))
    check("a network that says nothing of a background: refused, with the way", got[0] == 1 and says(got[1], '5 labels; .. 6 classes; .. begin the list with a line "background"'), got)
    code, _, err = run("classify", tiny()[1000], FROG, FROG)
    check("no names: said once", code == 0 and err.count("no names for its 1000 classes; --labels") == 1, err)
    check("no names: not where they are given", "no names" not in run("classify", tiny()[1000], FROG, "-l", plain)[2])
    check("no names: not for few classes", unguessed(run("classify", tiny()[6], FROG)[2]) == "")


@case
def from_one(top):
    for name, text in (("l.json", json.dumps({str(k + 1): n for k, n in enumerate(CLASSES)})), ("l.txt", "".join(f"{k + 1}:{n}\n" for k, n in enumerate(CLASSES)))):
        labels = write(os.path.join(top, name), text.encode())
        for verb in (("classify", FROG), ("import", ONNX, "-o", os.path.join(top, "m.kfx"))):
            code, out, err = run(*verb, "-l", labels)
            check(f"{verb[0]}: {name} that begins at 1", code == 1 and not out and says(err, name + ": .. begin at 1 .. begin at 0"), (code, out, err))


@case
def lists(top):
    """Forms that spreadsheets and editors leave: the names are the same; an order that is none is refused."""
    table = "".join(f"{k},{n}\n" for k, n in enumerate(CLASSES))
    quoted = "".join(f'{k},"{n}"\r\n' for k, n in enumerate(CLASSES))
    forms = {"bom.json": "\ufeff" + json.dumps(CLASSES), "bom.txt": "\ufeff" + "\n".join(CLASSES), "t.csv": table, "head.csv": "index,name\n" + table,
             "quoted.csv": "\ufeff" + quoted, "tab.txt": table.replace(",", "\t")}
    for name, text in forms.items():
        got = first(FROG, "-l", write(os.path.join(top, name), text.encode()))
        check(f"{name}: names", got == ("frog", ""), got)
    for sep in ",:\t ":
        text = "".join(f"{9 - k}{sep}{n}\n" for k, n in enumerate(CLASSES[::-1]))
        code, out, err = run("classify", FROG, "-l", write(os.path.join(top, "back.txt"), text.encode()))
        check(f"another order, {sep!r}: refused", code == 1 and not out and says(err, "back.txt: .. order .. sort"), (code, out, err))
    money = ["5 euro", "1,2-dichloroethane", "10 euro", *CLASSES[3:]]
    got = first(FROG, "-l", write(os.path.join(top, "money.txt"), money))
    check("numbers may begin names", got == ("frog", ""), got)


@case
def folders(top):
    p = lambda name: os.path.join(top, name)
    got = truths(pictures(p("exact"), ["truck", "frog", "airplane"]))
    check("folders: a part of the classes, by name", got == ({"airplane": 0, "frog": 6, "truck": 9}, ""), got)
    got = truths(pictures(p("case"), ["Truck", "FROG"]))
    check("folders: in any case", got == ({"FROG": 6, "Truck": 9}, ""), got)
    bad = pictures(p("bad"), [n if n != "cat" else "kat" for n in CLASSES])
    got = truths(bad)
    check("folders: one of ten is misspelt", got[0] == 1 and says(got[1], 'bad/kat: .. nearest is "cat" (class 3)'), got)
    os.makedirs(p("bad/empty"))
    os.rename(p("bad/kat"), p("bad/cat"))
    check("folders: an empty one may have any name", truths(bad)[0] == {n: k for k, n in enumerate(CLASSES)})
    got = truths(pictures(p("none"), ["x", "frogg"]))
    check("folders: two that are no class", got[0] == 1 and says(got[1], 'none/frogg: .. "frog" (class 6)'), got)
    got = truths(pictures(p("ten"), [f"k{9 - k}" for k in range(10)]))
    check("folders: ten without a name of a class, in alphabetical order", got[0] == {f"k{k}": k for k in range(10)} and says(got[1], "10 folders .. alphabetical"), got)
    got = truths(pictures(p("numbers"), [str(k) for k in range(1, 11)]))
    check("folders: numbers are in the order of numbers", got[0] == {str(k): k - 1 for k in range(1, 11)} and says(got[1], "10 folders .. numerical"), got)
    got = truths(pictures(p("five"), list("abcde")), tiny()[6])
    check("folders: five for a network of six without labels", got[0] == 1 and says(got[1], "5 class folders .. 6 classes without labels"), got)
    labels = write(p("l6.txt"), ["nothing", "great white shark, white shark, Carcharodon", "n02012849 crane", "n03126707 crane", "maillot", "maillot, tank suit"])
    got = truths(pictures(p("names"), ["Great_White_Shark", "n02012849", "n03126707-crane", "maillot"]), tiny()[6], "-l", labels)
    check("folders: first synonym, synset ids, exactly before the rest", got == ({"Great_White_Shark": 1, "n02012849": 2, "n03126707-crane": 3, "maillot": 4}, ""), got)
    got = truths(pictures(p("crane"), ["crane", "maillot"]), tiny()[6], "-l", labels)
    check("folders: two classes of one name", got[0] == 1 and says(got[1], "crane: classes 2 and 3"), got)


@case
def synsets(top):
    want = {"n01440764": 0, "n01443537": 1, "n02119789": 278, "n15075141": 999}
    data = pictures(os.path.join(top, "d"), want)
    labels = write(os.path.join(top, "l.txt"), ["tench"] + [f"c{k}" for k in range(1, 1000)])
    for args in ((tiny()[1000],), (tiny()[1000], "-l", labels)):
        got = truths(data, *args)
        check(f"synsets: of a network of 1000 classes {args[1:2]}", got == (want, ""), got)
    got = truths(data, tiny()[1001])
    check("synsets: behind a background class", got == ({n: k + 1 for n, k in want.items()}, ""), got)
    got = truths(data, tiny()[1000], "-l", write(os.path.join(top, "own.txt"), [f"own{k}" for k in range(1000)]))
    check("synsets: not of a network of other classes", got[0] == 1 and "d/n01440764: " in got[1], got)
    got = truths(data, tiny()[6])
    check("synsets: not of six classes", got[0] == 1 and "4 class folders" in got[1], got)
    pictures(data, ["n01440765"])
    got = truths(data, tiny()[1000], "-l", labels)
    check("synsets: one that ImageNet does not have", got[0] == 1 and "d/n01440765: " in got[1], got)


@case
def verbs(top):
    """compare, quantize --data and bench --table have eval's rule; folders that are no classes at all may be dates there."""
    bad, dates = pictures(os.path.join(top, "bad"), ["frog", "trukc"]), pictures(os.path.join(top, "dates"), ["2024", "2025"])
    quantize = ("quantize", ONNX, *TIMM, "-o", os.path.join(top, "q.kfx"), "--calib", EXAMPLES)
    labels = ("-l", write(os.path.join(top, "l.txt"), CLASSES))
    for verb, data in ((("compare", "everyday10", ONNX, *TIMM), "--data"), ((*quantize, *labels), "--data"), (("bench", "--table", "-n", "1", "-t", "1"), "--data")):
        code, _, err = run(*verb, data, bad)
        check(f"{verb[0]}: a misspelt folder", code == 1 and says(err, 'bad/trukc: .. "truck" (class 9)'), (code, err))
    code, out, err = run("compare", ONNX, "everyday10", *TIMM, "--data", dates, "--json")
    check("compare: dates are no classes", code == 0 and json.loads(out)["labelled"] == 0 and "2 folders are not taken" in err, (code, out, err))
    code, _, err = run("bench", "--table", "-n", "1", "-t", "1", "--data", dates)
    check("bench: dates are an error", code == 1 and "dates/2024: " in err, (code, err))
    good = pictures(os.path.join(top, "good"), ["frog"])
    code, out, err = run("compare", ONNX, "everyday10", *TIMM, "--data", good, "--json")
    check("compare: the names of B where A has none", code == 0 and json.loads(out)["labelled"] == 1 and json.loads(out)["top1_a"] == 100, (code, out, err))


@case
def models(top):
    p = lambda name: os.path.join(top, name)
    kfx = p("m.kfx")
    run("import", ONNX, *TIMM, "-l", write(p("l.txt"), [n.upper() for n in CLASSES]), "-o", kfx)
    for name, source, args in (("M.ONNX", ONNX, TIMM), ("bare", kfx, ()), ("bare2", ONNX, TIMM), ("m.bin", kfx, ()), ("M.KFX", kfx, ()), ("M.SafeTensors", os.path.join(ROOT, "data", "everyday10.safetensors"), ())):
        shutil.copy(source, p(name))
        shutil.copy(os.path.join(ROOT, "data", "everyday10.json"), p("M.json"))
        code, out, err = run("classify", p(name), FROG, "-k", "1", "--json", *args)
        rows = [json.loads(line) for line in out.splitlines()]
        check(f"models: {name} is a model", code == 0 and [(r["image"], r["top"][0]["index"]) for r in rows] == [(FROG, 6)] and (rows[0]["top"][0]["label"] == "FROG") == (source == kfx), (code, out, err))
    write(p("text"), ["no picture"])
    for name in ("missing", "missing.kfx", "missing.ONNX", "missing.pth", "missing.tflite", "text", "."):
        code, out, err = run("classify", p(name), FROG)
        check(f"models: {name} is none", code == 1 and not out and err.startswith("kitfox: " + p(name)), (code, out, err))
    code, out, err = run("classify", p("missing.jpg"), FROG, "--json")
    check("models: a missing picture is a picture", ["error" in json.loads(line) for line in out.splitlines()] == [True, False], (code, out, err))
    shutil.copy(FROG, p("photo"))
    code, out, err = run("classify", p("photo"), FROG, "--json")
    check("models: a picture without suffix is a picture", code == 0 and len(out.splitlines()) == 2, (code, out, err))
    for args in ((FROG, kfx), (kfx, FROG, ONNX), (FROG, p("bare"))):
        code, out, err = run("classify", *args)
        check(f"models: {' '.join(map(os.path.basename, args))}", code == 2 and not out and says(err, args[-1] + ": a model, where a picture is meant"), (code, out, err))
    code, out, err = run("classify", p("bare"))
    check("models: alone, without suffix", code == 2 and "no picture given" in err, (code, err))
    pth = write(p("m.pth"), b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl" + b"\x80\x02." * 9)
    shutil.copy(pth, p("renamed.onnx"))
    for verb in (("classify", pth, FROG), ("import", pth, "-o", p("o.kfx")), ("info", pth), ("check", pth), ("export", pth, "-o", p("o.onnx")), ("quantize", pth, "--calib", EXAMPLES, "-o", p("o.kfx")),
                 ("import", p("renamed.onnx"), "-o", p("o.kfx")), ("bench", pth)):
        code, out, err = run(*verb)
        check(f"PyTorch: {verb[0]}", code == 1 and not out and says(err, ": this is a PyTorch file .. import torch .. save_file") and "\n" not in err.strip(), (code, out, err))


def batched(n, reshape=None, add=False, classes=5):
    """The same weights for `n` pictures; `reshape`: the target's first extent; `add`: n times the same row is added."""
    g = tiny_onnx.Graph([n, 3, 32, 32])
    g.conv(3, 8), g.add("Relu"), g.conv(8, 12), g.add("GlobalAveragePool")
    g.add("Reshape", g.const([2], [reshape, -1], 7)) if reshape else g.add("Flatten", axis=1)
    g.fc(12, classes)
    if add:
        g.add("Add", g.const([n, classes], tiny_onnx.weights(classes, 7) * n))
    return g.bytes([n, classes])


@case
def batches(top):
    p = lambda name: os.path.join(top, name)
    one = write(p("one.onnx"), batched(1))
    want = json.loads(run("classify", one, FROG, "--json")[1])["top"]
    for name, data in (("flatten", batched(4)), ("reshape", batched(4, reshape=4)), ("reshape-free", batched(3, reshape=3))):
        path, shape = write(p(name + ".onnx"), data), ("--input-shape", "1x3x32x32")
        n = "3" if "free" in name else "4"
        code, out, err = run("classify", path, FROG, "--json", *shape)
        check(f"batch {name}: --input-shape makes it one", code == 0 and json.loads(out)["top"] == want and says(err, f"x: the file takes {n} at a time; 1 is used"), (code, out, err))
        code, _, err = run("import", path, "-o", p("m.kfx"), *shape)
        check(f"batch {name}: imported", code == 0 and json.loads(run("classify", p("m.kfx"), FROG, "--json")[1])["top"] == want, err)
        code, out, err = run("classify", path, FROG, "--json")
        check(f"batch {name}: classify makes it one", code == 0 and json.loads(out)["top"] == want and says(err, f"takes {n} at a time; 1 is used"), (code, out, err))
        code, _, err = run("import", path, "-o", p("m.kfx"))
        code, out, err = run("eval", p("m.kfx"), "--data", pictures(p("d" + name), list("abcde")))
        check(f"batch {name}: eval of a compiled one names the cause", code == 1 and not out and err.count(f"takes {n} pictures at a time") == 1 and "--batch 1" in err, (code, out, err))
        code, out, err = run("compare", path, one, "--data", EXAMPLES)
        check(f"batch {name}: compare does", code == 1 and not out and says(err, f"takes {n} pictures at a time .. --batch 1"), (code, out, err))
        code, out, err = run("compare", path, one, "--data", EXAMPLES, "--batch", "1")
        check(f"batch {name}: compare with --batch", code == 0, (code, out, err))
        code, out, err = run("quantize", path, "--calib", EXAMPLES, "-o", p("q.kfx"), *shape)
        check(f"batch {name}: quantized for one picture", code == 0, (code, out, err))
    path = write(p("built_in.onnx"), batched(4, add=True))
    code, out, err = run("classify", path, FROG, "--input-shape", "1x3x32x32")
    check("batch: four rows that are added", code == 1 and says(err, "batch 1 instead of the file's 4 .. still has 4 rows"), (code, out, err))
    code, out, err = run("classify", one, FROG, "--input-shape", "1x3x48x32")
    check("batch: other extents stay the file's", code == 1 and says(err, "dimension 2 is 32 in the file, --input-shape says 48"), (code, out, err))


@case
def suffixes(top):
    shutil.copy(ONNX, os.path.join(top, "m.onnx"))
    text = ["model_parameters:", "  onnx_model: m.onnx", "  working_dir: out", "input_parameters:", "  no_such_key: 1"]
    for name in ("C.YAML", "c.Yml"):
        code, _, err = run("check", write(os.path.join(top, name), text))
        check(f"{name} is read as YAML", code == 1 and name + ":5:" in err, (code, err))
        code, _, err = run("quantize", os.path.join(top, name))
        check(f"{name} is quantized as YAML", code == 1 and name + ":5:" in err, (code, err))


@case
def reported(top):
    """What people met, with their files."""
    met = os.path.join(SHARED, "cases", "reports")
    model, photos = os.path.join(SHARED, "models", "tf_mobilenetv3_large_minimal_100.onnx"), os.path.join(SHARED, "data", "imagenet-sample")
    if not os.path.exists(met) or not os.path.exists(model):
        print("SKIP: ../shared is not here; no files of reports, no photos in synset folders")
        return
    p = lambda *names: os.path.join(met, *names)
    small, kfx = ("--preprocess", "timm:mobilenetv3_small_100"), os.path.join(top, "m.kfx")
    kit_fox = "kit fox, Vulpes macrotis"
    check("P10-1001: classify", first(p("P10-1001", "m1001.onnx"), p("P10-1001", "frog.jpg"), *small, "-l", p("P10-1001", "l1001.txt")) == (kit_fox, ""))
    code, _, err = run("import", p("P10-1001", "m1001.onnx"), "-o", kfx, *small, "-l", p("P10-1001", "l1001.txt"))
    check("P10-1001: import", code == 0 and first(kfx, p("P10-1001", "frog.jpg")) == (kit_fox, ""), err)
    got = first(p("P10-1001", "m1000.onnx"), p("P10-1001", "frog.jpg"), *small, "-l", p("P10-1001", "l1000_other.txt"))
    check("P10-1001: a list with a line too many at its end is refused", got[0] == 1 and says(got[1], "1001 labels; .. 1000 classes; .. tench"), got)
    got = first(ONNX, FROG, *TIMM, "-l", p("P10-labels-json", "l.json"))
    check("P10-labels-json", got[0] == 1 and says(got[1], "begin at 1 .. begin at 0"), got)
    check("background_not_1001", first(p("background_not_1001", "p.png"), "-l", p("background_not_1001", "n11.txt"))[0] == "frog")
    for more in ((), ("-l", p("eval_class_count", "l5.txt"))):
        code, out, err = run("eval", p("eval_class_count", "m.onnx"), "--data", p("eval_class_count", "d"), *small, *more)
        check(f"eval_class_count: {more[:1]}", code == 1 and not out and "6 classes" in err, (code, out, err))
    shape = ("--input-shape", "1x3x32x32")
    check("G2-batch4", first(p("G2-batch4", "batch4.onnx"), p("G2-batch4", "frog.jpg"), *small, *shape)[0] is None)
    want = {}
    with open(os.path.join(photos, "labels.csv"), newline="") as f:
        for row in list(csv.DictReader(f))[::50]:
            folder = os.path.join(top, "d", row["file"][:9])
            os.makedirs(folder)
            os.symlink(os.path.abspath(os.path.join(photos, row["file"])), os.path.join(folder, "p.jpg"))
            want[row["file"][:9]] = int(row["class_index"])
    args = (model, "--preprocess", "timm:tf_mobilenetv3_large_minimal_100")
    code, out, err = run("eval", *args, "--data", os.path.join(top, "d"), "--json")
    check("ten ImageNet folders under a network of 1000 classes", code == 0 and json.loads(out)["images"] == 10 and json.loads(out)["top1"] >= 60, (code, out, err))
    check("ten ImageNet folders: their classes", truths(os.path.join(top, "d"), *args, "-l", os.path.join(SHARED, "data", "imagenet_labels.json")) == (want, ""))


sys.exit(run_cases())
