"""Exports networks of paddle.vision with random weights by paddle2onnx: export_paddle.py FOLDER PHOTOS NAME...

NAME is paddle/OPSET/plain/NETWORK.
"""

import numpy as np
import paddle
import paddle2onnx
from made import export_all, photos, seed_of, standard, write

MEAN, STD, SIZE, CLASSES = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 96, 10


def prepare(model, x):
    """Statistics of the photos in every batch norm, scales and offsets at random, logits spread over the classes."""
    norms = [m for m in model.sublayers() if isinstance(m, (paddle.nn.BatchNorm2D, paddle.nn.BatchNorm))]
    model.eval()
    for m in norms:
        m.weight.set_value(paddle.uniform(m.weight.shape, min=0.6, max=1.4))
        m.bias.set_value(paddle.randn(m.bias.shape) * 0.2)
        m._momentum = 0.0
        m.train()
    with paddle.no_grad():
        model(x)
        model.eval()
        last = [m for m in model.sublayers() if isinstance(m, paddle.nn.Linear) and m.weight.shape[1] == CLASSES]
        if last:
            mean, deviation = standard(model(x).numpy())
            last[-1].weight.set_value(last[-1].weight / paddle.to_tensor(deviation))
            last[-1].bias.set_value((last[-1].bias - paddle.to_tensor(mean)) / paddle.to_tensor(deviation))
    return model


def export(path, pictures, name):
    _, opset, _, network = name.split("/")
    paddle.seed(seed_of(network))
    x = paddle.to_tensor(((photos(pictures, SIZE) - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2).copy())
    model = prepare(getattr(paddle.vision.models, network)(num_classes=CLASSES), x)
    with paddle.no_grad():
        truth = model(x[:1]).numpy()
    paddle.onnx.export(
        model, path, input_spec=[paddle.static.InputSpec([1, 3, SIZE, SIZE], "float32", "x")], opset_version=int(opset)
    )
    write(
        path,
        x[:1].numpy(),
        truth,
        mean=MEAN,
        std=STD,
        versions=f"PaddlePaddle {paddle.__version__}, paddle2onnx {paddle2onnx.__version__}",
    )


paddle.set_device("cpu")
export_all(export)
