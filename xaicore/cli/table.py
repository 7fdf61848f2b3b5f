"""Tables of text, and JSON, for commands that list things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns under a header; the last column is as long as it needs to be."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in padded)


def echo_json(value: Any) -> None:
    """Write a value as JSON to standard output, for scripts."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
