"""The demo, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import xaicore
from xaicore.cli.demo import figures, report
from xaicore.cli.demo.methods import Run, run_methods
from xaicore.cli.demo.narrator import step
from xaicore.cli.demo.page import Story, render
from xaicore.cli.demo.training import Mistakes, find_mistakes, split, train
from xaicore.errors import XaicoreError


def run(folder: Path, seed: int, most: int) -> None:
    """Train, find mistakes, explain at most so many of them, and write all to `folder`."""
    if not xaicore.methods():
        raise XaicoreError("No method is installed to explain with. Install some: pip install xai-lrp xai-gradients")
    generator = torch.Generator().manual_seed(seed)
    training, test, numbers = split(generator)
    with step(f"Training a network on {len(training)} digits") as told:
        model = train(training, generator)
        told.append(f"{sum(each.numel() for each in model.parameters())} parameters")
    with step(f"Testing it on {len(test)} others") as told:
        mistakes, wrong = find_mistakes(model, test, numbers, most)
        told.append(f"{100 * (1 - wrong / len(test)):.1f} % right")
        told.append(f"{wrong} mistakes")
    if not wrong:
        raise XaicoreError("The network made no mistake to explain; take another --seed.")
    pairs = zip(mistakes.true.tolist(), mistakes.predicted.tolist(), mistakes.confidence.tolist(), strict=True)
    for true, predicted, confidence in pairs:
        click.echo(f"  a {true} taken for a {predicted}, {100 * confidence:.0f} % sure")
    with step("Capturing its graph") as told:
        graph = xaicore.trace(model, mistakes.images)
        layers = sum(1 for layer in graph.layers if layer.inputs)
        told.append(f"{layers} layers")
    runs = _explained(model, mistakes, training.images)
    explanations = figures.of_runs(runs)
    with step("Drawing figures") as told:
        pictures = _draw(folder, mistakes, explanations)
        told.append(f"{len(pictures)} files")
    _save(folder, model, mistakes, runs)
    with step("Writing a report") as told:
        told.append(report.write(folder / "report.html", model, mistakes, runs, seed, most).name)
    story = Story(
        seed=seed,
        accuracy=1 - wrong / len(test),
        tested=len(test),
        wrong=wrong,
        mistakes=mistakes,
        layers=layers,
        overview=pictures[0],
        figures=pictures[1:],
        example=figures.most_telling(explanations)[0],
    )
    (folder / "index.html").write_text(render(story, runs), encoding="utf-8")


def _explained(model: nn.Module, mistakes: Mistakes, data: Tensor) -> list[Run]:
    """Explain the predicted and the true class of each digit with every method, and tell how it went."""
    click.echo("Explaining the predicted and the true class of each digit:")
    runs = []
    for run in run_methods(model, figures.twice(mistakes.images), figures.both_classes(mistakes), data):
        click.echo(f"  {run.spec.name:<32} {_outcome(run)}")
        runs.append(run)
    if all(run.explanation is None for run in runs):
        raise XaicoreError("No installed method could explain the digits; the reasons are above.")
    return runs


def _outcome(run: Run) -> str:
    if run.explanation is None:
        return f"left out: {run.reason}"
    gap = run.explanation.diagnostics.conservation_gap
    ending = "" if gap is None else f"   typical conservation gap {_median(gap):.2g}"
    return f"{1000 * run.seconds:6.0f} ms{ending}"


def _median(values: Tensor) -> float:
    return float(values.median())


def _draw(folder: Path, mistakes: Mistakes, explanations: dict[str, xaicore.Explanation]) -> list[str]:
    """Write the figures and return their paths in the folder: the overview, then one a digit."""
    drawn = {"figures/overview.png": figures.overview(mistakes, explanations)}
    for number in range(len(mistakes)):
        drawn[f"figures/digit_{number + 1}.png"] = figures.every_method(number, mistakes, explanations)
    for path, figure in drawn.items():
        figure.savefig(folder / path, dpi=200)
    return list(drawn)


def _save(folder: Path, model: nn.Module, mistakes: Mistakes, runs: Sequence[Run]) -> None:
    """Write the explanations, and what is needed to make them again."""
    for run in runs:
        if run.explanation is not None:
            run.explanation.save(folder / "explanations" / f"{run.spec.name}.safetensors")
    save_file(model.state_dict(), folder / "model.safetensors")
    torch.save(mistakes.images, folder / "digits.pt")
