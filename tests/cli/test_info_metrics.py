"""`xaicore info` of metrics: direction, range, needs, parameters and sources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from xaicore.cli.main import cli

PLUGIN = '''
from xaicore.plugins import MethodSpec, MetricSpec

class Length:
    """Length.

    Parameters
    ----------
    unit : str
        Of what is returned.
    """

    def __init__(self, *, unit="mm"):
        self.unit = unit

def xaicore_metrics():
    return [
        MetricSpec(name="ruler.length", target="xai_ruler_plugin:Length", summary="How long.", higher_is_better=False,
                   sources=("Euclid, book X",), bounds=(0.0, None), needs=("masks",), aliases=("Elle",)),
        MetricSpec(name="ruler.angle", target="xai_ruler_plugin:Length", summary="How wide.", higher_is_better=True),
        MetricSpec(name="ruler.share", target="xai_ruler_plugin:odd", summary="No class.", higher_is_better=True),
    ]

def xaicore_methods():
    return [MethodSpec(name="ruler.measure", target="xai_ruler_plugin:Length", summary="Measures.", family="art",
                       aliases=("angle",))]

odd = 7
'''


@pytest.fixture(autouse=True)
def ruler(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("xai-ruler", "ruler", PLUGIN, version="2.0")
    monkeypatch.setenv("XAICORE_PLUGINS", "ruler")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["info", *arguments])


@pytest.mark.parametrize("name", ["ruler.length", "length", "elle"])
def test_a_metric_is_shown_by_any_of_its_names(name: str, site: Any) -> None:
    module = site.folder / "xai_ruler_plugin.py"
    assert run(name).stdout.splitlines() == [
        "ruler.length(unit='mm')",
        "",
        "  How long.",
        "",
        "  direction: lower is better",
        "  range:     0 to unbounded",
        "  needs:     masks",
        "  aliases:   Elle",
        "  package:   xai-ruler 2.0",
        "  class:     xai_ruler_plugin.Length",
        f"  source:    {module}:4",
        "",
        "Parameters",
        "  unit: str (default 'mm')",
        "      Of what is returned.",
        "",
        "Sources",
        "  Euclid, book X",
        "",
        "Example",
        "  $ xaicore compare torchvision:resnet18 photo.jpg -m ruler.measure "
        "--metric 'ruler.length(unit=\"mm\")' --masks masks.npy",
        '  >>> xaicore.evaluate(analyzer, x, {"ruler.length": {"unit": "mm"}}, masks=masks)',
    ]


def test_a_metric_as_json() -> None:
    record = json.loads(run("length", "--json").stdout)
    assert (record["higher_is_better"], record["bounds"], record["needs"]) == (False, [0.0, None], ["masks"])
    assert [parameter["name"] for parameter in record["parameters"]] == ["unit"]
    assert record["signature"] == "ruler.length(unit='mm')"


def test_without_bounds_and_needs() -> None:
    lines = run("ruler.angle").stdout.splitlines()
    assert "  range:     unbounded" in lines
    assert "  needs:     nothing more" in lines
    assert "  direction: higher is better" in lines


def test_a_method_comes_before_a_metric_of_the_same_name() -> None:
    assert run("angle").stdout.startswith("ruler.measure(model, unit='mm')")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ruler.lenght", "There is no metric 'ruler.lenght' among those installed. Did you mean 'ruler.length'?"),
        ("lenght", "There is no metric 'lenght' among those installed. Did you mean 'length'?"),
        ("measur", "There is no method 'measur' among those installed. Did you mean 'measure'?"),
        ("nothing like it", "There is no method 'nothing like it'"),
        ("ruler.share", "The metric 'ruler.share' is at 'xai_ruler_plugin:odd', which is 7 and no class."),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, message: str) -> None:
    result = run(name)
    assert result.exit_code == 2
    assert message in result.stderr
