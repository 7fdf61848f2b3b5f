"""A bad plugin is reported with its cause, and costs nothing but itself."""

from __future__ import annotations

from typing import Any

import pytest

from xaicore.errors import PluginLoadError
from xaicore.plugins import PluginInfo, PluginRegistry, Status, check_api

GOOD = """
from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.1"

@hookimpl
def xaicore_methods():
    return [MethodSpec(name="good.one", target="good_pkg:One", summary="s", family="gradient")]
"""


def info(namespace: str, registry: PluginRegistry | None = None) -> PluginInfo:
    (found,) = [plugin for plugin in (registry or PluginRegistry.discover()).plugins() if plugin.namespace == namespace]
    return found


def methods_of(namespace: str, registry: PluginRegistry) -> list[str]:
    return [method.name for method in registry.methods() if method.namespace == namespace]


def test_a_good_plugin_is_ok_and_brings_its_methods(site: Any) -> None:
    site.install("good-pkg", "good", GOOD, version="2.5")
    registry = PluginRegistry.discover()
    found = info("good", registry)
    assert (found.status, found.distribution, found.version, found.cause) == (Status.OK, "good-pkg", "2.5", "")
    assert 0 < found.load_time < 10
    assert methods_of("good", registry) == ["good.one"]


BAD_SOURCES = {
    "fails to import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "raises at import": ("raise RuntimeError('out of cheese')", "RuntimeError: out of cheese"),
    "is no Python": ("def (", "SyntaxError"),
    "exits at import": ("import sys; sys.exit('bye')", "tried to exit the program (SystemExit: bye)"),
    "panics at import": ("class Panic(BaseException): pass\nraise Panic('rust')", "Panic: rust"),
    "raises in a hook": ("def xaicore_methods(): raise ValueError('in hook')", "ValueError: in hook"),
    "exits in a hook": ("def xaicore_methods(): raise SystemExit(3)", "tried to exit the program (SystemExit: 3)"),
    "implements an unknown hook": (
        "def xaicore_method(): return []",
        "implements 'xaicore_method', which is no hook of this xaicore. Did you mean 'xaicore_methods'?",
    ),
    "gives a hook parameters it does not have": ("def xaicore_methods(model): return []", "model"),
    "returns no list": ("def xaicore_methods(): return 7", "xaicore_methods must return a list of MethodSpec, not 7"),
    "returns other things": (
        "def xaicore_methods(): return ['bad.one']",
        "xaicore_methods must return a list of MethodSpec, not ['bad.one']",
    ),
    "returns a malformed descriptor": (
        "from xaicore.plugins import *\n"
        "def xaicore_methods(): return [MethodSpec(name='bad.one', target='nowhere', summary='', family='')]",
        "target 'nowhere' is no import string",
    ),
    "registers outside its namespace": (
        "from xaicore.plugins import *\n"
        "def xaicore_methods(): return [MethodSpec(name='good.two', target='a:B', summary='', family='')]",
        "registers 'good.two' outside its namespace 'bad'",
    ),
    "registers a name twice": (
        "from xaicore.plugins import *\n"
        "def xaicore_methods(): return [MethodSpec(name='bad.a', target='a:B', summary='', family='')] * 2",
        "registers 'bad.a' twice",
    ),
}


@pytest.mark.parametrize(("source", "cause"), BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_a_bad_plugin_is_broken_with_its_cause_and_the_rest_works(site: Any, source: str, cause: str) -> None:
    site.install("bad-pkg", "bad", source)
    site.install("good-pkg", "good", GOOD)
    registry = PluginRegistry.discover()
    found = info("bad", registry)
    assert found.status is Status.BROKEN
    assert cause in found.cause
    assert "\n" not in found.cause
    assert methods_of("bad", registry) == []
    assert methods_of("good", registry) == ["good.one"]


def test_the_cause_names_the_line_that_raised(site: Any) -> None:
    site.install("bad-pkg", "bad", "x = 1\n\nraise KeyError('k')\n")
    assert info("bad").cause.endswith(f"({site.folder / 'bad_pkg_plugin.py'}:3)")


def test_unreadable_entry_points_are_reported(site: Any) -> None:
    site.install("bad-pkg", "bad", entry_points="[xaicore.plugins]\nthis line has no equals sign\n")
    site.install("good-pkg", "good", GOOD)
    registry = PluginRegistry.discover()
    found = [plugin for plugin in registry.plugins() if plugin.distribution == "bad-pkg"]
    assert [plugin.status for plugin in found] == [Status.BROKEN]
    assert methods_of("good", registry) == ["good.one"]


def test_a_plugin_without_metadata_still_loads(site: Any) -> None:
    site.install("good-pkg", "good", GOOD)
    (site.folder / "good_pkg-1.0.dist-info" / "METADATA").unlink()
    found = info("good")
    assert (found.status, found.label) == (Status.OK, "unknown unknown")


def test_keyboard_interrupt_is_never_caught(site: Any) -> None:
    site.install("bad-pkg", "bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        PluginRegistry.discover()


@pytest.mark.parametrize(
    ("wanted", "offered", "reason"),
    [
        ("0.1", "0.1", None),
        ("0.1", "0.2", None),
        ("0.3", "0.2", "upgrade xaicore"),
        ("1.0", "0.2", "upgrade xaicore"),
        ("0.9", "1.0", "upgrade the plugin"),
        ("1.10", "1.9", "upgrade xaicore"),
        ("1.9", "1.10", None),
        ("1", "1.0", "must be a string like '1.0'"),
        (0.1, "0.1", "must be a string like '0.1'"),
    ],
)
def test_a_plugin_fits_a_core_of_the_same_major_and_no_smaller_minor(
    wanted: object, offered: str, reason: str | None
) -> None:
    answer = check_api(wanted, offered)
    assert answer is None if reason is None else reason in str(answer)


def test_a_plugin_for_a_newer_core_is_incompatible_and_its_hooks_are_not_called(site: Any) -> None:
    site.install("new-pkg", "new", "XAICORE_API = '0.999'\ndef xaicore_of_tomorrow(): raise AssertionError\n")
    found = info("new")
    assert found.status is Status.INCOMPATIBLE
    assert "0.999" in found.cause
    assert "upgrade xaicore" in found.cause


def test_a_plugin_that_states_no_api_version_is_taken_for_the_first(site: Any) -> None:
    site.install("good-pkg", "good", GOOD.replace("XAICORE_API", "SOMETHING_ELSE"))
    assert info("good").status is Status.OK


@pytest.mark.parametrize("installed_first", ["aaa-own", "xai-own"])
def test_the_first_party_distribution_owns_its_namespace(site: Any, installed_first: str) -> None:
    names = sorted(["aaa-own", "xai-own"], key=lambda name: name != installed_first)
    for name in names:
        site.install(name, "own", f"MARK = {name!r}" if name == "xai-own" else "raise AssertionError('imported')")
    found = {plugin.distribution: plugin for plugin in PluginRegistry.discover().plugins() if plugin.namespace == "own"}
    assert found["xai-own"].status is Status.OK
    assert found["aaa-own"].status is Status.CONFLICT
    assert "'own' is taken by xai-own 1.0" in found["aaa-own"].cause


def test_among_third_parties_the_first_by_name_owns_the_namespace_even_if_it_is_broken(site: Any) -> None:
    site.install("zzz-own", "own", "")
    site.install("bbb-own", "own", "raise ValueError('b')")
    found = {plugin.distribution: plugin for plugin in PluginRegistry.discover().plugins() if plugin.namespace == "own"}
    assert found["bbb-own"].status is Status.BROKEN
    assert found["zzz-own"].status is Status.CONFLICT


def test_disabling_the_owner_by_its_distribution_hands_the_namespace_on(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("xai-own", "own", "")
    site.install("zzz-own", "own", "")
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "XAI_own")
    found = {plugin.distribution: plugin for plugin in PluginRegistry.discover().plugins() if plugin.namespace == "own"}
    assert found["xai-own"].status is Status.DISABLED
    assert found["zzz-own"].status is Status.OK


COMMAND = """
from xaicore.plugins import CommandSpec

def xaicore_commands():
    return [CommandSpec(name="{name}", target="a:b", summary="s")]
"""


def test_a_command_that_is_taken_puts_the_plugin_in_conflict(site: Any) -> None:
    site.install("one-pkg", "one", COMMAND.format(name="paint"))
    site.install("two-pkg", "two", COMMAND.format(name="paint"))
    site.install("six-pkg", "six", COMMAND.format(name="list"))
    registry = PluginRegistry.discover()
    assert info("one", registry).status is Status.OK
    assert info("two", registry).cause == "the command 'paint' is taken by one-pkg 1.0."
    assert info("six", registry).cause == "the command 'list' is taken by xaicore."
    assert [spec.name for spec in registry.commands()].count("paint") == 1


def test_the_deny_list_keeps_a_plugin_from_being_imported(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("bad-pkg", "bad", "raise AssertionError('imported')")
    site.install("good-pkg", "good", GOOD)
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", " bad , other")
    registry = PluginRegistry.discover()
    assert info("bad", registry).status is Status.DISABLED
    assert "XAICORE_DISABLE_PLUGINS" in info("bad", registry).cause
    assert info("good", registry).status is Status.OK


def test_all_plugins_can_be_disabled_but_the_core_stays(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("good-pkg", "good", GOOD)
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "all")
    registry = PluginRegistry.discover()
    assert info("core", registry).status is Status.OK
    assert {plugin.status for plugin in registry.plugins() if plugin.namespace != "core"} == {Status.DISABLED}
    assert registry.methods() == ()
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "all,core")
    assert info("core").status is Status.DISABLED


def test_an_allow_list_need_not_name_the_core(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAICORE_PLUGINS", "lrp")
    registry = PluginRegistry.discover()
    assert info("core", registry).status is Status.OK
    assert "core.heatmap" in [spec.name for spec in registry.renderers()]


def test_nobody_takes_the_namespace_of_the_core(site: Any) -> None:
    site.install("xai-core", "core", "raise AssertionError('imported')")
    found = {plugin.distribution: plugin for plugin in PluginRegistry.discover().plugins()}
    assert found["xaicore"].status is Status.OK
    assert found["xai-core"].status is Status.CONFLICT
    assert "the namespace 'core' is taken by xaicore" in found["xai-core"].cause


def test_the_allow_list_lets_only_its_plugins_load(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("bad-pkg", "bad", "raise AssertionError('imported')")
    site.install("good-pkg", "good", GOOD)
    monkeypatch.setenv("XAICORE_PLUGINS", "good")
    registry = PluginRegistry.discover()
    assert info("bad", registry).status is Status.DISABLED
    assert [method.name for method in registry.methods()] == ["good.one"]
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "good")
    assert PluginRegistry.discover().methods() == ()


@pytest.mark.parametrize("source", ["raise RuntimeError('cause')", "raise SystemExit(1)", "XAICORE_API = '9.0'"])
def test_strict_mode_raises_what_is_otherwise_reported(site: Any, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    site.install("bad-pkg", "bad", source)
    monkeypatch.setenv("XAICORE_STRICT_PLUGINS", "1")
    with pytest.raises(PluginLoadError, match=r"Plugin 'bad' \(bad-pkg 1.0\) is (broken|incompatible): ") as caught:
        PluginRegistry.discover()
    if source.startswith("raise"):
        assert isinstance(caught.value.__cause__, RuntimeError | SystemExit)
    monkeypatch.setenv("XAICORE_STRICT_PLUGINS", "0")
    assert info("bad").status in (Status.BROKEN, Status.INCOMPATIBLE)


def test_an_earlier_path_entry_shadows_a_distribution_of_the_same_name(
    site: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("good-pkg", "good", GOOD, version="1.0")
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    type(site)(earlier).install("good-pkg", "good", GOOD, version="2.0")
    monkeypatch.syspath_prepend(earlier)
    assert info("good").version == "2.0"
