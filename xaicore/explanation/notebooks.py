"""How an explanation shows itself in a notebook."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xaicore.explanation.result import Explanation

_MOST_SAMPLES = 8


def as_png(explanation: Explanation) -> bytes:
    """Return a picture of the first samples."""
    buffer = io.BytesIO()
    explanation.plot(limit=_MOST_SAMPLES).savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def as_html(explanation: Explanation) -> str:
    """Return the picture, the warnings in plain sight, and the diagnostics to unfold."""
    picture = base64.b64encode(as_png(explanation)).decode("ascii")
    checks = explanation.diagnostics
    warnings = "".join(f"<p><b>Warning:</b> {html.escape(text)}</p>" for text in checks.warnings())
    alternative = html.escape(repr(explanation), quote=True)
    return (
        f'<div><img src="data:image/png;base64,{picture}" alt="{alternative}" style="max-width:100%">'
        f"{warnings}<details><summary>Diagnostics</summary><pre>{html.escape(checks.summary())}</pre></details></div>"
    )
