"""Models: loading, classifying, raw tensors. One `Model` serves any number of threads."""

from __future__ import annotations

import os
from collections import deque
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _pictures
from ._call import (
    ArgumentError,
    MissingFileError,
    Watch,
    address,
    check,
    destroyed,
    ffi,
    info,
    kind,
    lib,
    new_error,
    options,
    path_bytes,
    text,
    whole,
)
from ._results import Classification, ModelInfo, Preprocess, Score, Step, TensorInfo

BUILT_IN = "everyday10"
_NUMPY = {
    "f32": "float32",
    "f16": "float16",
    "f64": "float64",
    "u8": "uint8",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "bool": "bool",
}


def _dtype_name(dtype: int) -> str:
    name = text(lib.kf_dtype_name(dtype)) or ""
    return _NUMPY.get(name, name)


_DTYPES = {
    np.dtype(name): number
    for number in range(1, lib.KF_DTYPE_COUNT)
    for name in [_dtype_name(number)]
    if name != "bf16"
}


_SCORE = ffi.sizeof("kf_score")


class _Session:
    """The memory of one run. A session belongs to one thread at a time: the model hands it out and takes it back."""

    def __init__(self, model: "Model", c: Any):
        o, out, err = options("kf_session_options"), ffi.new("kf_session **"), new_error()
        o.threads = model._threads
        check(lib.kf_session_create(c, o, out, err), err)
        self.c = destroyed(out[0], "kf_session **", lib.kf_session_destroy, c)
        self.err = err
        self.n_in, self.n_out = len(model.inputs), len(model.outputs)
        self.ins = ffi.new("kf_tensor[]", self.n_in)
        self.outs = ffi.new("kf_tensor[]", self.n_out)
        self.top = ffi.new("kf_score[]", 1000)
        self.found = ffi.new("size_t *")
        self.batch: Any = None
        self.known: List[Any] = [None] * (self.n_in + self.n_out)  # what the tensors say already, but for their data

    def point(self, k: int, tensor: Any, array: np.ndarray, name: str) -> None:
        """Point input or output `k`, outputs after inputs, at a contiguous array, which stays the caller's."""
        what = array.shape, array.dtype
        if self.known[k] != what:
            self.known[k] = None
            _fill(tensor, array, name)
            self.known[k] = what
        tensor.data = ffi.from_buffer(array)

    def run_many(self, model: Any, threads: int) -> None:
        """Several images on all cores: a batch of the library, which has sessions of its own."""
        if self.batch is None:
            o, out = options("kf_batch_options"), ffi.new("kf_batch **")
            o.threads = threads
            check(lib.kf_batch_create(model, o, out, self.err), self.err)
            self.batch = destroyed(out[0], "kf_batch **", lib.kf_batch_destroy, model)
        check(lib.kf_batch_run(self.batch, self.ins, self.n_in, self.outs, self.n_out, self.err), self.err)


def _fill(tensor: Any, array: np.ndarray, name: str) -> None:
    """Type and shape of a kf_tensor, as those of an array."""
    number = _DTYPES.get(array.dtype)
    if number is None:
        raise ArgumentError(f"input {name}: the type {array.dtype} is none of a model; convert it to float32 or uint8")
    rank = array.ndim
    if rank > 8:
        raise ArgumentError(f"input {name}: {rank} dimensions; at most 8 are possible")
    tensor.name = ffi.NULL
    tensor.dtype = number
    tensor.rank = rank
    tensor.shape[0:rank] = array.shape
    tensor.bytes = array.nbytes


class Model:
    """A compiled network. Make one with `kitfox.load`.

    Thread rule: share it between any number of threads; each call takes a session of its own, and none waits for
    another. A child of `fork` may use the models of its parent; it makes sessions of its own. A model pickles by its
    path; one that was made in memory does not.
    """

    def __init__(self, c: Any, path: Optional[str], reload: Optional[Dict[str, Any]], threads: int, labels: Any):
        self._c = destroyed(c, "kf_model **", lib.kf_model_destroy)
        self._path = path
        self._reload = reload
        self._threads = threads
        self._idle: "deque[_Session]" = deque()
        self._pid = os.getpid()
        self._read(labels)

    def _read(self, labels: Any) -> None:
        raw, err = info("kf_model_info"), new_error()
        check(lib.kf_model_get_info(self._c, raw, err), err)
        frames = (None, ("full", "limited")[raw.input_range])[raw.input_range_known]
        self.info = ModelInfo(
            text(raw.name),
            text(raw.arch),
            text(raw.source),
            text(raw.producer),
            text(raw.compiled_by),
            raw.parameters,
            raw.stored_parameters,
            raw.macs,
            raw.activations,
            bool(raw.quantized),
            text(lib.kf_takes_name(raw.takes)) or "unknown",
            text(lib.kf_scores_kind_name(raw.scores)) or "unknown",
            frames,
            lib.kf_model_bytes(self._c),
        )
        p = raw.preprocess
        self._how = ffi.new("kf_preprocess *", p)
        self.preprocess = (
            None
            if not p.valid
            else Preprocess(
                p.width,
                p.height,
                p.crop_pct,
                text(lib.kf_crop_name(p.crop)) or "",
                text(lib.kf_filter_name(p.filter)) or "",
                text(lib.kf_color_name(p.color)) or "",
                tuple(p.mean),
                tuple(p.std),
                text(lib.kf_origin_name(raw.preprocess_origin)) or "unknown",
                text(raw.preprocess_source),
            )
        )
        self._range = raw.input_range
        self.inputs = self._tensors(lib.kf_model_input, raw.n_inputs)
        self.outputs = self._tensors(lib.kf_model_output, raw.n_outputs)
        self._outs = [(spec.shape, np.dtype(spec.dtype)) for spec in self.outputs]
        self._n_steps = raw.n_steps
        ranked = ffi.new("kf_tensor *")
        check(lib.kf_model_output(self._c, lib.kf_model_ranked(self._c), ranked, err), err)
        extents = list(ranked.shape)[: ranked.rank]
        self._classes = int(np.prod(extents[1:] if len(extents) > 1 else extents))
        self.labels = self._own_labels(raw.n_labels) if labels is None else self._given_labels(labels)

    def _own_labels(self, n: int) -> Optional[Tuple[str, ...]]:
        return tuple(text(lib.kf_model_label(self._c, i)) or "" for i in range(n)) if n else None

    def _given_labels(self, labels: Any) -> Tuple[str, ...]:
        names = labels_of(labels, self._c)
        if len(names) != self._classes:
            raise ArgumentError(f"{len(names)} labels, but the model has {self._classes} classes")
        return tuple(names)

    def _tensors(self, get: Any, n: int) -> Tuple[TensorInfo, ...]:
        out, err, found = ffi.new("kf_tensor *"), new_error(), []
        for i in range(n):
            check(get(self._c, i, out, err), err)
            found.append(TensorInfo(text(out.name) or "", _dtype_name(out.dtype), tuple(out.shape[0 : out.rank])))
        return tuple(found)

    # ---- life ----

    def close(self) -> None:
        """Release the model and its sessions now, those of running calls when these end. Calls after it raise
        ArgumentError."""
        self._c = None
        self._idle.clear()
        single = self.__dict__.pop("_single", None)
        if single is not None:
            single.close()

    def _open(self) -> Any:
        """The C model, as long as it is open."""
        c = self._c
        if c is None:
            raise ArgumentError("this model is closed")
        return c

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        if self._reload is None:
            raise TypeError("this model was made in memory; save it to a file first, and load that")
        return _again, (self._path, self._reload)

    def _take(self) -> _Session:
        c = self._open()
        if self._pid != os.getpid():  # a child of fork: its parent's sessions have no threads here
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return _Session(self, c)

    def _give(self, s: _Session) -> None:
        if self._c is not None:
            self._idle.append(s)

    # ---- pictures ----

    def _top(self, s: _Session) -> Callable[[], Tuple[Score, ...]]:
        """The scores of the last run, copied as they are; they become objects when somebody looks."""
        labels, copy = self.labels, bytes(ffi.buffer(s.top, s.found[0] * _SCORE))

        def make() -> Tuple[Score, ...]:
            top = ffi.from_buffer("kf_score[]", copy)
            return tuple(Score(t.index, t.score, labels[t.index] if labels else None) for t in top)

        return make

    def _one(self, x: Any, k: int, exif: bool) -> Classification:
        image, held = _pictures.load(x, exif)
        s = self._take()
        try:
            check(lib.kf_session_classify(s.c, image, k, s.top, s.found, s.err), s.err)
            return Classification(self._top(s), x if isinstance(x, (str, os.PathLike)) else None)
        finally:
            self._give(s)

    def classify(self, x: Any, k: int = 5, *, exif: bool = True) -> Union[Classification, List[Classification]]:
        """The `k` best classes (1 to 1000) of a picture, or of each picture of a list.

        `x` is a path, the bytes of a file, a PIL image, or a uint8 array [height, width, 3] in RGB of any size. The
        picture is resized, cropped and normalized as the model says. Of a list all cores work on the pictures, each on
        one at a time; the results are in order. `exif` turns pictures that their camera turned (files only).

        Errors: MissingFileError, FileError, FormatError, UnsupportedError, LimitError of a picture; ArgumentError for
        what is none, and where the model takes no pictures or gives no scores of classes. The first one of a list ends
        the call; `classify_iter` goes on.
        """
        _check_k(k)
        if isinstance(x, (list, tuple)):
            results = list(self.classify_iter(x, k=k, exif=exif))
            for result in results:
                if result.error is not None:
                    raise result.error
            return results
        return self._one(x, k, exif)

    def classify_iter(
        self, pictures: Iterable[Any], *, k: int = 5, threads: Optional[int] = None, exif: bool = True
    ) -> Iterator[Classification]:
        """Classify any number of pictures, in order, with bounded memory: a generator of `Classification`.

        `threads` pictures are decoded and classified at the same time (default: the cores that this process may use);
        twice as many are read ahead. A picture that fails gives a result whose `error` is the exception.
        """
        _check_k(k)
        if threads is not None and not 1 <= threads <= 64:
            raise ArgumentError(f"threads {threads}: 1 to 64 is needed")
        return self._classify_iter(pictures, k, threads or _cores(), exif)

    def _classify_iter(self, pictures: Iterable[Any], k: int, threads: int, exif: bool) -> Iterator[Classification]:
        from concurrent.futures import ThreadPoolExecutor

        alone = self._alone()

        def one(x: Any) -> Classification:
            source = x if isinstance(x, (str, os.PathLike)) else None
            try:
                return alone._one(x, k, exif)
            except Exception as e:  # whatever a decoder raises belongs to its picture
                return Classification((), source, e)

        waiting: "deque[Any]" = deque()
        failed: Optional[Exception] = None
        with ThreadPoolExecutor(threads) as pool:
            try:
                try:
                    for x in pictures:
                        waiting.append(pool.submit(one, x))
                        if len(waiting) >= 2 * threads:
                            yield waiting.popleft().result()
                except Exception as e:  # of `pictures`: what came before it is not lost
                    failed = e
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
        if failed is not None:
            raise failed

    def _alone(self) -> "Model":
        """The same model whose sessions take one core each: many pictures at once are faster so."""
        if self._threads == 1:
            return self
        single = self.__dict__.get("_single")
        if single is None or single._c is None:
            single = object.__new__(Model)
            single.__dict__.update(self.__dict__)
            single._c, single._threads, single._idle = self._open(), 1, deque()
            self.__dict__["_single"] = single  # another thread may have made one too; one of the two is enough
        return single

    def nv12(
        self,
        frame: Any,
        size: Tuple[int, int],
        k: int = 5,
        *,
        strides: Optional[Tuple[int, int]] = None,
        limited: Optional[bool] = None,
    ) -> Classification:
        """Classify an NV12 camera frame of `size` = (width, height), both even.

        `frame` is bytes or a contiguous uint8 array: `height` rows of luma, then height / 2 rows of chroma. `strides`
        are the bytes from row to row of both, at least the width; default: the width. It may also be the pair of its
        planes, two arrays [height, width] and [height / 2, width] whose rows may lie apart. `limited` says that its
        values have the limited range of BT.601 (16..235); default: what the model was made for, else full.

        Errors: ArgumentError (size, type, too few bytes), UnsupportedError where the model takes no pictures.
        """
        _check_k(k)
        width, height = size
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise ArgumentError(f"frames of {width}x{height}: both sides have to be even and at least 2")
        c = ffi.new("kf_nv12 *")
        c.width, c.height = width, height
        held = _planes(c, frame, width, height, strides)
        c.limited = self._range if limited is None else int(limited)
        s = self._take()
        try:
            check(lib.kf_session_classify_nv12(s.c, c, k, s.top, s.found, s.err), s.err)
            return Classification(self._top(s))
        finally:
            self._give(s)
            del held

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
        s = self._take()
        try:
            held = [np.ascontiguousarray(value) for value in inputs]
            for i, array in enumerate(held):
                s.point(i, s.ins[i], array, self.inputs[i].name)
            n = self._images(held[0].shape)
            outs = [np.empty((shape[0] * n, *shape[1:]) if n != 1 else shape, dtype) for shape, dtype in self._outs]
            for i, array in enumerate(outs):
                s.point(s.n_in + i, s.outs[i], array, self.outputs[i].name)
            if n != 1:
                s.run_many(self._open(), self._threads)
            else:
                check(lib.kf_session_run(s.c, s.ins, s.n_in, s.outs, s.n_out, s.err), s.err)
            return outs[0] if len(outs) == 1 else tuple(outs)
        finally:
            self._give(s)

    __call__ = run

    def _ordered(self, inputs: Tuple[Any, ...], named: Dict[str, Any]) -> Tuple[Any, ...]:
        names = [spec.name for spec in self.inputs]
        if len(inputs) + len(named) != len(names) or set(named) != set(names[len(inputs) :]):
            raise ArgumentError(f"{len(inputs) + len(named)} inputs; this model takes {len(names)}: {', '.join(names)}")
        return inputs + tuple(named[name] for name in names[len(inputs) :])

    def _images(self, first: Tuple[int, ...]) -> int:
        declared = self.inputs[0].shape
        if first == declared:
            return 1
        if len(first) != len(declared) or not declared or first[0] == declared[0]:
            return 1
        return first[0] // declared[0] if first[0] and first[0] % declared[0] == 0 else 1

    # ---- what it is ----

    @property
    def steps(self) -> Tuple[Step, ...]:
        """The steps of the program in the order of execution."""
        raw, err, found, c = info("kf_step_info"), new_error(), [], self._open()
        for i in range(self._n_steps):
            check(lib.kf_model_step(c, i, raw, err), err)
            found.append(
                Step(
                    text(raw.name) or "",
                    text(raw.op) or "",
                    text(raw.kernel) or "",
                    tuple(raw.shape),
                    _dtype_name(raw.dtype),
                    raw.macs,
                    raw.parameters,
                )
            )
        return tuple(found)

    @property
    def name(self) -> str:
        """Its name, or that of its file."""
        if self._path == BUILT_IN:
            return BUILT_IN
        file = os.path.splitext(os.path.basename(self._path))[0] if self._path else "model"
        return self.info.name or self.info.arch or file

    def __str__(self) -> str:
        kind = "int8" if self.info.quantized else "float32"
        shape = "x".join(map(str, self.inputs[0].shape))
        return f"{self.name}: {kind}, {shape}, {self._classes} classes, {self.info.macs / 1e6:.1f} M multiply-adds"

    def __repr__(self) -> str:
        return f"<kitfox.Model {self}>"

    def _repr_html_(self) -> str:
        import html

        p = self.preprocess
        rows = [
            ("architecture", self.info.arch),
            ("numbers", "int8" if self.info.quantized else "float32"),
            ("input", str(self.inputs[0])),
            ("output", "; ".join(map(str, self.outputs))),
            ("classes", self._classes),
            ("parameters", f"{self.info.parameters:,}"),
            ("multiply-adds", f"{self.info.macs:,}"),
            ("steps", self._n_steps),
            (
                "pictures",
                (
                    None
                    if p is None
                    else f"{p.interpolation}, {p.crop_mode}, crop {p.crop_pct:g}, "
                    f"mean {', '.join(f'{v:g}' for v in p.mean)}, std {', '.join(f'{v:g}' for v in p.std)}"
                ),
            ),
        ]
        cells = "".join(
            f"<tr><th style='text-align:left'>{k}</th><td style='text-align:left'>{html.escape(str(v))}</td></tr>"
            for k, v in rows
            if v is not None
        )
        return f"<table><caption>{html.escape(self.name)}</caption>{cells}</table>"


def _check_k(k: int) -> None:
    if not isinstance(k, int) or not 1 <= k <= 1000:
        raise ArgumentError(f"k {k!r}: 1 to 1000 is needed")


def _cores() -> int:
    """Cores that this process may use, as the library counts them: KITFOX_THREADS, else affinity and quota."""
    pool = ffi.new("kf_pool **")
    if lib.kf_pool_create(0, ffi.NULL, pool, ffi.NULL) != lib.KF_OK:
        return 1
    try:
        return int(lib.kf_pool_threads(pool[0], ffi.NULL))
    finally:
        lib.kf_pool_destroy(pool)


def _planes(c: Any, frame: Any, width: int, height: int, strides: Optional[Tuple[int, int]]) -> Any:
    """Point a kf_nv12 at a frame's two planes; what has to live as long as it is used."""
    if isinstance(frame, (tuple, list)):
        y, uv = (np.asarray(p) for p in frame)
        for name, plane, shape in (("luma", y, (height, width)), ("chroma", uv, (height // 2, width))):
            if plane.dtype != np.uint8 or plane.shape != shape or plane.strides[1] != 1 or plane.strides[0] < width:
                raise ArgumentError(
                    f"{name}: uint8 {list(shape)} with contiguous rows is needed; this is {plane.dtype} "
                    f"{list(plane.shape)} with strides {plane.strides}"
                )
        c.y, c.uv, c.stride_y, c.stride_uv = address(y), address(uv), y.strides[0], uv.strides[0]
        return y, uv
    data = frame if isinstance(frame, np.ndarray) else np.frombuffer(frame, np.uint8)
    if data.dtype != np.uint8 or not data.flags.c_contiguous:
        raise ArgumentError(
            f"a frame is contiguous uint8; this is {data.dtype}"
            f"{'' if data.flags.c_contiguous else ', not contiguous'}"
        )
    apart = (width, width) if strides is None else strides
    if min(apart) < width:
        raise ArgumentError(f"strides {apart}: a row has {width} bytes")
    need = apart[0] * height + apart[1] * (height // 2 - 1) + width
    if data.size < need or (strides is None and data.size != need):
        raise ArgumentError(f"{data.size} bytes; a frame of {width}x{height} with strides {apart} has {need}")
    at = data.__array_interface__["data"][0]
    c.y, c.uv = ffi.cast("uint8_t *", at), ffi.cast("uint8_t *", at + apart[0] * height)
    c.stride_y, c.stride_uv = apart
    return data


def _again(path: str, how: Dict[str, Any]) -> Model:
    return load(path, **how)


def label_file(path: Any) -> Any:
    """A label file as C has it."""
    out, err = ffi.new("kf_labels *"), new_error()
    check(lib.kf_labels_load(path_bytes(path), out, err), err, os.fsdecode(path))
    return ffi.gc(out, lib.kf_labels_free)


def is_file(labels: Any) -> bool:
    return isinstance(labels, (str, os.PathLike))


def labels_of(labels: Any, model: Any) -> List[str]:
    """Names of classes: a sequence, or those of a label file that fit the model (a line for a background class more or
    fewer)."""
    if not is_file(labels):
        return [str(label) for label in labels]
    names, err, watch = label_file(labels), new_error(), Watch()
    watch.check(lib.kf_labels_fit(names, model, lib.kf_py_message, watch.handle, err), err, os.fsdecode(labels))
    return [text(names.items[i]) or "" for i in range(names.n)]


def _head(path: str) -> bytes:
    """The first bytes of a regular file; none of what cannot be read, of which the library then says why."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 4096) if os.path.isfile(path) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def compiled(path: str, head: bytes) -> bool:
    """Is it a compiled model? Told by its content, so that any name will do."""
    kind = lib.kf_file_recognize(head, len(head))
    return path.endswith(".kfx") if kind == ffi.NULL else bool(kind.reads & lib.KF_FILE_KFX)


def is_compiled(model: Any, path: Optional[str]) -> bool:
    """Is it a compiled model, a file or its bytes? `path` is None for bytes."""
    return compiled(path or "", bytes(model[:4096]) if path is None else _head(path))


def in_memory(model: Any) -> bool:
    """Is it the content of a file?"""
    return isinstance(model, (bytes, bytearray, memoryview))


def find(model: Any) -> str:
    """The path of a file, of the built-in model, or of weights that `pull` has fetched, by their name."""
    name = os.fsdecode(os.fspath(model))
    if name == BUILT_IN:
        return os.path.join(os.path.dirname(__file__), BUILT_IN + ".kfx")
    if os.path.lexists(name) or os.sep in name or "." in name:
        return name
    raw, err = info("kf_weights"), new_error()
    if lib.kf_weights_find(name.encode(), raw, err) != lib.KF_OK:
        return name
    path = cache_folder(text(raw.name) or "")
    if path is None or not raw.cached:
        raise MissingFileError(f"{name}: these weights are not here; kitfox.pull({name!r}) fetches them")
    return os.path.join(path, text(raw.file) or "")


def cache_folder(name: str) -> Optional[str]:
    """Where `pull` keeps weights, as the library has it."""
    cache, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if cache.startswith("/"):
        return f"{cache}/kitfox/weights/{name}"
    return f"{home}/.cache/kitfox/weights/{name}" if home else None


def limits(max_memory: int, max_operations: int, scores: Optional[str] = None) -> Any:
    """A kf_model_options."""
    o = options("kf_model_options")
    o.max_model_bytes = o.max_session_bytes = whole("max_memory", max_memory)
    o.max_operations, o.scores = whole("max_operations", max_operations), kind(scores)
    return o


def load(
    model: Any = BUILT_IN,
    *,
    threads: int = 0,
    labels: Any = None,
    scores: Optional[str] = None,
    max_memory: int = 0,
    max_operations: int = 0,
    **importing: Any,
) -> Model:
    """Load a model: a `.kfx` file or its bytes, what `kitfox.graph` imports, or a name.

    Names are `everyday10`, which is built in, and those of weights that `kitfox.pull` has fetched. `threads` cores work
    on one picture (0: KITFOX_THREADS, or what affinity and quota allow, at most 4). `labels` is a sequence of names or a
    label file. `scores` says what output 0 means ("logits", "probabilities", "independent", "log", "features") in place
    of what the file says. `max_memory` bounds the bytes of the model and of each session, `max_operations` the work of
    one run; 0: the library's limits. Further keywords are those of `kitfox.graph`.

    Errors: MissingFileError, FileError, FormatError, UnsupportedError, LimitError; the text names the node.

    >>> import kitfox
    >>> print(kitfox.load())
    everyday10: float32, 1x3x64x64, 10 classes, 5.5 M multiply-adds
    """
    if not 0 <= threads <= 64:
        raise ArgumentError(f"threads {threads}: 0 to 64 is possible")
    o, out, err = limits(max_memory, max_operations, scores), ffi.new("kf_model **"), new_error()
    memory = in_memory(model)
    path = None if memory else find(model)
    if is_compiled(model, path):
        if importing:
            raise ArgumentError(
                f"{path or 'the model'} is compiled already; {', '.join(sorted(importing))}: say it where "
                "it is imported"
            )
        if memory:
            held = ffi.from_buffer(model)
            check(lib.kf_model_load_memory(held, len(held), o, out, err), err)
        else:
            status = lib.kf_model_load(path_bytes(path), o, out, err)
            check(lib.kf_file_explain(path_bytes(path), lib.KF_FILE_KFX, status, err), err, path)
    else:
        from ._graph import graph

        with graph(model if memory else path, **importing) as g:
            check(lib.kf_graph_compile(g._open(), o, out, err), err, path)
    how = dict(
        threads=threads, labels=labels, scores=scores, max_memory=max_memory, max_operations=max_operations, **importing
    )
    again = BUILT_IN if path is not None and os.fspath(model) == BUILT_IN else path and os.path.abspath(path)
    m = Model(out[0], again, how if again else None, threads, labels)
    if labels is not None:
        how["labels"] = m.labels  # a file may be elsewhere, or nowhere, where the model is unpickled
    return m
