#!/usr/bin/env python3
"""Pictures on the command line: folders, formats by their names, limits, crops for rectangles, a batch that the file fixes.

The argument is the program. Networks need onnx in the interpreter of KITFOX_PEERS; the test runs there when it is missing
here, and is skipped (77) without.
"""

import json
import os
import shutil
import struct
import sys

from kit import EXAMPLES, ROOT, case, check, once, rerun_with_numpy, run, run_cases

try:
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    rerun_with_numpy()

PICTURES = os.path.join(ROOT, "tests", "data", "pictures")
FROG = os.path.join(EXAMPLES, "frog.jpg")


def network(path, shape, *reshapes):
    """Convolution, mean, the reshapes in place of a Flatten, and five classes."""
    r = numpy.random.default_rng(0)
    consts = {
        "w": r.standard_normal((8, 3, 3, 3)).astype("f"),
        "f": r.standard_normal((8, 5)).astype("f"),
        "b": numpy.zeros(5, "f"),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["v"]),
    ]
    for i, to in enumerate(reshapes or ([0, -1],)):
        consts[f"s{i}"] = numpy.array(to, "int64")
        nodes.append(helper.make_node("Reshape", [nodes[-1].output[0], f"s{i}"], [f"v{i}"], name=f"reshape_{i}"))
    nodes.append(helper.make_node("Gemm", [nodes[-1].output[0], "f", "b"], ["y"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value("x", TensorProto.FLOAT, shape)],
        [value("y", TensorProto.FLOAT, [shape[0], 5])],
        initializer=[numpy_helper.from_array(v, k) for k, v in consts.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def lines(*args):
    code, out, err = run(*args, "--json")
    return code, [json.loads(line) for line in out.splitlines()], err


@once
def folder_of_formats(folder):
    """One picture of each suffix, and files that are none."""
    os.makedirs(os.path.join(folder, "b"))
    for at, name in (
        ("a.BMP", "rgb.bmp"),
        ("b/c.gif", "plain.gif"),
        ("b/d.webp", "moving.webp"),
        ("e.dib", "down.bmp"),
        ("f.png", "rgb.png"),
        ("g.ppm", "colour.ppm"),
    ):
        shutil.copy(os.path.join(PICTURES, name), os.path.join(folder, at))
    for other in ("notes.txt", "x.npy"):
        open(os.path.join(folder, other), "w").close()
    return folder


@case
def folders(_):
    folder = folder_of_formats()
    code, found, err = lines("classify", folder)
    names = [os.path.relpath(line["image"], folder) for line in found]
    check(
        "all pictures, sorted",
        code == 0 and names == ["a.BMP", "b/c.gif", "b/d.webp", "e.dib", "f.png", "g.ppm"],
        (names, err),
    )
    check("the same picture, three formats", found[0]["top"] == found[4]["top"] == found[5]["top"], found)
    code, mixed, err = lines("classify", "everyday10", FROG, folder)
    check(
        "beside a file",
        code == 0 and len(mixed) == 7 and mixed[0]["image"] == FROG and mixed[1]["top"] == found[0]["top"],
        err,
    )
    empty = os.path.join(folder, "..", "empty")
    os.makedirs(empty)
    code, _, err = lines("classify", empty)
    check("an empty one", code == 1 and "empty" in err and "without pictures" in err, err)
    code, _, err = lines("classify", "nosuch.model", folder)
    check("a wrong model is no picture", code == 1 and "nosuch.model" in err, err)


@case
def calibration(folder):
    out = os.path.join(folder, "q.kfx")
    code, found, err = lines(
        "quantize",
        os.path.join(ROOT, "data", "everyday10.onnx"),
        "--calib",
        folder_of_formats(),
        "-o",
        out,
        "--no-rounding",
        "--strict",
    )
    check(
        "every format calibrates", code == 1 and "x.npy" in err, err
    )  # the empty .npy is the only one that cannot be read
    code, found, err = lines(
        "quantize",
        os.path.join(ROOT, "data", "everyday10.onnx"),
        "--calib",
        os.path.join(folder_of_formats(), "b"),
        "-o",
        out,
        "--no-rounding",
    )
    check("GIF and WebP", code == 0 and found[-1]["samples"] == 2, (found, err))


@case
def limits(folder):
    """12000 x 9000 pixels are more than the default limit: one colour, run-length coded."""
    path = os.path.join(folder, "large.bmp")
    w, h = 12000, 9000
    row = bytes([255, 1]) * (w // 255) + bytes([w % 255, 1, 0, 0])
    palette = bytes(4) + bytes([200, 30, 90, 0])
    data = row * h + bytes([0, 1])
    head = struct.pack("<IiiHHIIiiII", 40, w, h, 1, 8, 1, len(data), 0, 0, 2, 0)
    with open(path, "wb") as f:
        f.write(
            b"BM"
            + struct.pack("<IHHI", 14 + len(head) + 8 + len(data), 0, 0, 14 + len(head) + 8)
            + head
            + palette
            + data
        )
    code, _, err = run("classify", path)
    check(
        "refused with both numbers and the option",
        code == 1 and all(t in err for t in ("12000x9000", "100000000", "--max-pixels")),
        err,
    )
    code, found, err = lines("classify", path, "--max-pixels", "108000000")
    check("allowed", code == 0 and len(found) == 1, err)
    code, _, err = run("classify", FROG, "--max-pixels", "10")
    check("lowered", code == 1 and "10 in all" in err, err)
    check("no number", run("classify", FROG, "--max-pixels", "0")[0] == 2)


def promise(path, side, *more):
    """A TIFF whose directory promises side x side pixels of RGB, and 12 bytes of them."""
    fields = sorted(
        {256: side, 257: side, 258: 8, 259: 1, 262: 2, 273: 8, 277: 3, 278: side, 279: 12, **dict(more)}.items()
    )
    with open(path, "wb") as f:
        f.write(b"II*\0" + struct.pack("<I", 20) + bytes(range(0, 240, 20)) + struct.pack("<H", len(fields)))
        f.write(
            b"".join(
                struct.pack("<HHII", tag, 4 if tag in (256, 257, 273, 278, 279) else 3, 1, value)
                for tag, value in fields
            )
            + bytes(4)
        )
    return path


@case
def loaded(folder):
    """TIFF, AVIF and HEIC by libraries that are loaded when such a picture comes; without them, what to install."""
    names = {"lzw.tif": "libtiff6", "full444.avif": "libavif15", "lossless.heic": "libheif1"}
    none = os.path.join(folder, "none")
    os.makedirs(none)
    for library in ("libtiff.so.6", "libavif.so.15", "libavif.so.16", "libheif.so.1"):
        open(os.path.join(none, library), "w").close()
    want = lines("classify", os.path.join(PICTURES, "rgb.png"))[1][0]["top"]
    mixed = os.path.join(folder, "mixed")
    os.makedirs(mixed)
    for name, at in (
        ("lzw.tif", "a.TIFF"),
        ("full444.avif", "b.avif"),
        ("lossless.heic", "c.heic"),
        ("bits1.tif", "d.tif"),
    ):
        shutil.copy(os.path.join(PICTURES, name), os.path.join(mixed, at))
    listed = lines("classify", mixed)
    check(
        "they are pictures of a folder",
        all(os.path.join(mixed, n) in json.dumps(listed) for n in ("a.TIFF", "b.avif", "c.heic", "d.tif")),
        listed,
    )
    for name, package in names.items():
        code, found, err = lines("classify", os.path.join(PICTURES, name))
        if "apt-get install " + package in err:
            continue  # it is not there
        check(name, code == 0 and found[0]["top"][0]["index"] == want[0]["index"] and err == "", (found, err))
        check(name + " like PNG", name != "lzw.tif" or found[0]["top"] == want, (found, want))
        code, _, err = run("classify", os.path.join(PICTURES, name), env={"LD_LIBRARY_PATH": none})
        check(name + " without its library", code == 1 and "apt-get install " + package in err and name in err, err)
    if "apt-get install libtiff6" in lines("classify", os.path.join(PICTURES, "lzw.tif"))[2]:
        return
    for side, options, text in (
        (20000, (), "--max-pixels"),
        (9000, (), "truncated"),
        (20000, ("--max-pixels", "400000000"), "truncated"),
        (0, (), "Bad value 0"),
    ):
        code, _, err = run("classify", promise(os.path.join(folder, "p.tif"), side), *options)
        check(f"a promise of {side}", code == 1 and text in err, err)
    code, found, err = lines("classify", promise(os.path.join(folder, "w.tif"), 2, (65000, 1), (306, 5)))
    check("warnings of libtiff are not shown", code == 0 and err == "", err)
    code, _, err = run("classify", promise(os.path.join(folder, "c.tif"), 2, (259, 40000)))
    check("an unknown compression", code == 1 and "compression 40000" in err, err)
    code, _, err = run("classify", promise(os.path.join(folder, "f.tif"), 2, (339, 3), (258, 16)))
    check("samples of another kind", code == 1 and "8 bits a sample" in err, err)


@case
def rectangles(folder):
    model = network(os.path.join(folder, "wide.onnx"), [1, 3, 48, 96])
    tops = {}
    for mode in ("center", "squash", "border", "fit-pad"):
        options = ("--crop-mode", mode, "--mean", "0.5", "--std", "0.5", "--bgr", "--crop-pct", "0.9")
        code, found, err = lines("classify", model, FROG, *options)
        tops[mode] = json.dumps(found[0]["top"]) if code == 0 else err
        check(f"classify {mode}", code == 0, err)
        kfx = os.path.join(folder, "m.kfx")
        for verb in (
            ["import", model, "-o", kfx],
            ["quantize", model, "--calib", EXAMPLES, "-o", kfx, "--no-rounding"],
        ):
            code, _, err = run(*verb, *options)
            told = json.loads(run("info", kfx, "--json")[1])["preprocess"]
            check(
                f"{verb[0]} {mode}",
                code == 0
                and (told["crop_mode"], told["color"], told["crop_pct"], told["mean"][0]) == (mode, "bgr", 0.9, 0.5),
                (told, err),
            )
    check("four crops, four answers", len(set(tops.values())) == 4, tops)
    code, _, err = lines("classify", model, FROG, "--resize", "60")
    check(
        "--resize says what to use",
        code == 1 and all(t in err for t in ("96 x 48", "--crop-pct 0.8", "120 x 60", "squash")),
        err,
    )
    check("which does", run("classify", model, FROG, "--crop-pct", "0.8")[0] == 0)
    code, _, err = lines("classify", model, FROG, "--resize", "40")
    check("--resize below the short side", code == 1 and "less than" in err and "48" in err, err)


@case
def fixed_batch(folder):
    """--input-shape, --batch, and verbs of pictures make a batch of 4 one picture, whatever Reshape has the 4 in it; the
    answers are those of batch 1."""
    path = os.path.join(folder, "n.onnx")
    shape = ("--input-shape", "1x3x32x32", "--mean", "0.5", "--std", "0.5")
    want = lines("classify", network(path, [1, 3, 32, 32]), FROG, "--mean", "0.5", "--std", "0.5")[1][0]["top"]
    for to in ([[4, -1]], [[4, 8]], [[-1, 8]], [[4, 8, 1, 1], [4, 8]], [[4, 2, 4], [4, -1]], [[0, 8]]):
        network(path, [4, 3, 32, 32], *to)
        code, found, err = lines("classify", path, FROG, *shape)
        check(f"Reshape {to}", code == 0 and [t["index"] for t in found[0]["top"]] == [t["index"] for t in want], err)
    out = os.path.join(folder, "q.kfx")
    code, _, err = run("quantize", path, "--calib", EXAMPLES, "-o", out, "--no-rounding", *shape)
    check("quantize", code == 0, err)
    data = os.path.join(folder, "data")
    for k in range(5):
        os.makedirs(os.path.join(data, str(k)))
        shutil.copy(FROG, os.path.join(data, str(k)))
    network(path, [4, 3, 32, 32], [4, 8])
    for verb in (
        ["classify", path, FROG],
        ["quantize", path, "--calib", EXAMPLES, "-o", out, "--no-rounding"],
        ["eval", path, "--data", data],
    ):
        code, _, err = run(*verb)
        check(f"{verb[0]} takes one at a time", code == 0 and "takes 4 at a time; 1 is used" in err, err)
    for verb, way, rows in (
        (["import", path, "-o", out], ("--batch", "1"), 1),
        (["import", path, "-o", out], ("--batch", "3"), 3),
        (["import", path, "-o", out], (), 4),
    ):
        code, _, err = run(*verb, *way)
        told = json.loads(run("info", out, "--json")[1])
        check(
            f"{verb[0]} {way}",
            code == 0 and [told[k][0]["shape"][0] for k in ("inputs", "outputs")] == [rows, rows],
            (told, err),
        )
    code, _, err = run("classify", out, FROG)  # compiled for four
    check("a compiled one says how", code == 1 and "--batch 1" in err, err)
    code, _, err = run("classify", out, FROG, "--batch", "1")
    check("--batch and a compiled model", code == 1 and "--batch does not apply" in err, err)
    for to in ([[2, 2, 8], [4, 8]], [[1, 32], [4, 8]], [[8, 4], [4, 8]]):
        network(path, [4, 3, 32, 32], *to)
        code, _, err = lines("classify", path, FROG, *shape)
        check(
            f"Reshape {to} is refused by name",
            code == 1 and "reshape_0" in err and "instead of the file's 4" in err,
            err,
        )


sys.exit(run_cases())
