"""Eight plugins, each broken in its own way, all installed at once: each says what to do, and all else works as before.

They are installed as pip leaves a wheel: packages with their metadata in a folder on `sys.path`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import installing
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import xaicore
from xaicore.cli.main import cli
from xaicore.errors import PluginLoadError, UnknownMethodError
from xaicore.plugins import PluginInfo, Status, plugin_registry, reset_registry

HEAD = """
from xaicore.plugins import MappingSpec, MethodSpec, hookimpl

XAICORE_API = "0.1"

def method(name, target, *aliases):
    return MethodSpec(name=name, target=target, summary="s", family="gradient", aliases=aliases)
"""

GOOD = {
    "_plugin.py": HEAD
    + """
@hookimpl
def xaicore_methods():
    return [method("good.squared", "eight_good.methods:Squared", "square_of_gradient")]
""",
    "methods.py": """
from xaicore.analyzers import PropagationAnalyzer

class Squared(PropagationAnalyzer):
    family = "gradient"

    def readout(self, relevance, value):
        return relevance**2
""",
}

ALSO_GOOD = {
    "_plugin.py": HEAD
    + """
def xaicore_methods():
    return [method("other.squared_too", "eight_good.methods:Squared", "square_of_gradient")]
"""
}

RAISES = HEAD + "@hookimpl\ndef xaicore_methods():\n    raise ValueError('out of cheese')\n"
TWICE = HEAD + "def xaicore_methods():\n    return [method('twice.one', 'a:B'), method('twice.one', 'c:D')]\n"


def install(folder: Path, namespace: str, files: Mapping[str, str], **options: str) -> None:
    installing.install(folder, namespace, files, **{"distribution": f"eight-{namespace}", **options})


def install_eight(folder: Path) -> None:
    install(folder, "imports", {"_plugin.py": "import os\nimport no_such_library\n"})
    install(folder, "raises", {"_plugin.py": RAISES})
    install(folder, "exits", {"_plugin.py": "import sys\n\nsys.exit('bye')\n"})
    install(folder, "asks", {"_plugin.py": "\ndef xaicore_methods(model):\n    return []\n"})
    install(folder, "deleted", {})
    install(folder, "newer", {"_plugin.py": "XAICORE_API = '0.999'\n"}, requires=">=0.999")
    install(folder, "gradients", {"_plugin.py": "raise AssertionError('imported')"}, distribution="eight-taken")
    install(folder, "twice", {"_plugin.py": TWICE})


@pytest.fixture
def folder(site: Any) -> Iterator[Path]:
    before = set(sys.modules)
    yield site.folder
    for name in set(sys.modules) - before:
        if name.startswith("eight_"):
            del sys.modules[name]


@pytest.fixture
def eight(folder: Path) -> Path:
    """The eight, and a good one."""
    install_eight(folder)
    install(folder, "good", GOOD)
    reset_registry()
    return folder


WAYS = {
    "eight-imports": (
        Status.BROKEN,
        r"ModuleNotFoundError: No module named 'no_such_library' \(.*eight_imports/_plugin\.py:2\)",
        "pip install eight-imports brings what it says it needs; where 'no_such_library' is not among that",
    ),
    "eight-raises": (
        Status.BROKEN,
        r"its hook xaicore_methods raised ValueError: out of cheese \(.*eight_raises/_plugin\.py:10\)",
        "pip install --upgrade eight-raises), or tell its author. Until then uninstall it (pip uninstall eight-raises)",
    ),
    "eight-exits": (
        Status.BROKEN,
        r"it tried to exit the program \(SystemExit: bye\) \(.*eight_exits/_plugin\.py:3\)",
        "set XAICORE_DISABLE_PLUGINS=eight-exits",
    ),
    "eight-asks": (
        Status.BROKEN,
        r"its hook xaicore_methods takes the argument 'model', and hooks .* without any \(.*eight_asks/_plugin\.py:2\)",
        "or tell its author",
    ),
    "eight-deleted": (
        Status.BROKEN,
        r"its module 'eight_deleted' is not there \(installed in .*site\): deleted or moved",
        "pip install --force-reinstall --no-deps eight-deleted, or be rid of it: pip uninstall eight-deleted",
    ),
    "eight-newer": (
        Status.INCOMPATIBLE,
        r"it is written for plugin API 0\.999, this xaicore offers \d+\.\d+; upgrade xaicore",
        "pip install --upgrade xaicore eight-newer",
    ),
    "eight-taken": (
        Status.CONFLICT,
        r"the namespace 'gradients' is taken by xai-gradients [\d.]+",
        "Keep one: pip uninstall eight-taken, or pip uninstall xai-gradients",
    ),
    "eight-twice": (
        Status.BROKEN,
        r"its hook xaicore_methods registers 'twice\.one' twice \(.*eight_twice/_plugin\.py:8\)",
        "or tell its author",
    ),
}


def plugin(distribution: str) -> PluginInfo:
    (found,) = [info for info in plugin_registry().plugins() if info.distribution == distribution]
    return found


@pytest.mark.parametrize("distribution", WAYS)
def test_each_says_what_happened_where_and_what_to_do(eight: Path, distribution: str) -> None:
    status, cause, fix = WAYS[distribution]
    found = plugin(distribution)
    assert found.status is status
    assert re.match(cause, found.cause), found.cause
    assert fix in found.fix
    assert found.brings == {}


torch.manual_seed(0)
MODEL = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
nn.init.constant_(MODEL[2].bias, 5.0)  # deep Taylor decomposition is for positive scores
X = torch.tensor([[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 3.0]])
METHODS = ("gradients.saliency", "lrp.epsilon", "deeptaylor.unbounded")


def explained() -> list[torch.Tensor]:
    return [xaicore.explain(MODEL, X, method=name, target=1).relevance for name in METHODS]


def test_every_other_method_is_listed_and_explains_as_before(folder: Path) -> None:
    before, relevance = [spec.name for spec in xaicore.methods()], explained()
    mappings = len(plugin_registry().mappings())
    install_eight(folder)
    install(folder, "good", GOOD)
    reset_registry()
    assert {spec.name for spec in xaicore.methods()} == {*before, "good.squared"}
    assert len(plugin_registry().mappings()) == mappings
    assert all(map(torch.equal, explained(), relevance))
    squared = xaicore.explain(MODEL, X, method="good.squared", target=1).relevance
    torch.testing.assert_close(squared, relevance[0] ** 2)


def test_the_commands_tell_of_all_eight_and_exit_with_zero(eight: Path) -> None:
    listed = CliRunner().invoke(cli, ["list"])
    shown = CliRunner().invoke(cli, ["plugins"])
    assert (listed.exit_code, shown.exit_code) == (0, 0)
    assert "good.squared" in listed.stdout and "lrp.epsilon" in listed.stdout
    as_json = CliRunner().invoke(cli, ["plugins", "--json"]).stdout
    records = {record["package"]: record for record in json.loads(as_json)}
    text = " ".join(shown.stdout.split())
    for name in WAYS:
        assert f"({name} 1.0) is " in listed.stderr
        assert " ".join(records[name]["fix"].split()) in text
        assert records[name]["cause"].split()[-1] in text
    assert "eight-good" not in listed.stderr
    too_long = [line for line in shown.stdout.splitlines() if line.startswith("  ") and len(line) > 100]
    assert all(len(line.split()) == 1 for line in too_long), too_long


def test_an_import_that_fails_for_want_of_another_core_is_told_so(folder: Path) -> None:
    install(folder, "ahead", {"_plugin.py": "from xaicore.plugins import of_tomorrow\n"}, requires=">=0.999,<1")
    install(folder, "lost", {"_plugin.py": "import xaicore.of_yesterday\n"})
    ahead, lost = plugin("eight-ahead"), plugin("eight-lost")
    assert ahead.status is Status.INCOMPATIBLE
    assert f"its metadata requires xaicore>=0.999,<1, this is xaicore {xaicore.__version__}, and " in ahead.cause
    assert "cannot import name 'of_tomorrow'" in ahead.cause
    assert lost.status is Status.BROKEN
    assert f"it builds on what this xaicore {xaicore.__version__} does not have: " in lost.cause
    assert ahead.fix == "pip install --upgrade xaicore eight-ahead" and lost.fix.endswith("xaicore eight-lost")


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("from numpy import of_yesterday", "pip install --upgrade eight-odd brings versions of numpy and others"),
        ("from eight_odd import of_yesterday", "pip install --force-reinstall --no-deps eight-odd"),
        ("raise ImportError('libodd.so: cannot open')", "pip install --force-reinstall --no-deps eight-odd"),
        ("import eight_odd.gone", "pip install --force-reinstall --no-deps eight-odd"),
        ("def f(:", "or tell its author"),
    ],
)
def test_an_import_that_fails_otherwise_says_what_may_help(folder: Path, source: str, fix: str) -> None:
    install(folder, "odd", {"__init__.py": "", "_plugin.py": f"{source}\n"})
    found = plugin("eight-odd")
    assert found.status is Status.BROKEN
    assert fix in found.fix
    assert f"eight_odd{os.sep}_plugin.py:1)" in found.cause


HALF = {
    "_plugin.py": HEAD
    + """
def xaicore_methods():
    return [
        method("half.gone", "eight_half.gone:Gone"),
        method("half.needs", "eight_half.needs:Needs"),
        method("half.leaves", "eight_half.leaves:Leaves"),
        method("half.misnamed", "eight_half.needless:Misnamed"),
    ]

def xaicore_mappings():
    return [
        MappingSpec(family="relevance", kinds=("activation",), ops=("tanh",), target="eight_half.gone:f", summary="s")
    ]
""",
    "needs.py": "import torch\nimport no_such_library\n",
    "leaves.py": "raise SystemExit(3)\n",
    "needless.py": "",
}


@pytest.mark.parametrize(
    ("name", "cause", "fix"),
    [
        ("gone", "its module 'eight_half.gone' is not there", "pip install --force-reinstall --no-deps eight-half"),
        ("needs", "No module named 'no_such_library' (", "pip install eight-half brings what it says it needs"),
        ("leaves", "it tried to exit the program (SystemExit: 3) (", "or tell its author"),
    ],
)
def test_what_fails_at_first_use_names_its_distribution_and_the_fix(
    folder: Path, name: str, cause: str, fix: str
) -> None:
    install(folder, "half", HALF)
    assert plugin("eight-half").status is Status.OK
    with pytest.raises(PluginLoadError) as caught:
        xaicore.create_analyzer(f"half.{name}", MODEL)
    message = str(caught.value)
    assert message.startswith(f"Cannot import 'eight_half.{name}' for half.{name} of eight-half 1.0 ")
    assert cause in message and fix in message
    assert caught.value.__cause__ is not None


def test_a_class_that_is_not_there_is_told_with_its_distribution(folder: Path) -> None:
    install(folder, "half", HALF)
    with pytest.raises(PluginLoadError, match=r"half.misnamed of eight-half 1.0 .* has no attribute 'Misnamed'"):
        xaicore.create_analyzer("half.misnamed", MODEL)


def test_a_mapping_whose_module_is_gone_stops_only_models_with_such_layers(folder: Path) -> None:
    install(folder, "half", HALF)
    xaicore.explain(MODEL, X, method="lrp.epsilon", target=1)
    with pytest.raises(PluginLoadError, match=r"for a mapping for activation of eight-half 1.0 .*pip install"):
        xaicore.explain(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), X, method="lrp.epsilon", target=1)


def test_an_alias_of_two_plugins_means_neither_and_both_keep_their_full_names(folder: Path) -> None:
    install(folder, "good", GOOD)
    install(folder, "other", ALSO_GOOD)
    with pytest.raises(UnknownMethodError, match=r"'square_of_gradient': 'good.squared', 'other.squared_too'"):
        xaicore.find_method("square_of_gradient")
    assert xaicore.find_method("good.square_of_gradient").name == "good.squared"
    assert xaicore.find_method("other.square_of_gradient").name == "other.squared_too"


def test_two_plugins_cannot_have_a_method_of_the_same_full_name(folder: Path) -> None:
    install(folder, "good", GOOD)
    thief = {"_plugin.py": HEAD + "def xaicore_methods():\n    return [method('good.squared', 'a:B')]\n"}
    install(folder, "thief", thief)
    assert "registers 'good.squared' outside its namespace 'thief'" in plugin("eight-thief").cause
    registry = plugin_registry()
    assert registry.provider(registry.find_method("good.squared")).distribution == "eight-good"


@pytest.mark.parametrize(
    ("requires", "api", "cores", "warning"),
    [
        (">=0.1,<1", "0.1", ">=0.1,<1", ""),
        ("==0.0.7", "0.1", ">=0.1,<1", "its metadata requires xaicore==0.0.7, this is xaicore "),
        ("", "0.1", ">=0.1,<1", ""),
        (">=0.1 ; extra == 'x'", "0.1", ">=0.1,<1", ""),
        ("[all]>=0.1,<0.1.1", "0.1", ">=0.1,<1", "requires xaicore>=0.1,<0.1.1"),
        (" (~=0.0.1)", "0.1", ">=0.1,<1", "requires xaicore~=0.0.1"),
        ("-extras<0.0.1", "0.1", ">=0.1,<1", ""),
        (">=soon", "0.1", ">=0.1,<1", "which no installer can read"),
    ],
)
def test_a_plugin_that_works_is_shown_with_the_cores_that_it_fits(
    folder: Path, requires: str, api: str, cores: str, warning: str
) -> None:
    install(folder, "good", GOOD, requires=requires)
    found = plugin("eight-good")
    assert (found.status, found.api, found.cores, dict(found.brings)) == (Status.OK, api, cores, {"methods": 1})
    assert warning in found.warning and bool(found.warning) is bool(warning)
    shown = CliRunner().invoke(cli, ["plugins"]).stdout
    assert ("good (eight-good 1.0) is ok, but" in shown) is bool(warning)
