"""Random networks by number: most are small MobileNets with up to four odd things in or around them, one in ten is odd
things alone. What they are made of is in steps.py.
"""

import numpy as np
from net import Net
from onnx import TensorProto
from steps import (
    ODD,
    PLAIN,
    PLAIN4,
    affine,
    arg_max,
    channel_order,
    conv,
    dense,
    flatten,
    global_pool,
    nothing,
    soft,
    top_k,
)


def start(net, odd):
    """An input as networks have it: NCHW, NHWC, pixels in bytes, rows of numbers."""
    how = net.r.choice(("nchw",) * 8 + ("nhwc", "nhwc", "u8", "u8 nhwc", "rank 2", "rank 3", "gray")) if odd else "nchw"
    net.free_batch = net.chance(0.15)
    batch = 1 if net.free_batch or net.chance(0.8) else net.r.choice((2, 3, 4))
    c, h, w = net.r.choice((3, 3, 3, 1, 2, 4, 8)), net.r.randint(5, 12), net.r.randint(5, 12)
    if net.chance(0.5):
        w = h
    if how == "rank 2":
        return net.input([batch, net.r.choice((8, 17))])
    if how == "rank 3":
        return net.unsqueeze(net.input([c, h, w]), [0]) if not net.free_batch else net.input([batch, c, h])
    if how == "gray":
        x = net.input([batch, h, w, 1])
        return net.reshape(x, [batch, 1, h, w]) if net.chance(0.5) else net.transpose(x, (0, 3, 1, 2))
    last = how.endswith("nhwc")
    x = net.input([batch, h, w, c] if last else [batch, c, h, w], "u8" if how.startswith("u8") else "f32")
    if how.startswith("u8"):
        x = net.op("Cast", [x], x.shape, to=TensorProto.FLOAT)
        if net.chance(0.8):
            x = net.op("Div", [x, net.constant(np.float32(255))], x.shape)
    if last and net.chance(0.4):
        x = net.op(net.r.choice(("Sub", "Mul", "Add")), [x, net.constant(net.w.rand(c))], x.shape)
    return net.transpose(x, (0, 3, 1, 2)) if last else x


def apply(net, steps, x):
    """One of the steps that suits the value."""
    for _ in range(8):
        y = net.r.choice(steps)(net, x)
        if y is not None:
            return y if np.prod(y.shape) <= 20000 else x
    return x


def body(net, x, odd):
    """A few plain steps with `odd` odd ones at random places."""
    plan = ["plain"] * net.r.randint(1, 6) + ["odd"] * odd
    net.r.shuffle(plan)
    for step in plan:
        x = apply(net, ODD if step == "odd" else PLAIN4 if len(x.shape) == 4 else PLAIN, x)
    return x


def head(net, x, odd):
    """Pool, flatten, dense, with odd things between them."""
    if len(x.shape) == 4 and net.chance(0.8):
        x = global_pool(net, x)
    if net.chance(0.3 if odd else 0):
        x = apply(net, ODD, x)
    if len(x.shape) > 2:
        x = flatten(net, x)
    y = dense(net, x)
    x = y if y is not None else x
    if net.chance(0.3 if odd else 0):
        x = net.r.choice((affine, affine, nothing, soft))(net, x) or x
    return x


def tail(net, x):
    """What the network gives: scores, probabilities, the best class."""
    how = net.r.randrange(10)
    if how == 0 and x.shape:
        value, kind = arg_max(net, x)
        return net.output(value, kind)
    if how == 1 and x.shape:
        value, kind = top_k(net, x)
        return net.output(value, kind)
    if how == 2:
        x = soft(net, x) or x
    net.output(x)


def network(seed):
    """The network of this number: its model, and what its inputs are fed."""
    net = Net(seed)
    odd = net.r.choice((0, 1, 1, 2, 2, 3, 4))
    x = start(net, odd)
    if len(x.shape) == 4 and net.chance(0.3 if odd else 0):
        x = net.r.choice((affine, channel_order))(net, x) or x
    if odd and net.chance(0.1):
        for _ in range(odd + 1):
            x = apply(net, ODD, x)
    else:
        if len(x.shape) == 4 and net.chance(0.8):
            x = conv(net, x) or x
        x = body(net, x, odd)
        if net.chance(0.6):
            x = head(net, x, odd)
    if x.name in net.feeds:
        x = net.op("Relu", [x], x.shape)
    tail(net, x) if odd else net.output(x)
    return net.model(), net.feeds
