"""Text files with one entry a line."""

from __future__ import annotations

from pathlib import Path

from xaicore.errors import FileError


def read_lines(path: Path, what: str = "") -> list[str]:
    """Return the lines of a text file.

    Parameters
    ----------
    what
        Who asks for it, for messages: ``"--labels"``.

    Raises
    ------
    FileError
        Where it cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{what} {str(path)!r} cannot be read as text: {error}".lstrip()) from error
