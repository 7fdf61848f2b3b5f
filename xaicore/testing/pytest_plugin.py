"""The conformance kit in pytest: one case for each thing that a plugin brings.

    @pytest.mark.xaicore_plugin("mine")
    def test_what_the_plugin_brings_conforms(conformance):
        conformance()

pytest finds this module by an entry point. It does nothing, and imports nothing heavy, unless a test asks for the
fixture ``conformance``. The cases are ``plugin mine``, ``method mine.power``, ...; each writes its card into the
report, and a summary at the end says how many checks ran, were skipped, and were expected to fail. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.testing.card import Card

FIXTURE = "conformance"
MARKER = "xaicore_plugin"
_PROPERTY = "xaicore_card"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", f'{MARKER}(name): the plugin that the fixture "{FIXTURE}" tries, one case for each thing'
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one case of a test that asks for the fixture for each thing that the plugin brings."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if FIXTURE not in metafunc.fixturenames or marker is None:
        return  # without the marker it may be a fixture of somebody else that is called the same
    if len(marker.args) != 1:
        raise pytest.UsageError(_which_plugin(metafunc.definition))
    from xaicore.testing.plugins.brought import titles_of

    titles = titles_of(marker.args[0])
    metafunc.parametrize(FIXTURE, titles, ids=titles, indirect=True)


@pytest.fixture
def conformance(request: pytest.FixtureRequest) -> Callable[[], Card]:
    """A function that tries one thing of the plugin, and raises `ConformanceError` unless its card is green."""
    if request.node.get_closest_marker(MARKER) is None:
        pytest.fail(_which_plugin(request.node), pytrace=False)

    def run() -> Card:
        from xaicore.testing.plugins.brought import card_of

        marker = request.node.get_closest_marker(MARKER)
        card = card_of(marker.args[0], request.param)
        request.node.user_properties.append((_PROPERTY, {str(o): card.count(o) for o in _verdicts()}))
        return card.raise_if_bad()

    return run


def _which_plugin(test: pytest.Item) -> str:
    return (
        f'{test.nodeid} uses the fixture "{FIXTURE}": say which plugin it tries with '
        f'@pytest.mark.{MARKER}("namespace").'
    )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much ran, where any card was made."""
    found = [each for reports in terminalreporter.stats.values() for each in reports]
    reports = [each for each in found if getattr(each, "when", "") == "call"]
    counts = [value for each in reports for name, value in each.user_properties if name == _PROPERTY]
    if counts:
        totals = {verdict: sum(count[verdict] for count in counts) for verdict in counts[0]}
        said = ", ".join(f"{number} {verdict}" for verdict, number in totals.items() if number)
        terminalreporter.write_line(f"xaicore conformance: {len(counts)} cards; checks: {said}")


def _verdicts() -> Any:
    from xaicore.testing.card import Verdict

    return Verdict
