"""Whether an explanation depends on the class that is explained."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_evaluation.parameters import check_count, check_seed
from xai_evaluation.randomization.similarity import UNDEFINED, check_similarity, similarities
from xaicore.analyzers import resolve_target
from xaicore.engine import Block, generator
from xaicore.errors import InputError
from xaicore.scoring import Case, Metric, Scores


class RandomLogit(Metric):
    """How alike the heatmaps of the explained class and of other classes are: the mean over these classes.

    A method whose heatmap is the same whatever class is asked for says little of why the model chose this one; lower is
    better. The paper takes the structural similarity, which is for images only (``similarity="ssim"``).

    The other classes are drawn at random, without repeating one, and depend on the seed and the explained class alone:
    samples of one class are compared with the same others, whatever their batch. NaN where a similarity is not defined:
    a constant map, one that is not finite, or a class that the method refuses to explain. ``details["similarity"]``
    (B, classes) has each, ``details["classes"]`` which these are.

    Parameters
    ----------
    classes : int
        How many other classes, at most as many as there are.
    similarity : {'spearman', 'pearson', 'cosine', 'ssim'}
        Correlation of ranks, correlation, cosine, or structural similarity (images only; needs scikit-image).
    of : {'signed', 'absolute', 'positive', 'negative'}
        Which relevance is compared.
    seed : int

    References
    ----------
    Sixt, Granz and Landgraf 2020, "When explanations lie: why many modified BP attributions fail".
    """

    higher_is_better = False
    bounds = (-1.0, 1.0)

    def __init__(self, *, classes: int = 1, similarity: str = "spearman", of: str = "signed", seed: int = 0) -> None:
        check_count("classes", classes)
        check_similarity(similarity, of)
        check_seed(seed)
        self.classes, self.similarity, self.of, self.seed = classes, similarity, of, seed

    def score(self, case: Case) -> Scores:
        others = self._others(case)
        found = []
        arguments = case.evaluation.arguments(case.varied, Block(0, len(case), 0, 1))
        for column in others.T.tolist():
            other = case.relevance_by(case.analyzer, arguments, resolve_target(column, case.target.output))
            found.append(similarities(case.relevance, other, self.similarity, self.of))
        alike = torch.stack(found, 1)
        notes = [UNDEFINED] * bool(alike.isnan().any())
        return self.scores(alike.mean(1), details={"similarity": alike, "classes": others}, notes=notes)

    def _others(self, case: Case) -> Tensor:
        """The other classes of each sample, (B, K)."""
        target, total = case.explanation.target, case.evaluation.prediction.shape[-1]
        if target["kind"] != "class" or total < 2:
            raise InputError(
                f"the explained class is compared with another; what is explained is of kind "
                f"{target['kind']!r}, of an output of shape {tuple(case.evaluation.prediction.shape)}. Explain a class"
            )
        drawn = {each: self._drawn(each, total) for each in set(target["index"])}
        return torch.stack([drawn[each] for each in target["index"]])

    def _drawn(self, explained: int, total: int) -> Tensor:
        order = torch.randperm(total - 1, generator=generator(self.seed, explained))[: self.classes]
        return order + (order >= explained)
