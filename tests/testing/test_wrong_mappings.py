"""Each wrong mapping fails the check that is about what is wrong with it, and no other; right ones fail none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import wrong_mappings as wrong
from torch import Tensor, nn

from xaicore.errors import InputError
from xaicore.plugins import MappingSpec
from xaicore.testing import Card, ConformanceError, check_mapping

WRONG: dict[type, str] = {
    wrong.WidensHalves: "answers_for_each_input",
    wrong.WritesToOutputs: "writes_to_nothing",
    wrong.ReadsMore: "reads_what_it_declares",
    wrong.AsksForDerivatives: "reads_what_it_declares",
    wrong.DividesByZero: "stays_finite",
    wrong.MeansOverTheBatch: "treats_samples_alone",
    wrong.CoefficientsOfTwo: "factored_alike",
    wrong.RectifiesRelevance: "linear_in_relevance",
    wrong.ForgetsTheStabilizer: "ledger_balances",
    wrong.CopiesToNumbers: "differentiable",
}

SPEC = MappingSpec(
    family="relevance", kinds=("add", "average_pool"), target="wrong_mappings:right", summary="by contributions"
)


class Chunks(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.chunk(2, -1)


CHUNKS = Chunks()
ROWS = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def failing(check: Callable[[], Card]) -> list[str]:
    with pytest.raises(ConformanceError) as caught:
        check()
    assert len(caught.value.card.problems) == 1, str(caught.value)
    return caught.value.card.failed


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_mapping_fails_exactly_its_check(cls: Any) -> None:
    assert failing(lambda: check_mapping(cls(), kinds=("add",))) == [WRONG[cls]]


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def test_values_that_were_only_moved_go_back_as_they_came() -> None:
    given: dict[str, Any] = {"model": Flat(), "inputs": ROWS.reshape(3, 2, 3), "kinds": ("reshape",)}
    assert failing(lambda: check_mapping(wrong.turns_round, **given)) == ["goes_back_as_it_came"]


def test_each_output_may_have_relevance_alone() -> None:
    found = failing(lambda: check_mapping(wrong.wants_all_outputs, model=CHUNKS, inputs=ROWS, kinds=("select",)))
    assert found == ["outputs_add_up"]
    assert check_mapping(wrong.by_derivative, model=CHUNKS, inputs=ROWS, kinds=("select",)).ok


def test_a_right_mapping_passes_all_checks() -> None:
    card = check_mapping(SPEC)
    assert card.ok
    assert card.title == "mapping wrong_mappings:right (relevance: add, average_pool)"
    assert check_mapping(wrong.right, family="gradient", kinds=("average_pool",)).ok


def test_a_description_that_is_wrong_is_told() -> None:
    assert failing(lambda: check_mapping(replace(SPEC, summary=" "))) == ["describes_itself"]
    with pytest.raises(ConformanceError, match="no kind of layer 'avrage_pool'. Did you mean 'average_pool'?"):
        check_mapping(replace(SPEC, kinds=("add", "avrage_pool")))
    with pytest.raises(ConformanceError, match="walks end at what was looked up"):
        check_mapping(replace(SPEC, kinds=("add", "embedding")))
    with pytest.raises(ConformanceError, match="family='relevanc': .* Did you mean 'relevance'?"):
        check_mapping(replace(SPEC, family="relevanc"))


def test_a_mapping_that_never_matches_fails() -> None:
    assert failing(lambda: check_mapping(replace(SPEC, kinds=("add",), ops=("add", "plus")))) == ["meets_its_layers"]
    with pytest.raises(ConformanceError, match="no layer of kind 'add' is in the models"):
        check_mapping(wrong.right, model=CHUNKS, inputs=ROWS, kinds=("add",))


def example() -> tuple[nn.Module, Tensor]:
    return CHUNKS, ROWS


def test_the_example_of_the_description_is_what_it_is_tried_on() -> None:
    spec = MappingSpec(
        family="relevance",
        kinds=("select",),
        ops=("chunk", "split"),
        target="wrong_mappings:by_derivative",
        summary="copies",
        example="test_wrong_mappings:example",
    )
    with pytest.raises(ConformanceError, match="no operator 'split'"):
        check_mapping(spec)
    assert check_mapping(replace(spec, ops=("chunk",))).ok


def test_what_is_no_mapping_or_for_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="which kinds"):
        check_mapping(wrong.right)
    with pytest.raises(InputError, match="give both"):
        check_mapping(SPEC, model=CHUNKS)
    with pytest.raises(InputError, match="is no mapping"):
        check_mapping(wrong.Right, kinds=("add",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Did you mean 'xai_lrp.structure:route'"):
        check_mapping("xai_lrp.structure:rout")
