"""`xaicore plugins`: the installed plugins and what became of them."""

from __future__ import annotations

import click

from xaicore.cli.table import echo_json, table
from xaicore.plugins import plugin_registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(as_json: bool) -> None:
    """List the installed plugins and whether they work."""
    plugins = plugin_registry().plugins()
    if as_json:
        echo_json(
            [
                {
                    "namespace": info.namespace,
                    "package": info.distribution,
                    "version": info.version,
                    "status": str(info.status),
                    "cause": info.cause,
                    "load_time": round(info.load_time, 6),
                }
                for info in plugins
            ]
        )
    elif plugins:
        rows = [
            (info.namespace, info.distribution, info.version, info.status, f"{info.load_time * 1e3:.1f} ms", info.cause)
            for info in plugins
        ]
        click.echo(table(("PLUGIN", "PACKAGE", "VERSION", "STATUS", "LOADED IN", "CAUSE"), rows))
    else:
        click.echo("No plugins are installed. Explanation methods are plugins: pip install xai-lrp xai-gradients")
