"""The visual question answering example: its scenes and questions, its weights, and what it writes."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import xaicore

FOLDER = Path(__file__).parents[1] / "examples" / "vqa"
NAMES = [path.stem for path in FOLDER.glob("*.py")]


@pytest.fixture(scope="module")
def vqa() -> Iterator[Any]:
    """The modules of the example, as its scripts import them."""
    sys.path.insert(0, str(FOLDER))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    sys.path.remove(str(FOLDER))
    for name in NAMES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def network(vqa: Any) -> Any:
    return vqa.network.load_network(vqa.explain.WEIGHTS, vqa.questions.VOCABULARY, vqa.questions.ANSWERS)


@pytest.fixture(scope="module")
def quiz(vqa: Any) -> Any:
    return vqa.quizzes.quiz(vqa.quizzes.HELD_OUT, range(20_000, 20_150), 5)


# An independent reader of questions: it knows the scene by the pixels of its objects and by their attributes.


def described(text: str, objects: list[dict[str, Any]]) -> list[int]:
    *adjectives, noun = text.split()
    wanted = adjectives + [noun.removesuffix("s")] * (noun not in ("object", "objects"))
    return [number for number, thing in enumerate(objects) if set(wanted) <= set(thing["values"])]


def the(text: str, objects: list[dict[str, Any]]) -> int:
    (only,) = described(text, objects)
    return only


def referred(which: str, objects: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """The objects that "the ... left of the ..." fits, and those on the way to it."""
    if found := re.fullmatch(r"(.+) (left of|right of|above|below) the (.+)", which):
        anchor = the(found[3], objects)
        axis = 0 if found[2] in ("left of", "right of") else 1
        sign = 1 if found[2] in ("right of", "below") else -1
        middle = objects[anchor]["centre"][axis]
        fits = [n for n in described(found[1], objects) if n != anchor]
        return [n for n in fits if sign * (objects[n]["centre"][axis] - middle) > 0], [anchor]
    return described(which, objects), []


def answered(text: str, objects: list[dict[str, Any]]) -> tuple[str, set[int], set[int]]:
    """The answer to a question, the objects it is about, and all that it goes through."""
    if found := re.fullmatch(r"what (\w+) is the (.+)", text):
        targets, way = referred(found[2], objects)
        (target,) = targets  # no question has two right answers
        return objects[target]["values"][["size", "color", "shape"].index(found[1])], {target}, {target, *way}
    if found := re.fullmatch(r"how many (.+?) are (.+)", text):
        which = found[1] if found[2] == "there" else f"{found[1]} {found[2]}"
        counted, way = referred(which, objects)
        return str(len(counted)), set(counted), {*counted, *way}
    found = re.fullmatch(r"is there a (.+)", text)
    assert found is not None, text
    seen, way = referred(found[1], objects)
    return ("yes" if seen else "no"), set(seen), {*seen, *way}


def test_every_answer_follows_from_the_pixels_and_attributes_of_the_objects(vqa: Any, quiz: Any) -> None:
    for things, asked in zip(quiz.scenes, quiz.questions, strict=True):
        objects = [
            {"values": (thing.size, thing.color, thing.shape), "centre": np.argwhere(pixels).mean(0)[::-1]}
            for thing, pixels in zip(things, vqa.scenes.masks(things), strict=True)
        ]
        for question in asked:
            expected = question.answer, question.target, question.touched
            assert answered(" ".join(question.words), objects) == expected, question


def test_masks_hold_the_pixels_of_their_objects_and_no_others(vqa: Any, quiz: Any) -> None:
    for things, picture in zip(quiz.scenes, quiz.pictures.numpy() / 255.0, strict=True):
        masks = vqa.scenes.masks(things)
        assert masks.sum(0).max() == 1
        background = picture[:, ~masks.any(0)]
        assert np.quantile(background, 0.05) > 0.7 and np.ptp(np.quantile(background, 0.5, axis=1)) < 0.05
        for thing, mask in zip(things, masks, strict=True):
            assert abs(mask.sum() / (math.pi * vqa.scenes.SIZES[thing.size] ** 2) - 1) < 0.4  # a triangle is smaller
            assert np.abs(np.median(picture[:, mask], axis=1) - thing.rgb).max() < 0.01


def test_a_scene_and_its_questions_depend_on_their_numbers_alone(vqa: Any) -> None:
    some = vqa.quizzes.quiz(7, range(3, 6), 4)
    one = vqa.quizzes.quiz(7, [4], 4)
    assert some.scenes[1] == one.scenes[0] and some.questions[1] == one.questions[0]
    assert torch.equal(some.pictures[1], one.pictures[0]) and torch.equal(some.words[1], one.words[0])
    assert vqa.quizzes.quiz(8, [4], 4).scenes != one.scenes


def test_no_answer_is_so_frequent_that_guessing_pays(vqa: Any) -> None:
    asked = [question for row in vqa.quizzes.quiz(9, range(250), 8).questions for question in row]
    for kind in vqa.questions.KINDS:
        # As one would guess who knows the attribute that is asked for, but has not seen the picture.
        by_first_words: dict[tuple[str, ...], Counter[str]] = {}
        for question in asked:
            if question.kind == kind:
                by_first_words.setdefault(question.words[:2], Counter())[question.answer] += 1
        hits = sum(max(answers.values()) for answers in by_first_words.values())
        assert hits / sum(sum(answers.values()) for answers in by_first_words.values()) < 0.6, kind


def test_words_are_padded_on_the_left(vqa: Any, quiz: Any) -> None:
    for question, words in zip(quiz.questions[0], quiz.words[0].tolist(), strict=True):
        spoken = [vqa.questions.VOCABULARY[number] for number in words]
        assert spoken == [vqa.questions.PAD] * (vqa.questions.LENGTH - len(question.words)) + list(question.words)


def test_the_network_is_right_about_scenes_that_it_has_not_seen(vqa: Any, network: Any, quiz: Any) -> None:
    table = vqa.quizzes.accuracy(network, quiz)
    assert sum(number for kind, (_, number) in table.items() if kind != "all") == table["all"][1] == 750
    assert {kind: right for kind, (right, _) in table.items() if right <= 0.9} == {}


def test_training_takes_a_short_cut_to_the_same_scores(vqa: Any, network: Any, quiz: Any) -> None:
    pictures, words = quiz.inputs()
    usual = network(pictures[:15], words[:15])
    hidden = vqa.train.hidden(network, pictures[:15:5], words[:15].view(3, 5, -1)).flatten(0, 1)
    short = network.decision[-1](hidden)
    torch.testing.assert_close(short, usual, atol=1e-4, rtol=1e-4)


def test_weights_for_other_words_are_refused(vqa: Any) -> None:
    with pytest.raises(ValueError, match="other words or answers"):
        vqa.network.load_network(vqa.explain.WEIGHTS, ["other"], vqa.questions.ANSWERS)


def test_both_inputs_are_explained_at_once_and_the_books_balance(vqa: Any, network: Any, quiz: Any) -> None:
    pictures, words = (rows[:20] for rows in quiz.inputs())
    explanation = xaicore.explain(
        network, (pictures, words), method="lrp.composite", composite=vqa.explanations.composite(), ledger=True
    )
    assert explanation.relevance["pictures"].shape == pictures.shape
    assert explanation.relevance["words"].shape == words.shape
    assert not explanation.diagnostics.fallbacks and not explanation.diagnostics.non_finite
    assert not explanation.relevance["words"][words == 0].any()  # padding is a zero, and says nothing
    absorbed = sum(row["bias"] + row["stabilizer"] + row["elsewhere"] for row in explanation.diagnostics.ledger)
    explained = float(explanation.diagnostics.explained.sum())
    found = sum(float(part.sum()) for part in explanation.relevance.values())
    assert found + absorbed == pytest.approx(explained, rel=1e-4)
    assert min(float(part.abs().sum()) for part in explanation.relevance.values()) > 0.01 * explained


def test_relevance_in_a_mask_is_measured_as_defined(vqa: Any) -> None:
    relevance = torch.tensor([[[4.0, 1.0], [-9.0, 3.0]]])
    mask = torch.tensor([[[True, True], [False, False]]])
    assert vqa.in_mask.mass_accuracy(relevance, mask).item() == pytest.approx(5 / 8)
    assert vqa.in_mask.rank_accuracy(relevance, mask).item() == pytest.approx(1 / 2)
    interval = vqa.in_mask.bootstrap(torch.tensor([0.0, 1.0] * 200), torch.arange(400))
    assert interval.mean == 0.5 and interval.high - interval.low == pytest.approx(2 * 1.96 * 0.025, rel=0.1)
    pairs = vqa.in_mask.bootstrap(torch.tensor([0.0, 0.0, 1.0, 1.0] * 100), torch.arange(400) // 2)
    assert pairs.high - pairs.low == pytest.approx(2 * 1.96 * 0.025 * math.sqrt(2), rel=0.1)


def test_top_words_leave_out_padding_and_count_a_word_once(vqa: Any) -> None:
    question = vqa.questions.Question("relation", ("the", "red", "the", "square"), "red", frozenset(), frozenset())
    relevance = torch.zeros(1, vqa.questions.LENGTH)
    relevance[0, :10], relevance[0, 10:] = 5, torch.tensor([3.0, -4.0, 2.0, 1.0])
    assert vqa.word_statistics.top_words(relevance, [question]) == [["the", "the", "square"]]
    assert vqa.word_statistics.counts(relevance, [question]) == {"relation": Counter({"the": 1, "square": 1})}


def test_the_script_writes_its_figure_and_tables(vqa: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vqa.explain.main(["--out", str(tmp_path), "--samples", "24"])
    names = {"answers.png", *(f"{name}.{end}" for name in ("accuracy", "words", "objects") for end in ("md", "csv"))}
    assert {path.name for path in tmp_path.iterdir()} == names
    said = capsys.readouterr().out
    assert all(name in said for name in names)
    picture = (tmp_path / "answers.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 50_000
    assert "| target" in (tmp_path / "objects.md").read_text()
