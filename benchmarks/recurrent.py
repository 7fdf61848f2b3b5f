"""What LRP through an LSTM costs, beside gradients and a numpy loop: ``python benchmarks/recurrent.py``.

A bidirectional LSTM with a linear head on the last states, all sequences of one length, in float32. The unit is one
gradient of the same network by autograd (weights that do not require one). The numpy implementation is that of the
tests, written from the published equations, forward and backward: one sequence at a time, in float64, with the
message from each unit to each other written out ("messages"); beside it the same with messages summed by
matrix-vector products ("products"). Capture, once for a model, is not in our times.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Run, medians, timed
from torch import Tensor, nn

import xaicore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "lstm" / "tests"))
from numpy_recurrent import Recurrent, Rules

PRODUCTS = ("all", "prop", "half")


class Classifier(nn.Module):
    """A bidirectional LSTM, and a linear head on the last state of both directions."""

    def __init__(self, size: int, classes: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, size, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * size, classes)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.lstm(x)
        return self.head(torch.cat([h[0], h[1]], 1))


class ByProducts(Rules):
    """The rules of the reference with messages summed by matrix-vector products, none of them written out."""

    def linear(self, xs: Any, weights: Any, bias: Any, r: Any) -> list[Any]:
        z = sum((w @ x for w, x in zip(weights, xs, strict=True)), bias)
        ratio = self.ratio(r, z)
        return [x * (ratio @ w) for w, x in zip(weights, xs, strict=True)]


class OneByOne:
    """LRP of one sequence after the other, in numpy; the head has the same rule."""

    def __init__(self, model: Classifier, x: Tensor, rules: type[Rules]) -> None:
        weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
        lstm = {name.removeprefix("lstm."): value for name, value in weights.items() if name.startswith("lstm.")}
        self.network = Recurrent("lstm", lstm, bidirectional=True)
        self.head = weights["head.weight"], weights["head.bias"]
        self.x, self.rules = x.double().numpy(), rules

    def relevance(self, product: str) -> np.ndarray:
        """Relevance of the input for the first class, shape (B, T, d)."""
        return np.stack([self._of_one(x, self.rules(product)) for x in self.x])

    def _of_one(self, x: np.ndarray, rules: Rules) -> np.ndarray:
        y, h, _, trace = self.network.forward(x)
        weight, bias = self.head
        scores = weight @ h.ravel() + bias
        (r_h,) = rules.linear([h.ravel()], [weight], bias, np.array([scores[0], 0.0]))
        return self.network.relevance(trace, np.zeros_like(y), r_h.reshape(h.shape), None, rules).x


def gradient_of(model: nn.Module, x: Tensor) -> Run:
    """Return one gradient of the first class."""

    def run() -> None:
        point = x.detach().requires_grad_()
        torch.autograd.grad(model(point)[:, 0].sum(), point)

    return run


def measure(size: int, batch: int, steps: int, repeats: int) -> dict[str, Any]:
    """Time all contenders, and set their results side by side."""
    model = Classifier(size).eval().requires_grad_(False)
    x = torch.randn(batch, steps, size)
    capture = timed(lambda: xaicore.trace(model, x))
    ours = {f"lstm.lrp_{product}": xaicore.create_analyzer(f"lstm.lrp_{product}", model) for product in PRODUCTS}
    saliency = xaicore.create_analyzer("gradients.saliency", model)
    plain, quick = OneByOne(model, x, Rules), OneByOne(model, x, ByProducts)
    runs: dict[str, Run] = {
        "gradient": gradient_of(model, x),
        "gradients.saliency": lambda: saliency.analyze(x, 0),
        **{name: functools.partial(analyzer.analyze, x, 0) for name, analyzer in ours.items()},
    }
    loops = {
        f"numpy, {form}: {product}": functools.partial(loop.relevance, product)
        for form, loop in (("messages", plain), ("products", quick))
        for product in PRODUCTS
    }
    for run in runs.values():
        run()
    seconds = medians(runs, repeats)
    few = medians({**{name: runs[name] for name in ours}, **loops}, max(3, repeats // 10))  # these take turns too
    seconds |= {name: few[name] for name in loops}
    rows: list[dict[str, Any]] = [
        {"name": name, "seconds": each, "gradients": each / seconds["gradient"]} for name, each in seconds.items()
    ]
    for row in rows:
        product = row["name"].removeprefix("lstm.lrp_")
        for form in ("messages", "products"):
            row[f"to {form}"] = few[f"numpy, {form}: {product}"] / few[row["name"]] if product in PRODUCTS else None
        row["error"] = None
    for row, product in zip([row for row in rows if row["name"] in ours], PRODUCTS, strict=True):
        row["error"] = worst_error(ours[row["name"]].analyze(x, 0).relevance, plain.relevance(product))
    sizes = {"size": size, "batch": batch, "steps": steps, "repeats": repeats}
    return sizes | {"threads": torch.get_num_threads(), "capture": capture, "rows": rows}


def worst_error(ours: Tensor, expected: np.ndarray) -> float:
    """Return how far ours is from the reference, against the largest relevance of the sample; the worst sample."""
    error = np.abs(ours.double().numpy() - expected).max((1, 2))
    return float((error / np.abs(expected).max((1, 2))).max())


def table(result: dict[str, Any]) -> str:
    """Write a result as text."""
    lines = [
        f"bidirectional LSTM, d = {result['size']}, batch {result['batch']}, {result['steps']} steps, float32, "
        f"{result['threads']} threads, median of {result['repeats']}; capture, once: {result['capture']:.1f} s",
        f"{'':24}{'ms':>9}{'gradients':>11}{'x messages':>12}{'x products':>12}{'error':>10}",
    ]
    for row in result["rows"]:
        faster = [row["to messages"], row["to products"]]
        told = "".join(f"{'' if each is None else f'{each:.0f}':>12}" for each in faster)
        error = "" if row["error"] is None else f"{row['error']:.0e}"
        lines.append(f"{row['name']:24}{1000 * row['seconds']:9.1f}{row['gradients']:11.2f}{told}{error:>10}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=60, help="of the input and of the hidden state")
    parser.add_argument("--batch", type=int, nargs="+", default=[32])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    results = []
    for batch in options.batch:
        results.append(measure(options.size, batch, options.steps, options.repeats))
        print(table(results[-1]), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
