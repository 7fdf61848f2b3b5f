"""`xaicore check-plugin`, as a plugin author runs it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from xaicore import _plugin
from xaicore.cli.main import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check-plugin", *arguments])


def test_the_card_has_a_line_for_each_thing_and_a_verdict() -> None:
    result = run("core", "--only", "heatmap")
    assert result.exit_code == 0, result.output
    assert "ok   renderer core.heatmap  (" in result.output
    assert "core conforms: " in result.output and " passed" in result.output


def test_a_distribution_is_a_name_of_its_plugin() -> None:
    assert run("xaicore", "--only", "graymap").exit_code == 0


def test_every_check_is_shown_when_asked() -> None:
    result = run("core", "--only", "graymap", "--verbose")
    assert "interface  draws_on_given_axes" in result.output
    assert "skipped  it shows magnitudes" in result.output


def test_json_has_the_whole_card() -> None:
    card: Any = json.loads(run("core", "--only", "graymap", "--json").output)
    assert card["title"] == "renderer core.graymap" and card["ok"] is True
    assert {outcome["verdict"] for outcome in card["outcomes"]} == {"passed", "skipped"}


def test_expected_failures_are_shown_with_their_reasons_and_outdated_ones_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = {"core.graymap": {"repeatable": "it never is", "no_such_check": "why ever"}}
    monkeypatch.setattr(_plugin, "XAICORE_EXPECTED_FAILURES", stated, raising=False)
    result = run("core", "--only", "graymap")
    assert result.exit_code == 1
    assert "repeatable: it was expected to fail, since it never is; remove that expectation" in result.output
    assert "a failure of 'no_such_check' is expected, and there is no such check" in result.output
    assert "core does NOT conform" in result.output


def test_a_malformed_statement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plugin, "XAICORE_EXPECTED_FAILURES", {"core.graymap": ["repeatable"]}, raising=False)
    result = run("core", "--only", "graymap")
    assert result.exit_code == 2
    assert "xaicore._plugin.XAICORE_EXPECTED_FAILURES must say, for each subject, why which check" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lrpp",), "No installed plugin is called 'lrpp'. Did you mean"),
        (("core", "--only", "no such"), "Nothing that the plugin 'core' brings has 'no such' in its title"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_what_there_is(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output
