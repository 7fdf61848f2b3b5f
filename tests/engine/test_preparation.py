"""From what a user passes to tensors where the model is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from xaicore.engine import Inputs, device_and_dtype, prepare
from xaicore.errors import InputError


class TwoInputs(nn.Module):
    """A model with an image, an optional mask, and parameters of a given type."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2, dtype=dtype)

    def forward(self, image: torch.Tensor, mask: Any = None, *, scale: float = 1.0) -> torch.Tensor:
        return self.linear(image) * scale


@pytest.mark.parametrize(
    "given", [np.ones((2, 3)), np.ones((2, 3))[::-1], [[1.0] * 3, [1.0] * 3], torch.ones(2, 3, dtype=torch.float64)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_arrays_lists_and_tensors_become_tensors_of_the_models_type(given: Any, dtype: torch.dtype) -> None:
    (tensor,) = prepare(given, TwoInputs(dtype)).args
    torch.testing.assert_close(tensor, torch.ones(2, 3, dtype=dtype))


def test_integers_and_booleans_keep_their_type() -> None:
    prepared = prepare((np.ones((2, 3)), np.array([[1], [2]])), TwoInputs())
    assert prepared.tensors()["mask"].dtype == torch.int64
    prepared = prepare({"image": torch.ones(2, 3), "mask": torch.tensor([True, False])}, TwoInputs())
    assert prepared.tensors()["mask"].dtype == torch.bool


def test_arguments_are_named_as_the_forward_names_them() -> None:
    nested = (torch.ones(2, 3), {"left": torch.ones(2), "pair": (torch.ones(2), None)})
    assert list(prepare(nested, TwoInputs()).tensors()) == ["image", "mask.left", "mask.pair.0"]
    assert list(prepare({"image": torch.ones(2, 3), "scale": 2.0}, TwoInputs()).tensors()) == ["image"]


def test_variadic_arguments_are_numbered() -> None:
    class Sum(nn.Module):
        def forward(self, *terms: torch.Tensor) -> torch.Tensor:
            return sum(terms, torch.zeros(()))

    assert list(prepare((torch.ones(2), torch.ones(2)), Sum()).tensors()) == ["terms.0", "terms.1"]


def test_the_users_tensors_are_not_tracked_or_changed() -> None:
    given = torch.ones(2, 3, requires_grad=True)
    (tensor,) = prepare(given, TwoInputs()).args
    assert not tensor.requires_grad and given.requires_grad and given.grad is None


def test_tensors_made_in_inference_mode_can_be_explained() -> None:
    with torch.inference_mode():
        given = torch.ones(2, 3)
    assert not prepare(given, TwoInputs()).args[0].is_inference()


def test_an_array_that_cannot_be_written_to_is_copied() -> None:
    given = np.ones((2, 3), dtype=np.float32)
    given.flags.writeable = False
    (tensor,) = prepare(given, TwoInputs()).args
    tensor.add_(1)
    assert (given == 1).all()


def test_a_model_without_floating_point_tensors_takes_inputs_as_they_are() -> None:
    assert prepare(np.ones((2, 3)), nn.Flatten()).args[0].dtype == torch.float64


def test_prepared_inputs_are_taken_as_they_are() -> None:
    prepared = prepare(torch.ones(2, 3), TwoInputs())
    assert prepare(prepared, TwoInputs()) is prepared


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.ones(0, 3), r"Input 'image' is empty: its shape is \(0, 3\)"),
        (torch.tensor([[1.0, float("nan"), 2.0]]), r"'image' has 1 NaN or infinite values .* index \(0, 1\)"),
        ((torch.ones(2, 3), torch.tensor([1.0, -torch.inf])), "'mask' has 1 NaN or infinite"),
        (torch.tensor(1.0), "is a single number"),
        (1.0, "nothing to explain"),
        ((), "missing a required argument: 'image'"),
        ({"picture": torch.ones(2, 3)}, "'image'"),
        (tuple(torch.ones(2, 3) for _ in range(3)), "too many positional arguments"),
        ([torch.ones(3), torch.ones(3)], "torch.stack"),
        (np.array(["cat", "dog"]), "'image' of type ndarray"),
        ([[1.0, 2.0], [3.0]], "'image' of type list"),
        (object(), "'image' of type object"),
        (torch.eye(3).to_sparse(), "only dense tensors"),
    ],
)
def test_what_the_model_cannot_take_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(given, TwoInputs())


def test_values_too_large_for_the_models_type_are_refused() -> None:
    with pytest.raises(InputError, match=r"as torch\.float16"):
        prepare(torch.full((1, 3), 1e6), TwoInputs(torch.float16))


def test_the_device_and_type_are_those_of_the_parameters_then_the_buffers() -> None:
    assert device_and_dtype(TwoInputs(torch.float64)) == (torch.device("cpu"), torch.float64)
    assert device_and_dtype(nn.Flatten()) == (torch.device("cpu"), None)
    integers_only = nn.Module()
    integers_only.register_buffer("table", torch.arange(3))
    assert device_and_dtype(integers_only) == (torch.device("cpu"), None)


def test_a_model_on_several_devices_or_without_values_is_refused() -> None:
    with pytest.raises(InputError, match=r"several devices: '0\.weight' on cpu, '1\.weight' on meta"):
        device_and_dtype(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1, device="meta")))
    with pytest.raises(InputError, match="no values"):
        device_and_dtype(nn.Linear(1, 1, device="meta"))


def test_only_what_has_one_entry_a_sample_is_sliced() -> None:
    shared, number = torch.ones(3, 2), torch.tensor(5.0)
    inputs = Inputs((torch.arange(8).reshape(4, 2), (shared, number, "x")), {"ids": torch.arange(4)}, ("a", "b"))
    part = inputs.slice(1, 3)
    assert part.batch == 2
    assert part.args[0].tolist() == [[2, 3], [4, 5]] and part.kwargs["ids"].tolist() == [1, 2]
    assert part.args[1][0] is shared and part.args[1][1] is number and part.args[1][2] == "x"
