"""The names that users may rely on."""

from __future__ import annotations

import importlib.metadata

import pytest

import xaicore


@pytest.mark.parametrize("name", xaicore.__all__)
def test_every_public_name_can_be_used_and_says_what_it_is(name: str) -> None:
    value = getattr(xaicore, name)
    if callable(value):
        assert value.__doc__
        assert value.__module__.startswith("xaicore.")


def test_every_lazy_name_is_public_and_listed() -> None:
    assert set(xaicore._HOME_OF) <= set(xaicore.__all__) <= set(dir(xaicore))
    assert xaicore.__all__ == sorted(xaicore.__all__, key=lambda name: (name != name.upper(), name))


def test_rooms_are_reached_without_importing_them_by_name() -> None:
    assert xaicore.graph.Kind is xaicore.Kind


def test_a_name_that_does_not_exist_suggests_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'explian'. Did you mean 'explain'\?"):
        _ = xaicore.explian


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("xaicore") == xaicore.__version__
