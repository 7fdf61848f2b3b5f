"""`xaicore check-plugin NAME`: whether a plugin, and all that it brings, is what it says, and right."""

from __future__ import annotations

import click

from xaicore.cli.table import echo_json
from xaicore.testing.card import BAD, Card, Verdict


@click.command()
@click.argument("name")
@click.option("--only", default="", metavar="TEXT", help="Only what has TEXT in its title: a name, or 'method'.")
@click.option("--verbose", "-v", is_flag=True, help="Show every check, with what it measured or why it was skipped.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(name: str, only: str, verbose: bool, as_json: bool) -> None:
    """Try the plugin NAME, and all that it brings, by the conformance kit, and print its card.

    NAME is a namespace or a distribution. Exits with 1 where something fails, where a failure that the plugin expects
    does not happen, or where too little ran.
    """
    from xaicore.testing.plugins import plugin_cards

    shown = None if as_json else (lambda card: click.echo(_page(card, verbose)))
    card = plugin_cards(name, only=only, each=shown)
    if as_json:
        echo_json(card.to_dict())
    else:
        click.echo(f"\n{name} {'conforms' if card.ok else 'does NOT conform'}: {_counts(card)}.")
    if not card.ok:
        raise click.exceptions.Exit(1)


def _page(card: Card, verbose: bool) -> str:
    if verbose:
        return f"{card}\n"
    total, bad = len(card.outcomes), card.count_own(*BAD)
    counted = (
        f"{bad} of {total} checks failed" if bad else f"{total - card.count_own(Verdict.SKIPPED)} of {total} checks"
    )
    lines = [f"{'ok ' if card.ok else 'BAD'}  {card.title}  ({counted})"]
    lines += [f"       {', '.join(checks)}: {message}" for message, checks in _bad(card).items()]
    lines += [f"       {problem}" for problem in card.problems[card.count_own(*BAD) :]]
    lines += [
        f"       expected: {each.check}: {each.message}" for each in card.outcomes if each.verdict is Verdict.EXPECTED
    ]
    return "\n".join(lines)


def _bad(card: Card) -> dict[str, list[str]]:
    """The checks that are bad by what they say: one cause, such as a wrong shape, makes many fail alike."""
    checks: dict[str, list[str]] = {}
    for each in card.outcomes:
        if each.verdict in BAD:
            checks.setdefault(each.message, []).append(each.check)
    return checks


def _counts(card: Card) -> str:
    counted = ((card.count(verdict), str(verdict)) for verdict in Verdict)
    return ", ".join(f"{number} {verdict}" for number, verdict in counted if number)
