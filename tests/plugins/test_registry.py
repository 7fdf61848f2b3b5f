"""The registry brings together what plugins describe, and finds methods by the names users type."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import xaicore
from xaicore.errors import PluginError, PluginLoadError, UnknownMethodError
from xaicore.plugins import (
    CommandSpec,
    MappingSpec,
    MethodSpec,
    PluginRegistry,
    find_method,
    methods,
    plugin_registry,
    reset_registry,
    resolve,
    suggest_provider,
)

PLUGIN = """
from xaicore.plugins import *

def xaicore_methods():
    return [
        MethodSpec(name="{namespace}." + name, target="a:B", summary="s", family="relevance", aliases=aliases)
        for name, aliases in {methods}
    ]

def xaicore_mappings():
    return [
        MappingSpec(family="relevance", kinds=("add",), target="{namespace}:f", summary="s"),
        MappingSpec(family="relevance", kinds=("recurrent",), target="{namespace}:g", summary="s", ops=("lstm",)),
        MappingSpec(family="gradient", kinds=("add",), target="{namespace}:h", summary="s"),
    ]

def xaicore_metrics():
    return [MetricSpec(name="{namespace}.metric", target="a:B", summary="s", higher_is_better=True)]

def xaicore_renderers():
    return [RendererSpec(name="{namespace}.renderer", target="a:B", summary="s")]

def xaicore_commands():
    return [CommandSpec(name="{namespace}-do", target="a:b", summary="s")]
"""


@pytest.fixture
def registry(site: Any, monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    """Two plugins, `bar` and `foo`, and no other, not even what the core brings."""
    monkeypatch.setenv("XAICORE_PLUGINS", "foo,bar")
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "core")
    site.install(
        "foo-pkg", "foo", PLUGIN.format(namespace="foo", methods=[("zeta", ("Zeta",)), ("same", ()), ("alpha", ())])
    )
    site.install(
        "bar-pkg", "bar", PLUGIN.format(namespace="bar", methods=[("same", ()), ("gamma", ("old.gamma", "zeta_two"))])
    )
    return PluginRegistry.discover()


def test_everything_is_sorted_by_name(registry: PluginRegistry) -> None:
    assert [spec.name for spec in registry.methods()] == ["bar.gamma", "bar.same", "foo.alpha", "foo.same", "foo.zeta"]
    assert [spec.name for spec in registry.metrics()] == ["bar.metric", "foo.metric"]
    assert [spec.name for spec in registry.renderers()] == ["bar.renderer", "foo.renderer"]
    assert [spec.name for spec in registry.commands()] == ["bar-do", "foo-do"]


def test_mappings_of_a_family_come_with_their_provider_in_a_fixed_order(registry: PluginRegistry) -> None:
    found = [(spec.target, info.distribution) for spec, info in registry.mappings("relevance")]
    assert found == [("bar:f", "bar-pkg"), ("bar:g", "bar-pkg"), ("foo:f", "foo-pkg"), ("foo:g", "foo-pkg")]
    assert [spec.target for spec, _ in registry.mappings("gradient")] == ["bar:h", "foo:h"]
    assert registry.mappings("unheard_of") == []


def test_the_provider_of_a_method_is_known(registry: PluginRegistry) -> None:
    assert registry.provider(registry.find_method("foo.alpha")).distribution == "foo-pkg"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("foo.zeta", "foo.zeta"),
        ("FOO.Zeta", "foo.zeta"),
        ("Zeta", "foo.zeta"),
        ("alpha", "foo.alpha"),
        ("old.gamma", "bar.gamma"),
        ("bar.zeta_two", "bar.gamma"),
        ("foo.same", "foo.same"),
    ],
)
def test_a_method_is_found_by_canonical_name_alias_or_bare_name(
    registry: PluginRegistry, name: str, found: str
) -> None:
    assert registry.find_method(name).name == found


def test_a_canonical_name_wins_over_an_alias(site: Any) -> None:
    site.install("foo-pkg", "foo", PLUGIN.format(namespace="foo", methods=[("one", ())]))
    site.install("thief-pkg", "aaa", PLUGIN.format(namespace="aaa", methods=[("two", ("foo.one",))]))
    assert PluginRegistry.discover().find_method("foo.one").name == "foo.one"


def test_an_ambiguous_name_lists_the_methods_it_may_mean(registry: PluginRegistry) -> None:
    with pytest.raises(UnknownMethodError, match=r"Several methods are called 'same': 'bar.same', 'foo.same'"):
        registry.find_method("same")


def test_an_unknown_name_suggests_the_nearest(registry: PluginRegistry) -> None:
    with pytest.raises(UnknownMethodError, match=r"no method 'foo.alhpa' .* Did you mean 'foo.alpha'\?"):
        registry.find_method("foo.alhpa")
    with pytest.raises(LookupError):
        registry.find_method("nothing like it")


@pytest.mark.parametrize(
    ("name", "package"),
    [("lstm.lrp_all", "xai-lstm"), ("deep_taylor.bounded", "xai-deeptaylor"), ("pattern.signal", "xai-patternnet")],
)
def test_a_method_of_a_known_package_that_is_missing_says_what_to_install(site: Any, name: str, package: str) -> None:
    registry = PluginRegistry([])
    with pytest.raises(UnknownMethodError, match=f"come with the package {package}: pip install {package}"):
        registry.find_method(name)


def test_a_method_of_a_plugin_that_is_broken_or_disabled_says_why(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("xai-lstm", "lstm", "raise RuntimeError('no cudnn')")
    with pytest.raises(UnknownMethodError, match=r"'lstm' \(xai-lstm 1.0\) is broken: RuntimeError: no cudnn"):
        PluginRegistry.discover().find_method("lstm.lrp_all")
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "lstm")
    with pytest.raises(UnknownMethodError, match="is disabled: XAICORE_DISABLE_PLUGINS names it"):
        PluginRegistry.discover().find_method("lstm.lrp_all")


def test_an_unknown_bare_name_mentions_plugins_that_are_not_loaded(site: Any) -> None:
    site.install("bad-pkg", "bad", "raise RuntimeError")
    with pytest.raises(UnknownMethodError, match=r"Not loaded: bad; `xaicore plugins` says why"):
        PluginRegistry.discover().find_method("quux")


def test_the_shared_registry_is_made_once_and_can_be_reset(registry: PluginRegistry) -> None:
    shared = plugin_registry()
    assert plugin_registry() is shared
    assert methods() == xaicore.methods() == shared.methods()
    assert find_method("foo.alpha") is shared.find_method("alpha")
    reset_registry()
    assert plugin_registry() is not shared


def test_resolve_imports_what_an_import_string_names() -> None:
    assert resolve("xaicore.plugins:MethodSpec") is MethodSpec
    assert resolve("xaicore.plugins:MethodSpec.namespace") is MethodSpec.namespace


@pytest.mark.parametrize(
    ("import_string", "message"),
    [
        ("no_such_package.module:Thing", r"Cannot import 'no_such_package.module' .*No module named"),
        ("xaicore.plugins:MethodSpecs", r"has no attribute 'MethodSpecs'. Did you mean 'MethodSpec'\?"),
        ("xaicore.plugins", "is no import string"),
    ],
)
def test_resolve_says_what_is_wrong_with_an_import_string(import_string: str, message: str) -> None:
    with pytest.raises(PluginLoadError, match=message):
        resolve(import_string)


def method(**changes: Any) -> MethodSpec:
    return MethodSpec(**{"name": "a.b", "target": "m:C", "summary": "s", "family": "f", **changes})


@pytest.mark.parametrize(
    "changes",
    [{"name": "bare"}, {"name": "A.b"}, {"name": "a.b.c"}, {"target": "m.C"}, {"target": ""}, {"aliases": "one"}],
)
def test_a_malformed_descriptor_is_refused_where_it_is_made(changes: dict[str, Any]) -> None:
    method()
    with pytest.raises(PluginError, match="MethodSpec"):
        method(**changes)


def test_a_mapping_names_kinds_and_a_command_has_a_plain_name() -> None:
    with pytest.raises(PluginError, match="names no kind"):
        MappingSpec(family="relevance", kinds=(), target="a:b", summary="s")
    with pytest.raises(PluginError, match="no name of a command"):
        CommandSpec(name="two words", target="a:b", summary="s")


def test_descriptors_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        method().name = "a.c"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        ("recurrent", "xai-lstm"),
        ("add", "xai-lrp"),
        ("max_pool", "xai-lrp"),
        ("softmax", "xai-lrp"),
        ("other", None),
        ("unheard_of", None),
    ],
)
def test_the_package_that_brings_a_mapping_for_a_kind_is_known(kind: str, package: str | None) -> None:
    assert suggest_provider(kind) == package


def test_getting_a_package_means_installing_it_or_mending_what_is_installed(site: Any) -> None:
    assert PluginRegistry([]).how_to_get("xai-lstm") == "pip install xai-lstm"
    site.install("xai-lstm", "lstm", "raise RuntimeError('no cudnn')")
    answer = PluginRegistry.discover().how_to_get("xai-lstm")
    assert answer.startswith("the plugin of xai-lstm 1.0 is broken: RuntimeError: no cudnn")
