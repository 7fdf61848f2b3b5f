"""The models of the zoo as the tests of several files share them: each is built and captured once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
import zoo
from torch import Tensor, nn

SIZE = 64  # at which the last stage has an extent, but for these
OTHER_SIZES = {"inception_v3": 139, "vit_b_16": 32, "transformers_vit": 32}
# In float32 a pre-activation within rounding error of zero falls on either side of the ReLU, and a gradient of a deep
# unnormalised net then differs from autograd's own in float64 by more than 1e-5: 9e-4 and 1e-4 for these.
FLOAT64 = {"resnet50", "regnet_y_400mf"}


@dataclass(frozen=True)
class Published:
    """A model of the zoo and what it is explained on; the tests leave the model as it is."""

    entry: zoo.Entry
    model: nn.Module
    inputs: Tensor | dict[str, Tensor]

    @classmethod
    def of(cls, name: str) -> Published:
        """Build the model of that name, for images at which its last stage has an extent."""
        entry = zoo.BY_NAME[name]
        if entry.size:
            entry = dataclasses.replace(entry, size=OTHER_SIZES.get(name, SIZE))
        dtype = torch.float64 if name in FLOAT64 else torch.float32
        return cls(entry, entry.build(dtype), entry.inputs(dtype))

    @property
    def images(self) -> Tensor:
        """Its input, where that is images."""
        return self.inputs if isinstance(self.inputs, Tensor) else self.inputs[self.entry.keyword]
