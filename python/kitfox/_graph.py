"""Networks before they are compiled: import, simplification, ONNX export, quantization work on a `Graph`."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, TYPE_CHECKING, Tuple

from ._call import (
    ArgumentError,
    Watch,
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

if TYPE_CHECKING:
    from ._model import Model


class Graph:
    """An imported network, not yet compiled. Make one with `kitfox.graph`, `from_timm` or `from_state_dict`.

    It belongs to one thread at a time, and does not pickle. `kitfox.quantize` quantizes it in place.
    """

    def __init__(self, c: Any, path: Optional[str]):
        self._c = destroyed(c, "kf_graph **", lib.kf_graph_destroy)
        self._path = path

    def _open(self) -> Any:
        if self._c is None:
            raise ArgumentError("this graph is closed, or a call that changes it failed; import it again")
        return self._c

    def __reduce__(self) -> Any:
        raise TypeError("a graph does not pickle; save it to a file, and load that")

    def close(self) -> None:
        """Release it now."""
        self._c = None

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _info(self) -> Any:
        raw, err = info("kf_graph_info"), new_error()
        check(lib.kf_graph_get_info(self._open(), raw, err), err)
        return raw

    @property
    def nodes(self) -> int:
        """Nodes, as the graph is now."""
        return int(self._info().n_nodes)

    def save(self, path: Any) -> None:
        """Compile and write a `.kfx` file; it has its name only when it is complete. FileError, UnsupportedError."""
        err = new_error()
        check(lib.kf_graph_save(self._open(), path_bytes(path), err), err, os.fsdecode(path))

    def save_onnx(self, path: Any) -> None:
        """Write an ONNX file of standard operators, as the graph is now. FileError, LimitError (2 GiB)."""
        err = new_error()
        check(lib.kf_graph_save_onnx(self._open(), path_bytes(path), err), err, os.fsdecode(path))

    def compile(self, *, threads: int = 0, labels: Any = None) -> "Model":
        """A `Model` that runs on this machine. UnsupportedError names a node that has no kernel."""
        from ._model import Model

        out, err = ffi.new("kf_model **"), new_error()
        check(lib.kf_graph_compile(self._open(), ffi.NULL, out, err), err)
        return Model(out[0], self._path, None, threads, labels)

    def __str__(self) -> str:
        if self._c is None:
            return "closed"
        raw = self._info()
        return f"{text(raw.name) or text(raw.arch) or 'network'}: {raw.n_nodes} nodes, {raw.macs / 1e6:.1f} M multiply-adds"

    def __repr__(self) -> str:
        return f"<kitfox.Graph {self}>"


def graph(
    model: Any,
    *,
    input_shape: Optional[str] = None,
    arch: Optional[str] = None,
    preprocess: Optional[str] = None,
    mean: Optional[Sequence[float]] = None,
    std: Optional[Sequence[float]] = None,
    crop_pct: Optional[float] = None,
    crop_mode: Optional[str] = None,
    interpolation: Optional[str] = None,
    color: Optional[str] = None,
    pillow: Optional[str] = None,
    resize: int = 0,
    labels: Any = None,
    scores: Optional[str] = None,
    batch: int = 0,
    max_fold_bytes: int = 0,
) -> Graph:
    """Import an ONNX file or its bytes, a checkpoint of timm's or torchvision's MobileNetV3, or a compiled model.

    Checkpoints are safetensors files, or files of `torch.save`, for which your own torch is used (`weights_only`).
    `input_shape` ("1x3x224x224") replaces a shape that the file leaves open; `arch` is a checkpoint's timm name.
    `preprocess` is a name whose published preprocessing is used; `mean`, `std`, `crop_pct`, `crop_mode`,
    `interpolation`, `color`, `pillow` and `resize` replace single members, as the options of `kitfox import` do.
    `labels` is a sequence of names, or a label file. `scores` says what output 0 means, as in `kitfox.load`. `batch` is
    the first extent of the inputs, where an ONNX file fixes another one or leaves it free (0: as the file has it, 1
    where it is free). `max_fold_bytes` bounds the constants that rewrites make (0: the library's limit).

    Errors: MissingFileError, FormatError, UnsupportedError (the text names the node), LimitError, ArgumentError.
    """
    from ._model import _head, find
    from ._torch import from_file, is_torch

    members = dict(mean=mean, std=std, crop_pct=crop_pct, crop_mode=crop_mode, interpolation=interpolation)
    members.update(color=color, pillow=pillow)
    how = dict(input_shape=input_shape, preprocess=preprocess, scores=scores, batch=batch)
    how["max_fold_bytes"] = max_fold_bytes
    memory = isinstance(model, (bytes, bytearray, memoryview))
    path = None if memory else find(model)
    if path is not None and is_torch(path, _head(path)):
        return from_file(path, arch, how, members, resize, labels)
    held: List[Any] = []
    watch, out, err = Watch(), ffi.new("kf_graph **"), new_error()
    o = import_options(watch, held, arch=arch, **how)
    if path is None:
        data = ffi.from_buffer(model)
        status = lib.kf_graph_import_onnx_memory(data, len(data), o, out, err)
    else:
        status = lib.kf_graph_import(path_bytes(path), o, out, err)
    return imported(out, status, err, path, watch, members, resize, labels)


def import_options(
    watch: Watch,
    held: List[Any],
    *,
    input_shape: Optional[str] = None,
    arch: Optional[str] = None,
    preprocess: Optional[str] = None,
    scores: Optional[str] = None,
    batch: int = 0,
    max_fold_bytes: int = 0,
) -> Any:
    """A kf_import_options; `held` keeps what it borrows."""
    o, err = options("kf_import_options"), new_error()
    given = [ffi.new("char[]", s.encode()) if s is not None else ffi.NULL for s in (input_shape, arch)]
    o.input_shape, o.arch = given
    o.batch, o.max_fold_bytes, o.scores = whole("batch", batch), whole("max_fold_bytes", max_fold_bytes), kind(scores)
    o.notice, o.notice_user = lib.kf_py_message, watch.handle
    named = ffi.new("kf_preprocess *")
    held.extend((*given, named))
    if preprocess is not None:
        check(lib.kf_preprocess_by_name(preprocess.encode(), named, err), err)
        o.preprocess = named
    return o


def imported(
    out: Any,
    status: int,
    err: Any,
    path: Optional[str],
    watch: Watch,
    members: Dict[str, Any],
    resize: int,
    labels: Any,
) -> Graph:
    """The outcome of an import, with what the caller says about it."""
    g = Graph(out[0], path) if out[0] != ffi.NULL else None
    watch.check(status, err, path)
    assert g is not None
    _change(g, {k: v for k, v in members.items() if v is not None}, resize)
    if labels is not None:
        _name(g, labels)
    return g


def _fields() -> Iterator[Tuple[int, Any]]:
    index = 0
    while True:
        field = lib.kf_preprocess_field(index)
        if field == ffi.NULL:
            return
        yield index, field
        index += 1


def _change(g: Graph, members: Dict[str, Any], resize: int) -> None:
    """Replace members of the preprocessing, as the command line does."""
    if not members and not resize:
        return
    given, err, bits = ffi.new("kf_preprocess *"), new_error(), 0
    lib.kf_preprocess_init(given)
    known = {name: (index, field) for index, field in _fields() for name in (text(field.key), text(field.member))}
    known["crop_mode"] = known["crop"]
    for key, value in members.items():
        if key not in known:
            raise ArgumentError(f"{key} is no member of the preprocessing")
        index, field = known[key]
        words = value if isinstance(value, str) else ",".join(repr(float(v)) for v in _many(value))
        check(lib.kf_preprocess_parse(given, field, words.encode(), err), err)
        bits |= 1 << index
    check(lib.kf_graph_change_picture(g._c, given, bits, resize, err), err)


def _many(value: Any) -> Any:
    return value if hasattr(value, "__iter__") else (value,)


def _name(g: Graph, labels: Any) -> None:
    """Name the classes: a sequence, or a label file, which may have a line for a background class more or fewer."""
    from ._model import is_file, label_file

    err, watch, held = new_error(), Watch(), None
    if is_file(labels):
        names = label_file(labels)
    else:
        held = [ffi.new("char[]", str(name).encode()) for name in labels]
        items = ffi.new("char *[]", held)
        names = ffi.new("kf_labels *", dict(items=items, n=len(held)))
        held.append(items)
    status = lib.kf_graph_name_classes(g._c, names, lib.kf_py_message, watch.handle, err)
    watch.check(status, err, os.fsdecode(labels) if is_file(labels) else None)
