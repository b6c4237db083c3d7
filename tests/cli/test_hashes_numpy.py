#!/usr/bin/env python3
"""The whole quantized built-in network redone in numpy from docs/NUMERICS.md and docs/FORMAT.md, on the 20 inputs of test_hashes: the SHA-256 of
every step has to be the committed one. Shares no line of code with the kernels or the interpreter.

Arguments: test_hashes, the source root. Re-executes itself with the interpreter of KITFOX_PEERS when numpy is missing; skips (77) without.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys

import kit

try:
    import numpy as np
except ImportError:
    kit.rerun_with_numpy()

TEST, ROOT = sys.argv[1:3]
INPUTS, SIDE = 20, 64
F = np.float32
TYPES = {"F32": "<f4", "I32": "<i4", "I16": "<i2", "I8": "i1"}
STORED = {"u8": np.uint8, "i16": np.dtype("<i2"), "f32": np.dtype("<f4")}


class Model:
    """Program and constants of a .kfx file."""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        self.program = json.loads(header["__metadata__"]["kitfox.program"])
        self.const = []
        for name in self.program["consts"]:
            t = header[name]
            begin, end = (8 + size + x for x in t["data_offsets"])
            self.const.append(np.frombuffer(data[begin:end], TYPES[t["dtype"]]).reshape(t["shape"]))

    def of(self, step, role):
        i = step.get("consts", {}).get(role)
        return None if i is None else self.const[i]

    def zero(self, t):
        return self.const[t["zeros"]] if t.get("zeros", -1) >= 0 else np.int32(t.get("zero", 0))

    def scale(self, t):
        return self.const[t["scales"]] if t.get("scales", -1) >= 0 else F(t["scale"])


def clip(x, lo, hi):
    return np.minimum(np.maximum(x, F(lo)), F(hi))


def hsigmoid(x):
    return clip(x + F(3), 0, 6) * F(1 / 6)


def activate(act, x, k):
    """Rule 3. `act` is [kind, lo, hi] or None."""
    kind, lo, hi = act or ["clip", "-inf", "inf"]
    if kind == "clip":
        return clip(x, float(lo), float(hi))
    if kind == "hswish":
        return clip(x + F(3), 0, 6) * (x * (F(1 / 6) if k is None else k))
    if kind == "hsigmoid":
        return hsigmoid(x)
    if kind == "hardsigmoid":
        return clip(x * F(lo) + F(hi), 0, 1)
    raise SystemExit(f"FAIL  no rule here for {kind}")


def rounded(x, lo, hi, z):
    """Rule 5, the product with 1 / s excluded. Arrays of whole numbers."""
    assert x.dtype == np.float32
    return np.rint(np.minimum(np.maximum(x, np.asarray(lo - z, F)), np.asarray(hi - z, F))).astype(np.int64) + z


def epilogue(m, s, acc, values):
    """Rules 2 to 5 on sums [..., O]; f32 where the output is."""
    assert np.abs(acc).max() < 2 ** 31
    out, k, inv, fbias = m.program["tensors"][s["out"]], m.of(s, "k"), m.of(s, "inv"), m.of(s, "fbias")
    x = acc.astype(F) * m.of(s, "mul")
    if fbias is not None:
        x = x + fbias
    if not s.get("direct"):
        x = activate(s.get("act"), x, k)
        if len(s["in"]) > 1:
            t = m.program["tensors"][s["in"][1]]
            x = x + (values[s["in"][1]] - m.zero(t)).astype(F) * m.scale(t)
        if out["dtype"] == "f32":
            return x
        if inv is not None:
            x = x * inv
    return rounded(x, s.get("qlo", 0), s.get("qhi", 0), m.zero(out))


def convolve(m, s, values):
    t = m.program["tensors"][s["in"][0]]
    centred = values[s["in"][0]].astype(np.int64) - m.zero(t)
    w = m.of(s, "w").astype(np.int64)
    _, ho, wo, o = m.program["tensors"][s["out"]]["shape"]
    kh, kw, sh, sw = s["kh"], s["kw"], s["sh"], s["sw"]
    top, left, bottom, right = (s.get(p, 0) for p in ("pt", "pl", "pb", "pr"))
    assert s["group"] in (1, t["shape"][3]) and s["dh"] == s["dw"] == 1
    x = np.pad(centred, ((0, 0), (top, bottom), (left, right), (0, 0)))
    acc = np.zeros((INPUTS, ho, wo, o), np.int64)
    for y in range(kh):
        for c in range(kw):
            tap = x[:, y:y + (ho - 1) * sh + 1:sh, c:c + (wo - 1) * sw + 1:sw]
            acc += tap * w[y, c] if s["op"] == "dwconv" else tap @ w[:, y, c].T
    return epilogue(m, s, acc + bias_of(m, s, t, ho, wo), values)


def bias_of(m, s, t, ho, wo):
    """[O], or [Ho, Wo, O] where the bias depends on which taps are inside."""
    bias = m.of(s, "bias").astype(np.int64)
    if not s.get("border_bias"):
        return bias

    def classes(outputs, size, k, stride, pad):
        seen = []
        for o in range(outputs):
            inside = [i for i in range(k) if 0 <= o * stride - pad + i < size]
            seen.append((inside[0], inside[-1]))
        order = list(dict.fromkeys(seen))
        return np.array([order.index(x) for x in seen]), len(order)

    rows, _ = classes(ho, t["shape"][1], s["kh"], s["sh"], s.get("pt", 0))
    columns, n = classes(wo, t["shape"][2], s["kw"], s["sw"], s.get("pl", 0))
    return bias[rows[:, None] * n + columns[None, :]]


def pooled(m, s, values, mul, lo, hi, z):
    t = m.program["tensors"][s["in"][0]]
    total = (values[s["in"][0]].astype(np.int64) - m.zero(t)).sum(axis=(1, 2), keepdims=True)
    return rounded(total.astype(F) * mul, lo, hi, z)


def se_gate(m, s, values):
    mul = m.of(s, "k")
    pool = pooled(m, s, values, F(s["pool_mul"]) if mul is None else mul, -s["pool_qmax"], s["pool_qmax"], 0)
    x = (pool @ m.of(s, "w").astype(np.int64).T + m.of(s, "bias")).astype(F) * m.of(s, "mul")
    if not s.get("direct"):
        x = activate(s.get("act"), x, None) * F(s["hidden_inv"])
    hidden = rounded(x, s.get("qlo", 0), s["qhi"], 0)
    x = (hidden @ m.of(s, "w2").astype(np.int64).T + m.of(s, "bias2")).astype(F) * m.of(s, "mul2")
    return activate(s["gate_act"], x, None)


def scale(m, s, values):
    t, out = (m.program["tensors"][i] for i in (s["in"][0], s["out"]))
    r = (m.scale(t) * values[s["in"][1]]) * m.of(s, "inv")
    return rounded((values[s["in"][0]] - m.zero(t)).astype(F) * r, s.get("qlo", 0), s["qhi"], m.zero(out))


def run(m, s, values):
    if s["op"] in ("conv", "dwconv"):
        return convolve(m, s, values)
    if s["op"] == "fc":
        t = m.program["tensors"][s["in"][0]]
        bias = m.of(s, "bias")
        acc = (values[s["in"][0]].astype(np.int64) - m.zero(t)) @ m.of(s, "w").astype(np.int64).T
        return epilogue(m, s, acc if bias is None else acc + bias, values)
    if s["op"] == "global_pool":
        return pooled(m, s, values, m.of(s, "mul"), s.get("qlo", 0), s["qhi"], m.zero(m.program["tensors"][s["out"]]))
    if s["op"] in ("se_gate", "scale"):
        return {"se_gate": se_gate, "scale": scale}[s["op"]](m, s, values)
    raise SystemExit(f"FAIL  no rule here for {s['op']}")


@kit.case
def built_in_network():
    golden = os.path.join(ROOT, "tests", "golden")
    with open(os.path.join(golden, "everyday10_int8.hashes")) as f:
        want = {name: digest for digest, name in (line.rstrip("\n").split(" ", 1) for line in f if line[0] != "#")}
    pixels = subprocess.run([TEST, "--pixels"], capture_output=True, check=True, env={**os.environ, "KITFOX_SOURCE": ROOT}).stdout
    if hashlib.sha256(pixels).hexdigest() != want["pixels"]:
        raise SystemExit("FAIL  the decoder gives other pixels than when the hashes were made")
    m = Model(os.path.join(golden, "everyday10_int8_v1.kfx"))
    values = {m.program["inputs"][0]["tensor"]: np.frombuffer(pixels, np.uint8).reshape(INPUTS, SIDE, SIDE, 3)}
    logits, stored = None, [hashlib.sha256() for _ in range(INPUTS)]
    for i, s in enumerate(m.program["steps"]):
        logits = values[s["out"]] = run(m, s, values)
        data = logits.astype(STORED[m.program["tensors"][s["out"]]["dtype"]])
        assert (data == logits).all()
        name = f"step {i} {s['name']}"
        if hashlib.sha256(data.tobytes()).hexdigest() != want[name]:
            raise SystemExit(f"FAIL  numpy differs at {name}")
        for one, part in zip(stored, data):
            one.update(part.tobytes())
    inputs = [digest for name, digest in want.items() if name.startswith("input ")]
    if [h.hexdigest() for h in stored] != inputs or len(want) != 1 + len(m.program["steps"]) + INPUTS:
        raise SystemExit("FAIL  hashes of the inputs differ, or the file has other lines")
    top = [int(t) for t in logits.reshape(INPUTS, -1).argmax(axis=1)[::4]]
    if top != [0, 1, 6, 8, 9]:
        raise SystemExit(f"FAIL  classes {top} of airplane, automobile, frog, ship and truck: not a working network")
    kit.check(f"{len(m.program['steps'])} steps and {INPUTS} inputs, byte for byte", True)


sys.exit(kit.run_cases())
