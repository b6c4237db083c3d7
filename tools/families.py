#!/usr/bin/env python3
"""Exports networks of timm, torchvision, Keras and PaddlePaddle afresh, runs them with kitfox, and compares with what
the framework itself computed. Writes docs/FAMILIES.md, or checks against it.

  tools/families.py build/dev/programs/kitfox            everything; what is exported already is kept
  tools/families.py KITFOX --only timm --limit 5         one section, its first networks; the table on standard output
  tools/families.py KITFOX --check                       what the page says imports has to, with the right numbers
  tools/families.py KITFOX --install                     make the three environments first (8 GB)

The environments are ~/.cache/kitfox/fresh (torch torchvision timm onnx onnxscript), keras (tensorflow-cpu tf2onnx
pillow) and paddle (paddlepaddle paddle2onnx packaging pillow); exported files lie in
~/.cache/kitfox/families. int8 needs the photos of ../shared/data. Without environments or files it ends with 77, the
status of a test that was skipped.
"""

import argparse
import collections
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kitfox")
PEERS = os.environ.get("KITFOX_PEERS") or os.path.join(CACHE, "truth", "bin", "python")
try:
    import numpy as np
    import onnx
except ImportError:
    if os.environ.get("KITFOX_AGAIN") or not os.path.exists(PEERS):
        print("SKIP: the interpreter of KITFOX_PEERS with onnx and numpy is missing")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)

sys.path.insert(0, os.path.join(ROOT, "tests", "families"))
import plan  # noqa: E402

FILES = os.path.join(CACHE, "families")
PHOTOS = os.path.join(os.environ.get("KITFOX_SHARED") or os.path.join(ROOT, "..", "shared"), "data", "imagenet-sample")
PAGE = os.path.join(ROOT, "docs", "FAMILIES.md")
ENVIRONMENTS = {
    "torch": ("fresh", "torch torchvision timm onnx onnxscript onnxruntime numpy"),
    "keras": ("keras", "tensorflow-cpu tf2onnx pillow"),
    "paddle": ("paddle", "paddlepaddle paddle2onnx packaging pillow"),
}
TOLERANCE = 1e-4  # of the largest output; three times the error of ONNX Runtime where that is more
CALIBRATE, HELD = 30, 45

Row = collections.namedtuple("Row", "name nodes steps difference peer int8 reason")


def options():
    p = argparse.ArgumentParser()
    p.add_argument("kitfox")
    p.add_argument("--only", choices=plan.SECTIONS)
    p.add_argument("--limit", type=int, default=10**6, help="networks of a section")
    p.add_argument("--seconds", type=float, default=3600, help="time for all; what is not done by then is left out")
    p.add_argument("--check", action="store_true")
    p.add_argument("--install", action="store_true")
    p.add_argument("--no-int8", action="store_true", help="quantize none")
    p.add_argument("--int8", action="store_true", help="quantize every network, not only the mobile ones")
    return p.parse_args()


def library_of(name):
    return name.split("/")[0] if name.split("/")[0] in ENVIRONMENTS else "torch"


def python_of(library):
    return os.path.join(CACHE, ENVIRONMENTS[library][0], "bin", "python")


def install():
    for library, (folder, packages) in ENVIRONMENTS.items():
        if not os.path.exists(python_of(library)):
            subprocess.run([sys.executable, "-m", "venv", os.path.join(CACHE, folder)], check=True)
            subprocess.run([python_of(library), "-m", "pip", "install", "-q", *packages.split()], check=True)


def path_of(name):
    return os.path.join(FILES, name.replace("/", "."))


def export(names, seconds):
    """Exports what is missing, as long as there is time; a library in one process."""
    os.makedirs(FILES, exist_ok=True)
    end = time.monotonic() + seconds
    for library in ENVIRONMENTS:
        missing = [n for n in names if library_of(n) == library and not os.path.exists(path_of(n) + ".json")]
        if not missing or not os.path.exists(python_of(library)) or time.monotonic() > end:
            continue
        print(f"exporting {len(missing)} networks with {library}", file=sys.stderr, flush=True)
        script = os.path.join(ROOT, "tests", "families", f"export_{library}.py")
        try:
            subprocess.run(
                [python_of(library), script, FILES, PHOTOS, *missing],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=max(1, end - time.monotonic()),
            )
        except subprocess.TimeoutExpired:
            pass


def kitfox(program, *words):
    p = subprocess.run([program, *words], capture_output=True, text=True, timeout=600)
    if p.returncode < 0:
        raise SystemExit(f"FAIL  kitfox {' '.join(words)}: signal {-p.returncode}")
    return p


def reason_of(text):
    """A refusal without the file's name: the node, its operator and why."""
    lines = [line for line in text.splitlines() if "kitfox:" in line]
    line = re.sub(r"^kitfox: (\S+\.onnx: )?", "", lines[-1] if lines else text.strip()[-200:])
    return line.split("; see `kitfox check`")[0].replace("|", "/")[:200]


def choose(folder):
    """Folders of links to photos, without the labels that lie beside them: to calibrate, and to compare on."""
    files = sorted(f for f in os.listdir(PHOTOS) if f.endswith(".JPEG"))
    chosen = [files[k * len(files) // (CALIBRATE + HELD)] for k in range(CALIBRATE + HELD)]
    calib, held = (os.path.join(folder, name) for name in ("calib", "held"))
    for k, name in enumerate(chosen):
        part = calib if k % 5 < 5 * CALIBRATE // (CALIBRATE + HELD) else held
        os.makedirs(part, exist_ok=True)
        os.symlink(os.path.join(os.path.abspath(PHOTOS), name), os.path.join(part, name))
    return calib, held


def quantized(program, path, facts, folder):
    """Agreement and SQNR of int8 with float on pictures that did not calibrate; or why it is not quantized. Remembered
    as long as the float network compiles into the same bytes."""
    how = [
        "--mean",
        ",".join(f"{v:.9g}" for v in facts["mean"]),
        "--std",
        ",".join(f"{v:.9g}" for v in facts["std"]),
        "--crop-pct",
        "1",
    ]
    fine, coarse = os.path.join(folder, "float.kfx"), os.path.join(folder, "int8.kfx")
    p = kitfox(program, "import", path + ".onnx", "-o", fine, *how)
    if p.returncode:
        return reason_of(p.stderr)
    with open(fine, "rb") as f:
        key = hashlib.sha256(f.read()).hexdigest()
    if os.path.exists(path + ".int8"):
        with open(path + ".int8") as f:
            known, result = json.load(f)
        if known == key and "%" in result:
            return result
    calib, held = choose(folder)
    p = kitfox(program, "quantize", path + ".onnx", "--calib", calib, "--no-doctor", "-o", coarse, *how)
    if p.returncode == 0:
        p = kitfox(program, "compare", fine, coarse, "--data", held, "--json")
    if p.returncode:
        return reason_of(p.stderr)
    total = next(line for line in map(json.loads, p.stdout.splitlines()) if line["kind"] == "comparison")
    result = f"{total['agreement']:.0f} %, {total['sqnr_db']:.1f} dB"
    with open(path + ".int8", "w") as f:
        json.dump([key, result], f)
    return result


def beside(ours, theirs):
    """The largest difference beside the largest number; infinite where the sizes differ or a number is missing."""
    if ours.size != theirs.size or not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours.reshape(-1) - theirs.reshape(-1)).max() / np.abs(theirs).max())


def of_peer(path, x, truth):
    """How far ONNX Runtime is from the framework; None where it cannot run the file."""
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = (
            onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
            4,
        )
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return beside(session.run(None, {session.get_inputs()[0].name: x})[0], truth)
    except Exception:
        return None


def measured(program, name, int8):
    """The row of one exported network; None where it is not exported yet."""
    path = path_of(name)
    if not os.path.exists(path + ".json"):
        return None
    with open(path + ".json") as f:
        facts = json.load(f)
    if "failed" in facts:
        return Row(name, "", "", None, None, "", f"not exported: {facts['failed']}")
    nodes = len(onnx.load(path + ".onnx").graph.node)
    with tempfile.TemporaryDirectory(prefix="kitfox-families-") as folder:
        out = os.path.join(folder, "out.npy")
        p = kitfox(program, "run", path + ".onnx", path + ".in.npy", "-o", out)
        if p.returncode:
            return Row(name, nodes, "", None, None, "", reason_of(p.stderr))
        truth = np.load(path + ".out.npy")
        difference = beside(np.load(out), truth)
        peer = of_peer(path + ".onnx", np.load(path + ".in.npy"), truth)
        steps = json.loads(kitfox(program, "info", "--json", path + ".onnx").stdout)["nodes"]
        how = quantized(program, path, facts, folder) if int8 and os.path.isdir(PHOTOS) else ""
        return Row(name, nodes, steps, difference, peer, how, "")


def remembered(program, name, int8, build):
    """The row, computed once for each build of the program and each form of this file."""
    path = path_of(name) + ".row"
    if os.path.exists(path):
        with open(path) as f:
            saved = json.load(f)
        if saved["build"] == build and (not int8 or saved["int8"]):
            return Row(*saved["row"])
    row = measured(program, name, int8)
    if row:
        with open(path, "w") as f:
            json.dump({"build": build, "int8": int8, "row": list(row)}, f)
    return row


def short(name):
    """What a row is called: the network, and how it was exported where that differs within the section."""
    parts = name.split("/")
    how = [p for p in parts[1:-1] if p not in ("plain",)]
    return f"`{parts[-1]}`", f"{parts[0]}, " + ", ".join(
        f"opset {p}" if p.isdigit() else {"pre": "preprocessing inside"}.get(p, p) for p in how
    )


def right(row):
    return row.difference is not None and row.difference <= max(TOLERANCE, 3 * (row.peer or 0))


def table(rows, int8):
    head = "| network | export | nodes | steps | difference | ONNX Runtime's |" + (" int8 |" if int8 else "")
    lines = [head, "|---" * head.count(" |") + "|"]
    for row in rows:
        network, how = short(row.name)
        result = (
            row.reason if row.difference is None else f"{row.difference:.1e}" + ("" if right(row) else " **wrong**")
        )
        peer = "" if row.peer is None else f"{row.peer:.1e}"
        lines.append(
            f"| {network} | {how} | {row.nodes} | {row.steps} | {result} | {peer} |"
            + (f" {row.int8} |" if int8 else "")
        )
    return lines


def summary(rows):
    """n exported, n imported, the worst difference."""
    made = [r for r in rows if not r.reason.startswith("not exported")]
    good = [r for r in made if r.difference is not None]
    worst = max((r.difference for r in good), default=0)
    return f"{len(good)} of {len(made)} import; the largest difference is {worst:.1e}."


HEAD = """# Families: networks of other exporters, tried afresh

`tools/families.py KITFOX` writes this page. It exports each network with its framework, runs the file with `kitfox run`
and compares with what the **framework itself** computed.

- **Weights** are random. Every batch norm has the statistics of 24 photos and scales and offsets of its own, so that
  folding is tested. Logits are spread over 10 classes. Inputs are 96 x 96 pixels where a network allows that.
- **nodes**: of the file; **steps**: of the compiled program.
- **difference**: the largest, beside the largest output. **ONNX Runtime's** is the same for ONNX Runtime without its
  optimizations. Networks with random weights amplify rounding, some a thousandfold. A difference is **wrong** where
  it is above 1e-4 and three times that of ONNX Runtime. A file with fp16 weights also rounds its input to fp16.
- **int8**: quantized from {calibrate} photos with default options; agreement of the best class with float, and SQNR of
  the outputs, on {held} other photos. Empty: not tried; `--int8` tries all. These numbers say little about trained
  networks (`docs/QUANTIZATION.md` has those): what amplifies the rounding of f32 amplifies that of 8 bits too.
- In place of a number: why the file was refused, with the node's name. `kitfox check MODEL.onnx` shows more.
"""


def page(sections, versions):
    lines = [
        HEAD.format(calibrate=CALIBRATE, held=HELD),
        "Versions: " + "; ".join(sorted(versions)) + ".",
        "",
        "| section | result |",
        "|---|---|",
    ]
    for section, rows in sections.items():
        lines.append(f"| {plan.SECTIONS[section]} | {summary(rows)} |")
    for section, rows in sections.items():
        lines += ["", f"## {plan.SECTIONS[section]}", ""] + table(rows, section in plan.INT8)
    return "\n".join(lines) + "\n"


def check(sections):
    """Everything that the page says imports still does, and no number is wrong."""
    with open(PAGE) as f:
        listed = f.read()
    faults = 0
    for section, rows in sections.items():
        for row in rows:
            network, how = short(row.name)
            line = re.search(re.escape(f"| {network} | {how} |") + r" \d+ \| (\d*) \|", listed)
            imported = bool(line and line.group(1))
            if row.difference is not None and not right(row) or row.difference is None and imported:
                faults += 1
                print(f"FAIL  {row.name}: {row.reason or f'difference {row.difference:.1e}'}")
        print(f"{section}: {summary(rows)}")
    return 1 if faults else 0


def main():
    o = options()
    o.kitfox = os.path.abspath(o.kitfox)
    if o.install:
        install()
    end = time.monotonic() + o.seconds
    wanted = {s: plan.names(s)[: o.limit] for s in plan.SECTIONS if o.only in (None, s)}
    export([n for names in wanted.values() for n in names], o.seconds * 0.6)
    build = hashlib.sha256(b"".join(open(name, "rb").read() for name in (o.kitfox, __file__))).hexdigest()
    sections, versions, late = {}, set(), 0
    for section, names in wanted.items():
        rows = []
        for name in names:
            if time.monotonic() > end:
                late += 1
                continue
            rows.append(
                remembered(
                    o.kitfox, name, plan.is_quantized(section, name, o.int8) and not o.no_int8 and not o.check, build
                )
            )
            if os.path.exists(path_of(name) + ".json"):
                with open(path_of(name) + ".json") as f:
                    versions.update(json.load(f).get("versions", "").split(", "))
        if any(rows):
            sections[section] = [r for r in rows if r]
    if late:
        print(f"{late} networks left out, for lack of time", file=sys.stderr)
    if not sections:
        print("SKIP: no exported networks, and no environment that exports them (tools/families.py --install)")
        return 77
    if o.check:
        return check(sections)
    text = page(sections, versions - {""})
    if o.only or o.limit < 10**6:
        print(text)
    else:
        with open(PAGE, "w") as f:
            f.write(text)
    return 0


sys.exit(main())
