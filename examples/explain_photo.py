"""Explain what an image classifier of torchvision, unmodified, makes of two photographs.

    python examples/explain_photo.py --out photo.png
    python examples/explain_photo.py --model resnet18 --weights resnet18.pth --out photo.png

Needs xaicore, xai-lrp, xai-gradients and torchvision; the photographs come with scikit-learn. Takes about ten seconds
on a CPU. Nothing is downloaded: without --weights the network is random, and the picture shows how the methods work
but not what a trained network sees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision import models

import xaicore
from xaicore.visualization import grid

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]  # what torchvision's weights were trained with
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
SIZE = 224


def photograph(name: str) -> Tensor:
    """Return the middle of a photograph, normalised: (1, 3, SIZE, SIZE)."""
    image = Image.fromarray(load_sample_image(name))
    scale = SIZE / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    pixels = torch.tensor(np.array(image.crop((left, top, left + SIZE, top + SIZE))), dtype=torch.float32)
    return ((pixels.permute(2, 0, 1) / 255 - MEAN) / STD)[None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="squeezenet1_1", help="name of a classification model of torchvision")
    parser.add_argument("--weights", type=Path, help="a state dict for it; random weights without")
    parser.add_argument("--out", type=Path, default=Path("photo.png"), help="the picture to write")
    options = parser.parse_args()

    torch.manual_seed(0)
    model = models.get_model(options.model, weights=None)
    if options.weights:
        model.load_state_dict(torch.load(options.weights, weights_only=True))

    photos = torch.cat([photograph("china.jpg"), photograph("flower.jpg")])
    methods = {
        "gradients.input_x_gradient": {},
        "gradients.guided_backprop": {},
        "lrp.epsilon_plus": {},
        # The bounds of the pixels, 0 and 1, as the network gets them.
        "lrp.epsilon_gamma_box": {"low": (0 - MEAN) / STD, "high": (1 - MEAN) / STD},
    }
    explanations = xaicore.compare(model, photos, methods=methods)
    print(explanations["lrp.epsilon_plus"].diagnostics.summary())

    trained = "" if options.weights else ", random weights"
    figure = grid(
        photos,
        explanations,
        mean=MEAN.flatten().tolist(),
        std=STD.flatten().tolist(),
        percentile=99,
        overlaid=True,
        title=f"Evidence for the predicted class ({options.model}{trained})",
    )
    figure.savefig(options.out, dpi=150)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
