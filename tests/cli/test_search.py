# quantize with a target, as a user runs it: ranking and outcome, the same model by hand, labels from labels.csv and class folders, a target that
# cannot be met, int16 weights on every instruction set, wrong usage. Usage: test_search.py KITFOX
import json, os, random, shutil, sys

from kit import ROOT, case, check, levels, once, run, run_cases, says

MODEL = os.path.join(ROOT, "data", "everyday10.safetensors")


def rows(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def picture(path, seed):
    r = random.Random(seed)
    corner = [[r.randrange(256) for _ in range(3)] for _ in range(4)]
    body = bytearray()
    for y in range(64):
        for x in range(64):
            for c in range(3):
                flat = (corner[0][c] * (63 - x) * (63 - y) + corner[1][c] * x * (63 - y) + corner[2][c] * (63 - x) * y + corner[3][c] * x * y) // 3969
                body.append(max(0, min(255, flat + r.randrange(-40, 41))))
    with open(path, "wb") as f:
        f.write(b"P6 64 64 255\n" + body)


def quantize(folder, out, *args, calib=None):
    code, text, err = run("quantize", MODEL, "--calib", calib or folder, "-o", out, "--json", *args)
    table = rows(text)
    result = next((r for r in table if "target_met" in r), None)
    return code, table, result, err


@once
def pictures(folder):
    for i in range(16):
        picture(os.path.join(folder, f"{i}.ppm"), i)
    return folder


@case
def searching(work):
    folder = pictures()
    out, hand, plain, met = (os.path.join(work, n + ".kfx") for n in ("searched", "hand", "plain", "met"))
    code, table, r, err = quantize(folder, out, "--target-cosine", "0.99999", "--max-int16-macs", "30", "--nodes")
    ranking = [c for c in table if c["kind"] == "candidate"]
    promoted = [c for c in ranking if c["place"]]
    check("target: a limit of 30 percent", code == 0 and r and 0 < r["int16_macs_percent"] <= 30 and r["held_out"] == 4 and r["drop_of"] == "agreement", (err, r))
    check("target: places count up", [c["place"] for c in promoted] == list(range(1, len(promoted) + 1)) == list(range(1, r["promoted"] + 1)) and len(ranking) > len(promoted), promoted)
    rest = [c["gain"] for c in ranking[len(promoted):]]
    check("target: the others are ranked by gain", rest == sorted(rest, reverse=True), rest)
    check("target: better than 8 bits on pictures held out", r["cosine"] > r["cosine_int8"] and r["sqnr_db"] > r["sqnr_db_int8"], r)
    dtypes = {n["node"]: n["dtype"] for n in table if n["kind"] == "node"}
    check("target: promoted outputs are int16", all(dtypes[c["node"]] == "i16" for c in promoted if c["what"] == "output"), dtypes)
    by_hand = [a for c in promoted for a in ("--int16-weights" if c["what"] == "weights" else "--int16-output", c["node"])]
    code, _, _, err = quantize(folder, hand, *by_hand)
    check("target: the same model by hand", code == 0 and open(out, "rb").read() == open(hand, "rb").read(), err)
    code, table, _, err = quantize(folder, plain)
    code2, table2, r, err2 = quantize(folder, met, "--target-cosine", "0.5")
    check("target: 8 bits meet it, nothing is promoted", code2 == 0 and r["target_met"] and r["promoted"] == 0 and r["int16_macs_percent"] == 0 and not any(c["kind"] == "candidate" for c in table2), (err2, r))
    check("target: and the model is that without a target", open(plain, "rb").read() == open(met, "rb").read())
    code, text, err = run("quantize", MODEL, "--calib", folder, "-o", met, "--target-cosine", "0.99999", "--max-int16-macs", "30")
    check("target: a table for people", code == 0 and "Place" in text and "held-out" in text and "NOT met" in text and "--nodes prints them" in text, text)


@case
def unmet(work):
    folder = pictures()
    out = os.path.join(work, "unmet.kfx")
    code, _, r, err = quantize(folder, out, "--target-cosine", "1", "--max-int16-macs", "0.5")
    check("target: one that cannot be met", code == 0 and r and not r["target_met"] and r["int16_macs_percent"] <= 0.5 and os.path.exists(out), (code, r))
    check("target: says so", "the target was not met" in err and "--max-int16-macs" in err, err)
    code, text, err = run("classify", out, os.path.join(folder, "0.ppm"), "--json")
    check("target: the best model is there", code == 0 and rows(text)[0]["top"], err)


@case
def labels(work):
    folder = pictures()
    data, out = os.path.join(work, "labelled"), os.path.join(work, "l.kfx")
    shutil.copytree(folder, data)
    names = sorted(os.listdir(data))
    code, text, err = run("classify", "everyday10", "--json", *(os.path.join(data, n) for n in names))
    top = [r["top"][0] for r in rows(text)]
    for shift, want in ((0, 100), (1, 0)):
        open(os.path.join(data, "labels.csv"), "w").write("file,class_index\n" + "".join(f"{n},{(t['index'] + shift) % 10}\n" for n, t in zip(names, top)))
        code, _, r, err = quantize(data, out, "--target-drop", "100")
        check("drop: of accuracy by labels.csv", code == 0 and r["drop_of"] == "accuracy" and r["float_top1"] == want and (r["drop"] <= 0) >= bool(shift), (err, r))
    open(os.path.join(data, "labels.csv"), "a").write("x.ppm,3\n")
    lines = open(os.path.join(data, "labels.csv")).read().splitlines()
    open(os.path.join(data, "labels.csv"), "w").write("\n".join(lines[:5]) + "\n")
    code, _, r, err = quantize(data, out, "--target-drop", "100")
    check("drop: some pictures without a label", code == 0 and r["drop_of"] == "agreement" and "only 4 of 16" in err, (err, r))
    open(os.path.join(data, "labels.csv"), "w").write("no comma\n")
    code, _, r, err = quantize(data, out + "2", "--target-drop", "1")
    check("drop: a labels.csv that cannot be read", code == 1 and not os.path.exists(out + "2"), err)
    os.remove(os.path.join(data, "labels.csv"))
    code, _, r, err = quantize(data, out, "--target-drop", "100")
    check("drop: no labels, of agreement", code == 0 and r["drop_of"] == "agreement" and r["float_top1"] is None and "no labels" in err, (err, r))
    code, _, r, err = quantize(data, out, "--target-drop", "24.9")
    check("drop: finer than one picture", code == 0 and says(err, "4 samples .. held out .. 25.00"), err)
    check("drop: one picture is not finer", "held out" not in quantize(data, out, "--target-drop", "25")[3])
    for name in ("label", "other"):
        classes = os.path.join(work, "by_" + name)
        for i, (n, t) in enumerate(zip(names, top)):
            sub = os.path.join(classes, t["label"] if name == "label" else str(i % 3))
            os.makedirs(sub, exist_ok=True)
            shutil.copy(os.path.join(data, n), sub)
        code, _, r, err = quantize(classes, out, "--target-drop", "100")
        want = ("accuracy", 100) if name == "label" else ("agreement", None)
        check("drop: folders named " + name, code == 0 and (r["drop_of"], r["float_top1"]) == want, (err, r))


@case
def weights(work):
    folder, plain, out = pictures(), os.path.join(work, "plain.kfx"), os.path.join(work, "w.kfx")
    assert quantize(folder, plain)[0] == 0
    code, _, _, err = quantize(folder, out, "--int16-weights", "/bn1/act/Mul", "--int16-weights", "/classifier/Gemm", "--int16-weights", "/blocks/blocks.1/blocks.1.1/conv_dw/Conv")
    check("weights: a name that was fused away", code == 0 and open(plain, "rb").read() != open(out, "rb").read(), err)
    kernels = {n["node"]: n["kernel"] for n in rows(run("info", out, "--nodes", "--json")[1])[0]["steps"]}
    check("weights: run on the i16 kernels", all("i16" in kernels[n] for n in ("/conv_stem/Conv", "/classifier/Gemm", "/blocks/blocks.1/blocks.1.1/conv_dw/Conv")), kernels)
    same = [run("classify", out, "--json", os.path.join(folder, "3.ppm"), env={"KITFOX_CPU": cpu})[1].split('"ms"')[0]
            for cpu in levels()]
    check("weights: same numbers on every instruction set", len(set(same)) == 1 and "score" in same[0], same)


@case
def usage(work):
    folder = pictures()
    out = os.path.join(work, "none.kfx")
    few = os.path.join(work, "few")
    os.mkdir(few)
    for i in range(7):
        shutil.copy(os.path.join(folder, f"{i}.ppm"), few)
    for args, want, word in ((["--target-drop", "half"], 2, "--target-drop half"), (["--target-drop", "-1"], 2, "0 to 100"), (["--target-cosine", "1.5"], 2, "0 to 1"),
                             (["--target-cosine", "0"], 2, "any network"), (["--target-cosine", "nan"], 2, "nan"), (["--max-int16-macs", "5"], 2, "--target-drop"),
                             (["--target-drop", "1", "--max-int16-macs", "101"], 2, "0 to 100"), (["--int16-weights", "nonsense"], 1, "nonsense"),
                             (["--int16-output", "nonsense"], 1, "nonsense"), (["--int16-weights", "/global_pool/pool/GlobalAveragePool"], 1, "neither")):
        code, _, _, err = quantize(folder, out, *args)
        check("usage: " + " ".join(args), code == want and word in err and not os.path.exists(out), (code, err))
    code, _, _, err = quantize(folder, out, "--target-drop", "1", calib=few)
    check("usage: seven pictures", code == 1 and "8 at least" in err and not os.path.exists(out), err)


sys.exit(run_cases())
