"""Tables of text, and JSON, for commands that list things."""

from __future__ import annotations

from typing import Any

import click

from xaicore.tables import aligned as table

__all__ = ["echo_json", "table"]


def echo_json(value: Any) -> None:
    """Write a value as JSON to standard output, for scripts."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
