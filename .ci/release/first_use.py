"""What a new user does first, in an environment that has wheels alone: explain a model, save the result, load it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

import xaicore

home = Path(xaicore.__file__)
if not home.is_relative_to(sys.prefix):
    sys.exit(f"xaicore is imported from {home}, not from this environment {sys.prefix}.")

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 7 * 7, 10)).eval()
images = torch.rand(2, 3, 16, 16)

explanation = xaicore.explain(model, images, method="lrp.epsilon_plus")
relevance = explanation.relevance
if not isinstance(relevance, torch.Tensor) or relevance.shape != images.shape or not relevance.any():
    sys.exit("lrp.epsilon_plus explains nothing.")
explanation.plot().savefig("why.png")
explanation.save("why.safetensors")
loaded = xaicore.load_explanation("why.safetensors").relevance
if not isinstance(loaded, torch.Tensor) or not torch.equal(loaded, relevance):
    sys.exit("What was saved is not what is loaded.")
sys.stdout.write(f"xaicore {xaicore.__version__} with torch {torch.__version__}: {explanation.diagnostics.summary()}\n")
