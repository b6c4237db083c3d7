#!/usr/bin/env python3
"""The RDK's modules: cells of the zoo's notebooks, in their order, and the calls of all three modules.

Usage: test_rdk.py KITFOX, by a Python that has the package (run.py gives it the tree's own). Prints one line a check.
The cells of four notebooks (MobileNetV3, MobileNetV2, ResNet18, RepVGG) make the calls that these make on the board, in
their order; weights of the board are not at hand, so values are compared with our own PyTorch goldens.
"""

import contextlib
import io
import json
import os
import sys

from common import (
    EXAMPLES,
    HAVE_SHARED,
    ROOT,
    case,
    check,
    fails,
    kitfox,
    np,
    once,
    python,
    quietly,
    run_cases,
    says,
    shared,
)

import kitfox.rdk.install  # noqa: E402,F401
import bpu_infer_lib  # noqa: E402
from hbm_runtime import HB_HBMRuntime  # noqa: E402
from hobot_dnn import pyeasy_dnn as dnn  # noqa: E402

CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FROG = os.path.join(EXAMPLES, "frog.jpg")


@once
def models(folder):
    """A folder as beside a notebook: model/NAME.kfx, where the notebook says model/NAME.bin."""
    os.makedirs(os.path.join(folder, "model"))
    os.makedirs(os.path.join(folder, "data"))
    kitfox.graph(CHECKPOINT, labels=LABELS).save(os.path.join(folder, "model", "net_64x64_nv12.kfx"))
    os.symlink(FROG, os.path.join(folder, "data", "frog.JPEG"))
    with open(os.path.join(folder, "data", "labels.json"), "w") as f:
        json.dump(LABELS, f)
    quietly(kitfox.quantize, CHECKPOINT, EXAMPLES, os.path.join(folder, "model", "int8_64x64_nv12.kfx"))
    return folder


# What follows `import bpu_infer_lib` in the notebooks. {n} classes; the model's path is the board's.
BEGIN = """
import numpy as np
import bpu_infer_lib
infer_obj = bpu_infer_lib.Infer(False)
loaded = infer_obj.load_model("model/{model}.bin")
ret = infer_obj.read_img_to_nv12("data/{picture}", 0)
infer_obj.forward()
ptr1 = infer_obj.get_infer_res(0, {n})
print(len(ptr1))
array1 = [ptr1[i] for i in range({n})]
out_arr = np.array(array1).astype(np.float32)
"""
SOFTMAX = """
def np_softmax(arr):
    exp_out = np.exp(arr)
    return exp_out / np.sum(exp_out, axis=-1, keepdims=True)
probs = np_softmax(out_arr)
max_ind = np.argmax(probs)
best = probs[max_ind]
"""
ARGSORT = """
prob = np.squeeze(out_arr)
idx = np.argsort(-prob)
top_five_label_probs = [(idx[i], prob[idx[i]]) for i in range(1)]
max_ind = top_five_label_probs[0][0]
best = top_five_label_probs[0][1]
"""
LABEL = """
import json
with open('data/labels.json', 'r', encoding='utf-8') as json_file:
    labels = json.load(json_file)
label = labels[max_ind]
"""
NOTEBOOKS = {"MobileNetV3": SOFTMAX, "MobileNetV2": ARGSORT, "ResNet18": SOFTMAX, "RepVGG": ARGSORT}


def cells(folder, form, model, picture, n):
    """Run them in that folder; what they leave, and what they print."""
    here, space, said = os.getcwd(), {}, io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said):
            exec((BEGIN + form + LABEL).format(model=model, picture=picture, n=n), space)
    finally:
        os.chdir(here)
    return space, said.getvalue()


@case
def cells_of_four_notebooks():
    want = kitfox.load(CHECKPOINT)
    for name, form in NOTEBOOKS.items():
        for model in ("net_64x64_nv12", "int8_64x64_nv12"):
            space, said = cells(models(), form, model, "frog.JPEG", 10)
            check(f"{name}, {model}: the label", space["label"] == "frog" and space["loaded"] is True, space["label"])
            check(
                f"{name}, {model}: what the notebook prints",
                says(said, "The model path is valid and points to a regular " "file. .. 10"),
                said,
            )
    score = want.classify(FROG)[0]
    space, _ = cells(models(), SOFTMAX, "net_64x64_nv12", "frog.JPEG", 10)
    check(
        "the probability, but for the frame's halved chroma",
        abs(space["best"] - score.score) < 0.05,
        (space["best"], score),
    )


@case
def the_kit_fox():
    """The notebook's own photo through the mission's network, against PyTorch's golden numbers."""
    if not HAVE_SHARED:
        return print("SKIP: ../shared is not here")
    photo = shared("data", "kit_fox.JPEG")
    inf = bpu_infer_lib.Infer(False)
    with contextlib.redirect_stdout(io.StringIO()):
        for network in ("mobilenetv3_large_100.onnx", "tf_mobilenetv3_large_minimal_100.onnx"):
            check(f"{network} loads", inf.load_model(shared("models", network)))
            inf.read_img_to_nv12(photo, 0)
            inf.forward()
            logits = inf.get_infer_res_np_float32(0)
            check(
                f"{network}: class 278, kit fox",
                int(np.argmax(logits)) == 278 and logits.shape == (1000,),
                np.argmax(logits),
            )
            gold = shared("goldens", network[:-5])
            x, y = (np.load(os.path.join(gold, f"{n}_0.npy")) for n in ("input", "output"))
            check(f"{network}: read_numpy_arr_float32", inf.read_numpy_arr_float32(x, 0))
            inf.forward(more=True)
            got = np.array(inf.get_infer_res(0, 1000), np.float32)
            check(
                f"{network}: PyTorch's logits",
                np.abs(got - y[0]).max() < 1e-3 * np.abs(y).max(),
                np.abs(got - y[0]).max(),
            )


@case
def calls_of_bpu_infer_lib(top):
    path = os.path.join(models(), "model", "net_64x64_nv12.kfx")
    inf = bpu_infer_lib.Infer(True)
    wrong = kitfox.ArgumentError
    fails("nothing is loaded", wrong, "load_model first", inf.forward)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        check("a model that is not there: False", inf.load_model(os.path.join(top, "x.kfx")) is False)
        check("with the reason", "x.kfx" in err.getvalue())
        check("load_model: True", inf.load_model(path) is True)
    p = inf.inputs[0].properties
    check(
        "inputs[0].properties",
        (p.tensorType, p.tensorLayout, p.validShape) == ("HB_DNN_IMG_TYPE_NV12", "HB_DNN_LAYOUT_NCHW", (1, 3, 64, 64)),
        p,
    )
    p = inf.outputs[0].properties
    check("outputs[0].properties", (p.tensorType, p.validShape) == ("HB_DNN_TENSOR_TYPE_F32", (1, 10, 1, 1)), p)
    fails("nothing was read", wrong, "read_img_to_nv12", inf.forward)
    fails("nothing was run", wrong, "forward first", inf.get_infer_res, 0, 10)
    inf.read_img_to_nv12(FROG, 0)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        check("forward", inf.forward(more=True) is True)
    check("debug prints what went in", "6144" in said.getvalue(), said.getvalue())
    floats = inf.get_infer_res_np_float32(0)
    check("get_infer_res", inf.get_infer_res(0, 10) == [float(v) for v in floats] and len(inf.get_infer_res(0, 3)) == 3)
    check(
        "get_infer_res_np_float32 with a number, and without an index",
        len(inf.get_infer_res_np_float32(0, 4)) == 4 and np.array_equal(inf.get_infer_res_np_float32(), floats),
    )
    check("get_infer_res_np_int32", np.array_equal(inf.get_infer_res_np_int32(0), floats.astype(np.int32)))
    check(
        "get_output, outputs[0].data",
        inf.get_output() is True and np.array_equal(inf.outputs[0].data.reshape(-1), floats),
    )
    frame = kitfox.rdk._board.picture_to_nv12(kitfox.load(path), FROG)
    for call in ("read_input", "read_numpy_arr_nv12", "read_numpy_arr_uint8"):
        for shape in ((6144,), (1, 96, 64, 1)):
            inf.read_img_to_nv12(os.path.join(EXAMPLES, "ship.jpg"), 0)
            getattr(inf, call)(frame.reshape(shape), 0)
            inf.forward()
            check(f"{call} of {shape}", np.array_equal(inf.get_infer_res_np_float32(0), floats))
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    x.tofile(os.path.join(top, "x.bin"))
    inf.read_input_float32(os.path.join(top, "x.bin"), x.size, 0)
    inf.forward()
    check("read_input_float32", np.array_equal(inf.get_infer_res_np_float32(0), kitfox.load(path)(x)[0]))
    fails("another number of floats", wrong, "12288 .. 5", inf.read_input_float32, os.path.join(top, "x.bin"), 5, 0)
    fails("a frame of another size", wrong, "6143", inf.read_numpy_arr_nv12, frame[1:], 0)
    fails("floats for a frame", wrong, "float32", inf.read_numpy_arr_nv12, x, 0)
    fails("bytes for floats", wrong, "uint8", inf.read_numpy_arr_float32, frame, 0)
    fails("input 1", wrong, "input 1 .. 1", inf.read_input, x, 1)
    fails("output 1", wrong, "output 1 .. 1", inf.get_infer_res_np_float32, 1)
    fails("eleven numbers", wrong, "11 .. 10", inf.get_infer_res, 0, 11)
    fails("a picture that is none", kitfox.Error, "", inf.read_img_to_nv12, path, 0)


@case
def calls_of_pyeasy_dnn():
    path = os.path.join(models(), "model", "int8_64x64_nv12.kfx")
    m = dnn.load(path)
    check("one model, its name", len(m) == 1 and m[0].name == "int8_64x64_nv12")
    p = m[0].inputs[0].properties
    check(
        "inputs",
        (p.tensor_type, p.dtype, p.layout, p.shape, len(p.scale_data)) == ("NV12", "uint8", "NCHW", (1, 3, 64, 64), 0),
    )
    check("height and width, as demos take them", m[0].inputs[0].properties.shape[2:4] == (64, 64))
    check(
        "outputs", m[0].outputs[0].properties.shape == (1, 10, 1, 1) and m[0].outputs[0].buffer.shape == (1, 10, 1, 1)
    )
    frame = kitfox.rdk._board.picture_to_nv12(kitfox.load(path), FROG)
    out = m[0].forward(frame)
    check("forward", int(np.argmax(out[0].buffer.reshape(10))) == 6 and out[0].name == m[0].outputs[0].name)
    check(
        "forward of a list, with core and priority",
        np.array_equal(m[0].forward([frame], core_id=1, priority=255)[0].buffer, out[0].buffer),
    )
    fails("core 3", ValueError, "core_id 3", m[0].forward, frame, core_id=3)
    fails("two arrays", ValueError, "2 arrays", m[0].forward, [frame, frame])
    fails("half a frame", ValueError, "3072", m[0].forward, frame[:3072])
    check(
        "several files",
        [x.name for x in dnn.load([path, path.replace("int8", "net")])] == ["int8_64x64_nv12", "net_64x64_nv12"],
    )


@case
def calls_of_hbm_runtime():
    paths = [os.path.join(models(), "model", n + "_64x64_nv12.kfx") for n in ("net", "int8")]
    one, two = HB_HBMRuntime(paths[0]), HB_HBMRuntime(paths)
    name = one.model_names[0]
    key, result = one.input_names[name][0], one.output_names[name][0]
    check(
        "names",
        one.model_names == ["net_64x64_nv12"]
        and one.model_count == 1
        and two.model_count == 2
        and one.input_counts[name] == one.output_counts[name] == 1,
    )
    check("shapes", one.input_shapes[name][key] == [1, 96, 64, 1] and one.output_shapes[name][result] == [1, 10, 1, 1])
    check("types", (one.input_dtypes[name][key], one.output_dtypes[name][result]) == ("U8", "F32"))
    check("strides", one.input_strides[name][key] == [6144, 64, 1, 1])
    quant = one.input_quants[name][key]
    check("no scales", len(quant.scale) == len(quant.zero_point) == 0)
    check("descriptions", set(one.input_descs[name]) == {key} and set(one.output_descs[name]) == {result})
    check("version, of the class too", HB_HBMRuntime.version == one.version == kitfox.__version__)
    frame = kitfox.rdk._board.picture_to_nv12(kitfox.load(paths[0]), FROG).reshape(1, 96, 64, 1)
    outs = [one.run(frame), one.run({key: frame}), one.run({name: {key: frame}})]
    check(
        "run: an array, a dictionary, a dictionary of dictionaries",
        all(np.array_equal(o[name][result], outs[0][name][result]) for o in outs)
        and int(outs[0][name][result].argmax()) == 6,
    )
    both = two.run({n: {two.input_names[n][0]: frame} for n in two.model_names})
    check("two models at once", set(both) == set(two.model_names))
    one.set_scheduling_params(priority={name: 5}, bpu_cores={name: [0]})
    check("scheduling is kept", one.sched_params[name] == {"priority": {name: 5}, "bpu_cores": {name: [0]}})
    fails("an array for two models", ValueError, "2 models", two.run, frame)
    fails("an unknown model", ValueError, "nosuch", one.run, {"nosuch": {key: frame}})
    fails("an unknown input", ValueError, "missing", one.run, {name: {"nosuch": frame}})
    fails("one name twice", ValueError, "two files", HB_HBMRuntime, [paths[0], paths[0]])


@case
def machine_code_of_the_board(top):
    path = os.path.join(top, "MobileNetV3_224x224_nv12.bin")
    with open(path, "wb") as f:
        f.write(b"\x7fBPU" + bytes(4096))
    for name, call in {"dnn.load": dnn.load, "HB_HBMRuntime": HB_HBMRuntime}.items():
        fails(
            f"{name}: what a .bin is",
            kitfox.UnsupportedError,
            f"{path} .. machine code .. kitfox quantize .. .kfx",
            call,
            path,
        )
    with contextlib.redirect_stderr(io.StringIO()) as err:
        check(
            "load_model: False",
            bpu_infer_lib.Infer(False).load_model(path) is False and "machine code" in err.getvalue(),
        )
    os.symlink(os.path.join(models(), "model", "net_64x64_nv12.kfx"), path.replace(".bin", ".kfx"))
    check("with the .kfx beside it", dnn.load(path)[0].inputs[0].properties.shape == (1, 3, 64, 64))
    os.rename(path.replace(".bin", ".kfx"), path)
    check("a .kfx that is called .bin", len(dnn.load(path)) == 1)


@case
def install():
    code = (
        "import kitfox.rdk.install, bpu_infer_lib, hobot_dnn, hbm_runtime\nfrom hobot_dnn import pyeasy_dnn\nprint(%s)"
    )
    status, out, err = python(code % "bpu_infer_lib.__name__, pyeasy_dnn.__name__, hbm_runtime.__name__")
    check(
        "in a new interpreter",
        status == 0 and out.split() == ["kitfox.rdk.bpu_infer_lib", "kitfox.rdk.pyeasy_dnn", "kitfox.rdk.hbm_runtime"],
        (out, err),
    )
    status, out, _ = python("import kitfox, sys; print([m for m in sys.modules if 'bpu' in m or 'hobot' in m])")
    check("without the import nothing is registered", out == "[]\n", out)


sys.exit(run_cases())
