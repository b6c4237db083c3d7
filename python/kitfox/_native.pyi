# The extension module that python/make_native.py writes from the public headers: cffi's own objects.
from typing import Any

ffi: Any
lib: Any
