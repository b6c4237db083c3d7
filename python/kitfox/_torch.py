"""PyTorch weights without a file and without ONNX: state dictionaries and timm or torchvision modules."""
from __future__ import annotations

from typing import Any, Mapping, Optional

import numpy as np

from ._call import ArgumentError, Watch, check, ffi, lib, new_error, options
from ._graph import Graph, _change, _name

# Types whose bits numpy has no name for travel as integers of their width.
_TORCH = {"torch.float32": "KF_F32", "torch.float16": "KF_F16", "torch.bfloat16": "KF_BF16", "torch.float64": "KF_F64",
          "torch.uint8": "KF_U8", "torch.int8": "KF_I8", "torch.int16": "KF_I16", "torch.int32": "KF_I32",
          "torch.int64": "KF_I64", "torch.bool": "KF_BOOL"}
_NUMPY = {"float32": "KF_F32", "float16": "KF_F16", "float64": "KF_F64", "uint8": "KF_U8", "int8": "KF_I8",
          "int16": "KF_I16", "int32": "KF_I32", "int64": "KF_I64", "bool": "KF_BOOL"}


def _array(name: str, value: Any) -> Any:
    """A contiguous array and the name of its C type. Tensors on another device come to the CPU."""
    if hasattr(value, "detach"):
        kind = _TORCH.get(str(value.dtype))
        if kind is None:
            raise ArgumentError(f"{name}: the type {value.dtype} is not read")
        value = value.detach().cpu().contiguous()
        if kind == "KF_BF16":
            import torch  # the user's own: the tensor came from it

            value = value.view(torch.int16)
        return np.ascontiguousarray(value.numpy()), kind
    array = np.ascontiguousarray(value)
    kind = _NUMPY.get(array.dtype.name)
    if kind is None:
        raise ArgumentError(f"{name}: the type {array.dtype} is not read")
    return array, kind


def _tensors(state: Mapping[str, Any], held: list) -> Any:
    c = ffi.new("kf_tensor[]", max(1, len(state)))
    for t, (name, value) in zip(c, state.items()):
        array, kind = _array(name, value)
        label = ffi.new("char[]", name.encode())
        held.extend((array, label))
        t.name, t.dtype, t.rank, t.bytes = label, getattr(lib, kind), array.ndim, array.nbytes
        t.shape[0:array.ndim] = array.shape
        t.data = ffi.cast("void *", array.__array_interface__["data"][0])
    return c


def from_state_dict(state: Mapping[str, Any], arch: Optional[str] = None, *, labels: Any = None,
                    preprocess: Optional[str] = None, resize: int = 0, **members: Any) -> Graph:
    """A `Graph` of a MobileNetV3's weights: a state dictionary of torch tensors or numpy arrays.

    `arch` is a name of `kitfox.zoo`; without it the architecture is recognized by the tensors. A checkpoint that holds
    the dictionary under "state_dict" or "model" is taken as it is. Preprocessing is that of the published weights of
    the name, unless `preprocess`, mean, std and the other keywords of `kitfox.graph` say otherwise.

    Give the result to `kitfox.quantize`, or call its `compile`. Errors: ArgumentError and UnsupportedError name the
    tensor.
    """
    for key in ("state_dict", "model"):
        if isinstance(state.get(key), Mapping):
            state = state[key]
    held: list = []
    o, out, err, watch = options("kf_import_options"), ffi.new("kf_graph **"), new_error(), Watch()
    o.notice, o.notice_user = lib.kf_py_message, watch.handle
    if preprocess is not None:
        named = ffi.new("kf_preprocess *")
        held.append(named)
        check(lib.kf_preprocess_by_name(preprocess.encode(), named, err), err)
        o.preprocess = named
    tensors = _tensors(state, held)
    name = ffi.NULL if arch is None else arch.encode()
    watch.check(lib.kf_graph_import_tensors(tensors, len(state), name, o, out, err), err)
    g = Graph(out[0], None)
    _change(g, {k: v for k, v in members.items() if v is not None}, resize)
    if labels is not None:
        _name(g, labels)
    return g


def from_timm(module: Any, *, labels: Any = None) -> Graph:
    """A `Graph` of a timm module (a MobileNetV3), with the preprocessing that its `pretrained_cfg` states.

    The module is not changed; only its weights are read. Errors: as `from_state_dict`.
    """
    config = getattr(module, "pretrained_cfg", None) or {}
    arch = config.get("architecture") or getattr(module, "default_cfg", {}).get("architecture")
    keys = {"mean": "mean", "std": "std", "crop_pct": "crop_pct", "crop_mode": "crop_mode",
            "interpolation": "interpolation"}
    members = {ours: config[theirs] for theirs, ours in keys.items() if config.get(theirs) is not None}
    if "crop_mode" in members:
        members["crop"] = members.pop("crop_mode")
    return from_state_dict(module.state_dict(), arch, labels=labels, **members)
