"""What a search found: the candidates, best first, and how sure their order is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xaicore.analyzers import Analyzer
from xaicore.errors import XaicoreError
from xaicore.scoring import Scores
from xaicore.tables import aligned, arrow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SURE = 0.05


@dataclass(frozen=True, eq=False)
class Candidate:
    """One method with its parameters, and what the metric says of it.

    Attributes
    ----------
    name : str
        The method with the parameters that were tried.
    parameters : dict
        These parameters.
    analyzer : Analyzer, optional
        None where it could not be made.
    scores : Scores, optional
        Of the samples that candidates are chosen by; None where it failed.
    p_value : float
        How likely it is to fall this far behind the best, were it as good: multiple comparisons with the best
        (Hsu 1981). 1 for the best itself; NaN where a sample has no score, or one that is infinite.
    failure : str
        Why there are no scores.
    """

    name: str
    parameters: dict[str, Any]
    analyzer: Analyzer | None = None
    scores: Scores | None = None
    p_value: float = math.nan
    failure: str = ""

    @property
    def mean(self) -> float:
        """The mean score; NaN where a sample has none."""
        return math.nan if self.scores is None else self.scores.mean


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(Sequence[Candidate]):
    """The candidates of a search, best first; those without a score for every sample come last.

    Attributes
    ----------
    candidates : list of Candidate
    metric : str
    held_out : Scores, optional
        What the metric says of the best on samples that had no part in choosing it.
    left_out : int
        For how many samples the metric is undefined whatever the candidate; they have no part in the ranking.
    """

    candidates: list[Candidate]
    metric: str
    higher_is_better: bool
    held_out: Scores | None = None
    left_out: int = 0

    def __getitem__(self, place: Any) -> Any:
        return self.candidates[place]

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    @property
    def best(self) -> Analyzer:
        """The analyzer of the best candidate, ready to be used (and fitted, where its method learns)."""
        analyzer = self.candidates[0].analyzer
        if analyzer is None or math.isnan(self.candidates[0].mean):
            raise XaicoreError(
                f"no candidate has a score for every sample: {self.candidates[0].failure or 'see table()'}"
            )
        return analyzer

    @property
    def best_parameters(self) -> dict[str, Any]:
        """The method and the parameters of the best candidate."""
        return self.candidates[0].parameters

    @property
    def as_good(self) -> list[Candidate]:
        """The candidates that are not significantly worse than the best, without it."""
        return [each for each in self.candidates[1:] if each.p_value >= _SURE]

    def verdict(self) -> str:
        """What follows, in one sentence or two."""
        best, samples = self.candidates[0], len(self.candidates[0].scores or ())
        if math.isnan(best.mean):
            return "No candidate has a score for every sample."
        told = f"Best by {self.metric} ({'higher' if self.higher_is_better else 'lower'} is better): {best.name}."
        compared = sum(not math.isnan(each.p_value) for each in self.candidates)
        if compared > 1 and self.as_good:
            names = [each.name for each in self.as_good]
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            told += f" The difference to {shown} is not significant with {samples} samples (p >= {_SURE})."
        elif compared > 1:
            told += f" All others are significantly worse (p < {_SURE}, {samples} samples)."
        if self.left_out:
            told += f" For {self.left_out} samples the metric is undefined whatever the candidate; they were left out."
        if self.held_out is not None:
            counted = f"{len(self.held_out)} sample{'' if len(self.held_out) == 1 else 's'}"
            told += f" On {counted} that had no part in the choice it has {self.held_out.summary()}."
        return told

    def table(self) -> str:
        """Rank, candidate, mean with its 95 % interval, and how likely the difference to the best is by chance."""
        head = f"{self.metric.partition('.')[2] or self.metric} {arrow(self.higher_is_better)}"
        rows = []
        for place, each in enumerate(self.candidates, start=1):
            failure = " ".join(each.failure.split())  # a row is one line
            score = f"failed: {failure}" if each.scores is None else each.scores.summary()
            chance = "" if place == 1 or math.isnan(each.p_value) else _probability(each.p_value)
            rows.append([str(place), each.name, score, chance])
        return aligned(["RANK", "CANDIDATE", head, "P (AS GOOD AS THE BEST)"], rows)

    def plot(self, ax: Axes | None = None, *, most: int = 20) -> Figure:
        """Draw the candidates with their intervals, best at the top; filled: those as good as the best."""
        from xaicore.studies.tuning.drawing import draw_ranking

        figure: Figure = draw_ranking(self, ax, most).figure  # type: ignore[assignment]
        return figure

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.verdict()}"

    def __repr__(self) -> str:
        return f"Ranking({len(self)} candidates by {self.metric}; best: {self.candidates[0].name})"


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
