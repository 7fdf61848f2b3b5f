"""Progress on the terminal."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


def progress_bar(
    total: int | None, *, show: bool | None = None, description: str = "", unit: str = "sample"
) -> tqdm[Any]:
    """Return a progress bar on stderr, to be used in a `with` statement.

    Parameters
    ----------
    total
        Number of steps; None: not known.
    show
        None: only where stderr is a terminal, and gone when done. True: always, and left standing. False: never.
    """
    disable = None if show is None else not show
    return tqdm(total=total, disable=disable, desc=description or None, unit=unit, leave=bool(show))
