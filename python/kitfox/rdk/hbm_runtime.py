"""Stands in for `hbm_runtime`: `HB_HBMRuntime` with its dictionaries, on a CPU.

runtime = HB_HBMRuntime("MobileNetV3_224x224_nv12.kfx")
name = runtime.model_names[0]
out = runtime.run({name: {runtime.input_names[name][0]: nv12}})[name]
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np

from .. import _call
from .._call import ArgumentError
from . import _board


class QuantParams:
    """`scale` and `zero_point` are empty: inputs are pixels, outputs are float32."""

    def __init__(self) -> None:
        self.scale, self.zero_point = np.empty(0, np.float32), np.empty(0, np.int32)
        self.quant_type, self.axis = "NONE", 0


class HB_HBMRuntime:
    """One or several models by name. Properties are dictionaries from the model's name, as on the board."""

    def __init__(self, path: Union[str, Sequence[str]]):
        paths: Sequence[Any] = path if isinstance(path, (list, tuple)) else [path]
        self._models: Dict[str, Any] = {}
        for p in paths:
            name = os.path.splitext(os.path.basename(os.fsdecode(p)))[0]
            if name in self._models:
                raise ArgumentError(f"{name}: two files have this name")
            self._models[name] = _board.open_model(p)
        self._scheduling: Dict[str, Any] = {}

    def _all(self, what: Any) -> Dict[str, Any]:
        return {name: what(m) for name, m in self._models.items()}

    version = _call.text(_call.lib.kf_version()) or ""

    @property
    def model_names(self) -> List[str]:
        return list(self._models)

    @property
    def model_count(self) -> int:
        return len(self._models)

    @property
    def input_names(self) -> Dict[str, List[str]]:
        return self._all(lambda m: [i.name for i in m.inputs])

    @property
    def output_names(self) -> Dict[str, List[str]]:
        return self._all(lambda m: [o.name for o in m.outputs])

    @property
    def input_counts(self) -> Dict[str, int]:
        return self._all(lambda m: len(m.inputs))

    @property
    def output_counts(self) -> Dict[str, int]:
        return self._all(lambda m: len(m.outputs))

    @staticmethod
    def _packed(m: Any, i: Any) -> List[int]:
        if m.preprocess is None:
            return list(i.shape)
        width, height = _board.size(m)
        return [1, height * 3 // 2, width, 1]

    @property
    def input_shapes(self) -> Dict[str, Dict[str, List[int]]]:
        """Of pictures that of a packed NV12 frame: [1, H * 3 / 2, W, 1]."""
        return self._all(lambda m: {i.name: self._packed(m, i) for i in m.inputs})

    @property
    def output_shapes(self) -> Dict[str, Dict[str, List[int]]]:
        return self._all(lambda m: {o.name: list(_board.four(o.shape)) for o in m.outputs})

    @property
    def input_dtypes(self) -> Dict[str, Dict[str, str]]:
        return self._all(lambda m: {i.name: "U8" if m.preprocess is not None else "F32" for i in m.inputs})

    @property
    def output_dtypes(self) -> Dict[str, Dict[str, str]]:
        return self._all(lambda m: {o.name: _board.types(m, k)[0] for k, o in enumerate(m.outputs)})

    @property
    def input_quants(self) -> Dict[str, Dict[str, QuantParams]]:
        return self._all(lambda m: {i.name: QuantParams() for i in m.inputs})

    @property
    def output_quants(self) -> Dict[str, Dict[str, QuantParams]]:
        return self._all(lambda m: {o.name: QuantParams() for o in m.outputs})

    @property
    def input_strides(self) -> Dict[str, Dict[str, List[int]]]:
        """In bytes, of dense arrays."""

        def strides(shape: List[int], n: int) -> List[int]:
            return [n * int(np.prod(shape[k + 1 :])) for k in range(len(shape))]

        return self._all(
            lambda m: {i.name: strides(self._packed(m, i), 1 if m.preprocess is not None else 4) for i in m.inputs}
        )

    @property
    def input_descs(self) -> Dict[str, Dict[str, str]]:
        return self._all(lambda m: {i.name: "" for i in m.inputs})

    @property
    def output_descs(self) -> Dict[str, Dict[str, str]]:
        return self._all(lambda m: {o.name: "" for o in m.outputs})

    @property
    def sched_params(self) -> Dict[str, Any]:
        return self._all(lambda m: dict(self._scheduling))

    def set_scheduling_params(
        self, priority: Any = None, bpu_cores: Any = None, custom_id: Any = None, device_id: Any = None
    ) -> None:
        """Kept and given back by `sched_params`; the accelerator's scheduling has no meaning on a CPU."""
        given = dict(priority=priority, bpu_cores=bpu_cores, custom_id=custom_id, device_id=device_id)
        self._scheduling.update({k: v for k, v in given.items() if v is not None})

    def run(self, inputs: Any) -> Dict[str, Dict[str, np.ndarray]]:
        """`inputs` is an array (one model with one input), {input: array} (one model), or {model: {input: array}}."""
        named = self._named(inputs)
        found = {}
        for name, fed in named.items():
            m = self._models.get(name)
            if m is None:
                raise ArgumentError(f"there is no model {name}; {', '.join(self._models)} are loaded")
            missing = [i.name for i in m.inputs if i.name not in fed]
            if missing:
                raise ArgumentError(f"{name}: input {missing[0]} is missing")
            out = _board.run(m, [np.asarray(fed[i.name]) for i in m.inputs])
            found[name] = {o.name: a for o, a in zip(m.outputs, out)}
        return found

    def _named(self, inputs: Any) -> Mapping[str, Mapping[str, Any]]:
        if isinstance(inputs, Mapping) and inputs and all(isinstance(v, Mapping) for v in inputs.values()):
            return inputs
        if len(self._models) != 1:
            raise ArgumentError(f"{len(self._models)} models are loaded; give {{model: {{input: array}}}}")
        ((name, m),) = self._models.items()
        if isinstance(inputs, Mapping):
            return {name: inputs}
        if len(m.inputs) != 1:
            raise ArgumentError(f"{name} has {len(m.inputs)} inputs; give {{input: array}}")
        return {name: {m.inputs[0].name: inputs}}
