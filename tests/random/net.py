"""A small ONNX network under construction: values with their shapes, constants in every form, nodes with names that
say their operator. The forms of operators follow the opset. test_random.py says what it is for.
"""

import random
from collections import namedtuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Value = namedtuple("Value", "name shape")
OPSETS = (9, 11, 12, 13, 13, 15, 17, 18, 20, 21)
IR_VERSION = {9: 4, 11: 6, 12: 7, 13: 7, 15: 8, 17: 8, 18: 8, 20: 9, 21: 10}


class Net:
    """One network, the same for the same seed."""

    def __init__(self, seed):
        self.r, self.w = random.Random(seed), np.random.RandomState(seed % 2**32)
        self.opset = self.r.choice(OPSETS)
        self.nodes, self.inits, self.inputs, self.outputs, self.feeds = [], [], [], [], {}
        self.half = self.chance(0.08)  # weights in fp16, widened where they are used
        self.nodes_for_constants = self.chance(0.1)
        self.free_batch = False

    def chance(self, p):
        return self.r.random() < p

    def input(self, shape, kind="f32"):
        """A graph input and what it is fed: f32 or u8 numbers."""
        name = f"in{len(self.inputs)}"
        if kind == "u8":
            self.feeds[name] = self.w.randint(0, 256, shape).astype(np.uint8)
        else:
            self.feeds[name] = (self.w.randn(*shape) * self.r.choice((1, 1, 1, 0.3, 4))).astype(np.float32)
        declared = ["N"] + list(shape[1:]) if self.free_batch else list(shape)
        self.inputs.append(
            helper.make_tensor_value_info(name, TensorProto.UINT8 if kind == "u8" else TensorProto.FLOAT, declared)
        )
        return Value(name, tuple(shape))

    def output(self, value, kind=TensorProto.FLOAT):
        if value.name not in [o.name for o in self.outputs] and value.name not in self.feeds:
            shape = None if self.chance(0.2) else list(value.shape)
            self.outputs.append(helper.make_tensor_value_info(value.name, kind, shape))

    def constant(self, array, weight=False):
        """An initializer, or the output of a Constant node; weights perhaps in fp16 and widened by Cast."""
        array = np.asarray(array)
        name = f"c{len(self.inits) + len(self.nodes)}"
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if weight and self.half:
            self.inits.append(numpy_helper.from_array(array.astype(np.float16), name + "h"))
            self.nodes.append(
                helper.make_node("Cast", [name + "h"], [name], name=f"n{len(self.nodes)}_Cast", to=TensorProto.FLOAT)
            )
        elif self.nodes_for_constants:
            self.nodes.append(
                helper.make_node(
                    "Constant",
                    [],
                    [name],
                    name=f"n{len(self.nodes)}_Constant",
                    value=numpy_helper.from_array(array, name),
                )
            )
        else:
            self.inits.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, numbers):
        return self.constant(np.array(numbers, np.int64))

    def op(self, kind, inputs, shape, outputs=1, **attributes):
        """A node; inputs are values or names. Its output, or a list of `outputs` of them and of shapes."""
        names = [i.name if isinstance(i, Value) else i for i in inputs]
        made = [f"v{len(self.nodes)}" + (f"_{k}" if outputs > 1 else "") for k in range(outputs)]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(kind, names, made, name=f"n{len(self.nodes)}_{kind}", **attributes))
        if outputs > 1:
            return [Value(n, tuple(s)) for n, s in zip(made, shape)]
        return Value(made[0], tuple(shape))

    # operators whose form depends on the opset

    def axes_op(self, kind, x, shape, axes, since, **attributes):
        """Axes as an attribute, from opset `since` as an input."""
        if axes is None:
            return self.op(kind, [x], shape, **attributes)
        if self.opset >= since:
            return self.op(kind, [x, self.ints(axes)], shape, **attributes)
        return self.op(kind, [x], shape, axes=list(axes), **attributes)

    def squeeze(self, x, axes):
        keep = [d for k, d in enumerate(x.shape) if k not in axes]
        return self.axes_op("Squeeze", x, keep, self.signed(axes, len(x.shape)), 13)

    def unsqueeze(self, x, axes):
        rank, rest, shape = len(x.shape) + len(axes), list(x.shape), []
        for k in range(rank):
            shape.append(1 if k in axes else rest.pop(0))
        return self.axes_op("Unsqueeze", x, shape, self.signed(axes, rank), 13)

    def signed(self, axes, rank):
        """The same axes, now and then counted from the end."""
        return [a - rank if self.chance(0.3) and self.opset >= 11 else a for a in axes]

    def reduce(self, kind, x, axes, keep):
        shape = [1 if k in axes else d for k, d in enumerate(x.shape) if keep or k not in axes]
        since = 13 if kind == "ReduceSum" else 18
        every = len(axes) == len(x.shape) and self.chance(0.5)
        noop = 0 if self.opset >= since and self.chance(0.3) else None
        return self.axes_op(
            kind,
            x,
            shape,
            None if every else self.signed(axes, len(x.shape)),
            since,
            keepdims=int(keep),
            noop_with_empty_axes=noop,
        )

    def transpose(self, x, perm):
        return self.op("Transpose", [x], [x.shape[p] for p in perm], perm=list(perm))

    def reshape(self, x, shape, written=None):
        return self.op("Reshape", [x, self.ints(written or shape)], shape)

    def slice(self, x, axis, start, end, step=1):
        extent = len(range(*slice(start, end, step).indices(x.shape[axis])))
        shape = [extent if k == axis else d for k, d in enumerate(x.shape)]
        if self.opset < 10:
            return self.op("Slice", [x], shape, axes=[axis], starts=[start], ends=[end])
        end = -(2**31) if end is None and step < 0 else 2**31 - 1 if end is None else end
        return self.op("Slice", [x, self.ints([start]), self.ints([end]), self.ints([axis]), self.ints([step])], shape)

    def split(self, x, axis, sizes):
        shapes = [[s if k == axis else d for k, d in enumerate(x.shape)] for s in sizes]
        if self.opset >= 13:
            return self.op("Split", [x, self.ints(sizes)], shapes, outputs=len(sizes), axis=axis)
        return self.op("Split", [x], shapes, outputs=len(sizes), axis=axis, split=list(sizes))

    def clip(self, x, low, high):
        if self.opset < 11:
            return self.op("Clip", [x], x.shape, min=float(low), max=float(high))
        ends = [self.constant(np.float32(v)) for v in (low, high)]
        if self.chance(0.15):
            ends[self.r.randrange(2)] = ""
        while ends and not ends[-1]:
            ends.pop()
        return self.op("Clip", [x, *ends], x.shape)

    def pad(self, x, before, after, mode="constant", value=None):
        shape = [d + a + b for d, a, b in zip(x.shape, before, after)]
        if self.opset < 11:
            return self.op("Pad", [x], shape, pads=[*before, *after], mode=mode, value=value)
        inputs = [x, self.ints([*before, *after])] + ([self.constant(np.float32(value))] if value is not None else [])
        return self.op("Pad", inputs, shape, mode=mode)

    def model(self):
        graph = helper.make_graph(self.nodes, "random", self.inputs, self.outputs, self.inits)
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION[self.opset],
            producer_name="random",
        )


def save(model, feeds, folder):
    """model.onnx and an .npy file for each input in `folder`; the arguments that name them for `kitfox run`."""
    import os

    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    for name, x in feeds.items():
        np.save(os.path.join(folder, name + ".npy"), x)
    return [n + ".npy" for n in feeds] if len(feeds) == 1 else [f"{n}={n}.npy" for n in feeds]


__all__ = ["Net", "Value", "save", "onnx"]
