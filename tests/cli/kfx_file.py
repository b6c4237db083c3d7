"""A model file written by hand, with the right hash: for tests of what the loader must refuse (docs/FORMAT.md)."""
import hashlib
import json
import struct

PREFIX = b'{"__metadata__":{"kitfox.hash":"'


def model_file(program, tensors):
    """Bytes of a .kfx file. `tensors`: (name, dtype, shape, bytes) in the order of the container."""
    parts, at = [PREFIX + b"0" * 64 + b'","kitfox.program":' + json.dumps(json.dumps(program)).encode() + b"}"], 0
    for name, dtype, shape, data in tensors:
        about = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        parts.append(b"," + json.dumps(name).encode() + b":" + json.dumps(about).encode())
        at += len(data)
    header, body = b"".join(parts) + b"}", b"".join(t[3] for t in tensors)
    header += b" " * (-(8 + len(header)) % 64)
    file = bytearray(struct.pack("<Q", len(header)) + header + body)
    file[40:104] = hashlib.sha256(file).hexdigest().encode()
    return bytes(file)


class Program:
    """Tensors, constants and steps, one call each; every call gives the index."""

    def __init__(self):
        self.tensors, self.steps, self.consts, self.parts = [], [], [], []
        self.inputs, self.outputs = [], []

    def tensor(self, dtype, n, h, w, c, **quant):
        t = {"name": f"t{len(self.tensors)}", "dtype": dtype, "shape": [n, h, w, c]}
        if dtype != "f32":
            low, high = (0, 255) if dtype == "u8" else (-32767, 32767)
            t.update({"scale": 0.5, "zero": 0, "qmin": low, "qmax": high, "scales": -1, "zeros": -1, **quant})
        self.tensors.append(t)
        return len(self.tensors) - 1

    def const(self, dtype, shape, data, name=None):
        name = name or f"k{len(self.parts)}"
        self.parts.append((name, dtype, shape, data))
        self.consts.append(name)
        return len(self.consts) - 1

    def floats(self, n, value=0.25):
        return self.const("F32", [n], struct.pack("<f", value) * n)

    def ints(self, n, value=0):
        return self.const("I32", [n], struct.pack("<i", value) * n)

    def step(self, op, inputs, out, consts=None, **fields):
        self.steps.append({"op": op, "name": f"s{len(self.steps)}", "in": inputs, "out": out, "sources": [],
                           "consts": consts or {}, **fields})

    def end(self, kind, tensor):
        n, h, w, c = self.tensors[tensor]["shape"]
        more = {"layout": 0, "pixels": 0} if kind == "in" else {"probabilities": 0}
        ends = self.inputs if kind == "in" else self.outputs
        ends.append({"name": f"{kind}{len(ends)}", "tensor": tensor, "shape": [n, c, h, w], **more})

    def file(self):
        meta = {"name": "case", "quantized": 1, "parameters": 1, "macs": 1, "activations": 1, "labels": []}
        return model_file({"version": 1, "meta": meta, "inputs": self.inputs, "outputs": self.outputs,
                           "tensors": self.tensors, "consts": self.consts, "steps": self.steps}, self.parts)
