"""The page of architectures that `nox -s architectures` makes: complete, and what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import zoo

PAGE = (Path(__file__).parents[1] / "docs" / "architectures.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
HEAD, _, *BODY = ROWS


def test_every_classification_model_has_a_row_or_a_reason() -> None:
    models = zoo.import_torchvision().models
    reasons = re.findall(r"^\* `(\w+)`: \S", PAGE.partition("## Models without a row")[2], re.MULTILINE)
    assert sorted([row[0] for row in BODY] + reasons) == models.list_models(module=models)


def test_every_layer_has_a_mapping_and_every_ledger_balances() -> None:
    gaps = [number for number, name in enumerate(HEAD) if name.startswith("gap")]
    assert len(gaps) == 2
    for row in BODY:
        assert row[HEAD.index("coverage")] == "100%", row
        assert all(float(row[number].removeprefix("< ")) <= 1e-4 for number in gaps), row
