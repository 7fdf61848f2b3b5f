"""`xaicore demo`: a network that misreads digits, and its mistakes explained by every installed method."""

from __future__ import annotations

import time
from pathlib import Path

import click

from xaicore.errors import FileError


@click.command()
@click.option(
    "--out", "-o", "folder", type=click.Path(path_type=Path), default="xaicore-demo", show_default=True,
    help="Folder to write to; made where it is missing.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same demo.")
@click.option(
    "--digits", type=click.IntRange(1, 12), default=5, show_default=True, help="How many mistakes to explain."
)
def command(folder: Path, seed: int, digits: int) -> None:
    """Train a small network on scikit-learn's digits and explain its mistakes with every installed method.

    Writes a page (index.html), figures, a report to look through (report.html), and the explanations.
    Downloads nothing and needs no GPU.
    """
    from xaicore.cli.demo.run import run

    try:
        for name in ("figures", "explanations"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {str(folder)!r} cannot be made: {error}") from error
    started = time.perf_counter()
    run(folder, seed, digits)
    click.echo(f"\nDone in {time.perf_counter() - started:.1f} s. Open this page in a browser: {folder / 'index.html'}")
