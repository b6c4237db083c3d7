#!/usr/bin/env python3
"""Files that are something else than their name says, and checkpoints whose names wrappers have changed.

Each loader says what the file is and what to do; what is read all the same gives the same network. Called by meson with
the program's path and that of kitfox-run.
"""
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import sys
import zipfile

import kit
from kit import ROOT, case, check, run, run_cases, says

SOURCE = os.path.join(ROOT, "data", "everyday10.safetensors")
FROG = os.path.join(ROOT, "examples", "pictures", "frog.jpg")
CASES = os.path.join(ROOT, "tests", "data", "cases")


def archive(*names):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w") as z:
        for n in names:
            z.writestr(n, b"\x80\x02}q\x00.")
    return f.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"
KINDS = {  # content, words of the message
    "lfs": (LFS, "Git LFS pointer .. git lfs pull"),
    "html": (b"\n  <!DOCTYPE HTML><html><body>Not found", "HTML page .. download"),
    "xhtml": (b"<?xml version='1.0'?>\n<html>", "HTML page .. download"),
    "xml": (b"<?xml version='1.0'?>\n<net name='m' version='11'>", "OpenVINO .. ONNX"),
    "torch": (archive("archive/data.pkl", "archive/byteorder", "archive/data/0"), "PyTorch file .. weights_only .. save_file"),
    "script": (archive("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"), "TorchScript .. torch.onnx.export"),
    "keras": (archive("metadata.json", "config.json", "model.weights.h5"), "Keras .. ONNX"),
    "npz": (archive("a.npy"), ".npz .. numpy.save"),
    "zip": (archive("mobilenet/model.onnx"), "zip archive .. unpack"),
    "old torch": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"more", "PyTorch file of the old form .. save_file"),
    "pickle": (pickle.dumps({"conv_stem.weight": [1.0]}, 4), "pickle .. save_file"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "TensorFlow Lite .. ONNX"),
    "ort": (b"\x24\0\0\0ORTM" + bytes(40), "ORT format .. ONNX file that it was made from"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5 .. ONNX"),
    "gzip": (gzip.compress(b"\x08\x07model"), "gzip .. unpack"),
    "tar": (b"model.onnx".ljust(257, b"\0") + b"ustar\x0000", "tar archive .. unpack"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG picture"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG picture"),
    "gif": (b"GIF89a" + bytes(40), "GIF picture .. where a picture is meant"),
    "npy": (b"\x93NUMPY\1\0" + bytes(40), "NumPy"),
    "text": (b"conv_stem: 3\nclasses: 10\n", "text file"),
}


def write(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(content)
    return path


@case
def models(folder):
    for name, (content, words) in KINDS.items():
        for suffix in (".onnx", ".safetensors", ".kfx") if name in ("lfs", "torch") else (".onnx",):
            path = write(folder, "m" + suffix, content)
            code, out, err = run("info", path)
            check(f"{name} as {suffix}", code == 1 and not out and says(err, path + ": this is .. " + words), (code, err))
    path = write(folder, "m.kfx", LFS)
    kit.KITFOX, both = os.path.abspath(sys.argv[2]), kit.KITFOX
    code, _, err = run("info", path)
    kit.KITFOX = both
    check("kitfox-run tells too", code == 1 and "git lfs pull" in err, (code, err))
    compiled = os.path.join(folder, "compiled.onnx")
    check("a compiled model", run("import", SOURCE, "-o", os.path.join(folder, "c.kfx"))[0] == 0)
    os.rename(os.path.join(folder, "c.kfx"), compiled)
    check("a compiled model under .onnx is read", run("info", compiled)[0] == 0)
    shutil.copy(os.path.join(CASES, "pw_gap800.onnx"), os.path.join(folder, "x.kfx"))
    code, _, err = run("info", os.path.join(folder, "x.kfx"))
    check("an ONNX model under .kfx is named", code == 1 and says(err, "this is an ONNX model .. import"), (code, err))
    shutil.copy(os.path.join(CASES, "pw_gap800.onnx"), os.path.join(folder, "x.safetensors"))
    check("an ONNX model under .safetensors is read", run("info", os.path.join(folder, "x.safetensors"))[0] == 0)
    shutil.copy(SOURCE, os.path.join(folder, "y.onnx"))
    check("a checkpoint under .onnx is read", run("info", os.path.join(folder, "y.onnx"))[0] == 0)
    path = write(folder, "damaged.onnx", b"\x08\x07\x12\x07pytorch" + b"\xff" * 60)
    code, _, err = run("info", path)
    check("a damaged ONNX model stays one", code == 1 and "this is" not in err, (code, err))


@case
def other_loaders(folder):
    """Labels, YAML, tensors and pictures."""
    for name in ("lfs", "html", "keras", "gzip"):
        content, words = KINDS[name]
        labels = write(folder, "labels.txt", content)
        code, _, err = run("import", SOURCE, "-o", os.path.join(folder, "m.kfx"), "--labels", labels)
        check(f"{name} as labels", code == 1 and says(err, labels + ": this is .. " + words), (code, err))
        config = write(folder, "c.yaml", content)
        code, _, err = run("check", config)
        check(f"{name} as YAML", code == 1 and says(err, config + ": this is .. " + words), (code, err))
        tensor = write(folder, "t.npy", content)
        code, _, err = run("run", SOURCE, tensor, "-o", os.path.join(folder, "o.npy"))
        check(f"{name} as a tensor", code == 1 and says(err, tensor + ": this is .. " + words), (code, err))
        picture = write(folder, "p.jpg", content)
        code, _, err = run("classify", picture)
        check(f"{name} as a picture", code == 1 and says(err, picture + ": this is .. " + words), (code, err))
    with open(FROG, "rb") as f:
        picture = write(folder, "frog.onnx.png", f.read())
    check("a picture whose suffix is another picture's is read", run("classify", picture)[0] == 0)


@case
def capitals(folder):
    text = b"model_parameters:\n  onnx_model: ./none.onnx\n"
    for name in ("CONFIG.YAML", "Config.Yml", "c.YML"):
        code, _, err = run("check", write(folder, name, text))
        check(f"{name} is read as YAML", code == 1 and says(err, name + ":1:1 .. input_parameters"), (code, err))


@case
def optimized(folder):
    """What ONNX Runtime's optimizer wrote: the operator with its domain, and what to do."""
    for name, op in (("optimized/extended.onnx", "com.microsoft.FusedConv"), ("optimized/all.onnx", "com.microsoft.nchwc.Conv")):
        path = os.path.join(CASES, name)
        code, out, err = run("check", path)
        row = next((line for line in out.splitlines() if line.startswith("unsupported")), "")
        check(f"check {name}: operator and advice", code == 1 and says(row, op + " .. ORT_ENABLE_BASIC"), out)
        code, out, _ = run("check", path, "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        check(f"check {name} --json", any(r.get("op") == op and "ORT_ENABLE_BASIC" in r["detail"] for r in rows), out)
        code, _, err = run("import", path, "-o", os.path.join(folder, "m.kfx"))
        check(f"import {name}", code == 1 and says(err, op + " .. ORT_ENABLE_BASIC"), err)


# ---- names of a checkpoint ---------------------------------------------------------------------------------------


def header(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def renamed(path, rename, extra=None, twice=None):
    """The checkpoint with other names; `extra`: tensors of one element; `twice`: the names of a second set."""
    names, blob = header(SOURCE)
    names.pop("__metadata__", None)
    out = {rename(k): v for k, v in names.items()}
    if twice:
        out.update({twice(k): {**v, "data_offsets": [at + len(blob) for at in v["data_offsets"]]} for k, v in names.items()})
        blob += blob
    for k in extra or ():
        out[k] = {"dtype": "F32", "shape": [], "data_offsets": [len(blob), len(blob) + 4]}
        blob += struct.pack("<f", 1)
    text = json.dumps(out).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)
    return path


def between(word, part):
    """`word` after the first `part` of a name, as a wrapped submodule has it."""
    return lambda k: k.replace(part + ".", part + "." + word + ".", 1)


@case
def prefixes(folder):
    plain, path = os.path.join(folder, "plain.safetensors"), os.path.join(folder, "m.safetensors")
    renamed(plain, lambda k: k)
    want = run("classify", plain, FROG, "--json")[1]
    for prefix in ("_orig_mod.", "module.", "model.", "state_dict.", "state_dict_ema.", "ema_model.module.",
                   "module._orig_mod.", "_orig_mod.module.", "state_dict.module._orig_mod.", "_forward_module.", "0.",
                   "net.1.backbone.", "averaged_model.model.student."):
        renamed(path, lambda k: prefix + k)
        code, out, err = run("classify", path, FROG, "--json")
        same = code == 0 and json.loads(out)["top"] == json.loads(want)["top"]
        words = [w for w in prefix.split(".") if w and not w.isdigit()]
        check(f"names under {prefix}: the same scores, and said", same and all(w in err for w in words), (code, out, err))
    for name, rename in (("a compiled part", between("_orig_mod", "blocks")), ("a wrapped layer", between("module", "classifier")),
                         ("both", lambda k: "module." + between("_fsdp_wrapped_module", "blocks.1")(k))):
        code, out, err = run("classify", renamed(path, rename), FROG, "--json")
        check(f"{name} is read", code == 0 and json.loads(out)["top"] == json.loads(want)["top"], (code, out, err))
    code, out, err = run("info", renamed(path, lambda k: "module." + k, extra=["n_averaged", "ema.decay"]))
    check("counts of an average are passed over", code == 0, err)
    code, out, err = run("info", plain)
    check("plain names: nothing is said", code == 0 and "read without" not in err, err)


@case
def not_prefixes(folder):
    """What is no wrapper: never read as the network that it is not."""
    path = os.path.join(folder, "m.safetensors")
    code, _, err = run("info", renamed(path, lambda k: "state_dict." + k, twice=lambda k: "state_dict_ema." + k))
    check("two sets of weights: both are named", code == 1 and says(err, "state_dict") and "state_dict_ema" in err and "alone" in err, err)
    code, _, err = run("info", renamed(path, lambda k: k.replace("classifier.weight", "classifier.parametrizations.weight.original")))
    check("a parametrized weight is refused", code == 1 and "classifier.weight .. missing".split(" .. ")[0] in err, err)
    code, _, err = run("info", renamed(path, lambda k: k.replace("blocks.1.", "blocks.9.")))
    check("another number is another layer", code == 1 and "read without" not in err, err)


if __name__ == "__main__":
    sys.exit(run_cases())
