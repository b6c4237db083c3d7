"""Quantization: a float network and typical pictures in, a `.kfx` file of 8-bit integers out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from ._call import (
    ArgumentError,
    UnsupportedError,
    Watch,
    address,
    check,
    destroyed,
    ffi,
    info,
    lib,
    new_error,
    options,
    path_bytes,
    text,
)
from ._graph import Graph, graph, import_options
from ._model import is_file, label_file, limits
from ._progress import Progress, end, follow


@dataclass(frozen=True)
class QuantizedNode:
    """One node of the quantized network against float, on the calibration samples; errors accumulate along it."""

    name: str
    op: str
    dtype: str
    threshold: float
    cosine: float
    sqnr: float
    macs: int


@dataclass(frozen=True)
class Quantization:
    """What a quantization came to. `agreement` is the percentage of the samples with the same best class.

    `low` and `high` are its 95 % interval; `sqnr` is in dB; `float_ms` and `ms` time one frame on one thread.
    `met` is None without a target, else whether the target was reached.
    """

    path: str
    samples: int
    agreement: float
    low: float
    high: float
    cosine: float
    sqnr: float
    float_ms: float
    ms: float
    nodes: Tuple[QuantizedNode, ...]
    met: Optional[bool] = None
    promoted: int = 0
    drop: Optional[float] = None
    log: Optional[str] = None

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.agreement:.2f} % agree with float on {self.samples} samples, "
            f"SQNR {self.sqnr:.2f} dB, {self.ms:.2f} ms ({self.float_ms:.2f} ms in float)"
        )

    def _repr_html_(self) -> str:
        import html

        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(n.name)}</td><td>{n.dtype}</td>"
            f"<td>{n.cosine:.6f}</td><td>{n.sqnr:.2f}</td></tr>"
            for n in self.nodes
        )
        return (
            f"<p>{html.escape(str(self))}</p><details><summary>{len(self.nodes)} nodes</summary><table><tr><th>node"
            f"</th><th>type</th><th>cosine</th><th>SQNR, dB</th></tr>{rows}</table></details>"
        )


class Samples:
    """Loaded calibration samples: files of a folder, or arrays of Python."""

    def __init__(self) -> None:
        self.c: Any = ffi.NULL
        self.held: List[Any] = []

    def read(self, folder: str, preprocess: Any, listed: Optional[str], limit: int, strict: bool, watch: Watch) -> None:
        """The pictures and .npy files of a folder. Files that cannot be read are left out, with a warning each, unless
        `strict`: then the first one is an error."""
        err = new_error()
        name = ffi.NULL if listed is None else path_bytes(listed)
        self.c = ffi.gc(ffi.new("kf_samples *"), lib.kf_samples_free)
        check(lib.kf_samples_find(path_bytes(folder), name, limit, self.c, err), err, folder)
        skipped = ffi.NULL if strict else lib.kf_py_message
        status = lib.kf_samples_load_some(self.c, preprocess, lib.kf_py_progress, skipped, watch.handle, err)
        watch.check(status, err, folder)

    def take(self, arrays: Iterable[Any]) -> None:
        """Arrays: uint8 [height, width, 3] of the input's size, or float32 as the input declares it. They stay
        Python's."""
        kept = [np.ascontiguousarray(a) for a in arrays]
        if not kept:
            raise ArgumentError("no calibration samples")
        names = [ffi.new("char[]", f"sample {i}".encode()) for i in range(len(kept))]
        paths, tensors = ffi.new("char *[]", names), ffi.new("kf_tensor[]", len(kept))
        for i, a in enumerate(kept):
            number = {"uint8": lib.KF_U8, "float32": lib.KF_F32}.get(a.dtype.name)
            if number is None or a.ndim > 8:
                raise ArgumentError(f"calibration sample {i} is {a.dtype} {list(a.shape)}; float32 or uint8 is needed")
            t = tensors[i]
            t.name, t.dtype, t.rank, t.bytes, t.data = names[i], number, a.ndim, a.nbytes, address(a)
            t.shape[0 : a.ndim] = a.shape
        self.held = [kept, names, paths, tensors]
        self.c = ffi.new("kf_samples *", dict(paths=paths, n=len(kept), tensors=tensors))


_FLAGS = ("per_channel", "channel_scales", "bias_correction", "rounding", "cross", "equalize", "gain")


def _names(values: Sequence[str], held: List[Any]) -> Any:
    strings = [ffi.new("char[]", str(v).encode()) for v in values]
    array = ffi.new("const char *[]", strings)
    held.extend(strings)
    held.append(array)
    return array


def _settings(
    watch: Watch,
    held: List[Any],
    target_drop: Optional[float],
    target_cosine: Optional[float],
    method: str,
    percentile: float,
    lists: Dict[str, Any],
    max_int16_macs: float,
    threads: int,
    report: Any,
    flags: Dict[str, Any],
) -> Any:
    q, err = options("kf_quantize_options"), new_error()
    kind = ffi.new("kf_range_method *")
    check(lib.kf_range_method_from_name(method.encode(), kind, err), err)
    q.range, q.percentile, q.threads, q.max_int16_macs = kind[0], percentile, threads, max_int16_macs
    q.detail = 1 if report is not None else 0
    if target_drop is not None:
        q.target_drop = target_drop
    if target_cosine is not None:
        q.target_cosine = target_cosine
    for member, values in lists.items():
        setattr(q, member, _names(values, held))
        setattr(q, {"int16_nodes": "n_int16"}.get(member, "n_" + member), len(values))
    unknown = set(flags) - set(_FLAGS)
    if unknown:
        raise TypeError(f"quantize() has no option {sorted(unknown)[0]!r}; switches are {', '.join(_FLAGS)}")
    for name, value in flags.items():
        setattr(q, name, 1 if value else 0)
    q.progress, q.user = lib.kf_py_progress, watch.handle
    return q


def _nodes(g: Any) -> Tuple[QuantizedNode, ...]:
    raw, err = info("kf_quantized_node"), new_error()
    found: List[QuantizedNode] = []
    while lib.kf_graph_quantized_node(g, len(found), raw, err) == lib.KF_OK:
        found.append(
            QuantizedNode(
                text(raw.name) or "",
                text(raw.op) or "",
                text(lib.kf_quantized_type(raw.dtype)) or "",
                raw.threshold,
                raw.cosine,
                raw.sqnr,
                raw.macs,
            )
        )
    return tuple(found)


def _outcome(path: str, g: Any, judge: Any, log: Optional[str] = None) -> Quantization:
    j, err, search = info("kf_judgement"), new_error(), info("kf_search_result")
    check(lib.kf_judge_get(judge, j, err), err)
    searched = lib.kf_graph_search_result(g, search, err) == lib.KF_OK
    return Quantization(
        path,
        j.samples,
        j.agreement,
        j.low,
        j.high,
        j.cosine,
        j.sqnr,
        j.float_ms,
        j.ms,
        _nodes(g),
        bool(search.met) if searched else None,
        search.promoted if searched else 0,
        search.drop if searched else None,
        log,
    )


def _write_page(path: Any, judge: Any, g: Any, model: str, out: str) -> None:
    html, size, err = ffi.new("void **"), ffi.new("size_t *"), new_error()
    check(lib.kf_judge_page(judge, g, os.fsencode(model), os.fsencode(out), html, size, err), err)
    page = ffi.gc(html[0], lib.free)
    check(lib.kf_file_write(path_bytes(path), page, size[0], 0, err), err, os.fsdecode(path))


def _float_graph(model: Any, importing: Dict[str, Any]) -> Tuple[Graph, str]:
    if isinstance(model, Graph):
        if importing:
            raise ArgumentError(f"{sorted(importing)[0]}: say it where the graph is imported")
        return model, model._path or "model"
    return graph(model, **{"batch": 1, **importing}), os.fsdecode(os.fspath(model))


def quantize(
    model: Any,
    calib: Any,
    out: Any,
    *,
    target_drop: Optional[float] = None,
    target_cosine: Optional[float] = None,
    max_int16_macs: float = 10.0,
    int16: Sequence[str] = (),
    int16_output: Sequence[str] = (),
    int16_weights: Sequence[str] = (),
    method: str = "mse",
    percentile: float = 99.99,
    calib_list: Any = None,
    limit: int = 200,
    data: Any = None,
    report: Any = None,
    strict: bool = False,
    threads: int = 0,
    max_memory: int = 0,
    max_operations: int = 0,
    progress: Progress = None,
    importing: Optional[Dict[str, Any]] = None,
    **switches: bool,
) -> Quantization:
    """Quantize a float network to 8 bits and write `out`, a `.kfx` file.

    `model` is a file that `kitfox.graph` reads, or a `Graph`. `calib` is a folder of typical pictures (or `.npy`
    inputs), or a sequence of arrays: uint8 [height, width, 3] of the input's size, or float32 as the input declares.
    About 100 are enough; at most `limit` files are used, spread evenly. `calib_list` names the files to use. Those that
    cannot be read are left out, with a warning each; `strict` makes the first one an error.

    `target_drop` searches for nodes to store in 16 bits until at most so many percentage points of top-1 are lost on
    a held-out quarter; `target_cosine` until the logits' cosine is reached; at most `max_int16_macs` percent of the
    multiply-adds become 16-bit. `int16` names such nodes. `method` is "mse", "max", "percentile" or "kl". Switches:
    `per_channel`, `channel_scales`, `bias_correction`, `rounding`, `cross`, `equalize` (on), `gain` (off).

    A `Graph` is quantized in place: it is the quantized network afterwards, and closed where the call fails.

    `data` is a folder of test pictures to compare with float, `report` a page to write. `progress` is a function of
    (done, total), True for a tqdm bar, or False for none. `importing` holds keywords of `kitfox.graph`, such as mean.
    `max_memory` and `max_operations` are those of `kitfox.load`, for both models.

    Ctrl-C stops within a second and leaves no half file. Errors: ArgumentError (samples that mean nothing), FileError,
    UnsupportedError (quantized already, a node), LimitError, Cancelled.
    """
    held: List[Any] = []
    function = follow(progress, "quantizing")
    watch = Watch(function)
    out, err = os.fsdecode(os.fspath(out)), new_error()
    check(lib.kf_file_check(path_bytes(out), err), err, out)
    q = _settings(
        watch,
        held,
        target_drop,
        target_cosine,
        method,
        percentile,
        {"int16_nodes": tuple(int16), "int16_outputs": tuple(int16_output), "int16_weights": tuple(int16_weights)},
        max_int16_macs,
        threads,
        report,
        switches,
    )
    limited = limits(max_memory, max_operations)
    g, name = _float_graph(model, importing or {})
    try:
        return _run(g, name, calib, out, q, watch, calib_list, limit, data, report, strict, limited, held)
    finally:
        end(function)


def _run(
    g: Graph,
    name: str,
    calib: Any,
    out: str,
    q: Any,
    watch: Watch,
    calib_list: Any,
    limit: int,
    data: Any,
    report: Any,
    strict: bool,
    limited: Any,
    held: List[Any],
) -> Quantization:
    c, facts, err, samples = g._open(), g._info(), new_error(), Samples()
    if facts.quantized:
        raise UnsupportedError(
            f"{name}: it is quantized already; give the float model that it was made from", "unsupported"
        )
    folder = isinstance(calib, (str, os.PathLike))
    reading = Watch(watch.progress)
    how = ffi.addressof(facts, "preprocess")
    if folder:
        samples.read(os.fsdecode(os.fspath(calib)), how, calib_list, limit, strict, reading)
    else:
        samples.take(calib)
    reading.check(lib.kf_samples_check(samples.c, how, lib.kf_py_message, reading.handle, ffi.NULL, err), err)
    if q.target_drop >= 0 and folder:
        labels = ffi.new("int32_t **")
        status = lib.kf_search_labels(
            c, limited, samples.c, path_bytes(calib), q.target_drop, lib.kf_py_message, reading.handle, labels, err
        )
        reading.check(status, err)
        held.append(ffi.gc(labels[0], lib.free) if labels[0] != ffi.NULL else None)
        q.labels = labels[0]
    o, out_judge = _judging(data, q.threads, limited, watch, held), ffi.new("kf_judge **")
    check(lib.kf_judge_create(c, o, out_judge, err), err)
    judge = destroyed(out_judge[0], "kf_judge **", lib.kf_judge_destroy, held)
    try:
        watch.check(lib.kf_graph_quantize(c, samples.c.tensors, samples.c.n, q, err), err)
        watch.check(lib.kf_judge_measure(judge, c, samples.c, err), err)
        g.save(out)
        if report is not None:
            _write_page(report, judge, c, name, out)
        return _outcome(out, c, judge)
    except BaseException:
        g.close()  # half-way changed: it is of no use
        raise


def _judging(data: Any, threads: int, limited: Any, watch: Watch, held: List[Any]) -> Any:
    """A kf_judge_options; `held` keeps what it borrows."""
    o = options("kf_judge_options")
    if data is not None:
        held.append(ffi.new("char[]", path_bytes(data)))
        o.data = held[-1]
    o.model, o.threads = limited, threads
    o.progress, o.user = lib.kf_py_progress, watch.handle
    o.notice = o.skipped = lib.kf_py_message
    held.extend((o, limited))
    return o


def quantize_config(
    path: Any,
    *,
    target_drop: Optional[float] = None,
    target_cosine: Optional[float] = None,
    max_int16_macs: float = 10.0,
    int16_output: Sequence[str] = (),
    int16_weights: Sequence[str] = (),
    labels: Any = None,
    scores: Optional[str] = None,
    max_fold_bytes: int = 0,
    limit: int = 200,
    data: Any = None,
    report: Any = None,
    strict: bool = False,
    threads: int = 0,
    max_memory: int = 0,
    max_operations: int = 0,
    progress: Progress = None,
    **switches: bool,
) -> Quantization:
    """Do what a YAML file of the RDK model zoo says: the files go into its `working_dir`, all of them or none.

    `path` of the result is the `.kfx` file; `log` is what its log holds, with the tables that scripts of the zoo's
    users search for. Keys without a meaning on a CPU give a warning. Errors begin with FILE:LINE:COLUMN.

    Keywords are those of `kitfox.quantize`, and `labels`, `scores` and `max_fold_bytes` those of `kitfox.graph`. What
    the file says has no keyword: the model, its inputs, calibration pictures, method, int16 nodes.
    """
    held: List[Any] = []
    function = follow(progress, "quantizing")
    watch, err = Watch(function), new_error()
    name = os.fsdecode(os.fspath(path))
    config = ffi.new("kf_rdk_config **")
    status = lib.kf_rdk_load(path_bytes(path), lib.kf_py_message, watch.handle, config, err)
    c = destroyed(config[0], "kf_rdk_config **", lib.kf_rdk_free)
    watch.check(status, err, name)
    q = _settings(
        watch,
        held,
        target_drop,
        target_cosine,
        "mse",
        99.99,
        {"int16_outputs": tuple(int16_output), "int16_weights": tuple(int16_weights)},
        max_int16_macs,
        threads,
        report,
        switches,
    )
    o, done = options("kf_rdk_options"), info("kf_rdk_result")
    how = import_options(watch, held, scores=scores, max_fold_bytes=max_fold_bytes, batch=1)
    _name_classes(how, labels, o, held)
    setattr(o, "import", how)
    o.quantize, o.limit, o.user = q, limit, watch.handle
    o.judge = _judging(data, threads, limits(max_memory, max_operations), watch, held)
    o.notice = lib.kf_py_message
    o.skipped = ffi.NULL if strict else lib.kf_py_message
    o.progress = lib.kf_py_progress
    try:
        watch.check(lib.kf_rdk_quantize(c, o, done, err), err)
        try:
            out = text(done.path) or ""
            if report is not None:
                _write_page(report, done.judge, done.graph, text(c.model) or "", out)
            return _outcome(out, done.graph, done.judge, text(done.log))
        finally:
            lib.kf_rdk_result_free(done)
    finally:
        end(function)


def _name_classes(how: Any, labels: Any, o: Any, held: List[Any]) -> None:
    """Names of classes for the import of a configuration: a sequence, or a label file, which no output may replace."""
    if labels is None:
        return
    if is_file(labels):
        names = label_file(labels)
        file = ffi.new("char[]", path_bytes(labels))
        o.inputs, o.n_inputs = ffi.new("const char *[]", [file]), 1
        held.extend((names, file, o.inputs))
        how.labels, how.n_labels = names.items, names.n
    else:
        how.labels, how.n_labels = _names(labels, held), len(labels)
