#!/usr/bin/env python3
"""kitfox run: every output, in each form of -o, read back by numpy.load; info --json lists all inputs and outputs.

The argument is the program. Runs in the interpreter of KITFOX_PEERS when numpy or onnx is missing; skips (77) without.
"""

import json
import os
import sys

from kit import case, check, once, rerun_with_numpy, run, run_cases

try:
    import numpy
    import onnx
    from onnx import TensorProto, helper
except ImportError:
    rerun_with_numpy()

INNER = "a/b:0"  # a name that is no file name


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(path, nodes, inputs, outputs):
    graph = helper.make_graph(nodes, "net", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@once
def networks(folder):
    """One of two outputs, one of two inputs."""
    relu, pool = helper.make_node("Relu", ["x"], [INNER]), helper.make_node("GlobalAveragePool", [INNER], ["p"])
    two = save(
        os.path.join(folder, "two.onnx"),
        [relu, pool, helper.make_node("Flatten", ["p"], ["y"])],
        [value("x", [1, 3, 8, 8])],
        [value("y", [1, 3]), value(INNER, [1, 3, 8, 8])],
    )
    add = save(
        os.path.join(folder, "add.onnx"),
        [helper.make_node("Add", ["a", "b"], ["y"])],
        [value("a", [1, 4, 8, 8]), value("b", [1, 4, 8, 8])],
        [value("y", [1, 4, 8, 8])],
    )
    x = numpy.random.default_rng(1).standard_normal((5, 3, 8, 8)).astype("float32")
    numpy.save(os.path.join(folder, "x.npy"), x)
    return two, add, os.path.join(folder, "x.npy"), x


def right(y, inner, x):
    relu = numpy.maximum(x, 0)
    return (
        inner.shape == relu.shape
        and (inner == relu).all()
        and y.shape == (len(x), 3)
        and abs(y - relu.mean((2, 3))).max() < 1e-6
    )


@case
def every_form(folder):
    two, _, file, x = networks()
    at = lambda name: os.path.join(folder, name)
    forms = {
        "npz": ["all.npz"],
        "by name": ["n_%s.npy"],
        "by index": ["i_%d.npy"],
        "one each": ["first.npy", "second.npy"],
    }
    read = {
        "npz": ("all.npz", "all.npz"),
        "by name": ("n_y.npy", "n_a_b_0.npy"),
        "by index": ("i_0.npy", "i_1.npy"),
        "one each": ("first.npy", "second.npy"),
    }
    for form, names in forms.items():
        code, out, err = run("run", two, file, "--json", *(a for n in names for a in ("-o", at(n))))
        check(form, code == 0 and not err, err)
        y, inner = (numpy.load(at(n)) for n in read[form])
        if form == "npz":
            check("keys", sorted(y) == [INNER, "y"], list(y))
            y, inner = y["y"], y[INNER]
        check(f"{form}: values", right(y, inner, x))
        line = json.loads(out)
        check(f"{form}: files", [os.path.basename(o["output"]) for o in line["outputs"]] == list(read[form]), line)
        check(
            f"{form}: names and shapes",
            [(o["name"], o["shape"]) for o in line["outputs"]] == [("y", [5, 3]), (INNER, [5, 3, 8, 8])],
            line,
        )


@case
def archives(folder):
    """Inputs from .npz: by the names of the network, or in their order where numpy made the names."""
    two, add, _, x = networks()
    at = lambda name: os.path.join(folder, name)
    a, b = (numpy.random.default_rng(k).standard_normal((1, 4, 8, 8)).astype("float32") for k in (2, 3))
    result = lambda: numpy.load(at("o.npy"))
    numpy.savez(at("named.npz"), b=b, a=a)
    numpy.savez(at("ordered.npz"), a, b)
    numpy.savez(at("one.npz"), x=x)
    for name in ("named.npz", "ordered.npz"):
        code, _, err = run("run", add, at(name), "-o", at("o.npy"))
        check(name, code == 0 and (result() == a + b).all(), err)
    numpy.savez(at("half.npz"), b=b)
    numpy.save(at("a.npy"), a)
    code, _, err = run("run", add, "a=" + at("a.npy"), at("half.npz"), "-o", at("o.npy"))
    check("beside a file", code == 0 and (result() == a + b).all(), err)
    code, _, err = run("run", two, at("one.npz"), "-o", at("o.npz"))
    back = numpy.load(at("o.npz"))
    check("five images", code == 0 and right(back["y"], back[INNER], x), err)
    numpy.savez_compressed(at("packed.npz"), x=x)
    numpy.savez(at("other.npz"), z=x)
    numpy.savez(at("many.npz"), *[x[0, 0]] * 16)
    numpy.savez(at("double.npz"), x=x.astype("float64"))
    with open(at("named.npz"), "rb") as f:
        whole = f.read()
    for name, data in (
        ("cut.npz", whole[:-30]),
        ("none.npz", b""),
        ("text.npz", b"no archive"),
        ("moved.npz", whole[:-6] + b"\xff\xff\xff\x7f\0\0"),
    ):
        with open(at(name), "wb") as f:
            f.write(data)
    for name, words in (
        ("packed.npz", "not savez_compressed"),
        ("other.npz", "no such input"),
        ("many.npz", "1 to 15"),
        ("double.npz", "float32"),
        ("cut.npz", "truncated"),
        ("none.npz", "truncated"),
        ("text.npz", "truncated"),
        ("moved.npz", "truncated"),
        ("missing.npz", "No such file"),
    ):
        code, _, err = run("run", two, at(name), "-o", at("p.npz"))
        check(name, code == 1 and words in err and name.replace("other.npz", "z=") in err, err)


@case
def refused(folder):
    two, _, file, _ = networks()
    at = lambda name: os.path.join(folder, name)
    for names, words in (
        (["o.npy"], ["2 outputs", "out.npz", "out_%s.npy", "out_%d.npy"]),
        (["a.npy", "b.npy", "c.npy"], ["3 times", "2 outputs"]),
        (["o%s.npy", "b%d.npy", "c.npy"], ["3 times"]),
        (["a.npy", "a.npy"], ["-o too"]),
        (["same.npy", "./same.npy"][:1] * 2, ["another name"]),
    ):
        code, _, err = run("run", two, file, *(a for n in names for a in ("-o", at(n))))
        check(" ".join(names), code == 1 and all(w in err for w in words), err)
    check("nothing was written", os.listdir(folder) == [], os.listdir(folder))
    victim = at("x_y.npy")
    with open(file, "rb") as f, open(victim, "wb") as to:
        to.write(f.read())
    code, _, err = run("run", two, victim, "-o", at("x_%s.npy"))
    check("an input would be lost", code == 1 and "that is the input" in err, err)


@case
def picture(folder):
    """uint8 [H,W,3] gives every output what its normalized numbers give."""
    two = networks()[0]
    pixels = numpy.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=numpy.uint8)
    mean, std = numpy.array([0.485, 0.456, 0.406]), numpy.array([0.229, 0.224, 0.225])
    file, out = os.path.join(folder, "p.npy"), os.path.join(folder, "o.npz")
    numpy.save(file, pixels)
    for color in ("rgb", "bgr"):
        code, _, err = run(
            "run",
            two,
            file,
            "-o",
            out,
            "--color",
            color,
            "--mean",
            ",".join(map(str, mean)),
            "--std",
            ",".join(map(str, std)),
        )
        check(color, code == 0, err)
        in_order = pixels if color == "rgb" else pixels[..., ::-1]
        x = ((in_order / 255.0 - mean) / std).astype("float32").transpose(2, 0, 1)[None]
        got = numpy.load(out)
        check(f"{color}: values", right(got["y"], got[INNER], x))


@case
def one_output(folder):
    """As before: a plain name; also the other forms."""
    _, add, _, _ = networks()
    a, b = (os.path.join(folder, n) for n in ("a.npy", "b.npy"))
    x = numpy.random.default_rng(3).standard_normal((2, 1, 4, 8, 8)).astype("float32")
    numpy.save(a, x[0])
    numpy.save(b, x[1])
    for name, read in (("o.npy", "o.npy"), ("p_%s.npy", "p_y.npy"), ("q.npz", "q.npz"), ("r_%s.npz", "r_y.npz")):
        code, _, err = run("run", add, f"b={b}", f"a={a}", "-o", os.path.join(folder, name))
        got = numpy.load(os.path.join(folder, read)) if code == 0 else None
        check(name, code == 0 and ((got["y"] if read.endswith("z") else got) == x[0] + x[1]).all(), err)


@case
def info_lists_all():
    two, add, _, _ = networks()
    line = json.loads(run("info", two, "--json")[1])
    check(
        "outputs",
        [(t["name"], t["dtype"], t["shape"]) for t in line["outputs"]]
        == [("y", "f32", [1, 3]), (INNER, "f32", [1, 3, 8, 8])],
        line,
    )
    check(
        "input", [(t["name"], t["layout"], t["meaning"]) for t in line["inputs"]] == [("x", "NCHW", "normalized")], line
    )
    check(
        "old keys",
        line["input"] == {"name": "x", "dtype": "f32", "shape": [1, 3, 8, 8]} and line["output"]["name"] == "y",
        line,
    )
    line = json.loads(run("info", add, "--json")[1])
    check("two inputs", [(t["name"], t["layout"]) for t in line["inputs"]] == [("a", None), ("b", None)], line)


sys.exit(run_cases())
