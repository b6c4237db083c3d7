"""Progress of long calls: the caller's function, or a bar of tqdm where that is installed and asked for."""
from __future__ import annotations

from typing import Any, Callable, Optional, Union

Progress = Union[None, bool, Callable[[int, int], Any]]


class _Bar:
    """A tqdm bar that follows (done, total)."""

    def __init__(self, what: str):
        from tqdm.auto import tqdm  # type: ignore[import-untyped]

        self._bar = tqdm(desc=what, leave=False)

    def __call__(self, done: int, total: int) -> None:
        if self._bar.total != total:
            self._bar.reset(total)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def follow(progress: Progress, what: str) -> Optional[Callable[[int, int], Any]]:
    """None and False: nobody watches. True: a tqdm bar, or nothing where tqdm is not installed. A function gets
    (done, total); where it returns False the call stops with `Cancelled`."""
    if progress is None or progress is False:
        return None
    if progress is not True:
        return progress  # type: ignore[return-value]
    try:
        return _Bar(what)
    except ImportError:
        return None


def end(function: Any) -> None:
    """Take the bar away."""
    if isinstance(function, _Bar):
        function.close()
