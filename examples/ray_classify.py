#!/usr/bin/env python3
"""Classify a folder of pictures with Ray Data: one row a picture, into Parquet.

    ray_classify.py MODEL PICTURES OUT [--workers 2] [--copies N] [--top 5] [--no-exif]

Each worker is an actor that loads MODEL once, from a path that it can read, and uses one core. Paths travel to the
actors, which read the pictures themselves. A picture that cannot be decoded is a row with its error. OUT is a new
folder of Parquet files; it has its name only when all of them are complete. Needs ray[data] and pandas. docs/SCALE.md
has the rest.
"""
import argparse
import logging
import os
import shutil
import time

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Classifier:
    """An actor. Ray starts another one, which loads the model again, when its process dies."""

    def __init__(self, model, top, exif):
        import kitfox

        self.model, self.top, self.exif = kitfox.load(model, threads=1), top, exif

    def __call__(self, batch):
        import numpy as np

        began = time.time()
        found = list(self.model.classify_iter(list(batch["path"]), k=self.top, threads=1, exif=self.exif))
        top = np.full((len(found), self.top), -1, np.int32)  # -1: there is none
        for row, r in zip(top, found):
            row[:len(r)] = [s.index for s in r]
        return {"path": batch["path"], "copy": batch["copy"], "label": np.array([r.label or "" for r in found]),
                "class_index": np.array([r.index if r.ok else -1 for r in found], np.int32),
                "score": np.array([r.score if r.ok else 0 for r in found], np.float32), "top": top,
                "error": np.array(["" if r.ok else str(r.error) for r in found]),
                "worker": np.full(len(found), os.getpid(), np.int32), "began": np.full(len(found), began),
                "ended": np.full(len(found), time.time())}


def pictures(folder):
    return sorted(os.path.join(here, name) for here, _, names in os.walk(os.path.abspath(folder))
                  for name in names if name.lower().endswith(SUFFIXES))


def classified(ray, model, paths, workers, copies=1, top=5, exif=True, batch=32):
    """A dataset of rows. `copies` lists every picture so many times."""
    rows = [{"path": p, "copy": c} for c in range(copies) for p in paths]
    data = ray.data.from_items(rows, override_num_blocks=max(2 * workers, len(rows) // 128))
    return data.map_batches(Classifier, fn_constructor_args=(os.path.abspath(model), top, exif), batch_size=batch,
                            compute=ray.data.ActorPoolStrategy(size=workers), num_cpus=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures")
    parser.add_argument("out")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--copies", type=int, default=1, help="list each picture so many times")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--no-exif", action="store_true", help="leave the camera's orientation alone, as eval does")
    args = parser.parse_args()
    if os.path.exists(args.out):
        parser.error(f"{args.out} is there already")

    import pyarrow.parquet as pq
    import ray

    paths = pictures(args.pictures)
    logging.getLogger("ray").setLevel(logging.ERROR)
    # One core more than workers: reading and writing take some of it.
    ray.init(num_cpus=args.workers + 1, include_dashboard=False, object_store_memory=256 << 20, log_to_driver=False,
             logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    begun = time.time()
    part = args.out.rstrip("/") + ".part"
    shutil.rmtree(part, ignore_errors=True)
    classified(ray, args.model, paths, args.workers, args.copies, args.top, not args.no_exif).write_parquet(part)
    os.rename(part, args.out)
    done = time.time()
    rows = pq.read_table(args.out, columns=["error", "began", "ended"]).to_pandas()
    n, bad, first = len(rows), (rows["error"] != "").sum(), rows["began"].min()
    took = rows["ended"].max() - first
    print(f"workers started in {first - begun:.1f} s")
    print(f"{n} pictures in {took:.1f} s, {n / took:.1f} a second; {bad} could not be read; "
          f"with the write {done - first:.1f} s")
    ray.shutdown()


if __name__ == "__main__":
    main()
