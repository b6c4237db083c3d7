#!/usr/bin/env python3
"""A timm network with random weights as an ONNX file, for timing: random_model.py NAME OUT.onnx [SEED]. Needs torch, timm and onnx.

Time depends on shapes only, so a network whose weights are not at hand can be timed all the same. The weights are timm's own initial ones;
batch norm gets the statistics of some drawn pictures, so that every activation has an ordinary range, in 8 bits too. The file says that it
is random, and so does the report of the benchmark.
"""
import sys

import onnx
import timm
import torch

PICTURES, BATCHES, OPSET = 8, 4, 17


def drawn(size):
    """Smooth random colour, normalized."""
    coarse = torch.rand(PICTURES, 3, 8, 8)
    return (torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1) - 0.45) / 0.225


def network(name, seed):
    """In evaluation mode, with its input size."""
    torch.manual_seed(seed)
    net = timm.create_model(name, pretrained=False)
    size = net.pretrained_cfg["input_size"][1:]
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # statistics are then the mean over all batches
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.3)
    net.train()
    with torch.no_grad():
        for _ in range(BATCHES):
            net(drawn(size))
    return net.eval(), size


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    name, out, seed = sys.argv[1], sys.argv[2], int((sys.argv[3:] or ["1"])[0])
    net, size = network(name, seed)
    torch.onnx.export(net, torch.zeros(1, 3, *size), out, dynamo=False, opset_version=OPSET, input_names=["data"], output_names=["output"])
    model = onnx.load(out)
    entry = model.metadata_props.add()
    entry.key, entry.value = "weights", "random, timm %s, seed %d" % (name, seed)
    onnx.save(model, out)
    print("%s: %s, random weights, %d parameters" % (out, name, sum(p.numel() for p in net.parameters())))


if __name__ == "__main__":
    main()
