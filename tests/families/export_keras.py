"""Exports Keras applications with random weights by tf2onnx: export_keras.py FOLDER PHOTOS NAME...

NAME is keras/OPSET/LAYOUT/FORM/NETWORK: nhwc or nchw (--inputs-as-nchw); plain, or pre with the preprocessing inside.
"""

import os

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", TF_ENABLE_ONEDNN_OPTS="0")
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf2onnx  # noqa: E402
from made import export_all, photos, seed_of, standard, write  # noqa: E402

SIZE, CLASSES = 96, 10


def build(network, inside):
    """The network, and the factor and offset that bring pixels of 0..255 to its input."""
    apps, more = keras.applications, dict(input_shape=(SIZE, SIZE, 3), weights=None, classes=CLASSES)
    minimal = network.endswith("_minimalistic")
    if network.startswith("MobileNetV3"):
        model = getattr(apps, network.split("_")[0])(minimalistic=minimal, include_preprocessing=inside, **more)
        return model, (1, 0) if inside else (1 / 127.5, -1)
    if network.startswith("EfficientNet"):
        return getattr(apps, network)(**more), (1, 0)
    model = getattr(apps, network)(**more)
    if not inside:
        return model, (1 / 127.5, -1)
    x = keras.Input((SIZE, SIZE, 3))
    return keras.Model(x, model(keras.layers.Rescaling(1 / 127.5, offset=-1)(x))), (1, 0)


def layers_of(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


def prepare(model, x, seed):
    """Statistics of the photos in every batch norm, scales and offsets at random, logits spread over the classes."""
    w = np.random.RandomState(seed % 2**32)
    norms = [m for m in layers_of(model) if isinstance(m, keras.layers.BatchNormalization)]
    for m in norms:
        m.gamma.assign(w.uniform(0.6, 1.4, m.gamma.shape))
        m.beta.assign(w.normal(0, 0.2, m.beta.shape))
        m.momentum = 0.0
    for m in layers_of(model):
        if isinstance(m, keras.layers.Normalization):  # as arrays: what is captured as a tensor would become an input
            m.mean, m.variance = (
                np.float32(v).reshape(1, 1, 1, 3) for v in ((0.485, 0.456, 0.406), (0.0524, 0.0502, 0.0506))
            )
    model(x, training=True)
    last = [
        m
        for m in layers_of(model)
        if isinstance(m, (keras.layers.Dense, keras.layers.Conv2D)) and m.kernel.shape[-1] == CLASSES
    ][-1]
    soft = [m for m in layers_of(model) if getattr(m, "activation", None) is keras.activations.softmax]
    for m in soft:
        m.activation = keras.activations.linear
    mean, deviation = standard(np.asarray(model(x, training=False)).reshape(len(x), CLASSES))
    last.kernel.assign(last.kernel / deviation)
    last.bias.assign((last.bias - mean) / deviation)
    for m in soft:
        m.activation = keras.activations.softmax
    return model


def export(path, pictures, name):
    _, opset, layout, form, network = name.split("/")
    keras.utils.set_random_seed(seed_of(network) % 2**31)
    model, (factor, offset) = build(network, form == "pre")
    x = photos(pictures, SIZE) * np.float32(255 * factor) + np.float32(offset)
    prepare(model, x, seed_of(network))
    one = x[:1]
    truth = np.asarray(model(one, training=False))
    run = tf.function(lambda images: model(images, training=False))
    tf2onnx.convert.from_function(
        run,
        input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32, "images")],
        opset=int(opset),
        inputs_as_nchw=["images:0", "images"] if layout == "nchw" else None,
        output_path=path + ".onnx",
    )
    write(
        path,
        one.transpose(0, 3, 1, 2).copy() if layout == "nchw" else one,
        truth,
        mean=[-offset / factor / 255] * 3,
        std=[1 / factor / 255] * 3,
        versions=f"TensorFlow {tf.__version__}, Keras {keras.__version__}, tf2onnx {tf2onnx.__version__}",
    )


export_all(export)
