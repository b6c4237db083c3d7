"""Progress of long calls: the caller's function, or a bar of tqdm where that is installed and somebody watches."""
from __future__ import annotations

import sys
from typing import Any, Callable, Optional, Union

Progress = Union[None, bool, Callable[[int, int], Any]]


class _Bar:
    """A tqdm bar that follows (done, total)."""

    def __init__(self, what: str):
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]

        self._bar = tqdm(desc=what, leave=False)

    def __call__(self, done: int, total: int) -> None:
        if self._bar.total != total:
            self._bar.reset(total)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def follow(progress: Progress, what: str) -> Optional[Callable[[int, int], Any]]:
    """None: a tqdm bar where tqdm is installed and somebody watches (a terminal, a notebook). True: a bar wherever tqdm
    is. False: none. A function gets (done, total); where it returns False the call stops with `Cancelled`."""
    if progress is False or (progress is None and not _watched()):
        return None
    if progress is not None and progress is not True:
        return progress
    try:
        return _Bar(what)
    except ImportError:
        return None


def _watched() -> bool:
    """Is standard error a terminal, or is this a notebook?"""
    if "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (AttributeError, ValueError):  # closed, or something else in its place
        return False


def end(function: Any) -> None:
    """Take the bar away."""
    if isinstance(function, _Bar):
        function.close()
