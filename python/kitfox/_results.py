"""What calls give back: immutable, typed, one tidy line as text, bars or a card in a notebook."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional, Sequence, Tuple, Union, overload


@dataclass(frozen=True)
class Score:
    """One class of a top-k list: `index` is 0-based, `score` a probability in [0, 1], `label` its name or None."""

    index: int
    score: float
    label: Optional[str]

    def __str__(self) -> str:
        return f"{self.label if self.label is not None else f'class {self.index}'} {100 * self.score:.2f} %"


class Classification(Sequence[Score]):
    """The k best classes of one picture, best first; ties go to the lower index.

    A sequence of `Score`. `label`, `index` and `score` are those of the best one. Where the picture could not be
    classified (only in `classify_iter`), `error` is the exception, and the sequence is empty.
    """

    __slots__ = ("_made", "_make", "source", "error")

    def __init__(self, top: Union[Tuple[Score, ...], Callable[[], Tuple[Score, ...]]], source: object = None,
                 error: Optional[Exception] = None):
        self._made: Optional[Tuple[Score, ...]] = top if isinstance(top, tuple) else None
        self._make = None if isinstance(top, tuple) else top  # scores become objects when somebody looks
        self.source = source
        self.error = error

    @property
    def _top(self) -> Tuple[Score, ...]:
        if self._made is None:
            assert self._make is not None
            self._made, self._make = self._make(), None
        return self._made

    def __reduce__(self) -> Any:
        return Classification, (self._top, self.source, self.error)

    def __len__(self) -> int:
        return len(self._top)

    @overload
    def __getitem__(self, at: int) -> Score: ...

    @overload
    def __getitem__(self, at: slice) -> Tuple[Score, ...]: ...

    def __getitem__(self, at: Union[int, slice]) -> Union[Score, Tuple[Score, ...]]:
        return self._top[at]

    def __iter__(self) -> Iterator[Score]:
        return iter(self._top)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classification) and self._top == other._top

    __hash__ = None  # type: ignore[assignment]

    @property
    def ok(self) -> bool:
        """Was the picture classified?"""
        return self.error is None

    @property
    def label(self) -> Optional[str]:
        """Name of the best class."""
        return self._top[0].label if self._top else None

    @property
    def index(self) -> Optional[int]:  # type: ignore[override]
        """Number of the best class, from 0."""
        return self._top[0].index if self._top else None

    @property
    def score(self) -> Optional[float]:
        """Probability of the best class."""
        return self._top[0].score if self._top else None

    def __str__(self) -> str:
        return f"error: {self.error}" if self.error else ", ".join(map(str, self._top))

    def __repr__(self) -> str:
        return f"<Classification {self}>"

    def _repr_html_(self) -> str:
        import html

        if self.error:
            return f"<p>{html.escape(str(self.error))}</p>"
        row = ("<tr><td style='text-align:left'>{}</td><td style='min-width:12em'><div style='background:#4477aa;"
               "height:.9em;width:{:.2f}%'></div></td><td style='text-align:right'>{:.2f} %</td></tr>")
        names = [html.escape(s.label if s.label is not None else f"class {s.index}") for s in self._top]
        rows = [row.format(name, 100 * s.score, 100 * s.score) for name, s in zip(names, self._top)]
        return "<table>" + "".join(rows) + "</table>"


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output as the model declares it: `dtype` is numpy's name, `shape` in the model's layout."""

    name: str
    dtype: str
    shape: Tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True)
class Step:
    """One step of the program: what the runtime executes at once.

    `shape` is that of its output in N, H, W, C; `kernel` is the one chosen on this CPU; `macs` are multiply-adds of one
    image; `ms` is its time where it was measured, else 0.
    """

    name: str
    op: str
    kernel: str
    shape: Tuple[int, ...]
    dtype: str
    macs: int
    parameters: int
    ms: float = 0.0


@dataclass(frozen=True)
class Preprocess:
    """Everything between a decoded picture and the input tensor: the network sees (pixel / 255 - mean) / std.

    `crop_mode` is "center", "squash", "border" or "fit-pad", `interpolation` "bilinear", "bicubic" or "nearest",
    `color` "rgb", "bgr" or "gray". `origin` says who said so: "given", "recognized", "assumed" or "unknown".
    """

    width: int
    height: int
    crop_pct: float
    crop_mode: str
    interpolation: str
    color: str
    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]
    origin: str = "unknown"
    source: Optional[str] = None


@dataclass(frozen=True)
class ModelInfo:
    """What a model is. `parameters` are the architecture's, as timm counts; `macs` multiply-adds of one image."""

    name: Optional[str]
    arch: Optional[str]
    source: Optional[str]
    producer: Optional[str]
    compiled_by: Optional[str]
    parameters: int
    stored_parameters: int
    macs: int
    activations: int
    quantized: bool
    takes: str
    scores: str
    frames: Optional[str]
    bytes: int
