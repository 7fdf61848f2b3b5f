"""How figures are drawn: `--render NAME` and the options of that renderer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from xaicore.cli.options import parameter


def render_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--render`` and ``--render-param``."""
    decorators = [
        click.option(
            "--render", "renderer", metavar="NAME",
            help="How figures are drawn: contours, segments, graymap, ...; `xaicore list --renderers` shows all.",
        ),
        click.option(
            "--render-param", "drawn_with", type=parameter, metavar="NAME=VALUE", multiple=True,
            help="An option of the renderer, as in keep=0.3 or pool=norm; repeat it.",
        ),
    ]  # fmt: skip
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def drawn_by(renderer: str | None, pairs: tuple[tuple[str, Any], ...], overlaid: bool) -> dict[str, Any]:
    """Return what `Explanation.plot` is told of the renderer; refuse one that does not exist, or has no such options.

    Raises
    ------
    UnknownRendererError, ParameterError
    """
    if renderer is None:
        if pairs:
            raise click.UsageError("--render-param is an option of a renderer: name it with --render.")
        return {}
    if overlaid:
        raise click.UsageError("--overlaid is the renderer core.overlay: leave it out, or --render.")
    from xaicore.plugins import find_renderer
    from xaicore.visualization.renderers import check_options

    spec, options = find_renderer(renderer), dict(pairs)
    check_options(spec, options)
    return {"kind": spec.name, "options": options or None}
