"""PyTorch weights without ONNX: state dictionaries, timm or torchvision modules, and files of `torch.save`."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ._call import ArgumentError, FormatError, UnsupportedError, Watch, address, ffi, lib, new_error
from ._graph import Graph, import_options, imported

# Types whose bits numpy has no name for travel as integers of their width.
_TORCH = {
    "torch.float32": "KF_F32",
    "torch.float16": "KF_F16",
    "torch.bfloat16": "KF_BF16",
    "torch.float64": "KF_F64",
    "torch.uint8": "KF_U8",
    "torch.int8": "KF_I8",
    "torch.int16": "KF_I16",
    "torch.int32": "KF_I32",
    "torch.int64": "KF_I64",
    "torch.bool": "KF_BOOL",
}
_NUMPY = {
    "float32": "KF_F32",
    "float16": "KF_F16",
    "float64": "KF_F64",
    "uint8": "KF_U8",
    "int8": "KF_I8",
    "int16": "KF_I16",
    "int32": "KF_I32",
    "int64": "KF_I64",
    "bool": "KF_BOOL",
}


def _array(name: str, value: Any) -> Tuple[np.ndarray, str]:
    """A contiguous array and the name of its C type. Tensors on another device come to the CPU."""
    if hasattr(value, "detach"):
        kind = _TORCH.get(str(value.dtype))
        if kind is None:
            raise ArgumentError(f"{name}: the type {value.dtype} is not read")
        value = value.detach().cpu().contiguous()
        if kind == "KF_BF16":
            import torch  # type: ignore[import-not-found,unused-ignore]  # the user's own: the tensor came from it

            value = value.view(torch.int16)
        return np.ascontiguousarray(value.numpy()), kind
    array = np.ascontiguousarray(value)
    kind = _NUMPY.get(array.dtype.name)
    if kind is None:
        raise ArgumentError(f"{name}: the type {array.dtype} is not read")
    return array, kind


def _tensors(state: Mapping[str, Any], held: List[Any]) -> Any:
    c = ffi.new("kf_tensor[]", max(1, len(state)))
    for t, (name, value) in zip(c, state.items()):
        array, kind = _array(name, value)
        label = ffi.new("char[]", name.encode())
        held.extend((array, label))
        t.name, t.dtype, t.rank, t.bytes = label, getattr(lib, kind), array.ndim, array.nbytes
        t.shape[0 : array.ndim] = array.shape
        t.data = address(array)
    return c


# What training frameworks put before each name, or around the dictionary.
_PREFIXES = ("module.", "_orig_mod.", "model.")
_AROUND = ("state_dict_ema", "model_ema", "state_dict", "model")


def _bare(state: Mapping[str, Any]) -> Dict[str, Any]:
    """The dictionary of tensors, under the names that the architecture has."""
    for key in _AROUND:
        if isinstance(state.get(key), Mapping):
            return _bare(state[key])
    found = dict(state)
    for prefix in _PREFIXES:
        if found and all(name.startswith(prefix) for name in found):
            found = {name[len(prefix) :]: value for name, value in found.items()}
    return found


def from_state_dict(
    state: Mapping[str, Any],
    arch: Optional[str] = None,
    *,
    labels: Any = None,
    preprocess: Optional[str] = None,
    resize: int = 0,
    input_shape: Optional[str] = None,
    scores: Optional[str] = None,
    batch: int = 0,
    max_fold_bytes: int = 0,
    **members: Any,
) -> Graph:
    """A `Graph` of a MobileNetV3's weights: a state dictionary of torch tensors or numpy arrays.

    `arch` is a name of `kitfox.zoo`; without it the architecture is recognized by the tensors. A checkpoint that holds
    the dictionary under "state_dict" or "model" (or their averages) is taken as it is, names that begin with "module."
    too. Preprocessing is that of the published weights of the name, unless `preprocess`, mean, std and the other
    keywords of `kitfox.graph` say otherwise.

    Give the result to `kitfox.quantize`, or call its `compile`. Errors: ArgumentError and UnsupportedError name the
    tensor.
    """
    how = dict(input_shape=input_shape, preprocess=preprocess, scores=scores, batch=batch)
    how["max_fold_bytes"] = max_fold_bytes
    return _from(state, arch, None, how, members, resize, labels)


def _from(
    state: Mapping[str, Any],
    arch: Optional[str],
    path: Optional[str],
    how: Dict[str, Any],
    members: Dict[str, Any],
    resize: int,
    labels: Any,
) -> Graph:
    if not isinstance(state, Mapping):
        raise ArgumentError(f"a state dictionary is needed; this is {type(state).__name__}")
    held: List[Any] = []
    state, watch, out, err = _bare(state), Watch(), ffi.new("kf_graph **"), new_error()
    o = import_options(watch, held, **how)
    tensors = _tensors(state, held)
    name = ffi.NULL if arch is None else arch.encode()
    status = lib.kf_graph_import_tensors(tensors, len(state), name, o, out, err)
    return imported(out, status, err, path, watch, members, resize, labels)


def from_timm(module: Any, *, labels: Any = None, **members: Any) -> Graph:
    """A `Graph` of a timm module (a MobileNetV3), with the preprocessing that its `pretrained_cfg` states.

    Keywords of `kitfox.graph`, such as mean and std, replace members of that: give them where the training used other
    ones. The module is not changed; only its weights are read. Errors: as `from_state_dict`.
    """
    config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    if not isinstance(config, Mapping):
        config = vars(config)
    for ours in ("mean", "std", "crop_pct", "crop_mode", "interpolation"):
        if config.get(ours) is not None:
            members.setdefault(ours, config[ours])
    size = config.get("input_size")
    if size is not None and len(size) == 3:
        members.setdefault("input_shape", "1x" + "x".join(str(int(n)) for n in size))
    if labels is None and config.get("label_names"):
        labels = config["label_names"]
    return from_state_dict(module.state_dict(), config.get("architecture"), labels=labels, **members)


def is_torch(path: str, head: bytes) -> bool:
    """Is it a file of `torch.save`? By its content, or by a name whose content says nothing else."""
    if head[:4] == b"PK\3\4":
        return b"/data.pkl" in head or path.endswith((".pth", ".pt"))
    return head[:2] == b"\x80\x02" and path.endswith((".pth", ".pt", ".bin", ".tar"))


def from_file(
    path: str, arch: Optional[str], how: Dict[str, Any], members: Dict[str, Any], resize: int, labels: Any
) -> Graph:
    """A file of `torch.save` through the user's own torch, which reads tensors and runs nothing of the file."""
    try:
        import torch
    except ImportError:
        raise UnsupportedError(
            f"{path}: a file of torch.save; reading it takes torch, which is not installed: pip install "
            "torch, or save the weights as safetensors"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises what it likes
        raise FormatError(f"{path}: torch.load(weights_only=True): {str(e).splitlines()[0] if str(e) else e!r}") from e
    if not isinstance(state, Mapping):
        raise FormatError(f"{path}: it holds {type(state).__name__}, no state dictionary; save module.state_dict()")
    return _from(state, arch, os.path.abspath(path), how, members, resize, labels)
