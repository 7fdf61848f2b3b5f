"""What every metric is: a configured judgement of explanations, with scikit-learn's conventions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from xaicore.analyzers.configured import Configured, registered_name
from xaicore.plugins import plugin_registry
from xaicore.scoring.case import Case
from xaicore.scoring.scores import Curve, Scores


class Metric(Configured, ABC):
    """A judgement of explanations: one number a sample.

    A subclass takes its parameters by keyword, stores each under its own name, computes nothing in ``__init__``, and
    implements `score`. What it says of a sample must not depend on the batch that the sample comes in.

    Attributes
    ----------
    higher_is_better : bool
        Its direction; a property where it depends on a parameter.
    bounds : (float or None, float or None)
        The lowest and the highest value that it takes.
    needs : tuple of str
        What a case must have: ``("masks",)``.
    """

    higher_is_better: bool
    bounds: tuple[float | None, float | None] = (None, None)
    needs: ClassVar[tuple[str, ...]] = ()
    made_by = "create_metric(name, {missing})"

    @abstractmethod
    def score(self, case: Case) -> Scores:
        """Judge the explanation of a case; see `scores` for putting together what is returned.

        Parameters
        ----------
        case : Case
            B samples, their explanation by one analyzer, and what it takes to ask model and analyzer for more.

        Returns
        -------
        Scores
            B values, in the order of the samples; NaN where the metric is not defined.
        """

    @property
    def name(self) -> str:
        """The canonical name (``evaluation.pixel_flipping``); that of the class where no plugin registered it."""
        return registered_name(type(self), plugin_registry().metrics())

    def scores(
        self,
        values: Tensor,
        *,
        curve: Curve | None = None,
        details: Mapping[str, Tensor] | None = None,
        notes: Sequence[str] = (),
    ) -> Scores:
        """Put together what this metric found: ``values`` (B,), and what belongs to them."""
        return Scores(
            self.name, values, self.higher_is_better, self.bounds, self.get_params(), curve, dict(details or {}), notes
        )

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.parameter_names())
        return f"{type(self).__name__}({params})"
