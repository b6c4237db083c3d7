#!/usr/bin/env python3
"""Every recipe of docs/PYTHON.md, as it stands there, in a folder that has the files it names.

Usage: test_recipes.py KITFOX, by a Python that has the package. The recipe of own classes needs torch and timm.
"""

import os
import re
import shutil
import sys

from common import EXAMPLES, PICTURES, ROOT, case, check, kitfox, np, python, run_cases

CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
CLASSES = {"airplane": 0, "automobile": 1, "frog": 6, "ship": 8, "truck": 9}


def recipes():
    with open(os.path.join(ROOT, "docs", "PYTHON.md"), encoding="utf-8") as f:
        page = f.read()
    found = re.findall(r"^### (\d+)\. ([^\n]*)\n(.*?)(?=^##)", page, flags=re.S | re.M)
    return [
        (int(n), title, "\n".join(re.findall(r"^```python\n(.*?)^```", body, flags=re.S | re.M)))
        for n, title, body in found
    ]


def prepare(top):
    """The files that the recipes name."""
    from PIL import Image

    shutil.copy(PICTURES[0], os.path.join(top, "photo.jpg"))
    for name in ("photos", "calib"):
        shutil.copytree(EXAMPLES, os.path.join(top, name))
    with open(os.path.join(top, "photos", "broken.jpg"), "wb") as f:
        f.write(b"no picture")
    shutil.copytree(EXAMPLES, os.path.join(top, "labelled"))
    with open(os.path.join(top, "labelled", "labels.csv"), "w") as f:
        f.write("".join(f"{n}.jpg,{k}\n" for n, k in CLASSES.items()))
    kitfox.export_onnx(CHECKPOINT, os.path.join(top, "float.onnx"), runs=1)
    kitfox.graph(CHECKPOINT).save(os.path.join(top, "net_64x64_nv12.kfx"))
    with open(os.path.join(top, "config.yaml"), "w") as f:
        f.write(
            "model_parameters:\n  onnx_model: 'float.onnx'\n  working_dir: 'out'\ninput_parameters:\n  input_type_rt: 'nv12'\n"
            "  input_type_train: 'rgb'\n  input_layout_train: 'NCHW'\n  norm_type: 'data_mean_and_scale'\n"
            "  mean_value: 123.675 116.28 103.53\n  scale_value: 0.01712475 0.017507 0.01742919\ncalibration_parameters:\n"
            "  cal_data_dir: 'calib'\n  preprocess_on: True\n  calibration_type: 'default'\ncompiler_parameters:\n  compile_mode: 'latency'\n"
        )
    rng = np.random.default_rng(0)
    for part, n in (("train", 24), ("test", 6)):
        for kind, colour in (("blue", (30, 60, 200)), ("red", (210, 50, 40))):
            os.makedirs(os.path.join(top, "own", part, kind))
            for k in range(n):
                pixels = np.clip(np.array(colour) + rng.normal(0, 40, (250, 250, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(os.path.join(top, "own", part, kind, f"{k}.png"))


def mirror(top):
    """A folder that stands for the hub: random weights of the right form."""
    folder = os.path.join(top, "mirror", "timm", "mobilenetv3_small_050.lamb_in1k")
    os.makedirs(folder)
    shutil.copy(
        os.path.join(ROOT, "..", "shared", "models", "mobilenetv3_small_050.safetensors"),
        os.path.join(folder, "model.safetensors"),
    )
    with open(os.path.join(folder, "config.json"), "w") as f:
        f.write('{"architecture": "mobilenetv3_small_050", "pretrained_cfg": {"tag": "lamb_in1k"}}')
    return "file://" + os.path.join(top, "mirror")


@case
def every_recipe(top):
    prepare(top)
    found = recipes()
    check("ten and one", [n for n, _, _ in found] == list(range(1, 12)) and all(code for _, _, code in found), found)
    for n, title, code in found:
        env = {"XDG_CACHE_HOME": os.path.join(top, "cache"), "TORCHINDUCTOR_CACHE_DIR": os.path.join(top, "inductor")}
        if "import timm" in code and python("import timm, torch")[0]:
            print(f"SKIP: {title}: no torch and timm here")
            continue
        if "MIRROR" in code:
            if not os.path.isdir(os.path.join(ROOT, "..", "shared", "models")):
                print(f"SKIP: {title}: ../shared is not here")
                continue
            code = f"MIRROR = {mirror(top)!r}\n" + code
        status, out, err = python(f"import os\nos.chdir({top!r})\n" + code, env=env, timeout=1500)
        errors = "\n".join(line for line in err.splitlines() if "Warning" not in line and not line.startswith("  "))
        check(f"{n}. {title}", status == 0 and out.strip() != "" or n in (2,) and status == 0, (out, err))
        if status == 0:
            print("      " + out.strip().replace("\n", "\n      ")[:600])
        if n == 2:
            with open(os.path.join(top, "labels.csv")) as f:
                rows = f.read().splitlines()
            check(
                "2. six rows, one with an error",
                len(rows) == 6 and sum("broken.jpg" in r and "JPEG" in r for r in rows) == 1,
                rows,
            )
        if n == 6:
            check("6. two colours are told apart", "top-1 100.00 %" in out, (out, errors))
        if n == 9:
            check("9. a bad upload has its status", "unsupported" in out and out.count("airplane") == 2, out)


sys.exit(run_cases())
