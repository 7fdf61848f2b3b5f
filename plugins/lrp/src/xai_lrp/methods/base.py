"""What every method of the relevance family is: rules for layers with weights, and treatments for the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from xai_lrp.advice import relevance_advice
from xai_lrp.structure import check_structure, structure_entries
from xaicore.analyzers import Advice, PropagationAnalyzer
from xaicore.graph import Condition
from xaicore.propagation import Composite, Matching

Entry = tuple[Condition, Callable[..., Any]]


class RelevanceMethod(PropagationAnalyzer):
    """A method that propagates relevance: its own rules where a layer has weights, the chosen treatments elsewhere.

    A subclass implements `rules`. Its constructor names its parameters and hands them on, which stores each under its
    own name and refuses what the rules refuse::

        def __init__(self, model, *, epsilon=1e-6, structure=None):
            super().__init__(model, structure=structure, epsilon=epsilon)

    Parameters
    ----------
    structure : mapping of str to str, optional
        How relevance passes layers that no rule of the method takes, such as {'max_pool': 'proportional'}; what is not
        named keeps the first of its choices. max_pool: 'winner' or 'proportional'; lp_pool: 'proportional'; product:
        'signal', 'proportional' or 'half'; matmul: 'signal' or 'half'; attention: 'signal'; batch_norm: 'folded', 'one'
        or 'two'; norm: 'constant', 'centred' or 'identity'; local_response_norm: 'ignore' or 'taylor'.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, structure: Mapping[str, str] | None = None, **parameters: Any) -> None:
        super().__init__(model)
        if type(self).__init__ is RelevanceMethod.__init__:
            self.check_parameter_names(list(parameters))  # a class without a constructor of its own has no others
        self.structure = structure
        for name, value in parameters.items():
            setattr(self, name, value)
        self.build_composite()

    @abstractmethod
    def rules(self) -> Sequence[Entry]:
        """Conditions and rules in order, for the layers that are linear in their input."""

    def build_composite(self) -> Composite:
        """The rules of the method, then the treatments chosen in ``structure``; plugins' mappings take the rest."""
        chosen = check_structure(self.structure)
        return Composite(
            [*self.rules(), *structure_entries(chosen)],
            family=self.family,
            name=type(self).__name__,
            batch_norm=chosen.get("batch_norm", "folded"),
        )

    def advise(self, matching: Matching) -> Sequence[Advice]:
        """See `PropagationAnalyzer.advise`; what the tutorial of Montavon et al. 2018 says of the model's structure."""
        return relevance_advice(matching)
