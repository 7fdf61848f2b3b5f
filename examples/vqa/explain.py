"""Explain what the trained network answers: a figure, and tables about words and about objects.

    python examples/vqa/explain.py --out folder --samples 1200

Needs xaicore, xai-lrp, xai-lstm, xai-gradients and xai-perturbation. Takes half a minute on
two cores.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from explanations import GRADIENT, LRP, Relevance, analyzers, relevance
from figures import Example, draw_figure
from in_mask import bootstrap, mass_accuracy, object_masks, rank_accuracy
from network import load_network
from questions import ANSWERS, KINDS, VOCABULARY, Question
from quizzes import HELD_OUT, Quiz, accuracy, answers, quiz
from tables import write_table
from torch import Tensor, nn
from word_statistics import counts

WEIGHTS = Path(__file__).with_name("weights.safetensors")
QUESTIONS_PER_SCENE = 4
FIRST_SCENE = 50_000
"""Of the scenes explained: none that the network was trained with, or that anything was chosen by."""


def examples(test: Quiz, said: Tensor, found: Relevance, wrong: int) -> tuple[list[Example], list[Example]]:
    """Return the first right answer to each kind of question, and the first wrong ones, each about a new picture."""
    hits = (said == test.answers).flatten().tolist()
    right: dict[str, int] = {}
    missed: list[int] = []
    shown: set[int] = set()
    for row, (question, hit) in enumerate(zip(asked(test), hits, strict=True)):
        scene = row // QUESTIONS_PER_SCENE
        if scene in shown or (question.kind in right if hit else len(missed) == wrong):
            continue
        shown.add(scene)
        if hit:
            right[question.kind] = row
        else:
            missed.append(row)

    def example(row: int) -> Example:
        words = asked(test)[row].words
        picture, answer = test.pictures[row // QUESTIONS_PER_SCENE], ANSWERS[said.flatten()[row]]
        relevance_of_words = found.words[row, -len(words) :]
        return Example(picture, words, found.pixels[row], relevance_of_words, answer, asked(test)[row].answer)

    return [example(right[kind]) for kind in KINDS if kind in right], [example(row) for row in missed]


def asked(test: Quiz) -> list[Question]:
    return [question for row in test.questions for question in row]


def accuracy_rows(network: nn.Module, test: Quiz) -> list[list[object]]:
    return [[kind, number, f"{100 * right:.1f}"] for kind, (right, number) in accuracy(network, test).items()]


def word_rows(found: dict[str, Relevance], test: Quiz) -> list[list[object]]:
    """Return for each kind of question the words that are most often among the three most relevant, by method."""
    counted = {method: counts(of.words, asked(test)) for method, of in found.items()}
    return [
        [kind, *(", ".join(f"{word} {n}" for word, n in counted[method][kind].most_common(6)) for method in found)]
        for kind in KINDS
        if any(question.kind == kind for question in asked(test))
    ]


def mask_rows(found: dict[str, Relevance], test: Quiz, said: Tensor) -> list[list[object]]:
    """Return the share of relevance on the objects for right answers, by mask, kind of question and method.

    Questions about objects that are not there (answers "no" and "0") have no mask, and do not count.
    """
    hits = (said == test.answers).flatten()
    scenes = torch.arange(len(hits)) // QUESTIONS_PER_SCENE
    rows: list[list[object]] = []
    for which in ("target", "touched"):
        mask = object_masks(test.scenes, test.questions, which)
        area = mask.double().mean((1, 2))
        for kind in (*KINDS, "all"):
            of_kind = torch.tensor([kind in (question.kind, "all") for question in asked(test)])
            chosen = of_kind & hits & (area > 0)
            if not chosen.any():
                continue
            row: list[object] = [which, kind, int(chosen.sum()), f"{100 * float(area[chosen].mean()):.1f}"]
            for measure in (mass_accuracy, rank_accuracy):
                for method in (LRP, GRADIENT):
                    values = measure(found[method].pixels[chosen], mask[chosen])
                    row.append(bootstrap(values, scenes[chosen]))
            rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("vqa"), help="the folder to write to")
    parser.add_argument("--samples", type=int, default=1200, help="how many questions to explain")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="of the network, as train.py writes them")
    parser.add_argument("--wrong", type=int, default=3, help="how many wrong answers to show")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    network = load_network(options.weights, VOCABULARY, ANSWERS)
    scenes = math.ceil(options.samples / QUESTIONS_PER_SCENE)
    test = quiz(HELD_OUT, range(FIRST_SCENE, FIRST_SCENE + scenes), QUESTIONS_PER_SCENE)
    said = answers(network, test)
    found = {name: relevance(analyzer, test.inputs(), said.flatten()) for name, analyzer in analyzers(network).items()}

    picture = options.out / "answers.png"
    draw_figure(*examples(test, said, found[LRP], options.wrong)).savefig(picture, dpi=160)
    print(f"wrote {picture}")
    write_table(options.out / "accuracy", ["question", "questions", "right (%)"], accuracy_rows(network, test))
    write_table(options.out / "words", ["question", *found], word_rows(found, test))
    measures = [f"{measure}, {method} (%)" for measure in ("mass", "rank") for method in (LRP, GRADIENT)]
    header = ["mask", "question", "questions", "area of mask (%)", *measures]
    write_table(options.out / "objects", header, mask_rows(found, test, said))


if __name__ == "__main__":
    main()
