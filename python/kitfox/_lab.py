"""What the verbs of `kitfox` do, on data and files: evaluate, compare, check, simplify, export, pull, bench, verify."""

from __future__ import annotations

import html as _html
import os
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ._call import Watch, check as _check, destroyed, ffi, info, lib, new_error, options, path_bytes, text
from ._graph import import_options
from ._model import Model, find, in_memory, is_compiled, load
from ._progress import Progress, end, follow


def _model(model: Any, importing: Dict[str, Any], one: bool = False) -> Model:
    """A model as it is, or loaded; `one` picture at a time, whatever batch an ONNX file fixes."""
    if isinstance(model, Model):
        return model
    if one and not is_compiled(model, None if in_memory(model) else find(model)):
        importing = {"batch": 1, **importing}
    return load(model, **importing)


@dataclass(frozen=True)
class Prediction:
    """One picture of an evaluation: `truth` is its class, `top` (class, score) best first; `error` why it failed."""

    path: str
    name: str
    truth: int
    top: Tuple[Tuple[int, float], ...]
    error: Optional[str] = None


@dataclass(frozen=True)
class Evaluation:
    """Accuracy on labelled pictures, in percent; `low` and `high` are the 95 % interval of `top1`."""

    images: int
    failed: int
    top1: float
    top5: float
    low: float
    high: float
    images_per_s: float
    page: str = field(repr=False)
    predictions: Tuple[Prediction, ...] = field(repr=False, default=())

    def __str__(self) -> str:
        return (
            f"{self.images} pictures, top-1 {self.top1:.2f} % (95 %: {self.low:.2f} to {self.high:.2f}), "
            f"top-5 {self.top5:.2f} %, {self.failed} skipped"
        )

    def _repr_html_(self) -> str:
        return _frame(self.page)


def _frame(page: str) -> str:
    """A page inside a notebook, apart from its styles."""
    return (
        f"<iframe srcdoc='{_html.escape(page, quote=True)}' style='width:100%;height:40em;border:0' "
        "sandbox></iframe>"
    )


def _page(call: Any, *args: Any) -> str:
    out, size, err = ffi.new("void **"), ffi.new("size_t *"), new_error()
    _check(call(*args, out, size, err), err)
    return bytes(ffi.buffer(ffi.gc(out[0], lib.free), size[0])).decode("utf-8", "replace")


def _dataset(model: Model, data: Any, listed: Any, watch: Watch) -> Any:
    o, out, err, held = options("kf_dataset_options"), ffi.new("kf_dataset **"), new_error(), []
    c = model._open()
    o.model, o.notice, o.user = c, lib.kf_py_message, watch.handle
    if listed is not None:
        held.append(ffi.new("char[]", path_bytes(listed)))
        o.list = held[0]
    status = lib.kf_dataset_open(path_bytes(data), o, out, err)
    d = destroyed(out[0], "kf_dataset **", lib.kf_dataset_destroy)
    watch.check(status, err, os.fsdecode(data))
    return d


def evaluate(
    model: Any,
    data: Any,
    *,
    list: Any = None,
    limit: int = 0,
    threads: int = 0,
    strict: bool = False,
    progress: Progress = None,
    **importing: Any,
) -> Evaluation:
    """Top-1 and top-5 of a model (a `Model`, or what `kitfox.load` takes) on the labelled pictures of a folder.

    `data` holds class folders, or pictures with a labels.csv; `list` is a file that names those to use; `limit` keeps
    so many, spread evenly. Pictures that cannot be read are counted in `failed`; `strict` makes the first one an error.
    The numbers are those of `kitfox eval`.
    """
    m, function = _model(model, importing, one=True), follow(progress, "pictures")
    found: List[Prediction] = []

    def add(p: Any) -> None:
        top = tuple((p.top[i].index, p.top[i].score) for i in range(p.n))
        found.append(Prediction(text(p.item.path) or "", text(p.item.name) or "", p.item.truth, top, text(p.error)))

    watch = Watch(function, add)
    c, d, o, e, err = (
        m._open(),
        _dataset(m, data, list, watch),
        options("kf_evaluate_options"),
        info("kf_evaluation"),
        new_error(),
    )
    o.threads, o.limit, o.strict = threads, limit, int(strict)
    o.progress, o.prediction, o.user = lib.kf_py_progress, lib.kf_py_prediction, watch.handle
    e = ffi.gc(e, lib.kf_evaluation_free)
    try:
        watch.check(lib.kf_evaluate(c, d, o, e, err), err, os.fsdecode(data))
    finally:
        end(function)
    line = f"{e.images} pictures, top-1 {e.top1:.2f} %, top-5 {e.top5:.2f} %"
    page = _page(lib.kf_evaluation_page, e, c, f"{m.name} on {os.fsdecode(data)}".encode(), line.encode())
    return Evaluation(e.images, e.failed, e.top1, e.top5, e.low, e.high, e.images_per_s, page, tuple(found))


@dataclass(frozen=True)
class ComparedNode:
    """A node of both models: cosine and SQNR (dB) of its output, and what it alone costs the first model's output."""

    name: str
    cosine: float
    sqnr: float
    cost: float


@dataclass(frozen=True)
class Comparison:
    """How far two models agree on pictures; the first is the reference. Percentages; `sqnr` in dB.

    With labels `top1` and `top5` are of both models, `lost` and `won` pictures from right to wrong and back, and `p` is
    that of McNemar's test.
    """

    images: int
    skipped: int
    agreement: float
    in_top5: float
    cosine: float
    sqnr: float
    labelled: int
    top1: Tuple[float, float]
    top5: Tuple[float, float]
    lost: int
    won: int
    p: float
    nodes: Tuple[ComparedNode, ...] = field(repr=False)
    page: str = field(repr=False)

    def __str__(self) -> str:
        said = (
            f"{self.images} pictures, {self.agreement:.2f} % agree, cosine {self.cosine:.6f}, SQNR {self.sqnr:.2f} dB"
        )
        return said if not self.labelled else f"{said}, top-1 {self.top1[0]:.2f} % and {self.top1[1]:.2f} %"

    def _repr_html_(self) -> str:
        return _frame(self.page)


def _compared(w: Any, a: Model, b: Model, basis: str) -> Comparison:
    s, o = w.summary, options("kf_comparison_page_options")
    held = [ffi.new("char[]", t.encode()) for t in (f"{a.name} and {b.name} compared", a.name, b.name, basis)]
    o.title, o.names[0], o.names[1], o.basis = held
    page = _page(lib.kf_comparison_page, w, o)
    nodes = tuple(
        ComparedNode(text(w.nodes[i].name) or "", w.nodes[i].cosine, w.nodes[i].sqnr, w.nodes[i].cost)
        for i in range(w.n_nodes)
    )
    return Comparison(
        s.images,
        w.skipped,
        s.agreement,
        s.in_top5,
        s.cosine,
        s.sqnr,
        s.labelled,
        tuple(s.top1),
        tuple(s.top5),
        s.lost,
        s.won,
        s.p,
        nodes,
        page,
    )


def compare(
    a: Any,
    b: Any,
    data: Any,
    *,
    list: Any = None,
    limit: int = 0,
    node_images: int = 20,
    threads: int = 0,
    strict: bool = False,
    progress: Progress = None,
    **importing: Any,
) -> Comparison:
    """Run two models of one task over the pictures of a folder, sub-folders included; `a` is the reference.

    Labels come from its labels.csv or its class folders. `node_images` pictures are used to compare the models node by
    node (0: not). Pictures that cannot be read are counted in `skipped`, with a warning each; `strict` makes the first
    one an error. The numbers are those of `kitfox compare`.
    """
    one, two, function = _model(a, importing), _model(b, importing), follow(progress, "pictures")
    models = one._open(), two._open()
    watch, err, folder = Watch(function), new_error(), os.fsdecode(data)
    samples = ffi.gc(ffi.new("kf_samples *"), lib.kf_samples_free)
    name = ffi.NULL if list is None else path_bytes(list)
    _check(lib.kf_samples_find(path_bytes(data), name, limit, samples, err), err, folder)
    truth, named = ffi.new("int64_t **"), models[0 if one.labels or not two.labels else 1]
    status = lib.kf_samples_labels(samples, path_bytes(data), named, lib.kf_py_message, watch.handle, truth, err)
    labels = ffi.gc(truth[0], lib.free) if truth[0] != ffi.NULL else ffi.NULL
    watch.check(status, err, folder)
    o, w = options("kf_compare_options"), ffi.gc(info("kf_comparison"), lib.kf_comparison_free)
    o.labels, o.threads, o.node_images = labels, threads, node_images
    o.progress, o.user = lib.kf_py_progress, watch.handle
    o.skipped = ffi.NULL if strict else lib.kf_py_message
    try:
        watch.check(lib.kf_compare(models[0], models[1], samples, o, w, err), err, folder)
    finally:
        end(function)
    return _compared(w, one, two, f"On {w.summary.images} pictures of {folder}.")


@dataclass(frozen=True)
class CheckedNode:
    """A node of a file: `fate` is "supported", "fused", "folded", "unsupported" or "not judged"; `detail` says why."""

    name: str
    op: str
    fate: str
    detail: str


@dataclass(frozen=True)
class Check:
    """Can a file be compiled? `ok` is the answer; `error` is why an import fails at a node, else None."""

    nodes: Tuple[CheckedNode, ...]
    error: Optional[str] = None

    @property
    def ok(self) -> bool:
        return self.error is None and all(n.fate not in ("unsupported", "not judged") for n in self.nodes)

    def __iter__(self) -> Iterator[CheckedNode]:
        return iter(self.nodes)

    def __str__(self) -> str:
        bad = [n for n in self.nodes if n.fate == "unsupported"]
        return f"{len(self.nodes)} nodes, " + (
            "all of them can be compiled" if self.ok else f"{len(bad)} cannot be compiled" if bad else str(self.error)
        )


def check(
    path: Any,
    *,
    input_shape: Optional[str] = None,
    arch: Optional[str] = None,
    preprocess: Optional[str] = None,
    scores: Optional[str] = None,
    batch: int = 0,
    max_fold_bytes: int = 0,
) -> Check:
    """One verdict for each node of an ONNX file, before anything is written. Keywords are those of `kitfox.graph`."""
    held: List[Any] = []
    out, err, watch = info("kf_check_result"), new_error(), Watch()
    how = dict(input_shape=input_shape, arch=arch, preprocess=preprocess, scores=scores, batch=batch)
    o = import_options(watch, held, max_fold_bytes=max_fold_bytes, **how)
    status = lib.kf_check(path_bytes(path), o, out, err)
    if status and not out.n:
        _check(status, err, os.fsdecode(path))
    try:
        nodes = tuple(
            CheckedNode(
                text(n.name) or "", text(n.op) or "", text(lib.kf_node_fate_name(n.fate)) or "", text(n.detail) or ""
            )
            for n in (out.nodes[i] for i in range(out.n))
        )
        return Check(nodes, text(err.text) if status else None)
    finally:
        lib.kf_check_result_free(out)


@dataclass(frozen=True)
class Rewritten:
    """What was written: nodes before and after, the opset, and the largest difference on random inputs."""

    path: str
    nodes_before: int
    nodes_after: int
    opset: int
    max_difference: float

    def __str__(self) -> str:
        return f"{self.path}: {self.nodes_before} nodes became {self.nodes_after}, opset {self.opset}"


def _rewrite(
    model: Any,
    out: Any,
    level: int,
    runs: int,
    form: str,
    importing: Dict[str, Any],
    progress: Progress,
) -> Rewritten:
    function = follow(progress, "rewriting")
    held: List[Any] = []
    watch, err, how, what = Watch(function), new_error(), options("kf_rewrite_options"), info("kf_rewrite_result")
    qdq = ffi.new("kf_qdq_form *")
    _check(lib.kf_qdq_form_from_name(form.encode(), qdq, err), err)
    how.level, how.form, how.runs = level, qdq[0], runs
    held.append(import_options(watch, held, **importing))
    setattr(how, "import", held[-1])  # borrowed, as every pointer in a structure is
    how.progress, how.user = lib.kf_py_progress, watch.handle
    path = find(model)
    try:
        watch.check(lib.kf_rewrite(path_bytes(path), path_bytes(out), how, what, err), err, path)
    finally:
        end(function)
    return Rewritten(os.fsdecode(out), what.nodes_before, what.nodes_after, what.opset, what.max_difference)


def simplify(
    model: Any,
    out: Any,
    *,
    runs: int = 3,
    qdq: str = "exact",
    input_shape: Optional[str] = None,
    arch: Optional[str] = None,
    max_fold_bytes: int = 0,
    progress: Progress = None,
) -> Rewritten:
    """Write the ONNX file `out`, which computes the same as `model` with fewer nodes.

    Both run on `runs` random inputs before anything is written. `qdq` says how a quantized model is written: "exact"
    (equal to the bit) or "scales" (as other toolchains read it). Further keywords are those of `kitfox.graph`.
    """
    importing = dict(input_shape=input_shape, arch=arch, max_fold_bytes=max_fold_bytes)
    return _rewrite(model, out, lib.KF_OPTIMIZE_SIMPLIFY, runs, qdq, importing, progress)


def export_onnx(
    model: Any,
    out: Any,
    *,
    runs: int = 3,
    qdq: str = "exact",
    input_shape: Optional[str] = None,
    arch: Optional[str] = None,
    max_fold_bytes: int = 0,
    progress: Progress = None,
) -> Rewritten:
    """Write what compiles of `model` (ONNX, a checkpoint, a `.kfx` file) as an ONNX file.

    `runs`, `qdq` and further keywords are those of `kitfox.simplify`.
    """
    importing = dict(input_shape=input_shape, arch=arch, max_fold_bytes=max_fold_bytes)
    return _rewrite(model, out, lib.KF_OPTIMIZE_FUSE, runs, qdq, importing, progress)


@dataclass(frozen=True)
class Verification:
    """Does this machine compute what the file says? `verdict` is "identical", "agrees" or "differs".

    `steps` were compared, `exact` of them byte for byte; `first` is the name of the first step that differs.
    """

    verdict: str
    steps: int
    exact: int
    first: Optional[str]
    difference: float

    @property
    def ok(self) -> bool:
        return self.verdict != "differs"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.steps} steps, {self.exact} of them byte for byte"


def verify(model: Any, *, threads: int = 0, max_memory: int = 0, max_operations: int = 0) -> Verification:
    """Run the golden vector of a model file on this machine's kernels and compare every step.

    `max_memory` and `max_operations` are those of `kitfox.load`; a `Model` has its own.
    """
    m = _model(model, dict(max_memory=max_memory, max_operations=max_operations))
    out, err = info("kf_verify_report"), new_error()
    c = m._open()  # its strings are those of the report
    _check(lib.kf_model_verify(c, threads, out, err), err)
    return Verification(
        text(lib.kf_verdict_name(lib.kf_verify_verdict(out))) or "",
        out.steps,
        out.exact,
        text(out.name),
        out.difference,
    )


@dataclass(frozen=True)
class Bench:
    """Latencies in milliseconds; `fps` of all sessions together; `ms` of each frame; `steps` (name, ms, GMAC/s)."""

    cpu: str
    sessions: int
    threads: int
    frames: int
    median: float
    mean: float
    lowest: float
    highest: float
    p90: float
    fps: float
    ms: Tuple[float, ...] = field(repr=False)
    steps: Tuple[Tuple[str, float, float], ...] = field(repr=False)

    def __str__(self) -> str:
        return (
            f"{self.median:.3f} ms a frame (90 %: {self.p90:.3f} ms), {self.fps:.1f} frames/s with {self.sessions} "
            f"session{'s' * (self.sessions > 1)}, {self.cpu}"
        )


def bench(
    model: Any,
    *,
    frames: int = 100,
    sessions: int = 1,
    threads: int = 1,
    profile: bool = False,
    progress: Progress = None,
    **importing: Any,
) -> Bench:
    """Time a model: `sessions` side by side, each on `threads` cores, `frames` timed runs after a warm-up."""
    m, function = _model(model, importing), follow(progress, "frames")
    watch, o, r, err = Watch(function), options("kf_bench_options"), info("kf_bench_result"), new_error()
    o.frames, o.sessions, o.threads, o.profile = frames, sessions, threads, int(profile)
    o.progress, o.user = lib.kf_py_progress, watch.handle
    try:
        watch.check(lib.kf_bench(m._open(), o, r, err), err)
    finally:
        end(function)
    try:
        s, names = r.summary, m.steps if profile else ()
        steps = tuple((names[i].name, r.step_ms[i], r.step_gmacs[i]) for i in range(r.n_steps))
        return Bench(
            text(lib.kf_cpu_name()) or "",
            sessions,
            threads,
            frames,
            s.median,
            s.mean,
            s.lowest,
            s.highest,
            s.p90,
            s.fps,
            tuple(r.ms[0:frames]),
            steps,
        )
    finally:
        lib.kf_bench_free(r)


@dataclass(frozen=True)
class Weights:
    """Published weights that `pull` downloads: `licence` is an SPDX identifier; `cached` says that they are here."""

    name: str
    repository: str
    licence: str
    cached: bool


@dataclass(frozen=True)
class Architecture:
    """A member of the MobileNetV3 family, as the names of timm and torchvision have it.

    `parameters` and `macs` are of 1000 classes at `size` (width, height); `top1` is the published accuracy in percent,
    None where no weights are published.
    """

    name: str
    size: Tuple[int, int]
    parameters: int
    macs: int
    top1: Optional[float]
    source: str


def zoo() -> Tuple[Architecture, ...]:
    """The architectures that a checkpoint can have: what `arch` takes."""
    raw, err = info("kf_zoo_entry"), new_error()
    found: List[Architecture] = []
    while lib.kf_zoo_get(len(found), raw, err) == lib.KF_OK:
        found.append(
            Architecture(
                text(raw.name) or "",
                (raw.width, raw.height),
                raw.parameters,
                raw.macs,
                raw.top1 or None,
                text(raw.source) or "",
            )
        )
    return tuple(found)


def weights() -> Tuple[Weights, ...]:
    """The published weights that `pull` knows."""
    raw, err = info("kf_weights"), new_error()
    found: List[Weights] = []
    while lib.kf_weights_get(len(found), raw, err) == lib.KF_OK:
        found.append(
            Weights(text(raw.name) or "", text(raw.repository) or "", text(raw.licence) or "", bool(raw.cached))
        )
    return tuple(found)


def pull(
    name: str,
    *,
    mirror: Optional[str] = None,
    output: Any = None,
    sha256: Optional[str] = None,
    force: bool = False,
    retries: int = 5,
    wait: int = 1000,
    timeout: int = 30,
    slowest: int = 1024,
    progress: Progress = None,
) -> str:
    """Download published weights with their configuration; the path of the checkpoint, which `kitfox.load` takes.

    They lie in the cache folder, or in `output`; what is there already is checked and not fetched again. `mirror` is an
    http, https or file URL that holds REPOSITORY/FILE or REPOSITORY/resolve/main/FILE. Neither file has its name before
    it is complete and checked. What a broken transfer left is gone on with by the next call. libcurl is used where the
    machine has it, else Python's own client.

    One file gets `retries` attempts; the pause before the second is `wait` milliseconds, and doubles. An attempt ends
    after `timeout` seconds without a connection, or with less than `slowest` bytes per second.

    Errors: ArgumentError (no such name), FileError (network, disk, other files are there: `force`), FormatError (not
    what was promised), Cancelled.
    """
    function = follow(progress, name)
    try:
        o, held = options("kf_pull_options"), []
        to = None if output is None else os.fsdecode(output)
        for member, value in dict(mirror=mirror, output=to, sha256=sha256).items():
            if value is not None:
                held.append(ffi.new("char[]", os.fsencode(value)))
                setattr(o, member, held[-1])
        o.force, o.tries, o.wait_ms, o.timeout_s, o.slowest = int(force), retries, wait, timeout, slowest
        return _pulled(name, o, Watch(function))
    finally:
        end(function)


def _pulled(name: str, o: Any, watch: Watch) -> str:
    out, err = info("kf_pull_result"), new_error()
    _check(lib.kf_pull_options_check(o, err), err)
    o.progress, o.notice, o.user = lib.kf_py_progress64, lib.kf_py_message, watch.handle
    status = lib.kf_pull(name.encode(), o, out, err)
    if status == lib.KF_ERR_UNSUPPORTED and watch.raised is None:  # no libcurl
        raw = info("kf_weights")
        _check(lib.kf_weights_find(name.encode(), raw, err), err)
        from ._pull import download  # urllib takes longer to import than everything else

        return download(text(raw.name) or "", text(raw.repository) or "", text(raw.file) or "", o, watch)
    try:
        watch.check(status, err)
        return text(out.file) or ""
    finally:
        lib.kf_pull_result_free(out)
