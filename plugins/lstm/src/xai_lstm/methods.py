"""LRP for recurrent networks as Arras et al. define it: epsilon in all linear layers, three treatments of products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from xai_lrp import rules
from xai_lrp.methods import RelevanceMethod
from xai_lrp.structure import structure_entries
from xai_lstm.rule import EPSILON, RecurrentRule
from xaicore.graph import Condition, Kind, kind

Entry = tuple[Condition, Callable[..., Any]]


class _RecurrentMethod(RelevanceMethod):
    """Epsilon in the linear maps and sums of recurrent cells and in all linear layers.

    Parameters
    ----------
    epsilon : float
        Added to the size of each output before dividing by it, in the units of that output.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share (the bias factor 0 of Arras et al. 2017); is left out of the denominator; its share is
        spread evenly over the inputs; or with it what the stabilizer keeps (their bias factor 1): then relevance, with
        what rests in initial states, sums to the score exactly.
    """

    product: ClassVar[str]
    epsilon: float
    bias: str

    def __init__(
        self,
        model: nn.Module,
        *,
        epsilon: float = EPSILON,
        bias: str = "absorb",
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, epsilon=epsilon, bias=bias)

    def rules(self) -> Sequence[Entry]:
        """The rule of recurrent layers, epsilon, and the same treatment for products outside of them.

        A cell that is written out in the model is products and sums of the graph, which knows gate and signal.
        """
        epsilon = rules.Epsilon(self.epsilon, self.bias)
        entries: list[Entry] = [
            (kind(Kind.RECURRENT), RecurrentRule(self.product, epsilon)),
            (kind(Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM), epsilon),
        ]
        own = {} if "product" in (self.structure or {}) else {"product": self.product}
        return [*entries, *structure_entries(own)]


class LrpAll(_RecurrentMethod):
    """LRP-all: the signal takes all relevance of a product, the gate none (Arras et al. 2017)."""

    product = "signal"


class LrpProp(_RecurrentMethod):
    """LRP-prop: gate and signal share relevance by their size (Arras et al. 2019)."""

    product = "proportional"


class LrpHalf(_RecurrentMethod):
    """LRP-half: gate and signal take half of the relevance each (Arras et al. 2019)."""

    product = "half"
