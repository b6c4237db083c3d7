"""Networks before they are compiled: import, simplification, ONNX export, quantization work on a `Graph`."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional, Sequence

from ._call import ArgumentError, Watch, check, ffi, info, lib, new_error, options, path_bytes, text

if TYPE_CHECKING:
    from ._model import Model


class Graph:
    """An imported network, not yet compiled. Make one with `kitfox.graph`. It belongs to one thread at a time."""

    def __init__(self, c: Any, path: Optional[str]):
        self._c = ffi.gc(c, lambda p: lib.kf_graph_destroy(ffi.new("kf_graph **", p)))
        self._path = path

    def close(self) -> None:
        """Release it now."""
        self._c = None

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _info(self) -> Any:
        raw, err = info("kf_graph_info"), new_error()
        check(lib.kf_graph_get_info(self._c, raw, err), err)
        return raw

    @property
    def nodes(self) -> int:
        """Nodes, as the graph is now."""
        return self._info().n_nodes

    def save(self, path: Any) -> None:
        """Compile and write a `.kfx` file; it has its name only when it is complete. FileError, UnsupportedError."""
        err = new_error()
        check(lib.kf_graph_save(self._c, path_bytes(path), err), err, os.fsdecode(path))

    def compile(self, *, threads: int = 0, labels: Any = None) -> "Model":
        """A `Model` that runs on this machine. UnsupportedError names a node that has no kernel."""
        from ._model import Model, _labels

        out, err = ffi.new("kf_model **"), new_error()
        check(lib.kf_graph_compile(self._c, ffi.NULL, out, err), err)
        return Model(out[0], self._path, None, threads, _labels(labels))

    def __str__(self) -> str:
        raw = self._info()
        return f"{text(raw.name) or text(raw.arch) or 'network'}: {raw.n_nodes} nodes, {raw.macs / 1e6:.1f} M multiply-adds"

    def __repr__(self) -> str:
        return f"<kitfox.Graph {self}>"


def graph(path: Any, *, input_shape: Optional[str] = None, arch: Optional[str] = None, preprocess: Optional[str] = None,
          mean: Optional[Sequence[float]] = None, std: Optional[Sequence[float]] = None, crop_pct: Optional[float] = None,
          crop_mode: Optional[str] = None, interpolation: Optional[str] = None, color: Optional[str] = None,
          resize: int = 0, labels: Any = None, max_fold_bytes: int = 0) -> Graph:
    """Import an ONNX file, a safetensors checkpoint of timm's or torchvision's MobileNetV3, or a compiled model.

    `input_shape` ("1x3x224x224") replaces a shape that the file leaves open; `arch` is a checkpoint's timm name.
    `preprocess` is a name whose published preprocessing is used; `mean`, `std`, `crop_pct`, `crop_mode`,
    `interpolation`, `color` and `resize` replace single members, as the options of `kitfox import` do.

    Errors: MissingFileError, FormatError, UnsupportedError (the text names the node), LimitError, ArgumentError.
    """
    path = os.fsdecode(os.fspath(path))
    o, out, err = options("kf_import_options"), ffi.new("kf_graph **"), new_error()
    held = [s.encode() if s is not None else None for s in (input_shape, arch)]
    kept = [ffi.new("char[]", s) if s is not None else ffi.NULL for s in held]
    o.input_shape, o.arch = kept
    o.max_fold_bytes = max_fold_bytes
    o.notice = lib.kf_py_message
    watch = Watch()
    o.notice_user = watch.handle
    named = ffi.new("kf_preprocess *")
    if preprocess is not None:
        check(lib.kf_preprocess_by_name(preprocess.encode(), named, err), err)
        o.preprocess = named
    status = lib.kf_graph_import(path_bytes(path), o, out, err)
    watch.check(status, err, path)
    g = Graph(out[0], path)
    members = dict(mean=mean, std=std, crop_pct=crop_pct, crop=crop_mode, interpolation=interpolation, color=color)
    _change(g, {k: v for k, v in members.items() if v is not None}, resize)
    if labels is not None:
        _name(g, labels)
    return g


def _fields() -> Any:
    index = 0
    while True:
        field = lib.kf_preprocess_field(index)
        if field == ffi.NULL:
            return
        yield index, field
        index += 1


def _change(g: Graph, members: dict, resize: int) -> None:
    """Replace members of the preprocessing, as the command line does."""
    if not members and not resize:
        return
    given, err, bits = ffi.new("kf_preprocess *"), new_error(), 0
    lib.kf_preprocess_init(given)
    known = {name: (index, field) for index, field in _fields() for name in (text(field.key), text(field.member))}
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
    from ._model import _labels

    names = _labels(labels) or []
    held = [ffi.new("char[]", name.encode()) for name in names]
    items = ffi.new("const char *[]", held)
    err = new_error()
    check(lib.kf_graph_set_labels(g._c, items, len(names), err), err)

