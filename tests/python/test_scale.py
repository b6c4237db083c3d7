#!/usr/bin/env python3
"""examples/spark_classify.py and ray_classify.py: the answers of kitfox eval, killed workers, damaged pictures.

Usage: test_scale.py KITFOX, by a Python that has the package, PySpark, Ray, pandas and pyarrow (lab.py). With
../shared: mobilenetv3_large_100 on its 500 photos, listed KITFOX_COPIES times (default 20); else everyday10 on our
drawings.
"""
import csv
import os
import shutil
import signal
import subprocess
import sys
import time

from lab import need

need("kitfox", "pyspark", "ray", "pandas", "pyarrow")

from common import EXAMPLES, HAVE_SHARED, ROOT, case, check, kitfox, once, run, run_cases, shared  # noqa: E402

COPIES = int(os.environ.get("KITFOX_COPIES", "20"))
SECONDS = 3000
BROKEN = 3  # pictures that cannot be read; none is empty: Spark passes over empty files


@once
def material(folder):
    """A model, a folder of pictures with some that are damaged, and what kitfox eval says: {name: top-5}."""
    pictures, model = os.path.join(folder, "pictures"), os.path.join(folder, "model.kfx")
    if HAVE_SHARED:
        weights, names = shared("models", "mobilenetv3_large_100.safetensors"), shared("data", "imagenet_labels.json")
        kitfox.graph(weights, arch="mobilenetv3_large_100", labels=names).save(model)
        shutil.copytree(shared("data", "imagenet-sample"), pictures)
    else:
        kitfox.graph(os.path.join(ROOT, "data", "everyday10.safetensors")).save(model)
        shutil.copytree(EXAMPLES, pictures)
        with open(os.path.join(pictures, "labels.csv"), "w") as f:
            names = [n for n in sorted(os.listdir(pictures)) if n.endswith(".jpg")]
            print("file,class_index", *(f"{n},0" for n in names), sep="\n", file=f)
    code, out, err = run("eval", model, "--data", pictures, "--predictions", os.path.join(folder, "p.csv"))
    assert code == 0, err
    with open(os.path.join(folder, "p.csv")) as f:
        answers = {r["file"]: [int(r[f"top{k}"]) for k in range(1, 6)] for r in csv.DictReader(f)}
    names = sorted(answers)
    for k, (name, bytes_) in enumerate(zip(names, (b"\xff\xd8\xff", b"no picture", None))):
        with open(os.path.join(pictures, name), "rb") as f:
            whole = f.read()
        with open(os.path.join(pictures, f"broken{k}.jpg"), "wb") as f:
            f.write(whole[:len(whole) // 3] if bytes_ is None else bytes_)
    return model, pictures, answers


def descendants(pid):
    """{process: its command}, of all that began from `pid`."""
    parents, found = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    for child in parents:
        at = child
        while at in parents and at != pid:
            at = parents[at]
        if at == pid and child != pid:
            try:
                with open(f"/proc/{child}/cmdline") as f:
                    found[child] = f.read().replace("\0", " ")
            except OSError:
                pass
    return found, parents


def workers(pid, engine):
    """The processes that classify: Spark's Python workers are forked by a daemon of the same name."""
    commands, parents = descendants(pid)
    if engine == "ray":
        return [p for p, c in commands.items() if c.startswith("ray::") and "Classifier" in c]
    daemons = {p for p, c in commands.items() if "pyspark.daemon" in c}
    return [p for p in daemons if parents[p] in daemons]


def began(out):
    """Is there a part of the result already?"""
    files = [name for top in (out, out + ".part") for _, _, names in os.walk(top) for name in names]
    return any(name.endswith(".parquet") for name in files)


def execute(engine, args, out, folder, kill):
    """The example as a user runs it. `kill`: end one worker after the first part was written."""
    script = os.path.join(ROOT, "examples", engine + "_classify.py")
    env = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": folder, "SPARK_LOCAL_DIRS": folder,
           "TMPDIR": folder}
    killed = None
    with open(os.path.join(folder, "log"), "w+") as log:
        p = subprocess.Popen([sys.executable, script, *args], stdout=log, stderr=log, env=env)
        end = time.monotonic() + SECONDS
        while p.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
            there = workers(p.pid, engine) if kill and killed is None and began(out) else []
            if there:
                killed = there[0]
                os.kill(killed, signal.SIGKILL)
        if p.poll() is None:
            p.kill()
        log.seek(0)
        return p.wait(), log.read(), killed


def verdict(engine, folder, copies, kill):
    import pandas as pd

    model, pictures, answers = material()
    out = os.path.join(folder, "out.parquet")
    args = [model, pictures, out, "--copies", str(copies), "--no-exif"]
    code, log, killed = execute(engine, args, out, folder, kill)
    check(f"{engine}: status", code == 0, log[-3000:])
    if code:
        return
    print("      " + next((line for line in log.splitlines() if "pictures in" in line), "no summary"))
    rows = pd.read_parquet(out)
    rows["name"] = [os.path.basename(p) for p in rows["path"]]
    n = (len(answers) + BROKEN) * copies
    distinct = len(set(zip(rows["name"], rows["copy"])))
    check("    a row for each picture, none twice", len(rows) == n and distinct == n, (len(rows), distinct))
    failed = rows[rows["error"].fillna("") != ""]
    expected = {f"broken{k}.jpg" for k in range(BROKEN)}
    check("    damaged pictures are rows with their error",
          set(failed["name"]) == expected and len(failed) == BROKEN * copies, set(failed["name"]))
    good = rows[rows["error"].fillna("") == ""]
    wrong = [r.name for r in good.itertuples() if list(r.top)[:5] != answers[r.name]]
    check("    the answers of kitfox eval", not wrong, (len(wrong), wrong[:3]))
    if kill:
        check("    a worker was killed", killed is not None)
        check("    and others went on", bool(set(rows["worker"]) - {killed}), (killed, set(rows["worker"])))


@case
def spark(folder):
    if shutil.which("java"):
        verdict("spark", folder, COPIES, True)
    else:
        print("SKIP: no Java, so no Spark")


@case
def ray(folder):
    verdict("ray", folder, COPIES, True)


if __name__ == "__main__":
    sys.exit(run_cases())
