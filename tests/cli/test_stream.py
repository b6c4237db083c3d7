#!/usr/bin/env python3
"""kitfox stream: NV12 frames of float and quantized models against classify on the same pixels, ranges, strides, cut and odd input.

Arguments: the program, the source root. Everything it needs is in the repository.
"""
import array
import json
import math
import os
import subprocess
import sys

from kit import KITFOX, ROOT, case, check, run, run_cases, says

MODEL = os.path.join(ROOT, "data", "everyday10.onnx")
W, H = 96, 64


def frame(seed, w=W, h=H, stride=None):
    """Luma, then Cb Cr, as waves that stay clear of both ends; rows padded with 255 up to `stride`."""
    stride = stride or w
    wave = lambda a: int(126 + 90 * math.sin(a))
    pad = bytes([255]) * (stride - w)
    luma = [bytes(wave(seed + x / 9 + y / 7) for x in range(w)) + pad for y in range(h)]
    chroma = [bytes(wave(seed * 2 + x / 11 + y / 13 + 2 * (x % 2)) for x in range(w)) + pad for y in range(h // 2)]
    return b"".join(luma + chroma)


def rgb(data, limited, w=W, h=H):
    """The published formulas, coefficients in 16 binary digits, as a PPM."""
    k = [round(c * 65536) for c in ((1.164383, 1.596027, 0.391762, 0.812968, 2.017232) if limited else (1, 1.402, 0.344136, 0.714136, 1.772))]
    out = bytearray()
    for y in range(h):
        for x in range(w):
            l, at = data[y * w + x], w * h + y // 2 * w + x // 2 * 2
            u, v = data[at] - 128, data[at + 1] - 128
            l = k[0] * (l - 16) if limited else k[0] * l
            out += bytes(min(255, max(0, (c + 32768) >> 16)) for c in (l + k[1] * v, l - k[2] * u - k[3] * v, l + k[4] * u))
    return b"P6 %d %d 255\n" % (w, h) + bytes(out)


def top(line):
    return [(t["index"], t["label"], t["score"]) for t in line["top"]]


def same(a, b):
    return len(a["top"]) == len(b["top"]) and all(x[:2] == y[:2] and abs(x[2] - y[2]) < 1e-6 for x, y in zip(top(a), top(b)))


def quantized(folder, name, limited):
    for k in range(4):
        raw = array.array("B", [int(127.5 + 120 * math.sin(k + (c + 1) * x / 9 + y / 7)) for c in range(3) for y in range(64) for x in range(64)])
        os.makedirs(os.path.join(folder, "cal"), exist_ok=True)
        with open(os.path.join(folder, "cal", f"{k}.bin"), "wb") as f:
            f.write(raw.tobytes())
    with open(os.path.join(folder, "c.yaml"), "w") as f:
        f.write(f"""model_parameters:
  onnx_model: {MODEL}
  output_model_file_prefix: {name}
input_parameters:
  input_type_rt: nv12
  input_type_train: rgb
  input_layout_train: NCHW
  {'input_space_and_range: bt601_video' if limited else ''}
  norm_type: data_mean_and_scale
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: ./cal
compiler_parameters:
  optimize_level: O3
""")
    code, out, err = run("quantize", os.path.join(folder, "c.yaml"), "--no-rounding")
    check(f"quantize {name}", code == 0 and "frames that are fed later" not in err, err)
    return os.path.join(folder, "model_output", name + ".kfx")


def against_classify(folder, model, limited, *options):
    frames = [frame(k) for k in range(3)]
    code, out, err = run("stream", model, "--nv12", f"{W}x{H}", *options, stdin=b"".join(frames))
    lines = [json.loads(line) for line in out.splitlines()]
    ok = code == 0 and [line["frame"] for line in lines] == [0, 1, 2] and all(line["ms"] > 0 for line in lines)
    for k, line in enumerate(lines):
        with open(os.path.join(folder, "f.ppm"), "wb") as f:
            f.write(rgb(frames[k], limited))
        picture = json.loads(run("classify", model, os.path.join(folder, "f.ppm"), "--json")[1])
        ok = ok and same(line, picture)
    check(f"{os.path.basename(model)} {' '.join(options)}: as classify on the same pixels", ok, (code, out, err))
    return out, err


@case
def streams(folder):
    kfx = os.path.join(folder, "float.kfx")
    run("import", MODEL, "-o", kfx)
    full, limited = quantized(folder, "full", False), quantized(folder, "limited", True)
    for model in (kfx, full):
        _, err = against_classify(folder, model, False)
        check("no notice", err == "", err)
    _, err = against_classify(folder, full, True, "--range", "limited")
    check("another range gives a notice", says(err, "note: --range limited .. model .. full"), err)
    _, err = against_classify(folder, limited, True)
    check("the range of the YAML is the default", err == "", err)
    _, err = against_classify(folder, limited, True, "--range", "limited")
    check("the same range gives none", err == "", err)
    _, err = against_classify(folder, limited, False, "--range", "full")
    check("full given to a limited model", says(err, "note: --range full .. model .. limited"), err)
    check("info tells the range", json.loads(run("info", limited, "--json")[1])["nv12_range"] == "limited" and json.loads(run("info", full, "--json")[1])["nv12_range"] == "full")

    both = [frame(k) for k in range(7)]
    plain = [json.loads(x) for x in run("stream", kfx, "--nv12", f"{W}x{H}", stdin=b"".join(both))[1].splitlines()]
    some = [json.loads(x) for x in run("stream", kfx, "--nv12", f"{W}x{H}", "--every", "3", "-k", "5", stdin=b"".join(both))[1].splitlines()]
    check("--every 3", [x["frame"] for x in some] == [0, 3, 6] and all(same(x, plain[x["frame"]]) for x in some), some)
    padded = b"".join(frame(k, stride=128) for k in range(7))
    strided = [json.loads(x) for x in run("stream", kfx, "--nv12", f"{W}x{H}", "--stride", "128", stdin=padded)[1].splitlines()]
    check("--stride 128", len(strided) == 7 and all(same(a, b) for a, b in zip(plain, strided)), strided)
    with open(os.path.join(folder, "labels.txt"), "w") as f:
        f.write("\n".join(f"thing {k}" for k in range(10)))
    line = json.loads(run("stream", kfx, "--nv12", f"{W}x{H}", "-k", "2", "--labels", os.path.join(folder, "labels.txt"), stdin=both[0])[1])
    check("-k 2 --labels", [t["label"] for t in line["top"]] == [f"thing {t['index']}" for t in plain[0]["top"][:2]], line)
    line = json.loads(run("stream", "--nv12", f"{W}x{H}", stdin=both[0])[1])
    check("without MODEL the built-in one", len(line["top"]) == 5 and line["top"][0]["label"])


@case
def flushes(folder):
    p = subprocess.Popen([KITFOX, "stream", "--nv12", f"{W}x{H}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write(frame(0))
    p.stdin.flush()
    line = p.stdout.readline()  # waits for ever if the line were kept back
    p.stdin.close()
    check("each line comes at once", json.loads(line)["frame"] == 0 and p.wait() == 0)


@case
def refusals(folder):
    data = frame(0) + frame(1) + frame(2)[:1000]
    code, out, err = run("stream", "--nv12", f"{W}x{H}", stdin=data)
    check("a cut last frame", code == 1 and [json.loads(x)["frame"] for x in out.splitlines()] == [0, 1] and says(err, f"frame 2 .. 1000 .. {W * H * 3 // 2} bytes"), (code, out, err))
    code, out, err = run("stream", "--nv12", f"{W}x{H}")
    check("no frame at all", code == 1 and out == "" and "no frame" in err, err)
    for args, text in {("--nv12", "95x64"): "even", ("--nv12", "96x63"): "even", ("--nv12", "96"): "two sides of 2 to", ("--nv12", "0x64"): "two sides of 2 to",
                       ("--nv12", "96x64y"): "two sides of 2 to", ("--nv12", "99999x2"): "two sides of 2 to", (): "--nv12 WxH", ("--nv12", "96x64", "--stride", "95"): "96 bytes",
                       ("--nv12", "96x64", "--range", "video"): "limited", ("--nv12", "96x64", "--every", "0"): "--every 0"}.items():
        code, out, err = run("stream", *args, stdin=frame(0))
        check("refused: " + " ".join(args), code == 2 and out == "" and text in err, (code, err))
    code, out, err = run("stream", os.path.join(folder, "none.kfx"), "--nv12", "96x64", stdin=frame(0))
    check("no such model", code == 1 and "none.kfx" in err, err)


sys.exit(run_cases())
