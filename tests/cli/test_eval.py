#!/usr/bin/env python3
"""kitfox eval: lists, lines that cannot be read, predictions and the confusion page, recounted here from the predictions.

Called by meson with the program's path; KITFOX_SOURCE is the source root. Prints one line a check.
"""
import collections
import csv
import functools
import html.parser
import json
import os
import re
import sys
import xml.etree.ElementTree

import kit
from kit import EXAMPLES, ROOT, SHARED, case, check, only_error, run_cases, says

run = functools.partial(kit.run, "eval")
CLASSES = {"airplane": 0, "automobile": 1, "frog": 6, "ship": 8, "truck": 9}


class Tables(html.parser.HTMLParser):
    """Cells of the tables by id, and every tag with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.tags, self.table, self.open, self.text = {}, [], None, False, ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.table = self.tables.setdefault(dict(attrs).get("id"), [])
        elif tag == "tr":
            self.table.append([])
        elif tag in ("td", "th", "title", "h1"):
            self.open, self.text = True, ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.table[-1].append(self.text)
        self.open = self.open and tag not in ("td", "th", "title", "h1")

    def handle_data(self, data):
        if self.open:
            self.text += data


def write(path, text):
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def dataset(folder):
    os.makedirs(folder)
    for name in CLASSES:
        os.symlink(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(folder, name + ".jpg"))
    write(os.path.join(folder, "labels.csv"), "file,class_index\n" + "".join(f"{n}.jpg,{k}\n" for n, k in CLASSES.items()))
    return folder


@case
def bad_lines(top):
    data = dataset(os.path.join(top, "bad"))
    labels = os.path.join(data, "labels.csv")
    good = {
        "plain": "frog.jpg,6\n", "header": "file,class_index\nfrog.jpg,6\n", "byte order mark and CRLF": b"\xef\xbb\xbffile,class\r\nfrog.jpg,6\r\n",
        "mark, no header": b"\xef\xbb\xbffrog.jpg,6\n", "more columns": "frog.jpg,6,frog,x\n", "blanks": "\nfrog.jpg, 6 \n\n", "quotes": '"frog.jpg",6\n', "no last line end": "frog.jpg,6"}
    for what, text in good.items():
        write(labels, text)
        code, out, err = run("--data", data, "--json")
        check(f"labels.csv: {what}", code == 0 and json.loads(out)["images"] == 1 and json.loads(out)["top1"] == 100, (code, out, err))
    bad = {"no comma": ("frog.jpg,6\nship.jpg\n", [2]), "no number": ("frog.jpg,6\nship.jpg,\nship.jpg,eight\n", [2, 3]), "a second header": ("file,class\nfile,class\n", [2]),
           "letters after the number": ("file,class\nship.jpg,8b\n", [2]), "a number with a point": ("ship.jpg,8.5\n", [1]), "no name": ("frog.jpg,6\n,8\n", [2]),
           "an open quote": ('frog.jpg,6\n"ship.jpg,8\n', [2]), "a zero byte": (b"frog.jpg,6\nsh\0ip.jpg,8\n", [2])}
    for what, (text, lines) in bad.items():
        write(labels, text)
        code, out, err = run("--data", data, "--json")
        said = [int(n) for n in re.findall(r"labels\.csv:(\d+): ", err)]
        check(f"labels.csv: {what}", code == 1 and only_error(out) and said == lines and f"{len(lines)} line" in err.splitlines()[-1], (code, out, err))
    write(labels, "x\n" * 50)
    code, _, err = run("--data", data)
    check("labels.csv: fifty bad lines, ten shown", code == 1 and len(err.splitlines()) == 11 and "50 lines" in err, err)
    os.symlink(os.path.join(EXAMPLES, "frog.jpg"), os.path.join(data, 'a "frog", green.jpg'))
    write(labels, '"a ""frog"", green.jpg",6\nfrog.jpg,6\n')
    out_csv = os.path.join(top, "quoted.csv")
    code, out, err = run("--data", data, "--predictions", out_csv)
    with open(out_csv, newline="") as f:
        rows = list(csv.reader(f))
    check("names with commas and quotes go in and out", code == 0 and [r[0] for r in rows[1:]] == ['a "frog", green.jpg', "frog.jpg"] and [r[2] for r in rows[1:]] == ["6", "6"], (err, rows))


@case
def lists(top):
    data = dataset(os.path.join(top, "lists"))
    pick = os.path.join(top, "pick.txt")
    predictions = os.path.join(top, "p.csv")

    def names(text, *args):
        write(pick, text)
        code, out, err = run("--data", data, "--list", pick, "--predictions", predictions, "--json", *args)
        if code:
            return code, err
        with open(predictions, newline="") as f:
            return [(r["file"], int(r["class_index"])) for r in csv.DictReader(f)]

    check("--list: by name, in its order", names("ship.jpg\nfrog.jpg\n") == [("ship.jpg", 8), ("frog.jpg", 6)], names("ship.jpg\nfrog.jpg\n"))
    check("--list: with classes", names("file,class_index\nship.jpg,3\n") == [("ship.jpg", 3)], names("ship.jpg,3\n"))
    check("--list: with --limit", names("truck.jpg\nfrog.jpg\n", "--limit", "1") == [("truck.jpg", 9)])
    check("--list: an absolute path", names(os.path.join(EXAMPLES, "frog.jpg") + ",6\n") == [(os.path.join(EXAMPLES, "frog.jpg"), 6)])
    code, err = names("ship.jpg\nzebra.jpg\nfrog.jpg\n")
    check("--list: an unknown picture", code == 1 and "pick.txt:2: no such picture" in err, err)
    code, err = names("ship.jpg\n,\n")
    check("--list: a bad line", code == 1 and "pick.txt:2: " in err, err)
    code, err = names("")
    check("--list: empty", code == 1 and "no pictures" in err, err)
    code, out, err = run("--data", data, "--list", "-", "--json", stdin=b"frog.jpg\n")
    check("--list -: standard input", code == 0 and json.loads(out)["images"] == 1, err)
    code, _, err = run("--data", data, "--list", os.path.join(top, "none"))
    check("--list: missing", code == 1 and "cannot open" in err, err)
    code, _, err = run("--data", data, "--list", data)
    check("--list: a folder", code == 1 and err.startswith("kitfox: " + data), err)
    os.remove(os.path.join(data, "labels.csv"))
    os.makedirs(os.path.join(data, "frog"))
    os.rename(os.path.join(data, "frog.jpg"), os.path.join(data, "frog", "frog.jpg"))
    check("--list: from class folders", names("frog/frog.jpg\n") == [("frog/frog.jpg", 6)], names("frog/frog.jpg\n"))


def recount(page_path, predictions, n_classes, label):
    """The page's tables and map against the predictions."""
    with open(page_path, encoding="utf-8") as f:
        text = f.read()
    page = Tables(text)
    with open(predictions, newline="") as f:
        pairs = [(int(r["class_index"]), int(r["top1"])) for r in csv.DictReader(f) if int(r["top1"]) >= 0]
    count, per = collections.Counter(pairs), collections.Counter(t for t, _ in pairs)
    rows = sorted(((count[k, k] / per[k], k) for k in per))
    want = [[str(k), label(k), str(per[k]), str(count[k, k]), f"{100 * a:.2f} %"] for a, k in rows]
    check("confusion: accuracy per class, worst first", [r[:5] for r in page.tables["classes"][1:]] == want, page.tables["classes"][:4])
    wrong = sorted(((-n, t, s) for (t, s), n in count.items() if t != s))[:25]
    want = [[str(-n), label(t), label(s), f"{-100 * n / per[t]:.1f} %"] for n, t, s in wrong]
    check("confusion: most confused pairs", page.tables.get("pairs", [[]])[1:] == want, (page.tables.get("pairs"), want))
    svg = xml.etree.ElementTree.fromstring(text[text.index("<svg"):text.index("</svg>") + 6])
    space = "{http://www.w3.org/2000/svg}"
    titles = [t.text for t in svg.iter(space + "text") if t.get("class") == "title"]
    unit = "" if n_classes <= 30 else ", by index"
    check("confusion: both axes have a title", titles == ["true class" + unit, "taken for" + unit], titles)
    numbers = [t.text for t in svg.iter(space + "text") if t.get("class") == "axis"]
    check("confusion: rows and columns have names or numbers", len(numbers) % 2 == 0 and sorted(numbers[::2]) == sorted(numbers[1::2]), numbers)
    if n_classes <= 30:
        cells = {(int(g.find(space + "rect").get("y")) // 20, int(g.find(space + "rect").get("x")) // 20): int(g.find(space + "text").text) for g in svg.iter(space + "g")}
        check("confusion: every cell of the map", cells == dict(count), cells)
    else:
        side = n_classes // 300 if n_classes >= 300 else 1
        cells = {(int(y) + side // 2, int(x) + side // 2) for p in svg.iter(space + "path") if p.get("class") != "grid" for x, y in re.findall(r"M(-?\d+) (-?\d+)h", p.get("d"))}
        check("confusion: every cell of the map", cells == set(count), len(cells))
    outside = [t for t in page.tags if t[0] in ("script", "link", "img", "iframe", "object") or "src" in t[1] or "href" in t[1]]
    check("confusion: self-contained", not outside and "url(" not in text and "@import" not in text and re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"], outside)
    return text, page


@case
def confusion(top):
    data = dataset(os.path.join(top, "confusion"))
    names = ['<b>bold</b>', "a & b", '"quoted"', "it's", "x]]>y", "<!--", "</svg></table>", "žluťoučký", "plain", "</title><script>alert(1)</script>"]
    labels = write(os.path.join(top, "labels.txt"), "\n".join(names) + "\n")
    predictions, page = os.path.join(top, "c.csv"), os.path.join(top, "c.html")
    write(os.path.join(data, "labels.csv"), "airplane.jpg,0\nautomobile.jpg,9\nfrog.jpg,6\nship.jpg,0\ntruck.jpg,0\nfrog.jpg,2\nfrog.jpg,2\nmissing.jpg,1\n")
    model = os.path.join(ROOT, "data", "everyday10.onnx")
    code, out, err = run(model, "--labels", labels, "--preprocess", "timm:everyday10", "--data", data, "--predictions", predictions, "--confusion", page, "--json")
    check("confusion: written", code == 0 and json.loads(out)["skipped"] == 1, (code, out, err))
    text, parsed = recount(page, predictions, 10, lambda k: names[k])
    check("confusion: no label is markup", not any(t in ("script", "b") for t, _ in parsed.tags) and "<script" not in text, text[:200])
    check("confusion: classes without pictures are counted", says(text, "6 of 10 classes .. no pictures"), text[-300:])
    odd = os.path.join(top, "<i>&")
    os.symlink(data, odd)
    code, _, err = run("--data", odd, "--confusion", page)
    with open(page) as f:
        text = f.read()
    check("confusion: no folder name is markup", code == 0 and "<i>" not in text and "&lt;i&gt;&amp;" in text, err)
    write(os.path.join(data, "labels.csv"), "frog.jpg,6\n")
    code, _, err = run("--data", data, "--confusion", page)
    with open(page) as f:
        check("confusion: nothing confused", code == 0 and "every picture was recognized" in f.read(), err)
    code, _, err = run("--data", data, "--confusion", os.path.join(top, "no", "such.html"))
    check("confusion: unwritable", code == 1 and "cannot write" in err, err)


@case
def folder_names(top):
    """Without labels, classes have the names of their folders; a folder of a list is no class."""
    model, how = os.path.join(ROOT, "data", "everyday10.onnx"), ("--preprocess", "timm:everyday10")
    predictions, page = os.path.join(top, "f.csv"), os.path.join(top, "f.html")
    kinds = [f"<kind> {k}" for k in range(10)]
    for i, k in enumerate(kinds):
        os.makedirs(os.path.join(top, "kinds", k))
        for n in list(CLASSES)[i % 5:i % 5 + 2]:
            os.symlink(os.path.join(EXAMPLES, n + ".jpg"), os.path.join(top, "kinds", k, n + ".jpg"))
    code, _, err = run(model, *how, "--data", os.path.join(top, "kinds"), "--predictions", predictions, "--confusion", page)
    check("folder names: written", code == 0, err)
    recount(page, predictions, 10, lambda k: kinds[k])
    labels = write(os.path.join(top, "labels.txt"), "".join(f"label {k}\n" for k in range(10)))
    code, _, err = run(model, *how, "--labels", labels, "--data", os.path.join(top, "kinds"), "--predictions", predictions, "--confusion", page)
    recount(page, predictions, 10, lambda k: f"label {k}")
    data = dataset(os.path.join(top, "listed"))
    code, _, err = run(model, *how, "--data", data, "--predictions", predictions, "--confusion", page)
    recount(page, predictions, 10, lambda k: f"class {k}")


@case
def large(top):
    test, model = os.path.join(SHARED, "data", "everyday10-test"), os.path.join(SHARED, "models", "tf_mobilenetv3_large_minimal_100.onnx")
    if not os.path.exists(test) or not os.path.exists(model):
        print("SKIP: ../shared is not here; no page of many pictures, none of 1000 classes")
        return
    predictions, page = os.path.join(top, "l.csv"), os.path.join(top, "l.html")
    run("--data", test, "--predictions", predictions, "--confusion", page)
    names = sorted(os.listdir(test))
    recount(page, predictions, 10, lambda k: names[k])
    labels = os.path.join(SHARED, "data", "imagenet_labels.json")
    with open(labels) as f:
        names = json.load(f)
    names = names if isinstance(names, list) else [names[str(k)] for k in range(1000)]
    run(model, "--labels", labels, "--preprocess", "timm:tf_mobilenetv3_large_minimal_100", "--data", os.path.join(SHARED, "data", "imagenet-sample"), "--limit", "200",
        "--predictions", predictions, "--confusion", page)
    recount(page, predictions, 1000, lambda k: names[k] if isinstance(names[k], str) else names[k][-1])


sys.exit(run_cases())
