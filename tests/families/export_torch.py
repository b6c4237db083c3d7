"""Exports networks of timm and torchvision with random weights: export_torch.py FOLDER PHOTOS NAME...

NAME is LIBRARY/EXPORTER/OPSET/FORM/NETWORK: timm or torchvision, old or dynamo, form plain, channels_last or half.
"""

import warnings

import numpy as np
import timm
import torch
import torchvision
from made import export_all, photos, seed_of, standard, write

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = {"inception_v3": 128, "googlenet": 96}
CLASSES = 10


def build(library, network):
    if library == "timm":
        return timm.create_model(network, num_classes=CLASSES)
    more = (
        {"aux_logits": False} if network == "googlenet" else {"aux_logits": True} if network == "inception_v3" else {}
    )
    return getattr(torchvision.models, network)(num_classes=CLASSES, **more)


def prepare(model, x):
    """Statistics of the photos in every batch norm, scales and offsets at random, logits spread over the classes."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for m in model.modules():
        if isinstance(m, torch.nn.Dropout) or "Drop" in type(m).__name__:
            m.p = 0.0
            m.drop_prob = 0.0
    for m in norms:
        m.momentum = 1.0
        if m.affine:
            m.weight.data.uniform_(0.6, 1.4)
            m.bias.data.normal_(0, 0.2)
    model.eval()
    for m in norms:
        m.train()
    with torch.no_grad():
        model(x)
    model.eval()
    last = [
        m for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d)) and m.weight.shape[0] == CLASSES
    ]
    if last and last[-1].bias is not None:
        with torch.no_grad():
            mean, deviation = (torch.tensor(v) for v in standard(model(x).numpy()))
            m = last[-1]
            m.weight /= deviation.reshape(-1, *[1] * (m.weight.dim() - 1))
            m.bias.copy_((m.bias - mean) / deviation)
    return model


class Halved(torch.nn.Module):
    """Weights and arithmetic in fp16 behind an input and before an output in f32."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner.half()

    def forward(self, x):
        return self.inner(x.half()).float()


def export(path, pictures, name):
    library, exporter, opset, form, network = name.split("/")
    torch.manual_seed(seed_of(network))
    torch.set_num_threads(1)
    size = SIZES.get(network, 96)
    x = torch.tensor(((photos(pictures, size) - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2))
    model = prepare(build(library, network), x)
    one = x[:1].contiguous()
    if form == "half":
        for p in list(model.parameters()) + list(model.buffers()):
            p.data = p.data.half().float() if p.is_floating_point() else p.data
    with torch.no_grad():
        truth = model(one).numpy()
    if form == "channels_last":
        model, one = model.to(memory_format=torch.channels_last), one.to(memory_format=torch.channels_last)
    traced = Halved(model).eval() if form == "half" else model
    if exporter == "old":
        torch.onnx.export(traced, (one,), path + ".onnx", opset_version=int(opset), dynamo=False)
    else:
        torch.onnx.export(
            traced, (one,), path + ".onnx", opset_version=int(opset), dynamo=True, external_data=False, verbose=False
        )
    write(
        path,
        one.contiguous().numpy(),
        truth,
        mean=MEAN,
        std=STD,
        versions=f"torch {torch.__version__}, timm {timm.__version__}, torchvision {torchvision.__version__}",
    )


warnings.simplefilter("ignore")
export_all(export)
