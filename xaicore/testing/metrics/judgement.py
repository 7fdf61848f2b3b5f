"""Whether a metric judges: it depends on what it is given, and does not prefer noise to the truth."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from xaicore.testing.checks import Failure, require, science
from xaicore.testing.metrics.judged import Everywhere, InputTimesGradient, Noise, Spots
from xaicore.testing.metrics.subject import MetricSubject


@science
def depends_on_the_explanation(subject: MetricSubject) -> None:
    """Explanations that differ are not always judged alike."""
    for model in (subject.example.model(), _spots()):
        images = _images(subject) if isinstance(model, Spots) else subject.example.inputs()
        said = [subject.judge(each(model), images).values for each in (InputTimesGradient, Noise, Everywhere)]
        if not all(torch.equal(each.nan_to_num(), said[0].nan_to_num()) for each in said[1:]):
            return
    raise Failure(
        f"it says {said[0].tolist()} of input times gradient, of noise and of a constant map alike: it does not look "
        "at the relevance."
    )


@science
def prefers_the_truth(subject: MetricSubject) -> str:
    """Of a linear model that looks at four pixels, its exact contributions are not judged worse than noise."""
    model = _spots()
    images = _images(subject)
    target = torch.arange(len(images)) % 4
    masks = model.masks(target)
    truth, noise = (subject.judge(each(model), images, masks, target.tolist()) for each in (InputTimesGradient, Noise))
    require(len(truth.defined.values) > 0, "it says NaN of the exact contributions of a linear model.")
    if not len(noise.defined.values):
        return "undefined of noise"
    true, noisy = (float(each.defined.values.mean()) for each in (truth, noise))
    better = true >= noisy - 1e-9 if truth.higher_is_better else true <= noisy + 1e-9
    require(
        better,
        f"it says {true:.6g} of the exact contributions and {noisy:.6g} of noise, where "
        f"{'higher' if truth.higher_is_better else 'lower'} is better: is its direction right?",
    )
    return f"{true:.3g} of the truth, {noisy:.3g} of noise"


@functools.cache
def _spots() -> Spots:
    return Spots().double().eval()


def _images(subject: MetricSubject) -> Tensor:
    """Images of one channel that are dark, and light where the class looks whose number is that of the image."""
    dark = subject.example.inputs(6)[:, :1] / 10
    images: Tensor = dark + 0.9 * _spots().masks(torch.arange(6) % 4)[:, None]
    return images
