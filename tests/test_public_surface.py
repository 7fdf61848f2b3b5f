"""The names that users and plugins may rely on: listed, with the version that brought each, and held to."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import types
import warnings

import pytest

import xaicore
from xaicore.deprecation import XaicoreDeprecationWarning, deprecated_names, warn_deprecated
from xaicore.plugins import descriptors
from xaicore.plugins.hooks import DESCRIPTOR_OF_HOOK
from xaicore.plugins.surface import as_numbers, read_surface, surface

PUBLIC = surface()


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


def test_the_version_is_that_of_the_distribution_and_of_the_interface() -> None:
    assert importlib.metadata.version("xaicore") == xaicore.__version__
    assert xaicore.__version__.rpartition(".")[0] == xaicore.API_VERSION


@pytest.mark.parametrize("module", PUBLIC.names)
def test_a_module_has_the_public_names_that_are_listed_and_no_others(module: str) -> None:
    imported = importlib.import_module(module)
    listed = {name for name in PUBLIC.names[module] if not name.startswith("__")}
    assert listed == set(imported.__all__), "keep xaicore/plugins/surface.toml in step"
    for name in PUBLIC.names[module]:
        getattr(imported, name)


def test_every_room_is_listed() -> None:
    assert {f"xaicore.{room}" for room in xaicore._ROOMS} <= set(PUBLIC.names)


def test_hooks_and_fields_are_listed() -> None:
    assert set(PUBLIC.hooks) == set(DESCRIPTOR_OF_HOOK)
    assert set(PUBLIC.fields) == {kind.__name__ for kind in DESCRIPTOR_OF_HOOK.values()}
    for descriptor, listed in PUBLIC.fields.items():
        assert {field.name for field in dataclasses.fields(getattr(descriptors, descriptor))} == set(listed)


def test_nothing_is_newer_than_the_interface() -> None:
    brought = [*PUBLIC.names.values(), PUBLIC.hooks, *PUBLIC.fields.values()]
    assert max((each for versions in brought for each in versions.values()), key=as_numbers) == xaicore.API_VERSION


def test_what_is_deprecated_is_still_there_and_warns() -> None:
    for module, entries in PUBLIC.deprecated.items():
        for name, entry in entries.items():
            assert name in PUBLIC.names[module], "it stays until the next major version"
            assert as_numbers(entry.since) <= as_numbers(xaicore.API_VERSION)
            with pytest.warns(XaicoreDeprecationWarning, match=entry.instead):
                getattr(importlib.import_module(module), name)


def test_a_deprecated_name_works_and_warns_at_the_line_that_uses_it() -> None:
    listed = read_surface(
        '[names.old_home]\n"0.1" = ["old"]\n[hooks]\n[fields]\n'
        '[deprecated.old_home]\nold = { since = "0.3", instead = "use new_home.new" }'
    )
    home = types.ModuleType("old_home")
    home.__getattr__ = deprecated_names("old_home", {"old": lambda: 7}, listed)  # type: ignore[method-assign]
    with pytest.warns(XaicoreDeprecationWarning) as caught:
        assert home.old == 7
    assert str(caught[0].message) == (
        "old_home.old is deprecated since xaicore 0.3 and goes with 1.0: use new_home.new."
    )
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="has no attribute 'older'"):
        _ = home.older
    with pytest.raises(LookupError, match=r"surface.toml lists no deprecation of new in old_home"):
        deprecated_names("old_home", {"new": lambda: 7}, listed)


def test_a_deprecated_parameter_warns_at_the_caller() -> None:
    def shorten(*, length: int | None = None) -> None:
        if length is not None:
            warn_deprecated("shorten(length=)", since="1.4", instead="use size=")

    with pytest.warns(XaicoreDeprecationWarning, match=r"since xaicore 1\.4 and goes with 2\.0") as caught:
        shorten(length=3)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shorten()
