"""Models: loading, classifying, raw tensors. One `Model` serves any number of threads."""
from __future__ import annotations

import html
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _pictures
from ._call import (ArgumentError, Error, check, ffi, info, lib, new_error, options, path_bytes, text)
from ._results import Classification, ModelInfo, Preprocess, Score, Step, TensorInfo

BUILT_IN = "everyday10"
_NUMPY = {"f32": "float32", "f16": "float16", "f64": "float64", "u8": "uint8", "i8": "int8", "i16": "int16",
          "i32": "int32", "i64": "int64", "bool": "bool"}


def _dtype_name(dtype: int) -> str:
    name = text(lib.kf_dtype_name(dtype)) or ""
    return _NUMPY.get(name, name)


_DTYPES = {np.dtype(name): number for number in range(1, lib.KF_DTYPE_COUNT)
           for name in [_dtype_name(number)] if name != "bf16"}


class _Session:
    """The memory of one run. A session belongs to one thread at a time: the model hands it out and takes it back."""

    def __init__(self, model: "Model"):
        o = options("kf_session_options")
        o.threads = model._threads
        out = ffi.new("kf_session **")
        err = new_error()
        check(lib.kf_session_create(model._c, o, out, err), err)
        # The closure keeps the model alive until its session is gone.
        self.c = ffi.gc(out[0], lambda p, model=model._c: lib.kf_session_destroy(ffi.new("kf_session **", p)))
        self.err = err
        self.n_in, self.n_out = len(model.inputs), len(model.outputs)
        self.ins = ffi.new("kf_tensor[]", self.n_in)
        self.outs = ffi.new("kf_tensor[]", self.n_out)
        self.top = ffi.new("kf_score[]", 1000)
        self.found = ffi.new("size_t *")


def _fill(tensor: Any, array: np.ndarray, name: str) -> None:
    """Point a kf_tensor at an array, which stays the caller's."""
    number = _DTYPES.get(array.dtype)
    if number is None:
        raise ArgumentError(f"input {name}: the type {array.dtype} is none of a model; convert it to float32 or uint8")
    if array.ndim > 8:
        raise ArgumentError(f"input {name}: {array.ndim} dimensions; at most 8 are possible")
    tensor.name = ffi.NULL
    tensor.dtype = number
    tensor.rank = array.ndim
    tensor.shape[0:array.ndim] = array.shape
    tensor.data = ffi.cast("void *", array.__array_interface__["data"][0])
    tensor.bytes = array.nbytes


class Model:
    """A compiled network. Make one with `kitfox.load`.

    Thread rule: share it between any number of threads; each call takes a session of its own. After `fork` a child
    computes on the calling thread alone. A model pickles by its path; one that was made in memory does not.
    """

    def __init__(self, c: Any, path: Optional[str], reload: Optional[dict], threads: int, labels: Optional[Sequence[str]]):
        self._c = ffi.gc(c, lambda p: lib.kf_model_destroy(ffi.new("kf_model **", p)))
        self._path = path
        self._reload = reload
        self._threads = threads
        self._lock = threading.Lock()
        self._idle: "deque[_Session]" = deque()
        self._pid = os.getpid()
        self._read(labels)

    def _read(self, labels: Optional[Sequence[str]]) -> None:
        raw, err = info("kf_model_info"), new_error()
        check(lib.kf_model_get_info(self._c, raw, err), err)
        frames = (None, ("full", "limited")[raw.input_range])[raw.input_range_known]
        self.info = ModelInfo(text(raw.name), text(raw.arch), text(raw.source), text(raw.producer), text(raw.compiled_by),
                              raw.parameters, raw.stored_parameters, raw.macs, raw.activations, bool(raw.quantized),
                              text(lib.kf_takes_name(raw.takes)) or "unknown",
                              text(lib.kf_scores_kind_name(raw.scores)) or "unknown", frames,
                              lib.kf_model_bytes(self._c))
        p = raw.preprocess
        self.preprocess = None if not p.valid else Preprocess(
            p.width, p.height, p.crop_pct, text(lib.kf_crop_name(p.crop)) or "", text(lib.kf_filter_name(p.filter)) or "",
            text(lib.kf_color_name(p.color)) or "", tuple(p.mean), tuple(p.std),
            text(lib.kf_origin_name(raw.preprocess_origin)) or "unknown", text(raw.preprocess_source))
        self._range = raw.input_range
        self.inputs = self._tensors(lib.kf_model_input, raw.n_inputs)
        self.outputs = self._tensors(lib.kf_model_output, raw.n_outputs)
        self._n_steps = raw.n_steps
        if labels is None and raw.n_labels:
            labels = [text(lib.kf_model_label(self._c, i)) or "" for i in range(raw.n_labels)]
        self.labels: Optional[Tuple[str, ...]] = None if labels is None else tuple(labels)
        out = self.outputs[0]
        self._classes = int(np.prod(out.shape[1:])) if len(out.shape) > 1 else int(np.prod(out.shape))
        if self.labels is not None and len(self.labels) != self._classes:
            raise ArgumentError(f"{len(self.labels)} labels, but the model has {self._classes} classes")

    def _tensors(self, get: Any, n: int) -> Tuple[TensorInfo, ...]:
        out, err, found = ffi.new("kf_tensor *"), new_error(), []
        for i in range(n):
            check(get(self._c, i, out, err), err)
            found.append(TensorInfo(text(out.name) or "", _dtype_name(out.dtype), tuple(out.shape[0:out.rank])))
        return tuple(found)

    # ---- life ----

    def close(self) -> None:
        """Release the model and its sessions now. Calls after it raise ArgumentError."""
        with self._lock:
            self._idle.clear()
            single = self.__dict__.pop("_single", None)
            self._c = None
        if single is not None:
            single.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        if self._reload is None:
            raise TypeError("this model was made in memory; save it to a file first, and load that")
        return _again, (self._path, self._reload)

    def _session(self) -> _Session:
        if self._c is None:
            raise ArgumentError("this model is closed")
        if self._pid != os.getpid():  # a child of fork: its sessions have no threads, and the parent's are untouched
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return _Session(self)

    # ---- pictures ----

    def _top(self, s: _Session, n: int) -> Tuple[Score, ...]:
        labels, top = self.labels, s.top
        return tuple(Score(top[i].index, top[i].score, labels[top[i].index] if labels else None) for i in range(n))

    def _one(self, x: Any, k: int, exif: bool) -> Classification:
        image = _pictures.load(x, exif)
        s = self._session()
        try:
            check(lib.kf_session_classify(s.c, image, k, s.top, s.found, s.err), s.err)
            return Classification(self._top(s, s.found[0]), x if isinstance(x, (str, os.PathLike)) else None)
        finally:
            self._idle.append(s)

    def classify(self, x: Any, k: int = 5, *, exif: bool = True) -> Union[Classification, List[Classification]]:
        """The `k` best classes (1 to 1000) of a picture, or of each picture of a list.

        `x` is a path, the bytes of a file, a PIL image, or a uint8 array [height, width, 3] in RGB of any size. The
        picture is resized, cropped and normalized as the model says. Of a list all cores work on the pictures, each on
        one at a time; the results are in order. `exif` turns pictures that their camera turned (files only).

        Errors: MissingFileError, FileError, FormatError, LimitError of a picture; ArgumentError for what is none, and
        UnsupportedError where the model takes no pictures. The first one of a list ends the call; `classify_iter` goes
        on.
        """
        _check_k(k)
        if isinstance(x, (list, tuple)):
            results = list(self.classify_iter(x, k=k, exif=exif))
            for result in results:
                if result.error is not None:
                    raise result.error
            return results
        return self._one(x, k, exif)

    def classify_iter(self, pictures: Iterable[Any], *, k: int = 5, threads: Optional[int] = None,
                      exif: bool = True) -> Iterator[Classification]:
        """Classify any number of pictures, in order, with bounded memory: a generator of `Classification`.

        `threads` pictures are decoded and classified at the same time (default: the cores that this process may use);
        twice as many are read ahead. A picture that fails gives a result whose `error` is the exception.
        """
        _check_k(k)
        if threads is not None and not 1 <= threads <= 64:
            raise ArgumentError(f"threads {threads}: 1 to 64 is needed")
        return self._classify_iter(pictures, k, threads or _cores(), exif)

    def _classify_iter(self, pictures: Iterable[Any], k: int, threads: int, exif: bool) -> Iterator[Classification]:
        alone = self._alone()

        def one(x: Any) -> Classification:
            source = x if isinstance(x, (str, os.PathLike)) else None
            try:
                return alone._one(x, k, exif)
            except (Error, OSError, ValueError, MemoryError) as e:
                return Classification((), source, e)

        waiting: "deque[Any]" = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for x in pictures:
                    waiting.append(pool.submit(one, x))
                    if len(waiting) >= 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _alone(self) -> "Model":
        """The same model whose sessions take one core each: many pictures at once are faster so."""
        if self._threads == 1:
            return self
        with self._lock:
            if self.__dict__.get("_single") is None:
                single = object.__new__(Model)
                single.__dict__.update(self.__dict__)
                single._threads, single._idle, single._lock = 1, deque(), threading.Lock()
                self._single = single
            return self._single

    def nv12(self, frame: Any, size: Tuple[int, int], k: int = 5, *, limited: Optional[bool] = None) -> Classification:
        """Classify an NV12 camera frame of `size` = (width, height), both even.

        `frame` is bytes or a uint8 array of width * height * 3 / 2 bytes. `limited` is the range of its values by BT.601
        (16..235); default: what the model was made for, else full.
        """
        _check_k(k)
        width, height = size
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise ArgumentError(f"frames of {width}x{height}: both sides have to be even and at least 2")
        data = np.frombuffer(frame, np.uint8) if not isinstance(frame, np.ndarray) else frame
        if data.dtype != np.uint8 or not data.flags.c_contiguous:
            raise ArgumentError("a frame is contiguous uint8")
        if data.size != width * height * 3 // 2:
            raise ArgumentError(f"{data.size} bytes; a frame of {width}x{height} has {width * height * 3 // 2}")
        c = ffi.new("kf_nv12 *")
        at = data.__array_interface__["data"][0]
        c.width, c.height, c.stride_y, c.stride_uv = width, height, width, width
        c.y, c.uv = ffi.cast("uint8_t *", at), ffi.cast("uint8_t *", at + width * height)
        c.limited = self._range if limited is None else int(limited)
        s = self._session()
        try:
            check(lib.kf_session_classify_nv12(s.c, c, k, s.top, s.found, s.err), s.err)
            return Classification(self._top(s, s.found[0]))
        finally:
            self._idle.append(s)

    # ---- tensors ----

    def run(self, *inputs: Any, **named: Any) -> Any:
        """Raw tensors in, raw tensors out, in the model's declared order and layout (see `inputs` and `outputs`).

        Inputs are float32 as declared; a quantized model of pixels also takes uint8, as declared or in NHWC. Each is
        given by position or by name; contiguous ones are borrowed, others are copied. A first dimension of N times the
        declared one runs N images on all cores. Gives the output as a new array, or a tuple where there are several.

        Errors: ArgumentError, with both shapes or types.
        """
        if named or len(inputs) != len(self.inputs):
            inputs = self._ordered(inputs, named)
        s = self._session()
        try:
            held = []
            for i, value in enumerate(inputs):
                array = np.ascontiguousarray(value)
                held.append(array)
                _fill(s.ins[i], array, self.inputs[i].name)
            n = self._images(held)
            outs = [np.empty((spec.shape[0] * n, *spec.shape[1:]) if n != 1 else spec.shape, spec.dtype)
                    for spec in self.outputs]
            for i, array in enumerate(outs):
                _fill(s.outs[i], array, self.outputs[i].name)
            if n != 1:
                self._run_many(s)
            else:
                check(lib.kf_session_run(s.c, s.ins, s.n_in, s.outs, s.n_out, s.err), s.err)
            return outs[0] if len(outs) == 1 else tuple(outs)
        finally:
            self._idle.append(s)

    __call__ = run

    def _ordered(self, inputs: Tuple[Any, ...], named: dict) -> Tuple[Any, ...]:
        names = [spec.name for spec in self.inputs]
        if len(inputs) + len(named) != len(names) or set(named) != set(names[len(inputs):]):
            raise ArgumentError(f"{len(inputs) + len(named)} inputs; this model takes {len(names)}: {', '.join(names)}")
        return inputs + tuple(named[name] for name in names[len(inputs):])

    def _images(self, held: List[np.ndarray]) -> int:
        declared = self.inputs[0].shape
        first = held[0].shape
        if len(first) != len(declared) or not declared or first[0] == declared[0]:
            return 1
        return first[0] // declared[0] if first[0] and first[0] % declared[0] == 0 else 1

    def _run_many(self, s: _Session) -> None:
        out, err = ffi.new("kf_batch **"), s.err
        check(lib.kf_batch_create(self._c, ffi.NULL, out, err), err)
        try:
            check(lib.kf_batch_run(out[0], s.ins, s.n_in, s.outs, s.n_out, err), err)
        finally:
            lib.kf_batch_destroy(out)

    # ---- what it is ----

    @property
    def steps(self) -> Tuple[Step, ...]:
        """The steps of the program in the order of execution."""
        raw, err, found = info("kf_step_info"), new_error(), []
        for i in range(self._n_steps):
            check(lib.kf_model_step(self._c, i, raw, err), err)
            found.append(Step(text(raw.name) or "", text(raw.op) or "", text(raw.kernel) or "", tuple(raw.shape),
                              _dtype_name(raw.dtype), raw.macs, raw.parameters))
        return tuple(found)

    @property
    def name(self) -> str:
        """Its name, or that of its file."""
        return self.info.name or self.info.arch or (os.path.basename(self._path) if self._path else "model")

    def __str__(self) -> str:
        kind = "int8" if self.info.quantized else "float32"
        shape = "x".join(map(str, self.inputs[0].shape))
        return f"{self.name}: {kind}, {shape}, {self._classes} classes, {self.info.macs / 1e6:.1f} M multiply-adds"

    def __repr__(self) -> str:
        return f"<kitfox.Model {self}>"

    def _repr_html_(self) -> str:
        p = self.preprocess
        rows = [("architecture", self.info.arch), ("numbers", "int8" if self.info.quantized else "float32"),
                ("input", str(self.inputs[0])), ("output", "; ".join(map(str, self.outputs))),
                ("classes", self._classes), ("parameters", f"{self.info.parameters:,}"),
                ("multiply-adds", f"{self.info.macs:,}"), ("steps", self._n_steps),
                ("pictures", None if p is None else f"{p.interpolation}, {p.crop_mode}, crop {p.crop_pct:g}, "
                 f"mean {', '.join(f'{v:g}' for v in p.mean)}, std {', '.join(f'{v:g}' for v in p.std)}")]
        cells = "".join(f"<tr><th style='text-align:left'>{k}</th><td style='text-align:left'>{html.escape(str(v))}</td></tr>"
                        for k, v in rows if v is not None)
        return f"<table><caption>{html.escape(self.name)}</caption>{cells}</table>"


def _check_k(k: int) -> None:
    if not isinstance(k, int) or not 1 <= k <= 1000:
        raise ArgumentError(f"k {k!r}: 1 to 1000 is needed")


def _cores() -> int:
    try:
        return max(1, min(64, len(os.sched_getaffinity(0))))
    except AttributeError:
        return max(1, min(64, os.cpu_count() or 1))


def _again(path: str, how: dict) -> Model:
    return load(path, **how)


def _labels(labels: Any) -> Optional[Sequence[str]]:
    """Names of classes: a sequence, or the path of a label file."""
    if labels is None or not isinstance(labels, (str, os.PathLike)):
        return None if labels is None else [str(label) for label in labels]
    out, err = ffi.new("kf_labels *"), new_error()
    check(lib.kf_labels_load(path_bytes(labels), out, err), err, os.fsdecode(labels))
    try:
        return [text(out.items[i]) or "" for i in range(out.n)]
    finally:
        lib.kf_labels_free(out)


def _compiled(path: str) -> bool:
    """Is the file a compiled model? Told by its content, so that any name will do."""
    try:
        with open(path, "rb") as f:
            head = f.read(4096)
    except OSError:
        return path.endswith(".kfx")  # the library says why it cannot be opened
    kind = lib.kf_file_recognize(head, len(head))
    return path.endswith(".kfx") if kind == ffi.NULL else bool(kind.reads & lib.KF_FILE_KFX)


def load(model: Any = BUILT_IN, *, threads: int = 0, labels: Any = None, scores: Optional[str] = None,
         max_memory: int = 0, max_operations: int = 0, **importing: Any) -> Model:
    """Load a model: a `.kfx` file, an `.onnx` or `.safetensors` file, which is imported, or the built-in `everyday10`.

    `threads` cores work on one picture (0: KITFOX_THREADS, or what affinity and quota allow, at most 4). `labels` is a
    sequence of names or a label file. `scores` says what output 0 means ("logits", "probabilities", "independent",
    "log", "features") in place of what the file says. `max_memory` bounds the bytes of the model and of each session,
    `max_operations` the work of one run; 0: the library's limits. Further keywords are those of `kitfox.graph`.

    Errors: MissingFileError, FileError, FormatError, UnsupportedError, LimitError; the text names the node.

    >>> import kitfox
    >>> print(kitfox.load())
    everyday10: float32, 1x3x64x64, 10 classes, 5.1 M multiply-adds
    """
    how = dict(threads=threads, labels=labels, scores=scores, max_memory=max_memory, max_operations=max_operations,
               **importing)
    if not 0 <= threads <= 64:
        raise ArgumentError(f"threads {threads}: 0 to 64 is possible")
    path = os.path.join(os.path.dirname(__file__), BUILT_IN + ".kfx") if model == BUILT_IN else os.fsdecode(os.fspath(model))
    o, out, err = options("kf_model_options"), ffi.new("kf_model **"), new_error()
    o.max_model_bytes = o.max_session_bytes = max_memory
    o.max_operations = max_operations
    if scores is not None:
        kind = ffi.new("kf_scores_kind *")
        check(lib.kf_scores_kind_from_name(scores.encode(), kind, err), err)
        o.scores = kind[0]
    if _compiled(path):
        if importing:
            raise ArgumentError(f"{path} is compiled already; {', '.join(sorted(importing))}: say it where it is imported")
        status = lib.kf_model_load(path_bytes(path), o, out, err)
        check(lib.kf_file_explain(path_bytes(path), lib.KF_FILE_KFX, status, err), err, path)
    else:
        from ._graph import graph

        with graph(path, **importing) as g:
            check(lib.kf_graph_compile(g._c, o, out, err), err, path)
    names = _labels(labels)
    return Model(out[0], path, None if importing.get("preprocess") is not None else how, threads, names)
