"""`xaicore list`, `plugins` and `info`, run as a user runs them."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from installing import install_of_usual_size

from xaicore.cli.main import cli
from xaicore.plugins import KNOWN_PACKAGES
from xaicore.plugins.docstrings import documented_parameters

METHOD_CLASS = '''
class Base:
    """Base.

    Parameters
    ----------
    shared : str
        Common to all.
    """

class Paint(Base):
    """Paint by numbers.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    width, height : float
        Size of the brush,
        in pixels.
    colour : its name

    Notes
    -----
    colour : not a parameter
    """

    def __init__(self, model, *, width, height=2.5, colour="red", shared=None, odd=(1, 2), **others):
        pass
'''

PAINT = (
    METHOD_CLASS
    + """
import click
from xaicore.plugins import CommandSpec, MethodSpec

def xaicore_methods():
    return [
        MethodSpec(name="paint.brush", target="paint_pkg_plugin:Paint", summary="Paints.", family="art",
                   aliases=("Pinsel",), inputs=("image",), sources=("Rembrandt 1642",)),
        MethodSpec(name="paint.gone", target="no_such_module:X", summary="Gone.", family="art"),
        MethodSpec(name="paint.odd", target="paint_pkg_plugin:METHOD", summary="Odd.", family="art"),
    ]

METHOD = 7

def xaicore_commands():
    return [
        CommandSpec(name="paint", target="paint_pkg_plugin:command", summary="Paint a wall."),
        CommandSpec(name="spill", target="paint_pkg_plugin:METHOD", summary="Not a command."),
    ]

@click.command()
@click.argument("wall")
def command(wall):
    click.echo(f"painted {wall}")
"""
)


@pytest.fixture
def painted(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One plugin, `paint`, is installed and no other may load."""
    site.install("paint-pkg", "paint", PAINT, version="3.1")
    monkeypatch.setenv("XAICORE_PLUGINS", "paint,bad")
    return site


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_list_shows_name_family_package_and_summary(painted: Any) -> None:
    result = run("list")
    assert result.exit_code == 0
    header, first, *_ = result.stdout.splitlines()
    assert header.split() == ["METHOD", "FAMILY", "PACKAGE", "SUMMARY"]
    assert first.split() == ["paint.brush", "art", "paint-pkg", "Paints."]
    assert result.stderr == ""


def test_list_writes_json(painted: Any) -> None:
    records = json.loads(run("list", "--json").stdout)
    assert records[0] == {
        "name": "paint.brush",
        "target": "paint_pkg_plugin:Paint",
        "summary": "Paints.",
        "family": "art",
        "aliases": ["Pinsel"],
        "inputs": ["image"],
        "sources": ["Rembrandt 1642"],
        "example": "",
        "namespace": "paint",
        "package": "paint-pkg",
        "version": "3.1",
    }
    assert [record["name"] for record in records] == ["paint.brush", "paint.gone", "paint.odd"]


def test_list_narrows_to_a_family(painted: Any) -> None:
    assert len(json.loads(run("list", "--family", "art", "--json").stdout)) == 3
    result = run("list", "--family", "arts")
    assert result.exit_code == 2
    assert "No installed method is of the family 'arts'. Did you mean 'art'?" in result.stderr


def test_list_of_renderers_and_metrics_have_their_own_columns() -> None:
    header, *lines = run("list", "--renderers").stdout.splitlines()
    assert header.split() == ["RENDERER", "DRAWS", "PACKAGE", "SUMMARY"]
    (contours,) = [line for line in lines if line.startswith("core.contours ")]
    assert contours.split()[1:3] == ["image", "xaicore"]
    records = {record["name"]: record for record in json.loads(run("list", "--renderers", "--json").stdout)}
    assert records["core.gated"]["scale"] == "magnitude" and records["core.gated"]["needs_input"]
    assert run("list", "--metrics").stdout.split()[:4] == ["METRIC", "BETTER", "PACKAGE", "SUMMARY"]


def test_lists_of_what_nobody_brings_say_what_to_install(painted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "all,core")
    assert "pip install xai-evaluation" in run("list", "--metrics").stdout
    assert "No renderers are usable" in run("list", "--renderers").stdout
    assert json.loads(run("list", "--renderers", "--json").stdout) == []


@pytest.mark.parametrize("options", [("--renderers", "--metrics"), ("--kind", "method", "--metrics")])
def test_one_list_at_a_time(painted: Any, options: tuple[str, ...]) -> None:
    refused = run("list", *options)
    assert refused.exit_code == 2 and "one list at a time" in refused.stderr


def test_kind_and_its_short_spellings_are_the_same() -> None:
    for noun in ("metric", "renderer"):
        assert (
            run("list", "--kind", noun).stdout
            == run("list", f"--{noun}s").stdout
            == run("list", f"--{noun}s", "--kind", noun).stdout
        )
    assert run("list", "--kind", "method").stdout == run("list").stdout


def test_mappings_are_listed_by_layer_and_the_narrower_first() -> None:
    header, *lines = run("list", "--kind", "mapping").stdout.splitlines()
    assert header.split() == ["LAYER", "OPERATORS", "FAMILY", "PACKAGE", "SUMMARY"]
    rows = [re.split(r"\s{2,}", line) for line in lines]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert [row[1] for row in rows if row[0] == "norm"] == ["local_response_norm", "all"]
    (recurrent,) = [row for row in rows if row[0] == "recurrent"]
    assert recurrent[1:4] == ["all", "relevance", "xai-lstm"]
    (record,) = json.loads(run("list", "--kind", "mapping", "--plugin", "lstm", "--json").stdout)
    assert (record["kinds"], record["ops"], record["target"]) == (["recurrent"], [], "xai_lstm:recurrent")
    assert (record["namespace"], record["family"]) == ("lstm", "relevance")


def test_commands_of_plugins_are_listed(painted: Any) -> None:
    lines = run("list", "--kind", "command").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["COMMAND", "paint", "spill"]


def names_listed(*options: str) -> set[str]:
    return {record["name"] for record in json.loads(run("list", *options, "--json").stdout)}


def test_filters_narrow_a_list_one_after_the_other() -> None:
    assert names_listed("--inputs", "text", "--plugin", "lstm") == {"lstm.lrp_all", "lstm.lrp_half", "lstm.lrp_prop"}
    assert (
        names_listed("--plugin", "xai-lstm") == names_listed("--plugin", "XAI_lstm") == names_listed("--plugin", "lstm")
    )
    assert names_listed("--kind", "renderer", "--inputs", "text") == {"core.tokens"}
    narrowed = names_listed("--family", "gradient", "--inputs", "text", "--plugin", "gradients")
    assert "gradients.saliency" in narrowed and "gradients.grad_cam" not in narrowed
    assert narrowed < names_listed("--family", "gradient") & names_listed("--inputs", "text")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--renderers", "--family", "gradient"), "--family is of methods and mappings; renderers have none."),
        (("--metrics", "--inputs", "image"), "--inputs is of methods and renderers; metrics have none."),
        (
            ("--inputs", "imag"),
            "is for inputs of type 'imag'. Did you mean 'image'? Types are image, series, tabular, ",
        ),
        (
            ("--plugin", "lrp", "--family", "gradient"),
            "No installed method of the plugin 'lrp' is of the family 'gradient'. Families are relevance.",
        ),
        (("--plugin", "lrp", "--metrics"), "The plugin 'lrp' (xai-lrp "),
        (("--plugin", "lrp", "--metrics"), "brings no metric; it brings 23 methods, "),
        (("--plugin", "lpr"), "No plugin 'lpr' is installed. Did you mean 'lrp'? Plugins are activation_max, core, "),
        (("--kind", "rule"), "'rule' is not one of 'method', 'metric', 'renderer', 'mapping', 'command'"),
    ],
)
def test_a_filter_that_fits_nothing_is_refused_with_what_there_is(options: tuple[str, ...], message: str) -> None:
    result = run("list", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_filter_by_a_plugin_that_does_not_work_or_is_not_there_says_what_to_do(
    painted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted.install("bad-pkg", "bad", "raise RuntimeError('out of paint')")
    result = run("list", "--plugin", "bad")
    assert result.exit_code == 2
    assert "'bad' (bad-pkg 1.0) is broken: RuntimeError: out of paint" in result.stderr
    assert "pip install --upgrade bad-pkg" in result.stderr
    monkeypatch.setitem(KNOWN_PACKAGES, "walls", "xai-walls")
    assert "It comes with a package: pip install xai-walls" in run("list", "--plugin", "walls").stderr


def test_list_notes_broken_plugins_beside_its_output(painted: Any) -> None:
    painted.install("bad-pkg", "bad", "raise RuntimeError('out of paint')")
    result = run("list", "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 3
    assert "bad (bad-pkg 1.0) is broken: RuntimeError: out of paint" in result.stderr


def test_list_without_plugins_says_what_to_install(monkeypatch: pytest.MonkeyPatch, site: Any) -> None:
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "all")
    result = run("list")
    assert result.exit_code == 0
    assert "pip install xai-lrp" in result.stdout
    assert run("list", "--json").stdout.strip() == "[]"


def test_plugins_shows_status_and_cause(painted: Any) -> None:
    painted.install("bad-pkg", "bad", "raise RuntimeError('out of paint')")
    lines = run("plugins").stdout.splitlines()
    assert lines[0].split() == ["PLUGIN", "PACKAGE", "VERSION", "STATUS", "XAICORE", "LOADED", "BRINGS"]
    bad, note = [line for line in lines if line.startswith("bad ")]
    assert bad.split()[1:5] == ["bad-pkg", "1.0", "broken", "-"]
    assert note == "bad (bad-pkg 1.0) is broken"
    below = lines[lines.index(note) + 1 :]
    assert below[0].startswith("  why  RuntimeError: out of paint")
    assert any(line.startswith("  fix  See whether there is a version without this fault") for line in below)
    (good,) = [line for line in lines if line.startswith("paint ")]
    assert re.fullmatch(r"paint +paint-pkg +3\.1 +ok +>=0\.1,<1 +[\d.]+ ms +3 methods, 2 commands", good)


def test_the_table_of_plugins_fits_100_columns() -> None:
    table, _, _ = run("plugins").stdout.partition("\n\n")
    assert "23 methods, " in table
    assert max(map(len, table.splitlines())) <= 100


def test_plugins_as_json_have_what_the_table_has(painted: Any) -> None:
    painted.install("bad-pkg", "bad", "raise RuntimeError('out of paint')")
    records = {record["namespace"]: record for record in json.loads(run("plugins", "--json").stdout)}
    paint, bad = records["paint"], records["bad"]
    load_time = paint.pop("load_time")
    assert 0 < load_time < 10
    assert paint == {
        "namespace": "paint", "package": "paint-pkg", "version": "3.1", "status": "ok", "cause": "", "fix": "",
        "warning": "", "api": "0.1", "xaicore": ">=0.1,<1", "requires": "", "brings": {"methods": 3, "commands": 2},
        "module": "paint_pkg_plugin", "folder": str(painted.folder),
    }  # fmt: skip
    assert (bad["status"], bad["api"], bad["brings"]) == ("broken", "", {})
    assert "out of paint" in bad["cause"] and "pip" in bad["fix"]


def test_info_shows_signature_parameters_sources_and_provider(painted: Any) -> None:
    result = run("info", "pinsel")
    assert result.exit_code == 0
    for line in (
        "paint.brush(model, width, height=2.5, colour='red', shared=None, odd='(1, 2)')",
        "  package:   paint-pkg 3.1",
        "  aliases:   Pinsel",
        "  width: float (required)",
        "      Size of the brush, in pixels.",
        "  height: float (default 2.5)",
        "  odd (default '(1, 2)')",
        "      not documented",
        "  Rembrandt 1642",
        "  class:     paint_pkg_plugin.Paint",
        f"  source:    {painted.folder / 'paint_pkg_plugin.py'}:11",
        "  $ xaicore explain torchvision:resnet18 photo.jpg -m paint.brush -p width=WIDTH",
        '  >>> xaicore.explain(model, x, method="paint.brush", width=...)',
    ):
        assert line in result.stdout.splitlines()


def test_info_writes_json(painted: Any) -> None:
    record = json.loads(run("info", "brush", "--json").stdout)
    assert record["package"] == "paint-pkg"
    assert record["sources"] == ["Rembrandt 1642"]
    parameters = {parameter["name"]: parameter for parameter in record["parameters"]}
    assert list(parameters) == ["width", "height", "colour", "shared", "odd"]
    assert parameters["colour"] == {
        "name": "colour",
        "required": False,
        "default": "red",
        "type": "",
        "meaning": "its name",
    }
    assert (parameters["shared"]["type"], parameters["shared"]["meaning"]) == ("str", "Common to all.")
    assert parameters["width"]["required"]
    assert (record["kind"], record["target"]) == ("method", "paint_pkg_plugin:Paint")
    assert (record["file"], record["line"]) == (str(painted.folder / "paint_pkg_plugin.py"), 11)
    assert record["usage"]["command_line"].endswith("-m paint.brush -p width=WIDTH")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("info", "paint.brusj"),
            "There is no method 'paint.brusj' among those installed. Did you mean 'paint.brush'?",
        ),
        (("info", "paint.gone"), "Cannot import 'no_such_module'"),
        (("info", "paint.odd"), "which is 7 and no class"),
        (("spill",), "which is 7 and no click.Command"),
    ],
)
def test_an_error_is_one_message_without_traceback(painted: Any, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [("--debug", "info", "nothing"), ("info", "nothing", "--debug")])
def test_debug_lets_the_traceback_through(painted: Any, arguments: tuple[str, ...]) -> None:
    assert type(run(*arguments).exception).__name__ == "UnknownMethodError"


def test_a_command_of_a_plugin_runs_and_is_in_the_help(painted: Any) -> None:
    assert run("paint", "kitchen").stdout == "painted kitchen\n"
    help_page = run("--help").stdout
    assert "Paint a wall." in help_page
    assert "List what is installed: methods, metrics, renderers," in help_page


def test_an_unknown_command_suggests_the_nearest(painted: Any) -> None:
    result = run("lits")
    assert result.exit_code == 2
    assert "No such command 'lits'. Did you mean 'list'?" in result.stderr


def test_strict_plugins_fail_the_command_with_a_clean_message(painted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    painted.install("bad-pkg", "bad", "raise RuntimeError('out of paint')")
    monkeypatch.setenv("XAICORE_STRICT_PLUGINS", "1")
    for arguments in (("list",), ("--help",)):
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("Error: Plugin 'bad' (bad-pkg 1.0) is broken")


def test_parameters_are_read_from_the_class_and_its_bases() -> None:
    scope: dict[str, Any] = {}
    exec(METHOD_CLASS, scope)
    assert documented_parameters(scope["Paint"]) == {
        "shared": ("str", "Common to all."),
        "model": ("torch.nn.Module", "The model."),
        "width": ("float", "Size of the brush, in pixels."),
        "height": ("float", "Size of the brush, in pixels."),
        "colour": ("", "its name"),
    }


WATCHED = (
    "import sys, runpy\n"
    "sys.argv = ['xaicore', 'list']\n"
    "try: runpy.run_module('xaicore', run_name='__main__')\n"
    "except SystemExit as end: assert not end.code, end.code\n"
    "heavy = [name for name in ('torch', 'numpy', 'matplotlib', 'sklearn') if name in sys.modules]\n"
    "assert not heavy, heavy\n"
)


@pytest.mark.parametrize(
    "ill",
    [
        {},
        {"aaa-bad": ("bad", "import no_such_module")},
        {"aaa-exits": ("exits", "import sys; sys.exit(0)")},
        {"aaa-thief": ("lrp", "raise AssertionError('imported')")},
    ],
    ids=["healthy", "broken", "exits", "thief"],
)
def test_list_is_quick_and_imports_nothing_heavy_whatever_else_is_installed(
    site: Any, ill: dict[str, tuple[str, str]]
) -> None:
    """Twelve plugins beside what is ill; `benchmarks/listing.py` has the figures."""
    for number in range(4):
        install_of_usual_size(site.folder, f"usual_{number}")
    for distribution, (namespace, source) in ill.items():
        site.install(distribution, namespace, source)
    seconds = min(cpu_seconds_of_list(site.folder, ill) for _ in range(3))
    assert seconds < 0.6


def cpu_seconds_of_list(folder: Path, ill: dict[str, tuple[str, str]]) -> float:
    """Run `xaicore list` in a process of its own, check what it says, and return the CPU time that it took."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", WATCHED], env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "lrp.epsilon " in done.stdout
    assert "gradients.saliency " in done.stdout
    assert "usual_3.method_19 " in done.stdout
    for distribution in ill:
        assert distribution in done.stderr
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
