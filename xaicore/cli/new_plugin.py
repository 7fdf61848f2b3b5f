"""`xaicore new-plugin NAME`: write a package that installs, lists, explains and passes its tests at once."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path

import click

from xaicore.cli.scaffold.kinds import KINDS
from xaicore.cli.scaffold.names import check_line, names_of
from xaicore.cli.scaffold.writing import licences, render_package, write_package


@click.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), default=next(iter(KINDS)), show_default=True, help="What it brings."
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write it; here without this.",
)
@click.option("--author", help="Who writes it; for the metadata and the licence.")
@click.option("--email", help="How to reach the author; for the metadata.")
@click.option(
    "--licence",
    "--license",
    type=click.Choice(licences(), case_sensitive=False),
    default="BSD-3-Clause",
    show_default=True,
    help="Under which others may use it.",
)
def command(name: str, kind: str, folder: Path, author: str | None, email: str | None, licence: str) -> None:
    """Write a plugin called NAME into the folder xai-NAME: a package with one working example and its tests.

    What is there already is not overwritten.
    """
    names = names_of(name)
    if author is not None:
        author = check_line("--author", author)
    if email is not None:
        email = check_line("--email", email, without=" <>,")
        if "@" not in email:
            raise click.UsageError(f"--email {email!r} is no address: write it as name@place.")
    target = folder / names.distribution
    texts = render_package(
        names, kind, author=author, email=email, licence=licence, today=datetime.datetime.now().date()
    )
    write_package(texts, target)
    click.echo(f"Wrote {target}: {KINDS[kind].brings}. Next:\n")
    for step in (f"cd {shlex.quote(str(target))}", 'python -m pip install --editable ".[test]"', "python -m pytest"):
        click.echo(f"  {step}")
