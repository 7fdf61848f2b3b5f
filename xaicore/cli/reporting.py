"""`--report FILE`: samples collected as they come, small, and written as one page at the end."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.images import ImageOptions
from xaicore.cli.main import ARGUMENTS
from xaicore.cli.writing import percentile_for
from xaicore.errors import FileError

if TYPE_CHECKING:
    from xaicore import Explanation
    from xaicore.reports import SampleView

_MOST = 1000  # samples on a page


def report_option(what: str = "all samples") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option ``--report FILE``, as the argument ``page``."""
    return click.option(
        "--report", "page", type=click.Path(path_type=Path), metavar="FILE", callback=_writable,
        help=f"Write one page of HTML with {what} as well, to look through in a browser.",
    )  # fmt: skip


def given_command() -> str:
    """Return the command line that is being run, as one would type it."""
    return shlex.join(["xaicore", *click.get_current_context().meta.get(ARGUMENTS, [])])


def _writable(_: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse, before any work, a file that cannot be written to."""
    if path is None:
        return None
    if path.is_dir():
        raise click.BadParameter(f"{str(path)!r} is a folder; name a file, such as report.html.", param=parameter)
    if not path.resolve().parent.is_dir():
        raise FileError(f"--report {str(path)!r}: the folder {str(path.parent)!r} does not exist.")
    return path


@dataclass
class Collection:
    """The samples of a report; memory is bounded, since views are small and there are at most a thousand."""

    path: Path
    most: int = _MOST
    _views: dict[int, SampleView] = field(default_factory=dict)
    _seen: int = 0

    def add(
        self,
        number: int,
        explanation: Explanation,
        name: str,
        images: ImageOptions | None,
        drawing: Mapping[str, Any],
    ) -> None:
        """Add a sample, with its place among all; the rest is what its figure is drawn with."""
        from xaicore.reports import sample_views

        self._seen += 1
        if len(self._views) >= self.most:
            return
        options: dict[str, Any] = {"mean": images.mean, "std": images.std} if images else {}
        options |= {"words": drawing.get("names"), "percentile": percentile_for(explanation, images, drawing)}
        explanation = explanation.detach().to("cpu")
        (self._views[number],) = sample_views({explanation.method: explanation}, names=[name], **options)

    def write(self, title: str, facts: Sequence[tuple[str, str]], skipped: Sequence[Mapping[str, str]]) -> Path:
        """Write the page with the samples in their order, and say what is not on it."""
        from xaicore.reports import Report, write_report

        notes = [f"{each['input']} was left out: {each['reason']}" for each in skipped]
        if self._seen > len(self._views):
            notes.append(f"{len(self._views)} of {self._seen} samples are on this page: those explained first")
        samples = [self._views[number] for number in sorted(self._views)]
        return write_report(
            Report(title=title, facts=facts, command=given_command(), samples=samples, notes=notes), self.path
        )
