#!/usr/bin/env python3
"""PyTorch weights without a file: logits against PyTorch's own, of timm's and torchvision's modules, in every form.

Usage: test_torch.py KITFOX, by a Python that has the package; torch, timm and torchvision too, else KITFOX_TORCH names one
that has these, and cffi. Prints one line a check; skipped without torch.
"""

import os
import subprocess
import sys

try:
    import timm
    import torch
    import torchvision
except ImportError:
    other = os.environ.get("KITFOX_TORCH")
    why = "KITFOX_TORCH names none"
    if other and "inside" not in sys.argv:
        tried = subprocess.run(
            [other, "-c", "import timm, torch, torchvision, kitfox"], capture_output=True, text=True, errors="replace"
        )
        if tried.returncode == 0:
            sys.exit(subprocess.run([other, os.path.abspath(__file__), *sys.argv[1:], "inside"]).returncode)
        why = f"{other}: {(tried.stderr.strip().splitlines() or ['it fails'])[-1]}"
    print(f"SKIP: this Python has not torch, timm and torchvision; {why}")
    sys.exit(77)

from common import EXAMPLES, case, check, fails, kitfox, np, once, quietly, run_cases  # noqa: E402

torch.manual_seed(1)
torch.set_num_threads(1)


def alive(module, size=64):
    """Random statistics that keep the signal alive to the last layer."""
    for m in module.modules():
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
    for p in module.parameters():
        if p.dim() == 1:
            p.data += torch.randn_like(p) * 0.1
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(4, 3, size, size))
    return module.eval()


def apart(graph_or_model, module, size):
    """The largest difference of the logits, over the largest logit."""
    m = graph_or_model if isinstance(graph_or_model, kitfox.Model) else graph_or_model.compile()
    x = np.random.default_rng(2).standard_normal((1, 3, size, size)).astype(np.float32)
    with torch.no_grad():
        want = module(torch.from_numpy(x)).numpy()
    got = m(x)
    return float(np.abs(got - want).max() / np.abs(want).max()) if got.shape == want.shape else 9.0


@once
def small(folder):
    return alive(timm.create_model("mobilenetv3_small_050", pretrained=False, num_classes=7), 224)


@case
def from_timm():
    for name, classes in (
        ("mobilenetv3_small_050", 1000),
        ("mobilenetv3_large_100", 5),
        ("tf_mobilenetv3_small_minimal_100", 10),
    ):
        module = alive(timm.create_model(name, pretrained=False, num_classes=classes), 224)
        g = kitfox.from_timm(module)
        d = apart(g, module, 224)
        check(f"{name}, {classes} classes: PyTorch's logits", d < 1e-4, d)
        p, cfg = g.compile().preprocess, module.pretrained_cfg
        cfg = cfg if isinstance(cfg, dict) else vars(cfg)
        check(
            f"{name}: timm's preprocessing",
            np.allclose(p.mean, cfg["mean"])
            and np.allclose(p.std, cfg["std"])
            and p.interpolation == cfg["interpolation"]
            and abs(p.crop_pct - cfg["crop_pct"]) < 1e-6,
            p,
        )
    module = small()
    labels = [f"class {k}" for k in range(7)]
    m = kitfox.from_timm(module, labels=labels, mean=(0.5,) * 3, std=(0.25,) * 3).compile()
    check(
        "labels, and another mean",
        m.labels == tuple(labels) and m.preprocess.mean == (0.5,) * 3 and m.preprocess.std == (0.25,) * 3,
    )
    fails("labels too few", ValueError, "2 .. 7", kitfox.from_timm, module, labels=["a", "b"])
    before = {k: v.clone() for k, v in module.state_dict().items()}
    kitfox.from_timm(module)
    check("the module is as it was", all(torch.equal(v, before[k]) for k, v in module.state_dict().items()))


@case
def from_state_dict(top):
    module = small()
    state = module.state_dict()
    forms = {
        "tensors": state,
        "numpy": {k: v.numpy() for k, v in state.items()},
        "a checkpoint": {"state_dict": state, "epoch": 3},
        "DataParallel": {"module." + k: v for k, v in state.items()},
        "torch.compile": {"_orig_mod." + k: v for k, v in state.items()},
        "averages beside it": {"model": {k: v * 0 for k, v in state.items()}, "model_ema": state},
        "not contiguous": {k: v.t().contiguous().t() if v.dim() == 2 else v for k, v in state.items()},
        "parameters that need gradients": {
            k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in state.items()
        },
    }
    for name, form in forms.items():
        check(name, apart(kitfox.from_state_dict(form), module, 224) < 1e-4)
    check(
        "float16",
        apart(
            kitfox.from_state_dict({k: v.half() if v.is_floating_point() else v for k, v in state.items()}), module, 224
        )
        < 0.05,
    )
    check(
        "bfloat16",
        apart(
            kitfox.from_state_dict({k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()}),
            module,
            224,
        )
        < 0.2,
    )
    vision = alive(torchvision.models.mobilenet_v3_small(num_classes=4), 224)
    check("torchvision", apart(kitfox.from_state_dict(vision.state_dict()), vision, 224) < 1e-4)
    wrong = dict(state)
    first = next(k for k in wrong if k.endswith("weight"))
    fails("an unknown architecture", kitfox.Error, "nosuch", kitfox.from_state_dict, state, "nosuch")
    fails("another architecture", kitfox.Error, "", kitfox.from_state_dict, state, "mobilenetv3_large_100")
    fails(
        "a tensor is missing",
        kitfox.Error,
        first,
        kitfox.from_state_dict,
        {k: v for k, v in state.items() if k != first},
        "mobilenetv3_small_050",
    )
    fails(
        "one is left over",
        kitfox.Error,
        "extra",
        kitfox.from_state_dict,
        {**state, "extra.weight": torch.zeros(3)},
        "mobilenetv3_small_050",
    )
    fails(
        "another shape",
        kitfox.Error,
        first,
        kitfox.from_state_dict,
        {**state, first: state[first][:1]},
        "mobilenetv3_small_050",
    )
    fails("NaN", kitfox.Error, first, kitfox.from_state_dict, {**state, first: state[first] * float("nan")})
    fails(
        "complex numbers",
        ValueError,
        "complex64",
        kitfox.from_state_dict,
        {**state, first: state[first].to(torch.complex64)},
    )
    fails("no dictionary", ValueError, "list", kitfox.from_state_dict, [1])
    fails("empty", kitfox.Error, "", kitfox.from_state_dict, {})


@case
def files_of_torch_save(top):
    module, path = small(), os.path.join(top, "w.pth")
    torch.save(module.state_dict(), path)
    check("a .pth of a state dictionary", apart(kitfox.load(path), module, 224) < 1e-4)
    torch.save({"state_dict": module.state_dict()}, os.path.join(top, "w.bin"))
    check("a checkpoint by another name", apart(kitfox.load(os.path.join(top, "w.bin")), module, 224) < 1e-4)
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)
    check("the old form", apart(kitfox.load(path), module, 224) < 1e-4)
    torch.save(module, path)
    fails("a whole module: it would run code", kitfox.FormatError, "weights_only", kitfox.load, path)
    torch.save([1, 2], path)
    fails("a list", kitfox.FormatError, "list .. state_dict", kitfox.load, path)
    with open(path, "wb") as f:
        f.write(b"PK\3\4 no archive")
    fails("what is none", kitfox.Error, path, kitfox.load, path)
    q, _ = quietly(kitfox.quantize, kitfox.from_timm(module), EXAMPLES, os.path.join(top, "q.kfx"))
    check("quantized from memory", kitfox.load(q.path).info.quantized and q.samples == 5, q)


sys.exit(run_cases())
