"""The same network in its other forms: compiled to a file, simplified, exported, in int8. Each has to give what the
network itself gives; int8 something like it.
"""

import os
import re
import subprocess

import numpy as np
import onnx
import oracle

LEAST_SQNR = 3.0  # dB; odd numbers in random networks are hard on 8 bits, a wrong fold gives less


def verb(program, folder, *words):
    return subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=oracle.SECONDS)


def crashed(p):
    return p.returncode < 0 or p.returncode > 2 or "AddressSanitizer" in p.stderr or "runtime error" in p.stderr


def compiled(case):
    """The file gives the same bytes as the network that is compiled in memory."""
    p = verb(case.program, case.folder, "import", "model.onnx", "-o", "m.kfx")
    if p.returncode:
        return f"import: status {p.returncode}: {p.stderr[-200:]}"
    code, err, ours = oracle.kitfox_run(case.program, case.folder, case.files, case.names, case.several, "m.kfx")
    if code:
        return f"kfx: status {code}: {err[-200:]}"
    for name, y in ours.items():
        if not np.array_equal(y, case.ours[name], equal_nan=True):
            return f"kfx: {name} differs from the network in memory"
    return None


def rewritten(case, word):
    """The ONNX file that simplify or export writes, in ONNX Runtime."""
    p = verb(case.program, case.folder, word, "model.onnx", "-o", word + ".onnx")
    if p.returncode and re.search(r"outputs differ by \d\.\d+e-05 of the largest", p.stderr):
        case.notes.append(f"{word} refused: rounding is amplified beyond what it allows")
        return None
    if p.returncode:
        return f"{word}: status {p.returncode}: {p.stderr[-200:]}"
    other = onnx.load(os.path.join(case.folder, word + ".onnx"))
    try:
        found = oracle.truth(other, case.feeds)
    except Exception as e:
        return f"{word}: ONNX Runtime refuses it: {str(e)[-200:]}"
    for name, y in case.theirs.items():
        fault, _ = oracle.judge_output(case.model, case.feeds, name, found.get(name), y, case.double)
        if fault:
            return f"{word}: {name}: {fault}"
    return None


def sqnr(ours, theirs):
    noise = np.sum((ours.astype(np.float64) - theirs) ** 2)
    return 10 * np.log10(max(np.sum(theirs.astype(np.float64) ** 2), 1e-30) / max(noise, 1e-30))


def quantized(case):
    """int8 calibrated with inputs like the one that it is tried on. A refusal is none of a fault."""
    if len(case.feeds) != 1 or not case.plain:
        return None
    ((name, x),) = case.feeds.items()
    calib = os.path.join(case.folder, "calib")
    os.makedirs(calib, exist_ok=True)
    w = np.random.RandomState(7)
    for k in range(6):
        other = (
            w.randint(0, 256, x.shape).astype(np.uint8)
            if x.dtype == np.uint8
            else (w.randn(*x.shape) * x.std()).astype(np.float32)
        )
        np.save(os.path.join(calib, f"{k}.npy"), other if k else x)
    p = verb(case.program, case.folder, "quantize", "model.onnx", "--calib", "calib", "-o", "q.kfx")
    if crashed(p):
        return f"quantize: status {p.returncode}: {p.stderr[-200:]}"
    if p.returncode:
        case.notes.append("int8 refused: " + (oracle.refusal(case.model, p.stderr) or p.stderr.strip()[-120:]))
        return None
    code, err, ours = oracle.kitfox_run(case.program, case.folder, case.files, case.names, case.several, "q.kfx")
    if code:
        return f"int8: status {code}: {err[-200:]}"
    case.notes.append("int8")
    for output, y in ours.items():
        t = case.theirs[output]
        if t.dtype.kind == "f" and np.any(t) and (y.shape != t.shape or sqnr(y, t) < LEAST_SQNR):
            return (
                f"int8: {output}: {y.shape} for {t.shape}"
                if y.shape != t.shape
                else f"int8: {output}: SQNR {sqnr(y, t):.1f} dB"
            )
    return None


def fault_of(case):
    """The first form that is wrong, or None."""
    for check in (compiled, lambda c: rewritten(c, "simplify"), lambda c: rewritten(c, "export"), quantized):
        fault = check(case)
        if fault:
            return fault
    return None
