"""The parameters of a search, and which of them are refused."""

from __future__ import annotations

from typing import Any

from xai_activation_max.ascent import OPTIMIZERS
from xai_activation_max.choosing import check_parametrization, check_priors
from xai_activation_max.explained import OBJECTIVES
from xai_activation_max.parameters import check_integer, check_number, check_word
from xai_activation_max.starts import STARTS
from xai_activation_max.transforms import Transforms
from xaicore.analyzers import Analyzer
from xaicore.errors import ParameterError


class SearchSettings(Analyzer):
    """The parameters of `PrototypeSearch`.

    Parameters
    ----------
    prior : {'l2', 'mean', 'expert', 'none'}, Prior, Expert, callable, or list of these
        ``'l2'``: ``-strength |x|^2``; ``'mean'``: ``-strength |x - mean|^2`` with the mean of the class; ``'expert'``:
        ``strength log p(x)`` with the density of a `GaussianRBM` learnt in ``fit``; a callable gives the log of a
        density, (N, ...) -> (N,). Several are added up.
    strength : float, optional
        Of the priors that are named by a word or given as a function; default 0.01 for ``'l2'`` and ``'mean'``, else 1.
    parametrization : {'pixels', 'fourier'} or Parametrization
        Where the search moves: the entries of the input, its spectrum, or what an object says, such as `CodeSpace`.
    objective : {'log_probability', 'logit'}
        What is maximised for a class. The log probability is that of the softmax over classes, or of the sigmoid where
        the model has one output or ends in one. A regression is maximised as ``'logit'``: its value as it is.
    steps : int
        At most.
    learning_rate : float, optional
        Of the first step; it falls along half a cosine. Default: 0.05 for adam, 0.1 for sgd, 1 for lbfgs.
    optimizer : {'adam', 'sgd', 'lbfgs'} or callable
        A callable takes the list of tensors to optimise and returns a ``torch.optim.Optimizer``, which must treat
        rows, and so numbers, independently of each other if prototypes are not to depend on those beside them.
    restarts : int
        Attempts at each prototype, run together; the best is kept.
    jitter : int
        At each step the input is shifted by up to as many positions, at random.
    scale : float
        It is scaled by a factor between ``1 - scale`` and ``1 + scale``, at random.
    rotation : float
        It is turned by up to as many degrees, at random.
    bounds : (low, high), optional
        Of the inputs: numbers, one number a channel each, or tensors like a sample.
    total_variation : float
        Strength of the total variation that is subtracted, in nats per unit of difference between neighbours.
    locality : float
        Strength of ``-strength |x - example|^2``: what would make the given input a better example.
    diversity : float
        What it costs, in nats, that several prototypes (``count``) of a target look alike, by their cosine similarity.
    start : {'noise', 'mean', 'clusters', 'input'}, optional
        Where the search begins: around the middle (of the data, of the bounds, or zero), the mean of the class, centres
        of clusters of the class (one a prototype), or the given input. Default: the input with ``locality``; after
        ``fit`` clusters for several prototypes, else the mean; else noise.
    noise : float
        Standard deviation of the normal noise added to starts; in standard deviations of the data after ``fit``, else
        in quarters of the width of ``bounds``, else in the units of the input.
    tolerance : float
        A search stops where its mean objective over ``patience`` steps rises by less than this, relative to it (but at
        least to 1).
    patience : int, optional
        None: all steps are made.
    pool : int
        Most samples that ``fit`` keeps, drawn at random: experts and clusters are fitted to them.
    seed : int
        Of the starts, the random changes and the pool; the same seed gives the same prototypes.
    """

    family = "prototype"

    def __init__(
        self,
        model: Any,
        *,
        prior: Any = "l2",
        strength: float | None = None,
        parametrization: Any = "pixels",
        objective: str = "log_probability",
        steps: int = 500,
        learning_rate: float | None = None,
        optimizer: Any = "adam",
        restarts: int = 1,
        jitter: int = 0,
        scale: float = 0.0,
        rotation: float = 0.0,
        bounds: Any = None,
        total_variation: float = 0.0,
        locality: float = 0.0,
        diversity: float = 0.0,
        start: str | None = None,
        noise: float = 0.1,
        tolerance: float = 1e-6,
        patience: int | None = 50,
        pool: int = 5000,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.prior, self.strength, self.parametrization, self.objective = prior, strength, parametrization, objective
        self.steps, self.learning_rate, self.optimizer, self.restarts = steps, learning_rate, optimizer, restarts
        self.jitter, self.scale, self.rotation, self.bounds = jitter, scale, rotation, bounds
        self.total_variation, self.locality, self.diversity = total_variation, locality, diversity
        self.start, self.noise, self.tolerance, self.patience = start, noise, tolerance, patience
        self.pool, self.seed = pool, seed
        self._validate()

    def _validate(self) -> None:
        check_number("strength", self.strength, optional=True)
        check_priors(self.prior, self.strength)
        check_word("objective", self.objective, OBJECTIVES)
        if not callable(self.optimizer):
            check_word("optimizer", self.optimizer, OPTIMIZERS, " or give a function of the tensors to optimise")
        check_parametrization(self.parametrization, self.bounds, self.optimizer)
        for name, least in (("steps", 1), ("restarts", 1), ("jitter", 0), ("pool", 1), ("seed", 0)):
            check_integer(name, getattr(self, name), least=least)
        check_integer("patience", self.patience, least=1, optional=True)
        check_number("learning_rate", self.learning_rate, open_=True, optional=True)
        for name in ("total_variation", "locality", "diversity", "noise", "tolerance"):
            check_number(name, getattr(self, name))
        check_number("scale", self.scale, below=1)
        check_number("rotation", self.rotation, below=360)
        if self.start is not None:
            check_word("start", self.start, STARTS)
        if self.learning_rate is not None and callable(self.optimizer):
            raise ParameterError("learning_rate= is for optimizers named by a word; a function sets its own")
        if self.optimizer == "lbfgs" and (self._transforms or self.diversity):
            raise ParameterError(
                "optimizer='lbfgs' compares values of the objective, which random changes and diversity= do not let "
                "it: leave jitter, scale, rotation and diversity at 0, or choose 'adam'"
            )

    @property
    def _transforms(self) -> Transforms:
        return Transforms(self.jitter, self.scale, self.rotation, self.seed)
