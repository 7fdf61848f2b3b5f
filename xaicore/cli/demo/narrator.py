"""Tells on the terminal what the demo does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def step(text: str) -> Iterator[list[str]]:
    """Say what is being done and, when it is, how long it took; what is appended to the list is said with it."""
    click.echo(f"{text} ...", nl=False)
    started = time.perf_counter()
    results: list[str] = []
    try:
        yield results
    except BaseException:
        click.echo()  # so that the error starts on a line of its own
        raise
    click.echo(f" {', '.join([*results, f'{time.perf_counter() - started:.1f} s'])}")
