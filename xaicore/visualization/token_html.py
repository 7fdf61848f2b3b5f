"""Tokens on the colour of their relevance, as a piece of HTML that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_hex

from xaicore.visualization.scales import NO_NUMBER, signed
from xaicore.visualization.token_lines import token_line
from xaicore.visualization.word_pieces import WordIds

# Styles stand in the elements: a snippet must not change the page it is put into, nor need anything of it. Words have
# a ground and a colour of their own, and so are readable on light and dark pages; the rest takes the page's colour.
_SNIPPET = """\
<figure style="margin:0.5em 0;font:15px/1.5 system-ui,sans-serif;max-width:60em">
{%- if title %}<figcaption style="margin-bottom:0.3em;font-weight:600">{{ title }}</figcaption>{% endif %}
<div role="list" aria-label="{{ words|length }} tokens with their relevance" style="line-height:2">
{%- for word in words %}
<span role="listitem" title="{{ word.value }}" aria-label="{{ word.text }}: {{ word.value }}" style="\
display:inline-block;margin:0 1px;padding:0 0.25em;line-height:1.6;border-radius:3px;white-space:pre-wrap;\
overflow-wrap:anywhere;unicode-bidi:isolate;border:1px solid #9e9e9e;{{ word.style }}">{{ word.text }}</span>
{%- endfor %}
</div>
<div role="img" aria-label="The scale: colours from {{ low }}, against what is explained, over 0 to {{ high }}, for it.\
" style="font-size:0.8em;margin-top:0.3em">against {{ low }}\
 <span style="display:inline-block;vertical-align:middle;width:8em;height:0.8em;border:1px solid #9e9e9e;\
background:linear-gradient(to right,{{ gradient }})"></span> {{ high }} for\
{% if note %} &middot; {{ note }}{% endif %}</div>
</figure>
"""
_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title></head>
<body style="max-width:62em;margin:2em auto;padding:0 1em;font-family:system-ui,sans-serif">
{% for snippet in snippets %}{{ snippet }}{% endfor -%}
{% if footer %}<p style="font-size:0.8em;opacity:0.75">{{ footer }}</p>{% endif %}
</body></html>
"""
_NO_NUMBER = f"color:black;background:repeating-linear-gradient(45deg,{NO_NUMBER} 0 4px,#d9d9d9 4px 8px)"


def tokens_html(
    relevance: Any,
    words: Sequence[str],
    *,
    merge: str | WordIds | None = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    title: str | None = None,
) -> str:
    """Return a text with each token on the colour of its relevance, as HTML that stands alone.

    Parameters
    ----------
    relevance, words, merge, cmap, scale, percentile
        As in `tokens`. Words are text: whatever markup they hold is escaped.
    title : str, optional
        Stands above the text.

    Returns
    -------
    str
        A ``<figure>`` without scripts, classes or links; legible on light and dark pages. Each token tells its
        relevance where the pointer rests and to screen readers; NaN and infinity are hatched grey; the scale stands
        below.
    """
    line = token_line(relevance, words, merge, cmap, scale, percentile)
    low, high = line.ends()
    shown = [
        {"text": word, "value": _value(value), "style": _style(line.shade(value))}
        for word, value in zip(line.words, line.values, strict=True)
    ]
    gradient = ",".join(to_hex(line.paint(place)) for place in np.linspace(0, 1, 9))
    html: str = _template(_SNIPPET).render(
        words=shown, low=low, high=high, gradient=gradient, note=line.note, title=title
    )
    return html


def tokens_page(snippets: Sequence[str], title: str, footer: str = "") -> str:
    """Return a page of what `tokens_html` returned, which loads nothing and runs nothing."""
    from markupsafe import Markup

    html: str = _template(_PAGE).render(snippets=[Markup(each) for each in snippets], title=title, footer=footer)
    return html


def _value(value: float) -> str:
    return signed(value, 3) if np.isfinite(value) else f"{value} (no number)"


def _style(shade: tuple[str, str] | None) -> str:
    return _NO_NUMBER if shade is None else f"background:{shade[0]};color:{shade[1]}"


@lru_cache(maxsize=2)
def _template(text: str) -> Any:
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(text)
