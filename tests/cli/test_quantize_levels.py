#!/usr/bin/env python3
"""The same samples give the same quantized file on every level with fused multiply-add; the others say that theirs may
be another one. Called by meson with the program's path."""
import hashlib
import os
import sys

from kit import EXAMPLES, ROOT, case, check, levels, run, run_cases

SOURCE = os.path.join(ROOT, "data", "everyday10.safetensors")
WITHOUT = ("scalar", "sse4")
NOTE = "no fused multiply-add"


@case
def one_file(folder):
    made = {}
    for level in levels():
        out = os.path.join(folder, level + ".kfx")
        code, _, err = run("quantize", SOURCE, "--calib", EXAMPLES, "-o", out, "-t", "2", env={"KITFOX_CPU": level})
        check(f"{level}: quantized, {'with' if level in WITHOUT else 'without'} the note", code == 0 and (NOTE in err) == (level in WITHOUT), err)
        with open(out, "rb") as f:
            made[level] = hashlib.sha256(f.read()).hexdigest()
    fused = {made[level] for level in made if level not in WITHOUT}
    check("one file on all levels with fused multiply-add", len(fused) <= 1, made)
    check("another one without: the note is true", not fused or not fused & {made[level] for level in made if level in WITHOUT}, made)
    out = os.path.join(folder, "verified.kfx")
    os.rename(os.path.join(folder, list(made)[0] + ".kfx"), out)
    for level in levels():
        check(f"the lowest level's file runs alike on {level}", run("verify", out, env={"KITFOX_CPU": level})[0] == 0)


@case
def yaml(folder):
    """The note comes for a configuration too, before anything else is judged."""
    path = os.path.join(folder, "c.yaml")
    with open(path, "w") as f:
        f.write("model_parameters:\n")
    code, _, err = run("quantize", path, env={"KITFOX_CPU": "scalar"})
    check("YAML on scalar", code == 1 and NOTE in err, err)


if __name__ == "__main__":
    sys.exit(run_cases())
