"""The steps of which random networks consist: each takes a Net and a value and gives the next value. PLAIN makes
what a MobileNet is made of, ODD what people put around it, TAILS what they put behind it. A step that does not suit
the value gives None.
"""

import numpy as np

ODD_NUMBERS = (0.0, -1.0, 1.0, 1e-6, 1e3, -0.5, 1e-20, 1e12)


def numbers(net, shape, about=1.0, spread=0.5):
    """Ordinary numbers, of which one in eight arrays has odd ones among them."""
    a = np.asarray(about + spread * net.w.standard_normal(tuple(shape)))
    if net.chance(0.12):
        flat = a.reshape(-1)
        flat[net.r.randrange(flat.size)] = net.r.choice(ODD_NUMBERS)
    return np.clip(a, -6e4, 6e4).astype(np.float32) if net.half else a.astype(np.float32)


def per_channel(net, x):
    """The shape of a constant that meets `x`: one number, one a channel, or any other part of it."""
    rank = len(x.shape)
    if rank == 0:
        return []
    if rank == 1:
        return net.r.choice(([], [1], list(x.shape)))
    c = x.shape[1]
    tail = [1] * (rank - 2)
    forms = [[], [1], [c, *tail], [1, c, *tail], [1, c, *tail], [c, *tail]]
    if net.chance(0.1):
        forms = [[x.shape[-1]], list(x.shape[1:]), list(x.shape), [1] * rank, [1, 1, *x.shape[2:]]]
    return net.r.choice(forms)


# plain: what a MobileNet is made of


def conv(net, x, out=None, kernel=None, stride=None, groups=1, act=True):
    if len(x.shape) != 4:
        return None
    n, c, h, w = x.shape
    out, k = out or net.r.choice((3, 4, 6, 8, 10, 16)), kernel or net.r.choice((1, 1, 3, 3, 5, 2))
    if groups == c:
        out = c * net.r.choice((1, 1, 1, 2)) if out is None or c > 1 and out % c else out
    stride = stride or net.r.choice((1, 1, 1, 2))
    dilation = 2 if k == 3 and net.chance(0.1) else 1
    weight = net.constant(net.w.randn(out, c // groups, k, k) / np.sqrt(c // groups * k * k), weight=True)
    inputs = [x, weight] + ([net.constant(numbers(net, [out], 0.0), weight=True)] if net.chance(0.6) else [])
    attributes = dict(kernel_shape=[k, k], strides=[stride, stride], dilations=[dilation] * 2, group=groups)
    span = (k - 1) * dilation
    if net.chance(0.15) and dilation == 1:
        attributes["auto_pad"] = net.r.choice(("SAME_UPPER", "SAME_LOWER"))
        oh, ow = -(-h // stride), -(-w // stride)
    else:
        pads = [net.r.choice((span // 2, span // 2, span // 2, 0, span - span // 2)) for _ in range(4)]
        oh, ow = ((e + pads[i] + pads[i + 2] - span - 1) // stride + 1 for i, e in enumerate((h, w)))
        if oh < 1 or ow < 1:
            return None
        attributes["pads"] = pads
    y = net.op("Conv", inputs, [n, out, oh, ow], **attributes)
    return activation(net, y) if act and net.chance(0.7) else y


def depthwise(net, x):
    return (
        conv(net, x, out=x.shape[1], groups=x.shape[1], kernel=net.r.choice((3, 3, 5, 1)))
        if len(x.shape) == 4
        else None
    )


def batch_norm(net, x):
    if len(x.shape) < 2:
        return None
    c = x.shape[1]
    scale, var = numbers(net, [c]), np.abs(numbers(net, [c])) + 1e-3
    if net.chance(0.1):
        scale[net.r.randrange(c)] = 0
    inputs = [net.constant(v) for v in (scale, numbers(net, [c], 0.0), numbers(net, [c], 0.0), var)]
    return net.op("BatchNormalization", [x, *inputs], x.shape, epsilon=net.r.choice((1e-5, 1e-3)))


def hard_sigmoid(net, x):
    """In one operator, or in the parts that exporters write."""
    if net.chance(0.5):
        return net.op("HardSigmoid", [x], x.shape, alpha=1 / 6 if net.chance(0.8) else 0.2, beta=0.5)
    y = net.op("Add", [x, net.constant(np.float32(3))], x.shape)
    return net.op("Div", [net.clip(y, 0, 6), net.constant(np.float32(6))], x.shape)


def activation(net, x):
    kind = net.r.choice(
        ("Relu",) * 6 + ("Clip",) * 4 + ("HardSwish",) * 6 + ("HardSigmoid", "Sigmoid", "SiLU", "LeakyRelu", "PRelu")
    )
    kind = "Tanh" if net.chance(0.01) else kind
    if kind == "Clip":
        return net.clip(x, *net.r.choice(((0, 6), (0, 6), (-1, 1), (0, 1), (-0.5, 3))))
    if kind == "HardSwish":
        if net.opset >= 14 and net.chance(0.5):
            return net.op("HardSwish", [x], x.shape)
        return net.op("Mul", [x, hard_sigmoid(net, x)][:: net.r.choice((1, -1))], x.shape)
    if kind == "HardSigmoid":
        return hard_sigmoid(net, x)
    if kind == "SiLU":
        return net.op("Mul", [x, net.op("Sigmoid", [x], x.shape)], x.shape)
    if kind == "LeakyRelu":
        return net.op("LeakyRelu", [x], x.shape, alpha=net.r.choice((0.01, 0.1, 0.3, 0.0, -0.2, 1.5)))
    if kind == "PRelu":
        shape = [x.shape[1]] + [1] * (len(x.shape) - 2) if len(x.shape) > 1 and net.chance(0.7) else [1]
        return net.op("PRelu", [x, net.constant(numbers(net, shape, 0.2, 0.2))], x.shape)
    return net.op(kind, [x], x.shape)


def residual(net, x):
    """x plus a branch from it, in either order."""
    if len(x.shape) == 4:
        y = conv(net, x, out=x.shape[1], kernel=1, stride=1)
    else:
        y = activation(net, x)
    if y is None or y.shape != x.shape:
        return None
    both = [x, y][:: net.r.choice((1, -1))]
    kind = net.r.choice(("Add", "Add", "Add", "Add", "Sum", "Mul", "Sub", "Max", "Min"))
    return net.op(kind, both, x.shape)


def squeeze_excite(net, x):
    if len(x.shape) != 4:
        return None
    n, c = x.shape[:2]
    pooled = (
        net.op("GlobalAveragePool", [x], [n, c, 1, 1]) if net.chance(0.5) else net.reduce("ReduceMean", x, [2, 3], True)
    )
    small = conv(net, pooled, out=max(1, c // 2), kernel=1, stride=1, act=False)
    if small is None or small.shape[2:] != (1, 1):
        return None
    gate = conv(net, net.op("Relu", [small], small.shape), out=c, kernel=1, stride=1, act=False)
    if gate is None or gate.shape != pooled.shape:
        return None
    gate = hard_sigmoid(net, gate) if net.chance(0.6) else net.op("Sigmoid", [gate], gate.shape)
    return net.op("Mul", [x, gate][:: net.r.choice((1, -1))], x.shape)


def pool(net, x):
    if len(x.shape) != 4 or min(x.shape[2:]) < 2:
        return None
    kind, k = net.r.choice(("MaxPool", "AveragePool")), net.r.choice((2, 3))
    stride, pad = net.r.choice((1, 2)), net.r.choice((0, 0, 1))
    if pad >= k or min(x.shape[2:]) + 2 * pad < k:
        return None
    extents = [(e + 2 * pad - k) // stride + 1 for e in x.shape[2:]]
    include = net.r.choice((0, 1)) if kind == "AveragePool" else None
    return net.op(
        kind,
        [x],
        [*x.shape[:2], *extents],
        kernel_shape=[k, k],
        strides=[stride] * 2,
        pads=[pad] * 4,
        count_include_pad=include,
    )


def global_pool(net, x):
    if len(x.shape) != 4:
        return None
    kind = net.r.choice(("GlobalAveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMean"))
    if kind == "ReduceMean":
        return net.reduce(kind, x, [2, 3], net.chance(0.5))
    return net.op(kind, [x], [*x.shape[:2], 1, 1])


def flatten(net, x):
    if len(x.shape) < 2:
        return None
    shape = [x.shape[0], int(np.prod(x.shape[1:]))]
    how = net.r.randrange(3)
    if how == 0:
        return net.op("Flatten", [x], shape, axis=1)
    if how == 1 or net.free_batch:
        return net.reshape(x, shape, net.r.choice(([-1, shape[1]], [0, -1], shape)))
    return net.squeeze(x, [2, 3]) if len(x.shape) == 4 and x.shape[2:] == (1, 1) else net.reshape(x, shape, [0, -1])


def dense(net, x):
    """Gemm in its forms, or MatMul and Add."""
    if len(x.shape) != 2:
        return None
    k, out = x.shape[1], net.r.choice((2, 5, 10))
    if k > 4096:
        return None
    w, b = net.w.randn(k, out) / np.sqrt(k), numbers(net, [out], 0.0)
    shape = [x.shape[0], out]
    if net.chance(0.3):
        y = net.op("MatMul", [x, net.constant(w, weight=True)], shape)
        return net.op("Add", [y, net.constant(b)][:: net.r.choice((1, -1))], shape) if net.chance(0.7) else y
    turned = int(net.chance(0.7))
    inputs = [x, net.constant(w.T if turned else w, weight=True)]
    if net.chance(0.8) or net.opset < 11:
        inputs.append(net.constant(net.r.choice((b, b, b, b[None], b[:1], b[0]))))
    scales = dict(alpha=0.5, beta=net.r.choice((1.0, 2.0, 0.0))) if net.chance(0.15) else {}
    return net.op("Gemm", inputs, shape, transB=turned, **scales)


# odd: what people put around it


def affine(net, x):
    """A constant on one side of Mul, Add, Sub or Div; Neg; several in a row."""
    for _ in range(net.r.choice((1, 1, 1, 2, 3))):
        kind = net.r.choice(("Mul", "Add", "Sub", "Div", "Mul", "Add", "Neg", "BatchNormalization"))
        if kind == "Neg":
            x = net.op("Neg", [x], x.shape)
        elif kind == "BatchNormalization":
            x = batch_norm(net, x) or x
        else:
            shape = per_channel(net, x)
            c = numbers(net, shape, net.r.choice((1, 1, 0.5, 2, 0, 127.5)))
            if kind == "Div":
                c = np.where(np.abs(c) < 1e-25, np.float32(0.5), c).astype(np.float32)
            pair = [x, net.constant(c)]
            if kind != "Div" and net.chance(0.4):
                pair.reverse()
            x = net.op(kind, pair, x.shape)
    return x


def inverse(net, x):
    """A constant divided by the value, which is no affine map."""
    y = (
        net.clip(x, 0.5, 2)
        if net.opset < 11
        else net.op("Clip", [x, *(net.constant(np.float32(v)) for v in (0.5, 2))], x.shape)
    )
    return net.op("Div", [net.constant(numbers(net, per_channel(net, x))), y], x.shape)


def transposes(net, x):
    """There and back with something between, or anywhere."""
    rank = len(x.shape)
    if rank < 2:
        return None
    if rank == 4 and net.chance(0.75):
        y = net.transpose(x, (0, 2, 3, 1))
        if net.chance(0.4):
            y = net.op("Relu", [y], y.shape)
        elif net.chance(0.4):
            y = net.op(net.r.choice(("Mul", "Add", "Sub")), [y, net.constant(numbers(net, [y.shape[3]]))], y.shape)
        elif net.chance(0.3):
            return net.reduce("ReduceMean", y, [1, 2], net.chance(0.5))
        return net.transpose(y, (0, 3, 1, 2))
    perm = list(range(rank))
    net.r.shuffle(perm)
    if net.chance(0.7) and perm[0] != 0:
        perm.remove(0)
        perm.insert(0, 0)
    return net.transpose(x, perm)


def channel_order(net, x):
    """Channels turned, permuted or chosen: by Slice, Gather, or Split and Concat."""
    if len(x.shape) < 2 or x.shape[1] < 2:
        return None
    c, how = x.shape[1], net.r.randrange(4)
    if how == 0 and net.opset >= 10:
        return net.slice(x, 1, -1, None, -1) if net.chance(0.6) else net.slice(x, 1, net.r.randrange(c), None, 1)
    if how == 1:
        order = (
            list(range(c))[::-1]
            if net.chance(0.4)
            else net.r.sample(range(c), c) if net.chance(0.6) else [net.r.randrange(c) for _ in range(c)]
        )
        return net.op("Gather", [x, net.ints(order)], x.shape, axis=1)
    first = net.r.randrange(1, c)
    sizes = [1] * c if c < 5 and net.chance(0.5) else [first, c - first]
    parts = net.split(x, 1, sizes)
    if how == 2:
        order = parts[::-1] if net.chance(0.7) else parts
        return net.op("Concat", order, x.shape, axis=1)
    if net.chance(0.3):
        net.output(parts[-1])
    return parts[0]


def spatial_slice(net, x):
    axis = net.r.randrange(1, len(x.shape)) if len(x.shape) > 1 else 0
    if not x.shape or x.shape[axis] < 3:
        return None
    step = net.r.choice((1, 1, 2)) if net.opset >= 10 else 1
    return net.slice(x, axis, net.r.choice((0, 1)), x.shape[axis] - net.r.choice((0, 1)), step)


def pick(net, x):
    """Gather of one index: the axis disappears."""
    if len(x.shape) < 2:
        return None
    axis = net.r.randrange(1, len(x.shape))
    index = net.constant(np.array(net.r.randrange(-1, x.shape[axis]), np.int64))
    return net.op("Gather", [x, index], [d for k, d in enumerate(x.shape) if k != axis], axis=axis)


def reduction(net, x):
    if not x.shape:
        return None
    kind = net.r.choice(("ReduceMean", "ReduceMean", "ReduceSum", "ReduceMax"))
    low = 0 if net.chance(0.1) else min(1, len(x.shape) - 1)
    axes = sorted(net.r.sample(range(low, len(x.shape)), net.r.randint(1, max(1, len(x.shape) - low))))
    if net.chance(0.3):
        for axis in reversed(axes):  # one after the other
            x = net.reduce(kind, x, [axis], False)
        return x
    return net.reduce(kind, x, axes, net.chance(0.5))


def reshapes(net, x):
    """Ranks up and down, keeping every number in its place; now and then a shuffle of channels."""
    rank = len(x.shape)
    how = net.r.randrange(5)
    if how == 0 and rank < 5:
        axes = sorted(net.r.sample(range(rank + 1), 1))
        x = net.unsqueeze(x, axes)
        return net.squeeze(x, axes) if net.chance(0.5) else x
    if how == 1 and rank == 4:
        n, c, h, w = x.shape
        y = net.reshape(x, [n, c, h * w], net.r.choice(([0, 0, -1], [n, c, h * w])))
        y = net.reduce("ReduceMean", y, [2], net.chance(0.5)) if net.chance(0.3) else y
        return net.reshape(y, x.shape) if y.shape == (n, c, h * w) and net.chance(0.6) else y
    if how == 2 and rank == 4 and x.shape[1] % 2 == 0:
        n, c, h, w = x.shape
        y = net.transpose(net.reshape(x, [n, 2, c // 2, h, w]), (0, 2, 1, 3, 4))
        return net.reshape(y, x.shape)
    if how == 3:
        ones = [k for k, d in enumerate(x.shape) if d == 1 and (k or net.chance(0.2))]
        return net.squeeze(x, ones) if ones else None
    return net.reshape(x, x.shape, [0] * rank if rank and net.chance(0.5) else None) if rank else None


def pads(net, x):
    if len(x.shape) != 4:
        return None
    mode = net.r.choice(("constant", "constant", "edge", "reflect"))
    before, after = [0] * 4, [0] * 4
    for k in (2, 3):
        if x.shape[k] > 2:
            before[k], after[k] = net.r.choice((0, 1, 1, 2)), net.r.choice((0, 1, 1))
    if net.chance(0.1):
        after[1] = 1 if mode == "constant" else 0
    value = net.r.choice((0.0, 0.5, -1.0)) if mode == "constant" and net.chance(0.6) else None
    y = net.pad(x, before, after, mode, value)
    return conv(net, y, kernel=3) or y if min(y.shape[2:]) > 2 and net.chance(0.6) else y


def cast_like(net, x):
    if net.opset < 15:
        return net.op("Cast", [x], x.shape, to=1)
    c = net.constant(numbers(net, per_channel(net, x)).astype(np.float16))
    like = net.op("CastLike", [c, x], [])
    return net.op(net.r.choice(("Add", "Mul")), [x, like], x.shape)


def concat(net, x):
    if len(x.shape) == 4:
        y = conv(net, x, kernel=1, stride=1)
        if y is None or y.shape[2:] != x.shape[2:]:
            return None
    else:
        y = activation(net, x)
    axis = 1 if len(x.shape) > 1 else 0
    if not x.shape:
        return None
    shape = list(x.shape)
    shape[axis] += y.shape[axis]
    return net.op("Concat", [x, y], shape, axis=axis)


def nothing(net, x):
    kind = net.r.choice(("Identity", "Dropout", "AddZero", "MulOne", "Abs", "Pad0"))
    if kind == "AddZero":
        return net.op("Add", [x, net.constant(np.float32(0))], x.shape)
    if kind == "MulOne":
        return net.op("Mul", [x, net.constant(np.float32(1))], x.shape)
    if kind == "Pad0":
        return net.pad(x, [0] * len(x.shape), [0] * len(x.shape)) if x.shape else None
    return net.op(kind, [x], x.shape)


def soft(net, x):
    if not x.shape:
        return None
    kind = net.r.choice(("Softmax", "LogSoftmax"))
    axis = net.r.randrange(1, len(x.shape)) if len(x.shape) > 1 else 0
    return net.op(kind, [x], x.shape, axis=axis - len(x.shape) if net.opset >= 11 and net.chance(0.3) else axis)


def side_output(net, x):
    net.output(x)
    return x


def expand_back(net, x):
    """From [N,C] or less to four axes again, for a convolution."""
    if not 1 <= len(x.shape) < 4:
        return None
    y = net.unsqueeze(x, list(range(len(x.shape), 4)))
    return conv(net, y, kernel=1) or y


# tails: what they put behind it


def arg_max(net, x):
    axis, keep = net.r.randrange(len(x.shape)) if net.chance(0.3) else len(x.shape) - 1, net.r.choice((0, 1))
    shape = [1 if k == axis else d for k, d in enumerate(x.shape) if keep or k != axis]
    return (
        net.op(
            "ArgMax",
            [x],
            shape,
            axis=axis - len(x.shape) if net.opset >= 11 and net.chance(0.3) else axis,
            keepdims=keep,
        ),
        7,
    )


def top_k(net, x):
    axis = len(x.shape) - 1
    k = min(x.shape[axis], net.r.choice((1, 2, 5)))
    shape = [*x.shape[:axis], k]
    if net.opset < 10:
        values, indices = net.op("TopK", [x], [shape, shape], outputs=2, axis=axis, k=k)
    else:
        values, indices = net.op(
            "TopK",
            [x, net.ints([k])],
            [shape, shape],
            outputs=2,
            axis=-1,
            largest=0 if net.opset >= 11 and net.chance(0.2) else None,
        )
    net.output(values)
    return indices, 7


PLAIN4 = (conv, conv, conv, depthwise, depthwise, residual, squeeze_excite, pool, activation, batch_norm)
PLAIN = (dense, dense, activation)
ODD = (
    affine,
    affine,
    affine,
    affine,
    inverse,
    transposes,
    transposes,
    channel_order,
    channel_order,
    spatial_slice,
    pick,
    reduction,
    reduction,
    reshapes,
    reshapes,
    pads,
    pads,
    cast_like,
    concat,
    nothing,
    soft,
    side_output,
    expand_back,
    batch_norm,
    activation,
)
