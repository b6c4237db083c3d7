#!/usr/bin/env python3
"""Make tests/fuzz/corpus/safetensors: the first tensors of a network in every storage form, and headers that are wrong in every way.

No checkpoint fits in a few kilobytes, so each file ends early: the reader gets to the first tensor that is missing. The .json files are
forms of the description beside a checkpoint. The results are committed. Run from the repository root.
"""
import json
import os
import struct

OUT = "tests/fuzz/corpus/safetensors"
STEM = {"conv_stem.weight": [16, 3, 3, 3], "bn1.weight": [16], "bn1.bias": [16], "bn1.running_mean": [16], "bn1.running_var": [16],
        "blocks.0.0.conv_dw.weight": [16, 1, 3, 3], "classifier.bias": [2]}
VISION = {"features.0.0.weight": [16, 3, 3, 3], "features.0.1.weight": [16], "features.0.1.bias": [16], "features.0.1.running_mean": [16],
          "features.0.1.running_var": [16], "classifier.3.bias": [3]}
FORMS = {"F32": lambda v: struct.pack("<f", v), "F16": lambda v: struct.pack("<e", v), "BF16": lambda v: struct.pack("<f", v)[2:], "F64": lambda v: struct.pack("<d", v),
         "I64": lambda v: struct.pack("<q", int(v))}


def save(name, shapes, dtype="F32", prefix="", edit=None, value=0.75, meta=None):
    header, blob = {"__metadata__": meta} if meta else {}, b""
    for key, shape in shapes.items():
        n = 1
        for d in shape:
            n *= d
        raw = FORMS[dtype](value) * n
        header[prefix + key] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + len(raw)]}
        blob += raw
    if edit:
        edit(header)
    text = json.dumps(header).encode()
    with open(os.path.join(OUT, name + ".safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def main():
    os.makedirs(OUT, exist_ok=True)
    save("f32", STEM, meta={"format": "pt"})
    save("f16", STEM, "F16")
    save("bf16", STEM, "BF16")
    save("f64", STEM, "F64")
    save("module", STEM, "F16", prefix="module.")
    save("vision", VISION, "BF16")
    save("nan", STEM, value=float("nan"))
    save("negative", STEM, value=-0.5)
    save("counter", {"bn1.num_batches_tracked": []}, "I64")
    save("shape", dict(STEM, **{"bn1.weight": [4, 4]}))
    save("overlap", STEM, edit=lambda h: h["bn1.bias"].update(data_offsets=h["bn1.weight"]["data_offsets"]))
    save("range", STEM, edit=lambda h: h["bn1.bias"].update(data_offsets=[1 << 60, (1 << 60) + 64]))
    save("overflow", STEM, edit=lambda h: h["conv_stem.weight"].update(shape=[1 << 62, 1 << 62]))
    save("classes", STEM, edit=lambda h: h["classifier.bias"].update(shape=[0], data_offsets=[0, 0]))
    cfg = {"input_size": [3, 64, 64], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "squash", "mean": [0.5, 0.25, 0], "std": [1, 0.5, 0.25], "tag": None}
    top = {"architecture": "mobilenetv3_small_050.lamb_in1k", "num_classes": 2, "label_names": ["n1", "n2"], "label_descriptions": {"n1": "a fox"}}
    for name, value in {"nested": dict(top, pretrained_cfg=cfg), "flat": dict(top, **cfg), "object": dict(top, label_names={"0": "a", "1": "b"}),
                        "short": {"arch": "mobilenet_v3_small", "classes": ["a", "b"], "input": [3, 32, 32], "crop_pct": 1}}.items():
        with open(os.path.join(OUT, name + ".json"), "w") as f:
            json.dump(value, f)


if __name__ == "__main__":
    main()
