"""Small ONNX files without any package: protobuf by hand, enough operators for tests of inputs and edges."""
import array
import math


def _varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _int(field, n):
    return _varint(field << 3) + _varint(n & (1 << 64) - 1)


def _bytes(field, data):
    data = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _value(name, shape):
    dims = b"".join(_bytes(1, _int(1, d)) for d in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, 1) + _bytes(2, dims)))


def _tensor(name, shape, values, kind=1):
    raw = array.array({1: "f", 7: "q"}[kind], values).tobytes()
    return b"".join(_int(1, d) for d in shape) + _int(2, kind) + _bytes(8, name) + _bytes(9, raw)


def weights(n, seed=1):
    return [math.sin(seed + 12.9898 * k) * 0.5 for k in range(n)]


class Graph:
    """nodes run from x; `out` is the last value's name."""

    def __init__(self, shape):
        self.shape, self.nodes, self.init, self.out = shape, [], [], "x"

    def const(self, shape, values, kind=1):
        self.init.append((f"c{len(self.init)}", shape, values, kind))
        return self.init[-1][0]

    def add(self, op, *more, **attributes):
        name = f"/{op}_{len(self.nodes)}"
        attrs = b""
        for k, v in attributes.items():
            body = _bytes(1, k) + (b"".join(_int(8, i) for i in v) + _int(20, 7) if isinstance(v, (list, tuple)) else _int(3, v) + _int(20, 2))
            attrs += _bytes(5, body)
        out = f"v{len(self.nodes)}"
        self.nodes.append(b"".join(_bytes(1, i) for i in (self.out, *more)) + _bytes(2, out) + _bytes(3, name) + _bytes(4, op) + attrs)
        self.out = out
        return name

    def conv(self, channels_in, channels_out, k=3):
        w = self.const([channels_out, channels_in, k, k], weights(channels_out * channels_in * k * k, len(self.nodes) + 1))
        b = self.const([channels_out], weights(channels_out, 5))
        return self.add("Conv", w, b, kernel_shape=[k, k], pads=[k // 2] * 4, strides=[2, 2])

    def fc(self, n_in, n_out):
        return self.add("Gemm", self.const([n_out, n_in], weights(n_out * n_in, 3)), self.const([n_out], weights(n_out, 4)), transB=1)

    def bytes(self, out_shape, opset=11, more=()):
        """`more`: further inputs, (name, shape) each."""
        graph = b"".join(_bytes(1, n) for n in self.nodes) + _bytes(2, "tiny") + b"".join(_bytes(5, _tensor(*t)) for t in self.init)
        graph += b"".join(_bytes(11, _value(*v)) for v in (("x", self.shape), *more)) + _bytes(12, _value(self.out, out_shape))
        return _int(1, 7) + _bytes(8, _bytes(1, "") + _int(2, opset)) + _bytes(7, graph)


def classifier(shape, channels, classes=5, before=(), after=()):
    """[Transpose] conv, relu, pool, flatten, fc [Softmax]; names of the nodes too."""
    g, names = Graph(shape), []
    if "Transpose" in before:
        names.append(g.add("Transpose", perm=[0, 3, 1, 2]))
    names += [g.conv(channels, 8), g.add("Relu"), g.conv(8, 12), g.add("Relu"), g.add("GlobalAveragePool"), g.add("Flatten", axis=1), g.fc(12, classes)]
    out = [1, classes]
    if "Softmax" in after:
        names.append(g.add("Softmax", axis=1))
    if "Reshape" in after:
        names.append(g.add("Reshape", g.const([3], [1, 1, classes], 7)))
        out = [1, 1, classes]
    return g.bytes(out), names


def mlp(n, classes=4):
    """A network without pictures: [1, n] to [1, classes]."""
    g = Graph([1, n])
    names = [g.fc(n, 16), g.add("Relu"), g.fc(16, classes)]
    return g.bytes([1, classes]), names
