"""What a package uses of xaicore is read from its sources, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from xaicore.plugins.surface import read_surface
from xaicore.testing.plugins.usage import usage_of

SURFACE = read_surface(
    """
[names.xaicore]
"0.1" = ["explain"]
"0.3" = ["compare"]
[names."xaicore.graph"]
"0.1" = ["Kind"]
"0.10" = ["Layer"]
[hooks]
"0.1" = ["xaicore_methods"]
"0.4" = ["xaicore_dreams"]
[fields.MethodSpec]
"0.1" = ["name"]
"0.2" = ["example"]
[deprecated."xaicore.graph"]
Kind = { since = "0.3", instead = "use Sort" }
"""
)


@pytest.mark.parametrize(
    ("source", "lowest"),
    [
        ("import os", "0.1"),
        ("import xaicore\nxaicore.explain()", "0.1"),
        ("import xaicore as x\nx.compare()", "0.3"),
        ("from xaicore import compare as c", "0.3"),
        ("from xaicore import graph\ngraph.Layer", "0.10"),
        ("import xaicore.graph as g\nprint(g.Layer.name)", "0.10"),
        ("import xaicore\nxaicore.graph.Layer", "0.10"),
        ("MethodSpec(name='a', example='b:c')", "0.2"),
        ("import xaicore.plugins as p\ndef xaicore_dreams(): pass", "0.4"),
        ("if True:\n    def f():\n        from xaicore.graph import Layer", "0.10"),
    ],
)
def test_the_lowest_core_that_has_all_of_it_is_found(source: str, lowest: str, tmp_path: Path) -> None:
    (tmp_path / "used.py").write_text(source)
    assert usage_of(tmp_path, SURFACE).lowest()[0] == lowest


@pytest.mark.parametrize(
    "source",
    [
        "from xaicore.graph.layer import Layer",
        "from xaicore.graph import _hidden",
        "import xaicore.graph.layer",
        "import xaicore\nxaicore.graph.trace",
        "def xaicore_nightmares(): pass",
        "MethodSpec(colour='red')",
    ],
)
def test_what_is_not_public_is_found_with_its_line(source: str, tmp_path: Path) -> None:
    (tmp_path / "used.py").write_text(f"\n{source}")
    (use, *_) = usage_of(tmp_path, SURFACE).private
    assert use.place.startswith(f"{tmp_path.name}/used.py:") and use.line >= 2


def test_what_is_deprecated_is_found_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "used.py").write_text("from xaicore.graph import Kind")
    ((use, instead),) = usage_of(tmp_path, SURFACE).deprecated
    assert (use.name, instead) == ("Kind", "use Sort")
