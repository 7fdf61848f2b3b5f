"""The gradient of an explanation: what explanations are trained, regularised or attacked by."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from xaicore.errors import XaicoreError
from xaicore.testing.checks import Skip, require, science
from xaicore.testing.examples import seeded
from xaicore.testing.methods.comparing import found_in
from xaicore.testing.methods.subject import LEARNT_FROM, MethodSubject
from xaicore.testing.slopes import slopes

_SHAPES = {"tabular": (6,), "image": (3, 6, 6), "series": (2, 8)}


@science
def gradient_of_explanation(subject: MethodSubject) -> str:
    """With `create_graph` the derivative by inputs and by weights is that of central differences, on a smooth model."""
    if "create_graph" not in inspect.signature(subject.cls.analyze).parameters:
        raise Skip("its analyze has no option create_graph")
    kind = next((kind for kind in _SHAPES if kind in subject.made_for), None)
    if kind is None:
        raise Skip(f"it takes none of {', '.join(_SHAPES)}")
    model, x = smooth_model(kind), _inputs(kind, 3).requires_grad_()
    try:
        analyzer = subject.create(model, _inputs(kind, LEARNT_FROM))
        analyzer.analyze(x, 1)
    except XaicoreError as error:
        raise Skip(f"it does not take a smooth model: {error}") from error
    weigh = torch.Generator().manual_seed(4)
    direction = torch.randn(x.shape, generator=weigh, dtype=torch.float64)

    def values() -> Tensor:
        (relevance,) = found_in(analyzer.analyze(x, 1, create_graph=True)).values()
        return (relevance * direction).flatten(1).sum(1)

    told = 0
    weights: list[Tensor] = [] if subject.learns else list(model.parameters())
    for name, tensors in {"inputs": [x], "weights": weights}.items():  # what was learnt belongs to the weights
        found = slopes(values, tensors)
        told += int(found.settled.sum())
        for analytic, numeric, settled, agree in zip(*vars(found).values(), strict=True):
            require(
                not settled or bool(agree),
                f"the derivative of an explanation by the {name} is {float(analytic):.6g}, and central differences "
                f"say {float(numeric):.6g}: something on the way is detached, or copied to numbers",
            )
    if not told:
        raise Skip("it has a kink or a jump wherever it was tried")
    return f"{told} derivatives"


@functools.cache
def smooth_model(kind: str) -> nn.Module:
    """A model without kinks for such inputs."""
    layers: dict[str, Callable[[], list[nn.Module]]] = {
        "tabular": lambda: [nn.Linear(6, 8), nn.Softplus()],
        "image": lambda: [nn.Conv2d(3, 4, 3, padding=1), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        "series": lambda: [nn.Conv1d(2, 4, 3, padding=1), nn.Softplus(), nn.AdaptiveAvgPool1d(1), nn.Flatten()],
    }
    with seeded(5):
        return nn.Sequential(*layers[kind](), nn.Linear(8 if kind == "tabular" else 4, 3)).double().eval()


def _inputs(kind: str, count: int) -> Tensor:
    """Away from zero, where rules that tell signs apart have their kinks."""
    generator = torch.Generator().manual_seed(6)
    drawn = torch.rand(count, *_SHAPES[kind], generator=generator, dtype=torch.float64)
    return 0.2 + 0.8 * drawn
