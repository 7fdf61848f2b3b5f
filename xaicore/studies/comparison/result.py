"""What a comparison found: explanations and scores, as a mapping, a table, a figure, a report."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaicore.errors import InputError, nearest
from xaicore.explanation import Explanation
from xaicore.scoring import Scores
from xaicore.tables import aligned, arrow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = ""
"""The one group of a comparison of methods alone."""

_LONGEST_NAME = 120
Key = str | tuple[str, str]


@dataclass(eq=False, repr=False)
class Comparison(Mapping[Key, Explanation]):
    """Explanations of the same B samples by several methods, for one class or several, in one model or several.

    A mapping: of methods to explanations; of pairs (class or model, method) where several of these are compared.

    Parameters
    ----------
    explanations : dict of dict of Explanation
        By class or model (``""`` where there is one), then by method.
    by : {"methods", "classes", "models"}
        What is compared.
    scores : dict of dict of dict of Scores
        By class or model, by metric, by method; empty where no metric was asked for.
    models : dict
        The models by name.
    """

    explanations: dict[str, dict[str, Explanation]]
    by: str = "methods"
    scores: dict[str, dict[str, dict[str, Scores]]] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: Key) -> Explanation:
        group, method = key if isinstance(key, tuple) else (ALL, key)
        try:
            return self.explanations[group][method]
        except KeyError:
            known = list(self)
            hint = nearest(str(key), [str(each) for each in known])
            raise KeyError(f"the comparison has no {key!r}; it has {known}.{hint}") from None

    def __iter__(self) -> Iterator[Key]:
        for group, found in self.explanations.items():
            for method in found:
                yield method if group == ALL else (group, method)

    def __len__(self) -> int:
        """Number of explanations, each of all samples."""
        return sum(map(len, self.explanations.values()))

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        return list(next(iter(self.explanations.values())))

    @property
    def groups(self) -> list[str]:
        """The classes or models, in order; ``[""]`` where there is one."""
        return list(self.explanations)

    @property
    def samples(self) -> int:
        """Number of samples, B."""
        return len(next(iter(self.values())))

    def table(self) -> str:
        """The metrics as a table: the mean over samples with its 95 % interval, and what is undefined.

        Beside them stand, for each method, the worst conservation gap (of methods that promise conservation) and the
        number of values that are not finite.
        """
        metrics = list(next(iter(self.scores.values()), {}))
        group = {"classes": ["CLASS"], "models": ["MODEL"]}.get(self.by, [])
        heads = [*group, "METHOD", *(self._head(name) for name in metrics), "WORST GAP", "NOT FINITE"]
        rows = []
        for title, found in self.explanations.items():
            for method, explanation in found.items():
                scores = (self.scores[title][metric][method].summary() for metric in metrics)
                rows.append([*([title] if group else []), method, *scores, *_checks(explanation)])
        lines = [aligned(heads, rows), *self._undefined()]
        return "\n".join(lines)

    def plot(self, **options: Any) -> Figure:
        """Draw one figure: samples, classes or models by methods; options are those of `xaicore.visualization.grid`."""
        from xaicore.studies.comparison.drawing import draw

        return draw(self, options)

    def report(self, path: str | PathLike[str], **options: Any) -> Path:
        """Write one HTML file that needs no network, and return its path; see `xaicore.studies.write_comparison`."""
        from xaicore.studies.comparison.reporting import write_comparison

        return write_comparison(self, path, **options)

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write every explanation to a folder, one safetensors file each, and return the folder."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        written: set[str] = set()
        for title, found in self.explanations.items():
            for method, explanation in found.items():
                name = _file_name(f"{title} {method}" if title else method, written)
                written.add(name.casefold())
                explanation.save(place / f"{name}.safetensors")
        return place

    def __repr__(self) -> str:
        parts = [f"{len(self.methods)} methods", f"{self.samples} samples"]
        if self.by != "methods":
            parts.insert(0, f"{len(self.groups)} {self.by}")
        metrics = list(next(iter(self.scores.values()), {}))
        return f"Comparison({' x '.join(parts)}{'; ' + ', '.join(metrics) if metrics else ''})"

    def _head(self, metric: str) -> str:
        scores = next(iter(next(iter(self.scores.values()))[metric].values()))
        return f"{metric.partition('.')[2] or metric} {arrow(scores.higher_is_better)}"

    def _undefined(self) -> list[str]:
        """What metrics have to tell, once each."""
        notes = [
            f"{metric}, {method}: {note}"
            for metrics in self.scores.values()
            for metric, methods in metrics.items()
            for method, scores in methods.items()
            for note in scores.notes
        ]
        return ["", *dict.fromkeys(notes)] if notes else []


def single(comparison: Comparison) -> Mapping[str, Explanation]:
    """The explanations of a comparison of methods alone."""
    if comparison.by != "methods":
        raise InputError(f"this compares {comparison.by}, not methods alone")
    return comparison.explanations[ALL]


def _checks(explanation: Explanation) -> list[str]:
    checks = explanation.diagnostics
    gap = checks.conservation_gap
    worst = "not promised" if gap is None or not gap.numel() else f"{float(gap.detach().max()):.2g}"
    return [worst, str(checks.non_finite) if checks.non_finite else "-"]


def _file_name(text: str, taken: Container[str]) -> str:
    """A name that any file system takes, with a number where another text is written alike."""
    plain = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "._-" else "_" for letter in text)
    plain = plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME // 2]}-{plain[-_LONGEST_NAME // 2 :]}"
    found, number = plain, 2
    while found.casefold() in taken:
        found, number = f"{plain}_{number}", number + 1
    return found
