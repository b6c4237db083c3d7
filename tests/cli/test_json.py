"""Every verb with --json: each line is valid by docs/kitfox.schema.json, errors are lines, and no name makes one vanish."""
import json
import os
import shutil
import sys

import tiny_onnx
from kit import EXAMPLES, ROOT, case, check, once, run, run_cases

ONNX = os.path.join(ROOT, "data", "everyday10.onnx")
FROG = os.path.join(EXAMPLES, "frog.jpg")
with open(os.path.join(ROOT, "docs", "kitfox.schema.json")) as f:
    SCHEMA = json.load(f)
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}


def fault(value, schema, at="$"):
    """Why `value` is not valid; None: it is. The words of JSON Schema that the file uses, and no others."""
    assert set(schema) <= {"$schema", "$defs", "title", "$ref", "oneOf", "anyOf", "type", "const", "enum", "required", "properties",
                           "additionalProperties", "items"}, schema
    if "$ref" in schema:
        return fault(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], at)
    for word in ("oneOf", "anyOf"):
        faults = [fault(value, s, at) for s in schema.get(word, [])]
        good = faults.count(None)
        if word in schema and (good == 0 or word == "oneOf" and good > 1):
            return f"{at}: {good} of {len(faults)} forms fit; {min(filter(None, faults), key=len, default='')}"
    types = schema.get("type", list(TYPES))
    types = [types] if isinstance(types, str) else types
    if not any(isinstance(value, TYPES[t]) and (t == "boolean" or not isinstance(value, bool)) for t in types):
        return f"{at}: {value!r} is no {types}"
    if value != schema.get("const", value) or value not in schema.get("enum", [value]):
        return f"{at}: {value!r} is another"
    if isinstance(value, list):
        faults = (fault(x, schema.get("items", {}), f"{at}[{i}]") for i, x in enumerate(value))
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        missing, more = set(schema.get("required", [])) - set(value), set(value) - set(known)
        if missing or more and schema.get("additionalProperties", True) is False:
            return f"{at}: lacks {sorted(missing)}, has {sorted(more)}"
        faults = (fault(x, known.get(key, {}), f"{at}.{key}") for key, x in value.items())
    else:
        return None
    return next(filter(None, faults), None)


def constant(word):
    raise ValueError(f"{word} is no JSON")


def lines(out):
    return [json.loads(line, parse_constant=constant) for line in out.splitlines()]


@once
def quantized(folder):
    out = os.path.join(folder, "q.kfx")
    for i, name in enumerate(2 * ["airplane", "automobile", "frog", "ship"]):
        os.symlink(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(folder, f"{i}.jpg"))
    return run("quantize", ONNX, "--calib", folder, "-o", out, "--no-rounding", "--json", "--target-cosine", "0.999", "--max-int16-macs", "5"), out


def commands(folder):
    """A command line for each kind of line, and its exit status."""
    data, wrong, frames = (os.path.join(folder, n) for n in ("data", "wrong.npy", "frames.nv12"))
    for name in ("frog", "ship"):
        os.makedirs(os.path.join(data, name))
        shutil.copy(os.path.join(EXAMPLES, name + ".jpg"), os.path.join(data, name))
    kfx, out, npy = (os.path.join(folder, n) for n in ("a.kfx", "a.onnx", "a.npy"))
    with open(npy, "wb") as f:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 64, 64), }"
        f.write(b"\x93NUMPY\x01\0" + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + bytes(4 * 3 * 64 * 64))
    text = os.path.join(folder, "c.yaml")
    with open(text, "w") as f:
        f.write(f"model_parameters:\n  onnx_model: '{folder}/no.onnx'\n  working_dir: '{folder}'\n  march: bayes-e\n  output_model_file_prefix: net\n"
                "input_parameters:\n  input_type_rt: rgb\n  input_type_train: rgb\n  input_layout_train: NCHW\n  norm_type: no_preprocess\n"
                "calibration_parameters:\n  cal_data_dir: ./cal\n  cal_data_type: float32\n  preprocess_on: False\n  calibration_type: max\n"
                "compiler_parameters:\n  compile_mode: latency\n  optimize_level: O3\n")
    with open(frames, "wb") as f:
        f.write(bytes(64 * 64 * 3 // 2))
    q = quantized()[1]
    yield 0, ("import", ONNX, "-o", kfx)
    yield 1, ("classify", "/nowhere.jpg", FROG)
    yield 1, ("classify", "/nowhere.jpg")
    yield 0, ("stream", "--nv12", "64x64"), frames
    yield 0, ("run", ONNX, npy, "-o", os.path.join(folder, "o.npy"))
    yield 1, ("run", ONNX, wrong, "-o", os.path.join(folder, "o.npy"))
    yield 0, ("info", "--nodes")
    yield 0, ("info", "--cpus")
    yield 0, ("--version",)
    yield 0, ("check", ONNX)
    yield 1, ("check", text)
    yield 0, ("simplify", ONNX, "-o", out, "--check", "1")
    yield 0, ("export", kfx, "-o", out, "--check", "0")
    yield 0, ("compare", "everyday10", q, "--data", data, "--nodes", "--node-images", "1")
    yield 0, ("eval", "--data", data)
    yield 1, ("eval", "--data", folder + "/none")
    yield 0, ("verify",)
    yield 0, ("zoo",)
    yield 0, ("bench", "-n", "3", "--profile")
    yield 0, ("bench", "-n", "4", "--sessions", "1,2")
    yield 0, ("bench", "-n", "4", "--table", "--threads", "2")
    yield 0, ("pull", "--list")
    yield 2, ("quantize", "x.onnx")
    yield 2, ("zoo", "--nonsense")
    yield 2, ("classify",)


@case
def every_verb(folder):
    seen = set()
    for status, args, *stdin in commands(folder):
        given = open(stdin[0], "rb").read() if stdin else None
        code, out, err = run(*args, "--json", stdin=given)
        rows = lines(out)
        faults = [f"{row}: {why}" for row in rows if (why := fault(row, SCHEMA))]
        check(f"valid: {' '.join(args)[:60].replace(folder, '')}", code == status and rows and not faults, (code, faults[:2] or out, err))
        check("    a failure is a line", (code == 0) == (not any("error" in row for row in rows)), rows)
        check("    the last one, if no picture's", not any(row["kind"] == "error" for row in rows[:-1]), rows)
        seen |= {row["kind"] for row in rows}
    (code, out, err), _ = quantized()
    faults = [why for row in lines(out) if (why := fault(row, SCHEMA))]
    check("valid: quantize with a search", code == 0 and not faults, (faults, err))
    seen |= {row["kind"] for row in lines(out)}
    kinds = {s["$ref"].rsplit("/", 1)[1] for s in SCHEMA["oneOf"]}
    check("every kind was seen, but those that other tests make", kinds - seen == {"luma", "pulled", "serve", "request"}, (kinds - seen, seen - kinds))
    with open(os.path.join(ROOT, "docs", "JSON.md")) as f:
        page = f.read()
    missing = [kind for kind in kinds if f"`{kind}`" not in page]
    keys = {key for kind in kinds for form in SCHEMA["$defs"][kind].get("oneOf", [SCHEMA["$defs"][kind]]) for key in form["properties"]}
    check("docs/JSON.md has every kind and every key", not missing and not [k for k in keys if f"`{k}`" not in page],
          (missing, [k for k in keys if f"`{k}`" not in page]))


@case
def the_checker():
    """It refuses what it should."""
    good = {"kind": "frame", "frame": 1, "top": [], "ms": 1}
    check("a frame", fault(good, SCHEMA) is None)
    for what, change in (("a key more", {"more": 1}), ("another type", {"frame": "1"}), ("a truth value for a number", {"ms": True}), ("another kind", {"kind": "x"}),
                         ("a bad score", {"top": [{"index": 1, "label": None}]})):
        check(f"refused: {what}", fault({**good, **change}, SCHEMA) is not None)
    check("refused: a key less", fault({k: v for k, v in good.items() if k != "ms"}, SCHEMA) is not None)


@case
def names(folder):
    """Names that are not UTF-8, with controls, quotes, or beyond the basic plane: a line each, which is JSON."""
    home = os.fsencode(folder)
    odd = [b"bad\xff.jpg", b"cut\xe2\x82.jpg", b"over\xc0\xaf.jpg", b"half\xed\xa0\x80.jpg", b"esc\x1b[31m.jpg", b"tab\there\nand.jpg", b"del\x7f\xc2\x9b.jpg",
           b'q"\\.jpg', "\U0001f98a \u00e9.jpg".encode()]
    for name in odd:
        shutil.copy(FROG, os.path.join(home, name))
    code, out, err = run("classify", "-k", "1", "--json", *(os.path.join(home, n) for n in odd))
    rows = lines(out)
    check("a line a name", code == 0 and len(rows) == len(odd) and all(r["top"][0]["label"] == "frog" for r in rows), (code, out, err))
    check("U+FFFD for each byte that is not UTF-8", [os.path.basename(r["image"]) for r in rows][:4] ==
          ["bad\ufffd.jpg", "cut\ufffd\ufffd.jpg", "over\ufffd\ufffd.jpg", "half\ufffd\ufffd\ufffd.jpg"], rows[:4])
    check("the others are exact", [os.fsencode(os.path.basename(r["image"])) for r in rows[4:]] == odd[4:], rows[4:])
    check("no control character is in the line", not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in out), out)
    code, text, err = run("classify", "-k", "1", *(os.path.join(home, n) for n in odd), os.path.join(home, b"no\x1b]0;x\x07\xfe.jpg"))
    check("text: controls are shown", code == 1 and "bad\\xff.jpg" in text and "esc\\x1b[31m.jpg" in text and "tab\\there\\nand.jpg" in text and "del\\x7f\\x9b.jpg" in text
          and not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in text), text)
    check("messages: controls are shown", "no\\x1b]0;x\\x07\\xfe.jpg" in err and "\x1b" not in err and "\x07" not in err, err)
    model = os.path.join(home, b"m\xff.kfx")
    check("import into such a name", run("import", ONNX, "-o", model, "--json")[0] == 0)
    for args in (("info", model), ("verify", model), ("bench", "-n", "2", model), ("import", model + b".onnx", "-o", model), ("check", model + b".onnx"),
                 ("eval", model, "--data", home + b"/\xff"), ("compare", model, model, "--data", home + b"/\xfe"), ("simplify", model, "-o", home + b"/\xfd.onnx")):
        code, out, err = run(*args, "--json")
        rows = lines(out)
        check(f"{args[0]}: lines that are valid", rows and not [w for r in rows if (w := fault(r, SCHEMA))] and "\ufffd" in out, (code, out, err))
    g = tiny_onnx.Graph([1, 3, 8, 8])
    g.add("Relu")
    with open(os.path.join(folder, "n.onnx"), "wb") as f:
        f.write(g.bytes([1, 3, 8, 8]).replace(b"Relu", b"Re\x1bu"))
    code, out, err = run("check", os.path.join(folder, "n.onnx"), "--json")
    check("a node's operator with a control character", code == 1 and lines(out) and "\x1b" not in out + err, (code, out, err))


if __name__ == "__main__":
    sys.exit(run_cases())
