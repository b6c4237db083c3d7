#!/usr/bin/env python3
"""examples/MobileNetV3.ipynb: its kept outputs can be read anywhere, and it gives them again from top to bottom.

Usage: test_notebook.py KITFOX, by a Python that has the package, nbclient, ipykernel and matplotlib (lab.py). What
depends on the machine is marked in the cell: "varies" (times) and "imagenet" (files that are not part of the
repository).
"""
import os
import re
import sys

from lab import need

need("kitfox", "nbformat", "nbclient", "ipykernel", "matplotlib", "PIL")

from common import HAVE_SHARED, ROOT, SHARED, case, check, run_cases  # noqa: E402

NOTEBOOK = os.path.join(ROOT, "examples", "MobileNetV3.ipynb")
NUMBER = re.compile(r"(-?\d+\.\d+)")
NEAR = 2e-3  # float32 sums run in another order on other kernels


def kept():
    import nbformat

    return nbformat.read(NOTEBOOK, 4)


def said(cell):
    """What a cell said as text, in order."""
    texts = []
    for o in cell.outputs:
        texts.append("".join(o.get("text", "")) or "".join(o.get("data", {}).get("text/plain", "")))
    return "".join(texts)


def rich(cell):
    """Kinds of what is more than text; a stream may come in several pieces."""
    kinds = [sorted(set(o.get("data", {})) - {"image/jpeg"}) for o in cell.outputs]
    return [k for k in kinds if k]


def tags(cell):
    return set(cell.metadata.get("tags", ()))


def same(a, b):
    """Equal words, and numbers with a point that are near."""
    a, b = NUMBER.split(a), NUMBER.split(b)
    if len(a) != len(b):
        return False
    return all(abs(float(x) - float(y)) <= NEAR * max(1, abs(float(x))) if k % 2 else x == y
               for k, (x, y) in enumerate(zip(a, b)))


def again(shared):
    """The notebook, executed from its own folder."""
    from nbclient import NotebookClient

    nb = kept()
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    os.environ["KITFOX_SHARED"] = shared
    where = {"metadata": {"path": os.path.dirname(NOTEBOOK)}}
    NotebookClient(nb, timeout=600, kernel_name="python3", resources=where).execute()
    return nb


@case
def readable():
    cells = [c for c in kept().cells if c.cell_type == "code"]
    check("every cell was run, in order", [c.execution_count for c in cells] == list(range(1, len(cells) + 1)))
    check("no errors are kept", not any(o.output_type == "error" for c in cells for o in c.outputs))
    check("nothing was said on standard error", not any(o.get("name") == "stderr" for c in cells for o in c.outputs))
    text = "".join(said(c) + "".join(o.get("data", {}).get("text/html", "") for o in c.outputs) for c in cells)
    check("no path of the machine that ran it", not re.search(r"/(tmp|root|home|work|Users)/", text), text)
    pictures = sum("image/png" in o.get("data", {}) for c in cells for o in c.outputs)
    check("pictures are in it", pictures >= 3, pictures)
    for words in ("kit fox", "frog", "Convert to runtime bin file successfully!", "agree"):
        check(f"    {words}", words in text)
    check("small enough to look at", os.path.getsize(NOTEBOOK) < 1 << 20, os.path.getsize(NOTEBOOK))


def compare(shared, leave):
    """Kept and new outputs, but for cells with a tag of `leave`."""
    for k, (old, new) in enumerate(zip(kept().cells, again(shared).cells)):
        if old.cell_type != "code" or tags(old) & leave:
            continue
        check(f"cell {k}: {old.source.splitlines()[0][:60]}", same(said(old), said(new)), (said(old), said(new)))
        check("    as rich", rich(old) == rich(new), (rich(old), rich(new)))


@case
def top_to_bottom():
    if HAVE_SHARED:
        compare(os.path.abspath(SHARED), {"varies"})


@case
def with_the_repository_alone(folder):
    compare(folder, {"varies", "imagenet"})


if __name__ == "__main__":
    sys.exit(run_cases())
