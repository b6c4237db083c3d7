"""Calls into the C libraries: statuses become exceptions, Python functions become callbacks.

Everything in this package reaches C through `lib` and `check`. The GIL is released during each call.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from typing import Any, Callable, Optional, TypeVar

from ._native import ffi as ffi, lib as lib


class Error(Exception):
    """What KitFox refuses or cannot do. The text says where, what and why; `status` is the name of the C status.

    Subclasses are also what Python users expect: `ValueError` for arguments, formats and shapes, `OSError` for files,
    `MemoryError` for allocations. The names of `status` are those of `kf_status_name`: "argument", "io", "format",
    "unsupported", "limit", "memory", "shape", "corrupt", "internal", "cancelled".
    """

    status = "internal"

    def __init__(self, text: str, status: Optional[str] = None):
        super().__init__(text)
        if status:
            self.status = status

    def __str__(self) -> str:  # OSError's own would want two arguments
        return str(self.args[0]) if self.args else ""


class ArgumentError(Error, ValueError):
    """An argument is outside its documented range, or its type, shape or layout does not fit."""

    status = "argument"


class FileError(Error, OSError):
    """The operating system refused a file: unreadable, a directory, full."""

    status = "io"


class MissingFileError(FileError, FileNotFoundError):
    """There is no such file."""


class FormatError(Error, ValueError):
    """Bytes of a file do not follow their format, or a checksum does not hold."""

    status = "format"


class UnsupportedError(Error):
    """Well formed, but this version cannot do it."""

    status = "unsupported"


class LimitError(Error):
    """A safety limit was passed; the text has both numbers and names the option that raises it."""

    status = "limit"


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""

    status = "memory"


class Cancelled(Error):
    """A callback asked to stop. Nothing half-written is left."""

    status = "cancelled"


_CLASSES = {
    lib.KF_ERR_ARGUMENT: ArgumentError,
    lib.KF_ERR_IO: FileError,
    lib.KF_ERR_FORMAT: FormatError,
    lib.KF_ERR_UNSUPPORTED: UnsupportedError,
    lib.KF_ERR_LIMIT: LimitError,
    lib.KF_ERR_MEMORY: OutOfMemoryError,
    lib.KF_ERR_SHAPE: ArgumentError,
    lib.KF_ERR_CORRUPT: FormatError,
    lib.KF_ERR_CANCELLED: Cancelled,
}


def destroyed(pointer: Any, kind: str, destroy: Any, *kept: Any) -> Any:
    """Own what C made: `destroy` takes the address of the pointer. `kept` lives at least as long.

    Everything that is needed at the end is bound here, as nothing else may be left when the interpreter exits.
    """

    def end(p: Any, new: Any = ffi.new, kept: Any = kept) -> None:
        destroy(new(kind, p))

    return ffi.gc(pointer, end)


def address(array: Any) -> Any:
    """A pointer to an array's first byte. The array has to live as long as it is used."""
    return (
        ffi.from_buffer(array) if array.flags.c_contiguous else ffi.cast("void *", array.__array_interface__["data"][0])
    )


def text(pointer: Any) -> Optional[str]:
    """A C string, or None for NULL."""
    return None if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")


def error(status: int, err: Any, path: Optional[str] = None) -> Error:
    """The exception of a failed call; `path` is the file that it was about."""
    kind = _CLASSES.get(status, Error)
    if kind is FileError and path is not None and not os.path.lexists(path):
        kind = MissingFileError
    e = kind(text(err.text) or "", text(lib.kf_status_name(status)))
    if isinstance(e, OSError):
        e.filename = path
        e.errno = errno.ENOENT if isinstance(e, MissingFileError) else None
    return e


def check(status: int, err: Any, path: Optional[str] = None) -> None:
    """Raise unless the call succeeded."""
    if status:
        raise error(status, err, path)


def new_error() -> Any:
    """Room for the text of an error."""
    return ffi.new("kf_error *")


def path_bytes(path: Any) -> bytes:
    """A path as C takes it. A `str`, `bytes` or `os.PathLike`; ValueError for one with a zero byte."""
    raw = os.fsencode(os.fspath(path))
    if b"\0" in raw:
        raise ArgumentError("a path holds a zero byte")
    return raw


def info(kind: str) -> Any:
    """A structure whose first member is its size."""
    room = ffi.new(kind + " *")
    room.size = ffi.sizeof(kind)
    return room


def whole(name: str, value: int) -> int:
    """A limit or a count: 0 is the library's default."""
    if value < 0:
        raise ArgumentError(f"{name} {value}: 0 or more is needed")
    return value


def kind(scores: Optional[str]) -> Any:
    """What `scores` means to C; 0 for None: as the file says."""
    found, err = ffi.new("kf_scores_kind *"), new_error()
    if scores is not None:
        check(lib.kf_scores_kind_from_name(scores.encode(), found, err), err)
    return found[0]


def options(kind: str) -> Any:
    """Options with their defaults."""
    room = ffi.new(kind + " *")
    getattr(lib, kind + "_init")(room)
    return room


_HERE = os.path.dirname(__file__)


class Watch:
    """What callbacks of one call do: progress, notices, and the exception that one of them raised.

    Give `handle` as `user` and the functions of `lib` as callbacks; after the call, `check` raises what a callback
    raised, or the error of the call.
    """

    def __init__(
        self, progress: Optional[Callable[[int, int], Any]] = None, prediction: Optional[Callable[[Any], Any]] = None
    ):
        self.progress = progress
        self.prediction = prediction
        self.raised: Optional[BaseException] = None
        self.handle = ffi.new_handle(self)

    def stop(self, function: Callable[..., Any], *args: Any) -> int:
        """Call; 1 after an exception, or where it returned False: the C code stops."""
        if self.raised is not None:
            return 1
        try:
            return 1 if function(*args) is False else 0
        except BaseException as e:  # KeyboardInterrupt as well: it is raised again when the call is back
            self.raised = e
            return 1

    def check(self, status: int, err: Any, path: Optional[str] = None) -> None:
        """After the call."""
        if self.raised is not None:
            raise self.raised
        check(status, err, path)


def warn(said: str) -> None:
    """A warning that names the caller's own line."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and os.path.dirname(frame.f_code.co_filename).startswith(_HERE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(said, stacklevel=depth)


def _nothing(*_: Any) -> None:
    """Progress that nobody watches: Python handles signals while it runs, so that Ctrl-C stops the call."""


def _raised(kind: Any, value: BaseException, traceback: Any) -> None:
    """What reached a callback outside of `Watch.stop`: Ctrl-C in its first instructions. It must not get lost."""
    user = traceback.tb_frame.f_locals.get("user") if traceback is not None else None
    if user is not None and user != ffi.NULL:
        watch = ffi.from_handle(user)
        watch.raised = watch.raised or value


_F = TypeVar("_F", bound=Callable[..., Any])


def _extern(function: _F) -> _F:
    """Make it the C function of its name. What returns a number stops the call with 1 where it raised."""
    error = {"error": 1} if function.__annotations__["return"] == "int" else {}
    ffi.def_extern(onerror=_raised, **error)(function)
    return function


@_extern
def kf_py_progress(user: Any, done: int, total: int) -> int:
    watch: Watch = ffi.from_handle(user)
    return watch.stop(watch.progress or _nothing, done, total)


@_extern
def kf_py_progress64(user: Any, done: int, total: int) -> int:
    watch: Watch = ffi.from_handle(user)
    return watch.stop(watch.progress or _nothing, done, total)


@_extern
def kf_py_message(user: Any, message: Any) -> None:
    said = text(message) or ""
    if user != ffi.NULL:
        ffi.from_handle(user).stop(warn, said)
    else:
        warn(said)


@_extern
def kf_py_prediction(user: Any, prediction: Any) -> None:
    watch: Watch = ffi.from_handle(user)
    watch.stop(watch.prediction or _nothing, prediction)
