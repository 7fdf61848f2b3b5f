"""Whether an explanation depends on what the model has learnt."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from xai_evaluation.parameters import check_choice, check_seed
from xai_evaluation.randomization.layers import HOW, ParameterLayer, layers_in_order
from xai_evaluation.randomization.similarity import UNDEFINED, check_similarity, similarities
from xai_evaluation.rebinding import check_data, rebound
from xaicore.analyzers import check_is_module
from xaicore.engine import Block
from xaicore.errors import InputError
from xaicore.scoring import Case, Curve, Metric, Scores

_ORDERS = {
    "top_down": "layers randomised, from the output on",
    "bottom_up": "layers randomised, from the input on",
    "independent": "the randomised layer, counted from the output",
}


class ParameterRandomization(Metric):
    """How alike the heatmaps of a model stay as its layers are randomised: the mean over layers.

    Layer by layer the parameters of a copy of the model are replaced by random ones, and the copy is explained for the
    class that was explained in the model. The score of a sample is the mean similarity of these heatmaps with that of
    the model. A method whose heatmaps stay alike does not show what the model has learnt; lower is better. An edge
    detector, which never looks at the model, has 1. ``curve`` has the similarity after each layer; a note names them.

    Layers are the modules with parameters of their own, in the order in which the forward pass reads them; those that
    it never reads are left out. What a layer shares with another (tied weights) changes for both. The copy is one more
    model in memory; the model itself is not touched.

    NaN where a similarity is not defined after some layer: a constant map (a random layer may let nothing pass), one
    that is not finite, or a score that the method refuses to explain. The curve shows where.

    Parameters
    ----------
    order : {'top_down', 'bottom_up', 'independent'}
        Cascading from the output to the input, as in the paper, or from the input to the output: what was randomised
        stays so. Or each layer alone.
    how : {'reset', 'permute', 'normal'}
        ``'reset'``: as the layer initialises itself, by its ``reset_parameters`` (which also makes the statistics of a
        batch norm new); what this leaves as it is, as for ``'normal'``. ``'permute'``: the entries of each parameter in
        random order. ``'normal'``: normal numbers with the mean and standard deviation of each parameter.
    similarity : {'spearman', 'pearson', 'cosine', 'ssim'}
        Correlation of ranks, correlation, cosine, or structural similarity (images only; needs scikit-image).
    of : {'absolute', 'signed', 'positive', 'negative'}
        Which relevance is compared.
    seed : int
        Of the random parameters.
    data : optional
        What the method was fitted on, for methods that learn: it is fitted anew for each randomised model. A tensor, or
        batches that can be gone through again, as of a DataLoader.

    References
    ----------
    Adebayo et al. 2018, "Sanity checks for saliency maps", sec. 3.
    """

    higher_is_better = False
    bounds = (-1.0, 1.0)

    def __init__(
        self,
        *,
        order: str = "top_down",
        how: str = "reset",
        similarity: str = "spearman",
        of: str = "absolute",
        seed: int = 0,
        data: Any = None,
    ) -> None:
        check_choice("order", order, tuple(_ORDERS))
        check_choice("how", how, HOW)
        check_similarity(similarity, of)
        check_seed(seed)
        self.order, self.how, self.similarity, self.of, self.seed, self.data = order, how, similarity, of, seed, data

    def score(self, case: Case) -> Scores:
        check_data(case.analyzer, self.data)
        twin = _copied(check_is_module(case.model))
        arguments = case.evaluation.arguments(case.varied, Block(0, len(case), 0, 1))
        layers = layers_in_order(twin, arguments)
        if self.order != "bottom_up":
            layers.reverse()
        before = case.relevance
        # One copy, whose parameters change in place: the graph is captured once.
        clone, found = None, []
        for _ in self._randomised(layers):
            if clone is None or self.data is not None:
                clone = rebound(case.analyzer, twin, self.data)
            after = case.relevance_by(clone, arguments, case.target)
            found.append(similarities(before, after, self.similarity, self.of))
        return self._scores(torch.stack(found, 1), layers)

    def _randomised(self, layers: list[ParameterLayer]) -> Iterator[None]:
        """Randomise the layers one after the other."""
        for layer in layers:
            kept = layer.state() if self.order == "independent" else {}
            layer.randomise(self.how, self.seed)
            yield
            if kept:
                layer.restore(kept)

    def _scores(self, found: Tensor, layers: list[ParameterLayer]) -> Scores:
        curve = Curve(torch.arange(1.0, len(layers) + 1), found, _ORDERS[self.order], self.similarity)
        notes = [f"layers in this order: {', '.join(layer.path for layer in layers)}"]
        notes += [UNDEFINED] * bool(found.isnan().any())
        return self.scores(found.mean(1), curve=curve, notes=notes)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).eval()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"the model cannot be copied, and the one that was given is not to be randomised: {error}. Tensors that "
            "belong to a record of autograd, kept by hooks or attributes, are a common cause"
        ) from error
