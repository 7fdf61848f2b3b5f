"""The kit in pytest: inert unless asked, one case a thing, cards in the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Pytest inside of pytest forgets what it has imported, and torch cannot be imported twice.
import xaicore._plugin
import xaicore.testing.mappings
import xaicore.testing.methods
import xaicore.testing.metrics
import xaicore.testing.plugins.brought
import xaicore.testing.renderers

pytest_plugins = ["pytester"]

ASKS = """
import pytest

@pytest.mark.xaicore_plugin("core")
def test_what_it_brings(conformance):
    assert conformance().ok
"""


def test_it_is_found_by_pytest_and_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_idle.py").write_text(
        "import sys\n"
        "def test_idle(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('xaicore')\n"
        "    loaded = [n for n in ('torch', 'numpy', 'matplotlib', 'sklearn', 'click') if n in sys.modules]\n"
        "    assert not loaded\n"
        "    assert 'xaicore.testing.checks' not in sys.modules\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_plugin_is_tried_case_by_case_and_the_summary_counts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ASKS)
    result = pytester.runpytest_inprocess("-k", "heatmap or graymap", "-v")
    result.assert_outcomes(passed=2, deselected=14)
    result.stdout.fnmatch_lines(["*test_what_it_brings?renderer core.heatmap? PASSED*"])
    result.stdout.fnmatch_lines(["xaicore conformance: 2 cards; checks: * passed*"])


def test_a_card_that_is_not_green_fails_and_is_shown(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {"core.graymap": {"repeatable": "it never is"}}
    monkeypatch.setattr(xaicore._plugin, "XAICORE_EXPECTED_FAILURES", stated, raising=False)
    pytester.makepyfile(ASKS)
    result = pytester.runpytest_inprocess("-k", "graymap")
    result.assert_outcomes(failed=1, deselected=15)
    result.stdout.fnmatch_lines(["*renderer core.graymap does not conform*", "*UNEXPECTED PASS*since it never is*"])


def test_a_fixture_of_somebody_else_that_is_called_the_same_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.fixture\n"
        "def conformance(): return 1\n"
        "def test_theirs(conformance): assert conformance == 1\n"
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_test_that_does_not_say_which_plugin_is_told_how_to(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(conformance): conformance()")
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(['*say which plugin it tries with @pytest.mark.xaicore_plugin("namespace")*'])


def test_a_plugin_that_is_not_installed_is_told_with_the_nearest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ASKS.replace('"core"', '"cor"'))
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(["*No installed plugin is called 'cor'. Did you mean 'core'?*"])
