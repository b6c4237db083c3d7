#!/usr/bin/env python3
"""The command line on real networks and photos: a thousand inferences, which take two minutes under sanitizers.

usage: test_cli_goldens.py KITFOX
"""
import json
import os
import sys

from kit import SHARED, case, check, run, run_cases


@case
def goldens(folder):
    model = os.path.join(SHARED, "models", "tf_mobilenetv3_large_minimal_100.onnx")
    if not os.path.exists(model):
        print("SKIP: ../shared is not here; the kit fox is not classified")
        return
    labels = os.path.join(SHARED, "data", "imagenet_labels.json")
    photo = os.path.join(SHARED, "data", "kit_fox.JPEG")
    args = ["--labels", labels, "--preprocess", "timm:tf_mobilenetv3_large_minimal_100", "--json"]
    code, out, err = run("classify", model, photo, *args)
    top = json.loads(out)["top"][0] if code == 0 else {}
    right = top.get("index") == 278 and abs(top["score"] - 0.78628) < 1e-4
    check("kit fox first, probability as ONNX Runtime's 0.78628", right, (out, err))
    code, out, err = run("eval", "--data", os.path.join(SHARED, "data", "everyday10-test"), "--json")
    row = json.loads(out) if code == 0 else {}
    check("eval: everyday10 top-1 is 82.3", row.get("images") == 2000 and abs(row["top1"] - 82.3) <= 0.2, (out, err))
    for name in ("tf_mobilenetv3_large_minimal_100", "mobilenetv3_large_100"):
        csv = os.path.join(folder, "p.csv")
        model, data = os.path.join(SHARED, "models", name + ".onnx"), os.path.join(SHARED, "data", "imagenet-sample")
        run("eval", model, "--preprocess", "timm:" + name, "--data", data, "--predictions", csv)
        with open(csv) as f, open(os.path.join(SHARED, "goldens", f"imagenet-sample-top5-{name}.csv")) as g:
            ours, theirs = ({r.split(",")[0]: r.split(",")[2] for r in h.read().splitlines()[1:]} for h in (f, g))
        same = sum(ours[k] == theirs[k] for k in theirs)
        check(f"eval: {name} agrees with PyTorch on {same} of 500", same >= 498)


sys.exit(run_cases())
