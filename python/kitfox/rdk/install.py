"""`import kitfox.rdk.install` registers the board's module names, so that its cells run unchanged.

    import kitfox.rdk.install
    import bpu_infer_lib                       # kitfox.rdk.bpu_infer_lib
    from hobot_dnn import pyeasy_dnn as dnn    # kitfox.rdk.pyeasy_dnn
    from hbm_runtime import HB_HBMRuntime      # kitfox.rdk.hbm_runtime

A module that is installed already is left alone.
"""
from __future__ import annotations

import importlib.util
import sys
import types

from . import bpu_infer_lib, hbm_runtime, pyeasy_dnn


def _there(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None


def register() -> None:
    """Put the stand-ins where `import` finds them."""
    for name in ("bpu_infer_lib", "bpu_infer_lib_x5", "bpu_infer_lib_x3"):
        if not _there(name):
            sys.modules[name] = bpu_infer_lib
    for name in ("hobot_dnn", "hobot_dnn_rdkx5"):
        if not _there(name):
            package = types.ModuleType(name, "KitFox stands in for this package of the board.")
            package.pyeasy_dnn = pyeasy_dnn  # type: ignore[attr-defined]
            package.__path__ = []
            sys.modules[name] = package
            sys.modules[name + ".pyeasy_dnn"] = pyeasy_dnn
    if not _there("hbm_runtime"):
        sys.modules["hbm_runtime"] = hbm_runtime


register()
