# Hard variants of a network that compute the same function: channels scaled where the next layer can take the factor back.
# usage: harden.py IN.onnx OUT.onnx KIND [SEED]; KIND: project, expand, dead, stem, all. IN: as `kitfox export` writes it (batch norms folded).
# Prints one line: what was changed, and the largest difference of the outputs (ONNX Runtime, random input) as a share of the largest output.
import sys

import numpy as np
import onnx
from onnx import numpy_helper


class Network:
    """A model with its weights as arrays, and who makes and reads each value."""

    def __init__(self, path):
        self.model = onnx.load(path)
        graph = self.model.graph
        self.weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
        self.maker = {o: n for n in graph.node for o in n.output}
        self.readers = {}
        for n in graph.node:
            for i in n.input:
                self.readers.setdefault(i, []).append(n)
        self.outputs = {o.name for o in graph.output}

    def group(self, n):
        return next((a.i for a in n.attribute if a.name == "group"), 1)

    def is_depthwise(self, n):
        return n.op_type == "Conv" and self.group(n) > 1

    def save(self, path):
        for t in self.model.graph.initializer:
            if t.data_type == onnx.TensorProto.FLOAT:
                t.CopyFrom(numpy_helper.from_array(self.weights[t.name].astype(np.float32), t.name))
        onnx.save(self.model, path)

    def channels(self, value):
        """All values that must be scaled with `value`: (makers, readers), both convolutions, or None where something is not homogeneous."""
        seen, todo, makers, readers = set(), [value], {}, {}
        while todo:
            v = todo.pop()
            if v in seen:
                continue
            seen.add(v)
            n = self.maker.get(v)
            if n is None or v in self.outputs:
                return None
            if n.op_type == "Conv":
                makers[n.output[0]] = n
            elif n.op_type == "Relu" or n.op_type == "Pad":
                todo.append(n.input[0])
            elif n.op_type == "Add" and not any(i in self.weights for i in n.input):
                todo += list(n.input)
            else:
                return None
            for r in self.readers.get(v, []):
                if r.op_type == "Conv" and r.input[0] == v:
                    readers[r.output[0]] = r
                elif r.op_type in ("Relu", "Pad", "Add"):
                    todo.append(r.output[0])
                else:
                    return None
        return list(makers.values()), list(readers.values())

    def scale(self, found, factors):
        makers, readers = found
        for n in makers:
            self.weights[n.input[1]] *= factors.reshape(-1, 1, 1, 1)
            if len(n.input) > 2:
                self.weights[n.input[2]] *= factors
        for n in readers:
            f = factors.reshape(-1, 1, 1, 1) if self.is_depthwise(n) else factors.reshape(1, -1, 1, 1)
            self.weights[n.input[1]] /= f


def convolutions(net):
    return [n for n in net.model.graph.node if n.op_type == "Conv"]


def harden(net, kind, random):
    done = 0
    taken = set()
    if kind in ("project", "expand", "all"):
        for n in convolutions(net):
            found = None if n.output[0] in taken or net.is_depthwise(n) else net.channels(n.output[0])
            if found is None or not found[1]:
                continue
            expand = all(net.is_depthwise(r) for r in found[1])
            if kind != "all" and expand != (kind == "expand"):
                continue
            count = net.weights[n.input[1]].shape[0]
            net.scale(found, 2.0 ** random.uniform(-4, 4, count))
            taken |= {m.output[0] for m in found[0]}
            done += count
    if kind in ("stem", "all"):  # the first channel group that can be scaled: the stem's where it has a ReLU
        found = next(f for f in (net.channels(n.output[0]) for n in convolutions(net)) if f and f[1])
        factors = np.ones(net.weights[found[0][0].input[1]].shape[0])
        factors[random.integers(len(factors))] = 50
        net.scale(found, factors)
        done += 1
    if kind in ("dead", "all"):
        done += kill(net)
    return done


def kill(net):
    """The weakest depthwise filters become 1e-10 with bias 5; the next bias takes that constant back. Dead filters change nothing."""
    done = 0
    for n in convolutions(net):
        found = net.channels(n.output[0]) if net.is_depthwise(n) else None
        if not found or len(found[0]) != 1 or any(net.is_depthwise(r) for r in found[1]):
            continue
        if not any(r.op_type == "Relu" for r in net.readers[n.output[0]]):
            continue
        w, b = net.weights[n.input[1]], net.weights[n.input[2]]
        read = sum(np.abs(net.weights[r.input[1]]).sum(axis=(0, 2, 3)) for r in found[1])
        c = int(np.argmin(np.abs(w).sum(axis=(1, 2, 3)) * read))
        for r in found[1]:
            net.weights[r.input[2]] -= net.weights[r.input[1]][:, c].sum(axis=(1, 2)) * (5 - max(b[c], 0))
        w[c], b[c] = 1e-10, 5
        done += 1
    return done


def difference(a, b):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    x = None
    y = []
    for path in (a, b):
        s = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shape = [d if isinstance(d, int) else 1 for d in s.get_inputs()[0].shape]
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32) if x is None else x
        y.append(s.run(None, {s.get_inputs()[0].name: x})[0].astype(np.float64))
    return float(np.abs(y[0] - y[1]).max() / np.abs(y[0]).max())


def main():
    source, target, kind = sys.argv[1:4]
    net = Network(source)
    done = harden(net, kind, np.random.default_rng(int(sys.argv[4]) if len(sys.argv) > 4 else 1))
    net.save(target)
    print(f"{kind}: {done} channels, largest difference {difference(source, target):.3g} of the largest output")


if __name__ == "__main__":
    main()
