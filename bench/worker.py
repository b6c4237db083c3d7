#!/usr/bin/env python3
"""One peer in a process of its own: converts, times, starts or classifies; the answer is one JSON line on standard output.

  versions PEER
  convert PEER KIND MODEL FOLDER CALIBRATION.json    bench PEER PATH THREADS FRAMES INPUT.npy
  first PEER PATH THREADS INPUT.npy                  labels PEER PATH LIST.txt       idle INPUT.npy
"""
import gc
import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time


def answer_channel():
    """Engines print to descriptor 1; they get standard error instead, and the answer the real one."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return channel


def versions(peer):
    found = []
    for package in peer.PACKAGES:
        try:
            one = importlib.metadata.distribution(package)
            size = sum(os.path.getsize(p) for p in map(one.locate_file, one.files or []) if os.path.exists(p))
            found.append("%s %s" % (package, one.version) + " (%.0f MiB installed)" % (size / 2**20) * (package == peer.PACKAGES[0]))
        except importlib.metadata.PackageNotFoundError:
            pass
    return {"versions": ", ".join(found)}


def convert(peer, kind, model, folder, calibration):
    from peers import Missing
    with open(calibration) as f:
        calibration = json.load(f)
    try:
        path, note = peer.convert(model, kind, folder, calibration)
        return {"path": path, "note": note}
    except Missing as e:
        return {"missing": str(e)}
    except ModuleNotFoundError as e:
        return {"missing": "no module %s" % e.name}


def bench(peer, path, threads, frames, tensor):
    import numpy as np
    frames, x = int(frames), np.load(tensor)
    run = peer.load(path, int(threads))
    x = ready(run, x)
    times = []
    gc.disable()
    for i in range(-(frames // 10) - 3, frames):  # the same warm-up as kitfox bench
        start = time.perf_counter()
        run(x)
        if i >= 0:
            times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    return {"median_ms": times[frames // 2], "p90_ms": times[frames * 9 // 10], "rss_mib": rss(), "isa": run.isa() if hasattr(run, "isa") else ""}


def ready(run, x):
    return run.prepare(x) if hasattr(run, "prepare") else x


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def first(peer, path, threads, tensor):
    import numpy as np
    run = peer.load(path, int(threads))
    return {"label": int(np.argmax(run(ready(run, np.load(tensor)))))}


def labels(peer, path, listing):
    import numpy as np
    run = peer.load(path, 1)
    with open(listing) as f:
        return {"labels": [int(np.argmax(run(ready(run, np.load(line.strip()))))) for line in f]}


def idle(_, tensor):
    """What an interpreter with numpy costs by itself: no peer."""
    import numpy as np
    return {"label": int(np.load(tensor).size > 0), "rss_mib": rss()}


def main():
    channel = answer_channel()
    verb = {"versions": versions, "convert": convert, "bench": bench, "first": first, "labels": labels, "idle": idle}[sys.argv[1]]
    try:
        peer = importlib.import_module("peers." + sys.argv[2]) if verb is not idle else None
        result = verb(peer, *sys.argv[3 if verb is not idle else 2:])
    except Exception as e:
        result = {"failed": " ".join(("%s: %s" % (type(e).__name__, e)).split())[:200]}
    channel.write(json.dumps(result) + "\n")
    channel.flush()
    os._exit(0)  # an engine that crashes while it is torn down has still answered


if __name__ == "__main__":
    main()
