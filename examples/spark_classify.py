#!/usr/bin/env python3
"""Classify a folder of pictures with Spark: one row a picture, into Parquet.

    spark_classify.py MODEL PICTURES OUT.parquet [--master local[2,4]] [--copies N] [--top 5] [--no-exif]

MODEL is a path that every worker can read. A worker process loads it once, and uses one core: Spark gives each core a
task. A picture that cannot be decoded is a row with its error; Spark passes over empty files. `local[2,4]` are two
cores, and four attempts for a task; plain `local[2]` never tries again. Needs PySpark with pandas and pyarrow, and
Java 17. docs/SCALE.md has the rest.
"""
import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SCHEMA = ("path string, copy int, label string, class_index int, score float, top array<int>, error string, "
          "worker int, began double, ended double")


class Classifier:
    """What Spark sends to the workers: two words and a number. The model itself never travels."""

    def __init__(self, model, top, exif):
        self.model, self.top, self.exif = os.path.abspath(model), top, exif

    def __call__(self, batches):
        import pandas as pd

        model = loaded(self.model)
        for batch in ahead(batches):
            began = time.time()
            found = list(model.classify_iter(batch["content"], k=self.top, threads=1, exif=self.exif))
            yield pd.DataFrame({
                "path": batch["path"], "copy": batch["copy"], "label": [r.label for r in found],
                "class_index": pd.array([r.index for r in found], "Int32"), "score": [r.score for r in found],
                "top": [[s.index for s in r] if r.ok else None for r in found],
                "error": [None if r.ok else str(r.error) for r in found], "worker": os.getpid(), "began": began,
                "ended": time.time()})


def ahead(batches):
    """The same batches. Spark sends the next one while this one is computed: a model at work does not hold the GIL."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def loaded(path):
    """The model of this process. It hangs on the package, because Spark makes this module anew for each task."""
    import kitfox

    models = kitfox.__dict__.setdefault("_models_of_this_worker", {})
    if path not in models:
        models[path] = kitfox.load(path, threads=1)
    return models[path]


def session(master, memory="1g"):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["OMP_NUM_THREADS"] = "1"
    return (SparkSession.builder.master(master).appName("kitfox").config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            # In local mode Java shares the cores with the workers: its second compiler alone takes 18 s of them.
            .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1")
            .config("spark.driver.memory", memory).config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.parquet.compression.codec", "gzip")  # needs no native library
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
            .config("spark.sql.files.maxPartitionBytes", "16m").getOrCreate())


def classified(spark, how, folder, copies=1):
    """A DataFrame of SCHEMA. `copies` lists every picture so many times: a small folder becomes one of any size."""
    from pyspark.sql import functions as f

    pictures = (spark.read.format("binaryFile").option("pathGlobFilter", "*.{jpg,jpeg,JPG,JPEG,png,webp}")
                .option("recursiveFileLookup", "true").load(folder).select("path", "content"))
    numbers = spark.range(copies).select(f.col("id").cast("int").alias("copy"))
    return pictures.crossJoin(f.broadcast(numbers)).mapInPandas(how, SCHEMA)


def warm_up(spark, how):
    """Start the workers and load the model in each, before the clock starts."""
    columns = "'none' path", "cast(id as int) copy", "cast('' as binary) content"
    tasks = 2 * spark.sparkContext.defaultParallelism
    return spark.range(tasks, numPartitions=tasks).selectExpr(*columns).mapInPandas(how, SCHEMA).count()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures")
    parser.add_argument("out")
    parser.add_argument("--master", default="local[2,4]")
    parser.add_argument("--copies", type=int, default=1, help="list each picture so many times")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--no-exif", action="store_true", help="leave the camera's orientation alone, as eval does")
    args = parser.parse_args()

    begun = time.perf_counter()
    spark = session(args.master)
    spark.sparkContext.setLogLevel("ERROR")
    how = Classifier(args.model, args.top, not args.no_exif)
    warm_up(spark, how)
    ready = time.perf_counter()
    print(f"workers started in {ready - begun:.1f} s", flush=True)
    # Spark commits: OUT has the rows of the attempts that succeeded, and _SUCCESS when all of them are there.
    classified(spark, how, args.pictures, args.copies).write.mode("overwrite").parquet(args.out)
    rows = spark.read.parquet(args.out)
    n, bad, took = rows.selectExpr("count(*)", "count(error)", "max(ended) - min(began)").first()
    print(f"{n} pictures in {took:.1f} s, {n / took:.1f} a second; {bad} could not be read; "
          f"with the write {time.perf_counter() - ready:.1f} s")
    spark.stop()


if __name__ == "__main__":
    main()
