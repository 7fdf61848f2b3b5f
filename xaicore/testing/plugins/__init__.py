"""Whether a plugin, and all that it brings, is what it says, and right: `check_plugin`."""

from __future__ import annotations

from collections.abc import Callable

from xaicore.testing.card import Card

__all__ = ["check_plugin"]


def check_plugin(name: str, *, only: str = "", each: Callable[[Card], None] | None = None) -> Card:
    """Try an installed plugin, and all that it brings, by every check of the kit.

    Failures that the plugin expects are stated in the module of its entry point:
    ``XAICORE_EXPECTED_FAILURES = {"mine.power": {"completeness": "the power changes the sum"}}``.

    Parameters
    ----------
    name : str
        Its namespace, or its distribution.
    only : str
        Only what has this in its title: "method", "mine.power".
    each : callable, optional
        Called with each card as it is made.

    Returns
    -------
    Card
        Which is green, with one part for each thing that the plugin brings.

    Raises
    ------
    ConformanceError
        Where a check fails, one that should fail passes, or too little ran.
    """
    return plugin_cards(name, only=only, each=each).raise_if_bad()


def plugin_cards(name: str, *, only: str = "", each: Callable[[Card], None] | None = None) -> Card:
    """`check_plugin` without raising."""
    from xaicore.errors import InputError
    from xaicore.testing.plugins.brought import card_of, titles_of

    titles = titles_of(name)
    chosen = [title for title in titles if only in title]
    if not chosen:
        raise InputError(f"Nothing that the plugin {name!r} brings has {only!r} in its title: {', '.join(titles)}.")
    cards = []
    for title in chosen:
        cards.append(card_of(name, title))
        if each is not None:
            each(cards[-1])
    if chosen[0] == titles[0]:
        return Card(cards[0].title, cards[0].outcomes, cards[1:], cards[0].stale)
    return cards[0] if len(cards) == 1 else Card(f"of the plugin {name}", parts=cards)
