"""Tables: on the screen, as Markdown and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table to path.md and path.csv, print it, and say where it went."""
    texts = [[str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in (header, *texts)]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    with path.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *texts])
    print("\n".join(lines))
    print(f"wrote {path.with_suffix('.md')} and {path.with_suffix('.csv')}")
