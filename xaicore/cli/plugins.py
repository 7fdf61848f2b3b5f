"""`xaicore plugins`: the installed plugins and what became of them."""

from __future__ import annotations

from typing import Any

import click

from xaicore.cli.table import echo_json, table
from xaicore.plugins import PluginInfo, Status, plugin_registry

_HEADS = ("PLUGIN", "PACKAGE", "VERSION", "STATUS", "XAICORE", "LOADED", "BRINGS")
_WIDTH = 100


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(as_json: bool) -> None:
    """List the installed plugins, whether they work, and if not, why and what to do.

    The column XAICORE has the versions of xaicore that a plugin fits, by the interface that it is written for.
    """
    plugins = plugin_registry().plugins()
    if as_json:
        echo_json([_record(info) for info in plugins])
    elif plugins:
        click.echo(table(_HEADS, [_row(info) for info in plugins]))
        for info in plugins:
            _tell(info)
    else:
        click.echo("No plugins are installed. Explanation methods are plugins: pip install xai-lrp xai-gradients")


def _row(info: PluginInfo) -> tuple[str, ...]:
    milliseconds = info.load_time * 1e3
    loaded = "-" if info.status is Status.DISABLED else f"{milliseconds:.{1 if milliseconds < 9.95 else 0}f} ms"
    return (
        info.namespace, info.distribution, info.version, info.status, info.cores or "-", loaded, info.contents or "-",
    )  # fmt: skip


def _tell(info: PluginInfo) -> None:
    """Write below the table what does not fit into it: why a plugin does not work, and what to do."""
    notes = {"why": info.cause or info.warning, "fix": info.fix or _advice(info)}
    if not notes["why"]:
        return
    click.echo(f"\n{info.namespace} ({info.label}) is {info.status.in_words}{'' if info.cause else ', but'}")
    for name, text in notes.items():
        if text:
            click.echo(_wrapped(f"  {name}  {text}"))


def _advice(info: PluginInfo) -> str:
    return f"pip install --upgrade xaicore {info.distribution}" if info.warning else ""


def _wrapped(text: str) -> str:
    """Wrap at spaces only: what is to be typed or opened stays whole."""
    import textwrap

    return textwrap.fill(text, _WIDTH, subsequent_indent="       ", break_long_words=False, break_on_hyphens=False)


def _record(info: PluginInfo) -> dict[str, Any]:
    return {
        "namespace": info.namespace,
        "package": info.distribution,
        "version": info.version,
        "status": str(info.status),
        "cause": info.cause,
        "fix": info.fix or _advice(info),
        "warning": info.warning,
        "api": info.api,
        "xaicore": info.cores,
        "requires": info.requires,
        "brings": dict(info.brings),
        "load_time": round(info.load_time, 6),
        "module": info.module,
        "folder": info.folder,
    }
