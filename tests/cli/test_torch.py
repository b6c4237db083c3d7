#!/usr/bin/env python3
"""Checkpoints against their truth: timm's and torchvision's own networks with random weights, saved and run by both; timm's own folder
(model.safetensors and config.json) and its idea of each model's preprocessing.

Usage: test_torch.py KITFOX. KITFOX_TORCH names a Python with torch, timm and torchvision; skipped without it.
"""
import json
import os
import struct
import subprocess
import sys

from kit import KITFOX, case, check, run_cases

PYTHON = os.environ.get("KITFOX_TORCH")
if not PYTHON or subprocess.run([PYTHON, "-c", "import numpy, timm, torch, torchvision"], capture_output=True).returncode != 0:
    print("SKIP: KITFOX_TORCH names no Python with torch, timm and torchvision")
    sys.exit(77)
if "inside" not in sys.argv:  # again, by that Python
    sys.exit(subprocess.run([PYTHON, os.path.abspath(__file__), *sys.argv[1:], "inside"]).returncode)

import numpy as np  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402

TIMM = [n for n in timm.list_models("*mobilenetv3_*") if n.startswith(("mobilenetv3_", "tf_mobilenetv3_"))]


def save(path, state):
    header, blobs, at = {}, [], 0
    for key, value in state.items():
        raw = value.detach().contiguous().numpy().tobytes()
        header[key] = {"dtype": {torch.float32: "F32", torch.int64: "I64"}[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def prepare(model, size):
    """Random weights with statistics that keep the signal alive to the last layer."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for p in model.parameters():
        if p.dim() == 1:
            p.data += torch.randn_like(p) * 0.1
    model.train()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(4, 3, size, size))
    return model.eval()


def compare(folder, name, model, size):
    checkpoint, x_file, y_file = (os.path.join(folder, n) for n in ("m.safetensors", "x.npy", "y.npy"))
    prepare(model, size)
    save(checkpoint, model.state_dict())
    x = torch.randn(1, 3, size, size)
    np.save(x_file, x.numpy())
    with torch.no_grad():
        truth = model.double()(x.double()).numpy()
    p = subprocess.run([KITFOX, "run", checkpoint, x_file, "-o", y_file, "--arch", name, "-s", f"1x3x{size}x{size}"], capture_output=True, text=True)
    if p.returncode:
        return check(name, False, p.stderr)
    worst = float(np.abs(np.load(y_file) - truth).max() / np.abs(truth).max())
    check(f"{name} at {size}: relative difference of the logits from torch's doubles {worst:.1e}", worst <= 1e-4)


def same_preprocess(what, truth, size, *args):
    p = subprocess.run([KITFOX, "info", "--json", *args], capture_output=True, text=True)
    ours = json.loads(p.stdout)["preprocess"] if p.returncode == 0 else {}
    good = bool(ours) and (ours["width"], ours["height"], ours["interpolation"], ours["crop_mode"]) == (size, size, truth["interpolation"], truth["crop_mode"])
    good = good and all(abs(a - b) < 1e-9 for a, b in zip(ours["mean"] + ours["std"] + [ours["crop_pct"]], [*truth["mean"], *truth["std"], truth["crop_pct"]]))
    check(what, good, f"{ours} is not {truth}; {p.stderr}")


def described(folder, name, model):
    """timm's folder as its hub writes it, then the same weights without their config.json."""
    from timm.models import save_for_hf
    save_for_hf(model, folder, safe_serialization=True)
    truth, file = timm.data.resolve_model_data_config(model), os.path.join(folder, "model.safetensors")
    same_preprocess(f"{name}: config.json of timm", truth, truth["input_size"][1], file)
    os.remove(os.path.join(folder, "config.json"))
    same_preprocess(f"{name}: known by --arch", truth, truth["input_size"][1], file, "--arch", name)


def begin():
    torch.manual_seed(3)
    torch.set_num_threads(1)


@case
def of_timm(folder):
    begin()
    for name in TIMM:
        model = timm.create_model(name)
        described(folder, name, model)
        compare(folder, name, model, 224 if "150d" not in name else 256)


@case
def of_torchvision(folder):
    begin()
    for name in ("mobilenet_v3_small", "mobilenet_v3_large"):
        compare(folder, name, getattr(torchvision.models, name)(), 224)
        t = torchvision.models.get_model_weights(name).IMAGENET1K_V1.transforms()
        truth = {"interpolation": t.interpolation.value, "crop_mode": "center", "mean": t.mean, "std": t.std, "crop_pct": t.crop_size[0] / t.resize_size[0]}
        same_preprocess(f"{name}: known by its tensors", truth, t.crop_size[0], os.path.join(folder, "m.safetensors"))
        compare(folder, name, getattr(torchvision.models, name)(num_classes=7), 96)


sys.exit(run_cases())
