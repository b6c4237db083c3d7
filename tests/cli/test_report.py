#!/usr/bin/env python3
"""compare with labels, and the pages of --report: counts from the predictions of eval, McNemar's test from math.comb, Tango's interval by
maximizing the likelihood, pages parsed and recounted. Usage: test_report.py KITFOX ROOT; report_oracle.py beside it does the tensors.
"""
import html
import html.parser
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree

from kit import EXAMPLES, KITFOX, PEERS, ROOT, case, check, once, peers_have, run, run_cases, says

CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def rows(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Page(html.parser.HTMLParser):
    """Tables by id, tags with attributes, open tags checked against each other."""

    VOID = {"meta", "img", "br", "path", "rect"}

    def __init__(self, text):
        super().__init__()
        self.tables, self.tags, self.stack, self.table, self.cell, self.bad, self.text = {}, [], [], None, None, [], ""
        self.feed(text)
        self.bad += [("never closed", self.stack)] if self.stack else []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)
        if tag == "table":
            self.table = self.tables.setdefault(dict(attrs).get("id"), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.cell = ""

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.bad.append(("crossed", tag))
        if tag in ("td", "th"):
            self.table[-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        self.text += data
        if self.cell is not None:
            self.cell += data


def read(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    page = Page(text)
    name = os.path.basename(path)
    check(f"{name}: tags nest", not page.bad, page.bad)
    outside = [t for t in page.tags if t[0] in ("script", "link", "iframe", "object", "a", "form") or "href" in t[1] or not t[1].get("src", "data:").startswith("data:image/jpeg;base64,")
               and "src" in t[1] or any(k.startswith("on") for k in t[1])]
    check(f"{name}: loads nothing, runs nothing", not outside and "url(" not in text and "@import" not in text and set(re.findall(r"https?://[^\"<]*", text)) <= {"http://www.w3.org/2000/svg"}, outside)
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        xml.etree.ElementTree.fromstring(svg)
        drawn = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
        check(f"{name}: a plot names both axes", {"value", "\u221acount"} <= set(drawn) or {"node, in the order of the network", "SQNR, dB", "1"} <= set(drawn), drawn)
    check(f"{name}: no number is missing", not re.search(r"\bnan\b|[^a-z]inf\b", re.sub(r"base64,[^\"]*", "", text).replace("/inf", "")), re.findall(r".{30}\bnan\b.{30}", text)[:2])
    return page, text


def summary(page):
    return {r[0]: r[1:] for r in page.tables["summary"][1:]}


# ---- statistics, independently of the program ------------------------------------------------------------------------------------


def mcnemar(lost, won):
    return min(1, 2 * sum(math.comb(lost + won, k) for k in range(min(lost, won) + 1)) / 2 ** (lost + won))


def likelihood(lost, won, n, d, q):
    """Of the counts when lost pictures have chance q and won ones q + d."""
    terms = ((lost, q), (won, q + d), (n - lost - won, 1 - 2 * q - d))
    return sum(k * math.log(p) if p > 0 else -math.inf for k, p in terms if k)


def score(lost, won, n, d):
    """Tango's statistic, the nuisance parameter by golden section instead of his closed form."""
    lo, hi, g = max(0, -d), (1 - d) / 2, (math.sqrt(5) - 1) / 2
    for _ in range(200):
        a, b = hi - g * (hi - lo), lo + g * (hi - lo)
        if likelihood(lost, won, n, d, a) < likelihood(lost, won, n, d, b):
            lo = a
        else:
            hi = b
    q = (lo + hi) / 2
    return ((won - lost) / n - d) / math.sqrt(max(1e-300, (2 * q + d - d * d) / n))


def interval(lost, won, n):
    ends, at = [], (won - lost) / n
    for lo, hi, z in ((-1 + 1e-9, at, 1.959963984540054), (at, 1 - 1e-9, -1.959963984540054)):
        for _ in range(60):
            mid = (lo + hi) / 2
            lo, hi = (mid, hi) if score(lost, won, n, mid) > z else (lo, mid)
        ends.append(100 * (lo + hi) / 2)
    return ends


# ---- data ------------------------------------------------------------------------------------------------------------------


def picture(path, seed):
    """A PPM of coloured bands and spots: two models do not always agree on it."""
    r = random.Random(seed)
    pixels = bytearray()
    a, b, c = ([r.randrange(256) for _ in range(3)] for _ in range(3))
    x0, y0, size = r.randrange(64), r.randrange(64), r.randrange(8, 40)
    slope = r.uniform(-1, 1)
    for y in range(64):
        for x in range(64):
            p = c if (x - x0) ** 2 + (y - y0) ** 2 < size * size else a if y - 32 > slope * (x - 32) else b
            pixels += bytes(min(255, max(0, v + r.randrange(-12, 13))) for v in p)
    with open(path, "wb") as f:
        f.write(b"P6 64 64 255\n" + bytes(pixels))


@once
def photos(folder):
    for i in range(80):
        picture(os.path.join(folder, f"p{i:02}.ppm"), i)
    return folder


@once
def coarse(folder):
    """A quantized model that often answers otherwise."""
    rough = os.path.join(folder, "rough.kfx")
    switches = ("--no-per-channel", "--no-channel-scales", "--no-bias-correction", "--no-rounding", "--no-equalize",
                "--method", "max")
    code, _, err = run("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", rough, *switches)
    assert code == 0, err
    return rough


def predictions(model, data, top):
    """What a model answers, by way of eval: five classes a picture, by name."""
    names = sorted(n for n in os.listdir(data) if n.endswith(".ppm"))
    folder = os.path.join(top, "asked")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(data, folder)
    with open(os.path.join(folder, "labels.csv"), "w") as f:
        f.writelines(f"{n},0\n" for n in names)
    out = os.path.join(top, "asked.csv")
    code, _, err = run("eval", model, "--data", folder, "--predictions", out)
    assert code == 0, err
    with open(out) as f:
        return {line.split(",")[0]: [int(x) for x in line.split(",")[2:]] for line in f.read().splitlines()[1:]}


def judge(what, got, truth, a, b):
    """All keys that labels give, recounted."""
    n = len(truth)
    lost = sum(a[k][0] == t != b[k][0] for k, t in truth.items())
    won = sum(b[k][0] == t != a[k][0] for k, t in truth.items())
    want = {"labelled": n, "right_to_wrong": lost, "wrong_to_right": won, "mcnemar_p": mcnemar(lost, won), "difference": 100 * (won - lost) / n}
    for side, said in (("a", a), ("b", b)):
        want["top1_" + side] = 100 * sum(said[k][0] == t for k, t in truth.items()) / n
        want["top5_" + side] = 100 * sum(t in said[k] for k, t in truth.items()) / n
    want["difference_low"], want["difference_high"] = interval(lost, won, n)
    bad = {k: (got[k], v) for k, v in want.items() if got[k] is None or abs(got[k] - v) > 1e-5 * max(1e-3, abs(v)) + (2e-5 if "difference_" in k else 0)}
    check(f"{what}: {lost} lost, {won} won of {n}", not bad, bad)
    return want


@case
def labelled(top):
    data, rough = photos(), coarse()
    a, b = (predictions(m, data, top) for m in ("everyday10", rough))
    differ = [k for k in a if a[k][0] != b[k][0]]
    alike = [k for k in a if a[k][0] == b[k][0]]
    check(f"the models answer differently on {len(differ)} of {len(a)} pictures", len(differ) >= 12 and len(alike) >= 12, len(differ))
    plain = rows(run("compare", "everyday10", rough, "--data", data, "--json")[1])[0]
    check("compare: agreement without labels", plain["images"] == len(a) and abs(plain["agreement"] - 100 * len(alike) / len(a)) < 1e-6, plain)
    check("compare: without labels nothing is said of right and wrong", plain["labelled"] == 0 and all(plain[k] is None for k in ("top1_a", "top5_b", "mcnemar_p", "difference_low", "right_to_wrong")), plain)
    check("compare: A's top-1 in B's top-5", abs(plain["top1_in_top5"] - 100 * sum(a[k][0] in b[k] for k in a) / len(a)) < 1e-6, plain)
    csv = os.path.join(data, "labels.csv")
    third = {k: next(c for c in range(10) if c not in (a[k][0], b[k][0])) for k in a}
    cases = {"all lost": {k: a[k][0] for k in a}, "all won": {k: b[k][0] for k in a}, "no flips": {k: third[k] for k in a},
             "even": {k: (a if differ.index(k) % 2 else b)[k][0] if k in differ else a[k][0] for k in a},
             "few labels": {k: (b if i % 3 else a)[k][0] for i, k in enumerate(differ + alike[:5])}}
    page = os.path.join(top, "labelled.html")
    for name, truth in cases.items():
        with open(csv, "w") as f:
            f.write("file,class_index\n" + "".join(f"{k},{t}\n" for k, t in truth.items()))
        code, out, err = run("compare", "everyday10", rough, "--data", data, "--json", "--report", page)
        check(f"compare: {name} runs", code == 0, err)
        want = judge(f"compare: {name}", rows(out)[0], truth, a, b)
        text = run("compare", "everyday10", rough, "--data", data)[1]
        check(f"compare: {name}, for people", f"{want['right_to_wrong']} right to wrong, {want['wrong_to_right']} wrong to right" in text and f"{want['difference_low']:+.2f} to {want['difference_high']:+.2f}" in text, text)
        flips(page, want, truth, a, b, len(a))
    os.remove(csv)


def flips(path, want, truth, a, b, images):
    page, text = read(path)
    s = summary(page)
    check("page: the summary's numbers", s["right to wrong"] == [str(want["right_to_wrong"])] and s["top-1"] == [f"{want['top1_a']:.2f} %", f"{want['top1_b']:.2f} %"]
          and s["McNemar's exact p"] == [f"{want['mcnemar_p']:.4g}"] and s["its 95 % interval"] == [f"{want['difference_low']:+.2f} to {want['difference_high']:+.2f} points"], s)
    got = {os.path.basename(r[1]): r[2:] for r in page.tables["flips"][1:]}
    kinds = {k: "another answer, no label" if k not in truth else "right to wrong" if a[k][0] == truth[k] else "wrong to right" if b[k][0] == truth[k] else "both wrong, differently" for k in a if a[k][0] != b[k][0]}
    expect = {k: [v, CLASSES[truth[k]] if k in truth else "", CLASSES[a[k][0]], CLASSES[b[k][0]]] for k, v in kinds.items()}
    check("page: the pictures that flipped", got == expect, (got, expect))
    check("page: each with its picture", len(re.findall("data:image/jpeg;base64,", text)) == min(60, len(expect)), len(expect))
    present = set(truth.values())
    per = {}
    for k, t in truth.items():
        per.setdefault(CLASSES[t], []).append((a[k][0] == t, b[k][0] == t))
    rows_ = [[c, str(len(v)), f"{100 * sum(x for x, _ in v) / len(v):.2f} %", f"{100 * sum(y for _, y in v) / len(v):.2f} %", str(sum(x and not y for x, y in v)), str(sum(y and not x for x, y in v))]
             for c, v in sorted(per.items()) if any(x != y for x, y in v)]
    check("page: classes with flips", sorted(r[:6] for r in page.tables["classes"][1:]) == rows_, (page.tables["classes"], rows_))
    check("page: classes without pictures are counted", f"{10 - len(present)} of 10 classes have no pictures" in page.text, page.text[-200:])
    holds = want["difference_low"] <= 0 <= want["difference_high"]
    check("page: the verdict follows the interval", ("The interval holds 0" in text) == holds and ("leaves out 0" in text) != holds, want)


@case
def folders(top):
    """Class folders, one of them empty; folders that are no classes."""
    data, rough = photos(), coarse()
    a, b = (predictions(m, data, top) for m in ("everyday10", rough))
    base = os.path.join(top, "classes")
    for i, c in enumerate(CLASSES):
        os.makedirs(os.path.join(base, c))
    names = [n for n in sorted(a) if a[n][0] != 3][:30]
    truth = {}
    for n in names:
        truth[n] = a[n][0]
        shutil.copy(os.path.join(data, n), os.path.join(base, CLASSES[a[n][0]], n))
    page = os.path.join(top, "folders.html")
    code, out, err = run("compare", "everyday10", rough, "--data", base, "--json", "--report", page)
    judge("compare: class folders, one of them empty", rows(out)[0], truth, a, b)
    check("page: the empty class", f"{10 - len(set(truth.values()))} of 10 classes have no pictures" in read(page)[0].text, err)
    dates = os.path.join(top, "dates")
    os.makedirs(os.path.join(dates, "2024-05"))
    os.makedirs(os.path.join(dates, "2024-06"))
    shutil.copy(os.path.join(data, names[0]), os.path.join(dates, "2024-05"))
    code, out, err = run("compare", "everyday10", rough, "--data", dates, "--json")
    check("compare: folders of dates are no classes", code == 0 and rows(out)[0]["labelled"] == 0 and "2 folders are not taken" in err, (out, err))
    with open(os.path.join(dates, "labels.csv"), "w") as f:
        f.write(f"2024-05/{names[0]},10\n")
    code, _, err = run("compare", "everyday10", rough, "--data", dates)
    check("compare: a class out of range", code == 1 and "class 10 is out of range" in err and names[0] in err, err)


@case
def nodes(top):
    data, rough = photos(), coarse()
    out = [run("compare", "everyday10", rough, "--data", data, "--nodes", "--node-images", "3", "--json", "--threads", t)[1] for t in ("1", "2")]
    check("compare: the same bytes with one thread and two", out[0] == out[1], out)
    table = rows(out[0])[1:]
    both = [r for r in table if "only_in" not in r]
    check("compare --nodes: a row for every step", len({r["node"] for r in table}) == len(table) == 55, len(table))
    finite = [r["sqnr_db"] for r in both if r["sqnr_db"] is not None]
    check("compare --nodes: worst first", finite == sorted(finite) and len(finite) > 50, finite[:5])
    check("compare --nodes: errors add up along the way", sum(r["alone_sqnr_db"] > r["sqnr_db"] for r in both if r["sqnr_db"]) > 45, both[:2])
    text = run("compare", "everyday10", rough, "--data", data, "--nodes", "--node-images", "3")[1]
    check("compare --nodes: for people in the same order", [line.split()[0] for line in text.splitlines()[3:]][:10] == [r["node"][:48] for r in table][:10], text)
    same = rows(run("compare", rough, rough, "--data", data, "--nodes", "--node-images", "2", "--json")[1])
    check("compare: a quantized model with itself is exact everywhere", same[0]["identical"] and all(r["sqnr_db"] is None and r["cosine"] == 1 for r in same[1:]), same[:3])
    check("compare: so is each of its nodes alone", all(r["alone_sqnr_db"] is None and r["cost_sqnr_db"] is None for r in same[1:]), [r for r in same[1:] if r["alone_sqnr_db"]][:3])


@case
def compiled_with(top):
    """Options of an import beside a compiled model: they belong to the other one."""
    data = photos()
    other = os.path.join(top, "plain.kfx")
    run("import", CHECKPOINT, "-o", other)
    code, out, err = run("compare", os.path.join(ROOT, "data", "everyday10.onnx"), other, "--preprocess", "timm:everyday10", "--data", data, "--json", "--nodes")
    check("compare: ONNX with a compiled model of the same network", code == 0 and rows(out)[0]["identical"] and all(r["cosine"] == 1 for r in rows(out)[1:] if "cosine" in r), (out[:300], err))
    code, out, err = run("compare", other, other, "--preprocess", "timm:everyday10", "--data", data)
    check("compare: two compiled models refuse it", code == 1 and "--preprocess does not apply" in err, err)
    code, out, err = run("compare", os.path.join(ROOT, "data", "everyday10.onnx"), other, "--preprocess", "timm:mobilenetv3_large_100", "--data", data, "--json")
    check("compare: other preprocessing is noted", code == 0 and says(err, "prepare .. differently"), err)


@case
def names(top):
    """Names that look like markup, and one that is not UTF-8."""
    data, rough = photos(), coarse()
    odd = os.path.join(top, '<b>&"dir')
    os.makedirs(odd)
    wild = ['<img src=x>.ppm', 'a&amp;"b".ppm', "it's ]]>.ppm", "<!--.ppm", "žluť.ppm"]
    sources = sorted(n for n in os.listdir(data) if n.endswith(".ppm"))
    a, b = (predictions(m, data, top) for m in ("everyday10", rough))
    differ = [n for n in sources if a[n][0] != b[n][0]]
    for i, n in enumerate(wild):
        shutil.copy(os.path.join(data, differ[i]), os.path.join(odd, n))
    shutil.copy(os.path.join(data, differ[5]), os.path.join(odd, os.fsdecode(b"x\xff.ppm")))
    labels = os.path.join(top, "labels.txt")
    with open(labels, "w") as f:
        f.write("\n".join(["<i>x</i>", "a & b", '"q"', "</table>", "</title><script>alert(1)</script>", "<!--", "&lt;", "'", "]]>", "plain"]) + "\n")
    page = os.path.join(top, '<o>&".html')
    model = os.path.join(odd, '<m>&".kfx')
    shutil.copy(rough, model)
    code, out, err = run("compare", os.path.join(ROOT, "data", "everyday10.onnx"), model, "--labels", labels, "--preprocess", "timm:everyday10", "--data", odd, "--report", page)
    check("page: odd names", code == 0, err)
    parsed, text = read(page)
    got = {os.path.basename(r[1]) for r in parsed.tables["flips"][1:]}
    check("page: names of files are text", got == set(wild) | {"x\ufffd.ppm"}, got)
    check("page: no name is markup", not any(t[0] in ("b", "i", "m", "o", "script") for t in parsed.tags) and "<!--" not in text, [t for t in parsed.tags if t[0] in ("b", "i", "m", "o")])
    check("page: labels are text", any("</title><script>alert(1)</script>" in r or "a & b" in r or "plain" in r or '"q"' in r or "<i>x</i>" in r for r in parsed.tables["flips"]), parsed.tables["flips"])
    check("page: model and folder are text", '<m>&".kfx' in parsed.text and '<b>&"dir' in parsed.text, parsed.text[:400])


@case
def names_of_classes(top):
    """Labels first; without them folders, where each class has its own; else numbers, and a sentence that says so."""
    data, rough, page = photos(), os.path.join(top, "rough.kfx"), os.path.join(top, "n.html")
    model = os.path.join(ROOT, "data", "everyday10.onnx")  # it has no labels
    how = ("--preprocess", "timm:everyday10")
    code, _, err = run("quantize", model, *how, "--calib", EXAMPLES, "-o", rough, "--no-per-channel", "--no-rounding", "--no-equalize", "--no-bias-correction", "--method", "max")
    assert code == 0, err
    a, b = (predictions(m, data, top) for m in ("everyday10", rough))
    flips = sorted(n for n in a if a[n][0] != b[n][0])[:6]
    labels = os.path.join(top, "labels.txt")
    with open(labels, "w") as f:
        f.write("\n".join(f"label {k}" for k in range(10)) + "\n")
    kinds = [f"kind {k}" for k in range(10)]
    for what, folders, names, want in (("class folders", kinds, [], r"kind \d"), ("labels before folders", kinds, ["--labels", labels], r"label \d"),
                                       ("one folder", ["all"], [], r"class \d"), ("folders that are no classes", ["monday", "tuesday"], [], r"class \d"),
                                       ("list of one class", ["all"], [], r"class \d"), ("list of two classes", ["all"], [], r"class \d")):
        for f in folders:
            os.makedirs(os.path.join(top, what, f))
            for n in flips:
                shutil.copy(os.path.join(data, n), os.path.join(top, what, f, n))
        if what.startswith("list"):
            with open(os.path.join(top, what, "labels.csv"), "w") as f:
                f.writelines(f"all/{n},{3 + i % 2 * what.endswith('classes')}\n" for i, n in enumerate(flips))
        code, out, err = run("compare", model, rough, *names, *how, "--data", os.path.join(top, what), "--report", page, "--node-images", "1")
        check(f"{what}: runs", code == 0 and flips, err)
        parsed, text = read(page)
        got = {c for r in parsed.tables["flips"][1:] for c in r[3:6] if c}
        check(f"{what}: every class has such a name", got and all(re.fullmatch(want, c) for c in got), got)
        check(f"{what}: numbers are explained", ("no labels, so classes are numbers" in text) == (want == r"class \d"), text[-800:])


@case
def quantizing(top):
    data = photos()
    out, page = os.path.join(top, "q.kfx"), os.path.join(top, "q.html")
    code, text, err = run("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", out, "--report", page, "--json")
    table = rows(text)
    check("quantize --report: runs", code == 0 and table[-1]["output"] == out and table[-1]["bytes"] == os.path.getsize(out) and table[-1]["test"] is None, (table[-1:], err))
    record = {r["node"]: r for r in table[:-1]}
    check("quantize --json: one object a node, with its own error", len(record) > 50 and all(isinstance(r["alone_cosine"], float) for r in record.values()), table[:2])
    parsed, raw = read(page)
    got = {r[0].replace(" (rescaled)", ""): r for r in parsed.tables["nodes"][1:]}
    number = lambda x: "exact" if x is None else f"{x:.2f}"
    bad = [(n, r, record[n]) for n, r in got.items() if r[4] != f"{record[n]['cosine']:.6f}" or r[5] != number(record[n]["sqnr_db"]) or r[7] != number(record[n]["alone_sqnr_db"])]
    check("page: the nodes are the quantizer's record", not bad and len(got) == 55, bad[:2])
    order = [float(r[5]) for r in parsed.tables["nodes"][1:] if r[5] not in ("exact", "")]
    check("page: worst first", order == sorted(order), order[:5])
    line = re.search(r'class="line0" d="([^"]*)"', raw).group(1)
    check("page: the curve has a point for every node with an error", line.count("M") == 1 and line.count("L") == len(order) - 1, line[:80])
    costs = parsed.tables["costs"][1:]
    share = sum(float(r[2].split()[0]) for r in costs)
    check("page: shares of the cost are of the whole, dearest first", abs(share - 100) < 3 and [r[2] for r in costs] == [r[2] for r in sorted(costs, key=lambda r: -float(r[2].split()[0]))], share)
    check("page: histograms with their range", raw.count("<details>") == 55 and raw.count('class="wide"') > 100 and 'class="bar"' in raw, raw.count("<details>"))
    check("page: says what the pictures are", "the 5 calibration samples themselves" in parsed.text and "no labels, so nothing is said" in parsed.text, parsed.text[:600])
    s = summary(parsed)
    check("page: sizes of the files", s["file size"] == [f"{os.path.getsize(CHECKPOINT)} bytes", f"{os.path.getsize(out)} bytes"] and "top-1" not in s, s)
    plain = os.path.join(top, "p.kfx")
    code, text, err = run("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", plain, "--json")
    with open(out, "rb") as f, open(plain, "rb") as g:
        check("quantize: the report changes nothing", code == 0 and f.read() == g.read(), err)
    check("quantize --json: own errors are null without a report", rows(text)[0]["alone_cosine"] is None and len(rows(text)) == len(table), rows(text)[:1])
    test = os.path.join(top, "test")
    shutil.copytree(data, test)
    some = sorted(n for n in os.listdir(test) if n.endswith(".ppm"))
    with open(os.path.join(test, "labels.csv"), "w") as f:
        f.writelines(f"{n},{i % 10}\n" for i, n in enumerate(some))
    code, text, err = run("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", out, "--report", page, "--data", test, "--json")
    compared = rows(run("compare", "everyday10", out, "--data", test, "--json")[1])[0]
    check("quantize --data: the same numbers as compare", code == 0 and rows(text)[-1]["test"].items() <= compared.items() and compared["labelled"] == len(some), (rows(text)[-1:], compared))
    parsed, _ = read(page)
    check("page: test pictures with labels", summary(parsed)["with a label"] == [str(len(some))] and "test pictures of" in parsed.text, summary(parsed))
    code, text, err = run("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", out, "--data", test)
    check("quantize --data: for people", code == 0 and f"{len(some)} labelled: top-1 A" in text, (text, err))


@case
def tensors(top):
    """Samples that are no pictures: f32 from .npy, named instead of shown."""
    data, out, page = os.path.join(top, "npy"), os.path.join(top, "t.kfx"), os.path.join(top, "t.html")
    os.makedirs(data)
    r = random.Random(9)
    head = b"\x93NUMPY\x01\x00v\x00" + ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 64, 64), }".ljust(117) + "\n").encode()
    for i in range(12):
        level = r.uniform(-1, 1)
        with open(os.path.join(data, f"{i:02}.npy"), "wb") as f:
            f.write(head + struct.pack("<12288f", *(level + r.gauss(0, 0.3) + (k % 64) / 40 for k in range(3 * 64 * 64))))
    switches = ("--no-per-channel", "--no-channel-scales", "--no-bias-correction", "--no-rounding", "--no-equalize", "--method", "max")
    code, text, err = run("quantize", CHECKPOINT, "--calib", data, "-o", out, "--report", page, "--data", data, "--json", *switches)
    got = rows(text)[-1] if code == 0 else {}
    check("quantize: f32 samples, with a page", code == 0 and got["test"]["images"] == 12 and got["test"]["labelled"] == 0, (text[-300:], err))
    again = rows(run("compare", "everyday10", out, "--data", data, "--nodes", "--node-images", "2", "--json")[1])
    only = [r["node"] for r in again if r.get("only_in") == "b"]
    check("compare: f32 samples give the same", got["test"].items() <= again[0].items(), (again[0], got))
    check("compare: a conversion exists in B only", only == ["data.quantize"], only)
    check("compare: what reads it still has a row alone", all(r["alone_sqnr_db"] is None or r["alone_sqnr_db"] > 5 for r in again[1:] if "alone_sqnr_db" in r) and any(r.get("node") == "/conv_stem/Conv" for r in again), again[1:3])
    check("compare: bad quantization is not taken for rescaled channels", again[0]["cosine"] < 0.95 and not any(r.get("rescaled") for r in again), [r["node"] for r in again[1:] if r.get("rescaled")])
    parsed, text = read(page)
    check("page: conversions have a list of their own, samples are listed by name", parsed.tables["only"][1:] == [["data.quantize", "quantize", "B"]] and "data:image" not in text, parsed.tables.get("only"))


@case
def yaml(top):
    """The same page beside a YAML file; raw calibration files make no names of pictures."""
    job = os.path.join(top, "job")
    os.makedirs(os.path.join(job, "cal"))
    shutil.copy(os.path.join(ROOT, "data", "everyday10.onnx"), os.path.join(job, "net.onnx"))
    r = random.Random(2)
    for i in range(6):
        level = r.randrange(40, 200)
        with open(os.path.join(job, "cal", f"{i}.bin"), "wb") as f:
            f.write(bytes(min(255, max(0, level + r.randrange(-30, 30) + (x % 64))) for x in range(3 * 64 * 64)))
    config = os.path.join(job, "c.yaml")
    with open(config, "w") as f:
        f.write("model_parameters:\n  onnx_model: net.onnx\n  march: bayes-e\n  working_dir: out\n  output_model_file_prefix: net\ninput_parameters:\n  input_type_rt: nv12\n  input_type_train: rgb\n"
                "  input_layout_train: NCHW\n  norm_type: data_mean_and_scale\n  mean_value: 123.675 116.28 103.53\n  scale_value: 0.01712475 0.017507 0.01742919\n"
                "calibration_parameters:\n  cal_data_dir: cal\n  cal_data_type: uint8\n  calibration_type: default\ncompiler_parameters:\n  compile_mode: latency\n")
    page = os.path.join(top, "yaml.html")
    code, out, err = run("quantize", config, "--report", page, "--json")
    check("quantize CONFIG.yaml --report", code == 0 and os.path.exists(os.path.join(job, "out", "net.kfx")), err)
    if code == 0:
        parsed, _ = read(page)
        check("page: from YAML", len(parsed.tables["nodes"]) == 56 and "the 6 calibration samples themselves" in parsed.text, parsed.text[:400])
    before = sorted(os.listdir(job))
    shutil.rmtree(os.path.join(job, "out"), ignore_errors=True)
    code, out, err = run("quantize", config, "--report", os.path.join(top, "no", "such.html"))
    check("quantize CONFIG.yaml: a page that cannot be written is told first", code == 1 and "cannot write" in err and not os.path.exists(os.path.join(job, "out")), (err, before))


@case
def bad_paths(top):
    data, rough = photos(), coarse()
    nowhere, out = os.path.join(top, "no", "such.html"), os.path.join(top, "never.kfx")
    for args in (("compare", "everyday10", rough, "--data", data, "--report", nowhere), ("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", out, "--report", nowhere),
                 ("compare", "everyday10", rough, "--data", data, "--report", top)):
        code, _, err = run(*args)
        check(f"{args[0]}: a page that cannot be written", code == 1 and args[-1] + ": cannot write" in err and not os.path.exists(out), err)
    broken = os.path.join(top, "broken")
    os.makedirs(broken)
    with open(os.path.join(broken, "x.jpg"), "wb") as f:
        f.write(b"\xff\xd8\xff nothing")
    page = os.path.join(top, "whole.html")
    with open(page, "w") as f:
        f.write("before")
    for args in (("compare", "everyday10", rough, "--data", broken), ("quantize", CHECKPOINT, "--calib", EXAMPLES, "-o", out, "--data", broken)):
        code, _, err = run(*args, "--report", page)
        with open(page) as f:
            check(f"{args[0]}: a broken picture leaves the old page and no model", code == 1 and "x.jpg" in err and f.read() == "before" and not os.path.exists(out), err)
    left = [n for _, _, files in os.walk(top) for n in files if n.endswith(".part") or n.startswith(".kitfox-")]
    check("nothing half-written is left", not left, left)
    for args in (("--node-images", "0"), ("--node-images", "x"), ("--limit", "0")):
        check("compare: " + " ".join(args), run("compare", "everyday10", rough, "--data", data, *args)[0] == 2)


@case
def oracle():
    """Tensors recomputed elsewhere; its own checks are counted there."""
    if not peers_have("numpy", "onnx", "onnxruntime", "PIL"):
        print("SKIP: the interpreter of KITFOX_PEERS with numpy, onnx, onnxruntime and PIL is missing; tensors are not recomputed")
        return
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report_oracle.py")
    if subprocess.run([PEERS, script, KITFOX, ROOT], timeout=300).returncode:
        raise AssertionError("report_oracle.py")


sys.exit(run_cases())
