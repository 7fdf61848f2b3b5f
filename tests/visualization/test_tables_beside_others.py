"""Several inputs side by side: images, texts, tables and series, on scales of their own or on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import RELEVANCE_COLOURS

Make = Callable[..., Explanation]


@pytest.fixture
def mixed(make: Make) -> Explanation:
    """Two samples; the largest relevance is 1, 2, 3 and 4 in the first, ten times that in the second."""
    relevance = {
        "image": torch.zeros(2, 3, 4, 4), "words": torch.zeros(2, 3), "table": torch.zeros(2, 4),
        "ecg": torch.zeros(2, 2, 9),
    }  # fmt: skip
    relevance["image"][:, 1, 0, 0] = -1
    relevance["words"][:, 1] = 2
    relevance["table"][:, 2] = -3
    relevance["ecg"][:, 1, 5] = 4
    relevance = {
        name: each * torch.tensor([1.0, 10.0]).reshape(-1, *[1] * (each.ndim - 1)) for name, each in relevance.items()
    }
    inputs = {name: torch.rand_like(each) for name, each in relevance.items()} | {
        "words": torch.arange(6).reshape(2, 3)
    }
    return make(relevance, inputs=inputs)


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


def limits(figure: Figure) -> list[list[float]]:
    """The ends of the colour scale of image, words and series, and of the axis of the table; a list a sample."""
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    found = []
    for image, words, table, ecg in (panels[:4], panels[4:]):
        ground = to_rgb(words.texts[1].get_bbox_patch().get_facecolor())  # type: ignore[union-attr, arg-type]
        shades = [RELEVANCE_COLOURS(0.5 + 0.5 * place / 128)[:3] for place in range(129)]
        place = min(range(129), key=lambda place: sum(abs(a - b) for a, b in zip(shades[place], ground, strict=True)))
        largest = 2.0 * (10 if found else 1)
        found.append([
            image.images[-1].get_clim()[1], largest * 128 / place, table.get_xlim()[1], ecg.images[0].get_clim()[1],
        ])  # fmt: skip
    return found


def test_each_panel_has_its_own_scale_unless_one_is_shared(mixed: Explanation) -> None:
    own, row, whole = (mixed.plot(scale=scale) for scale in ("map", "row", "figure"))
    assert [[first, words, ecg] for first, words, _, ecg in limits(own)] == [[1, 2, 4], [10, 20, 40]]
    assert "each panel on its own scale" in texts(own) and "one scale a sample" in texts(row)
    assert "one scale for all panels" in texts(whole)
    for figure, expected in ((row, [4, 40]), (whole, [40, 40])):
        for found, limit in zip(limits(figure), expected, strict=True):
            assert found == pytest.approx([limit, limit, 1.04 * limit, limit], rel=0.1)  # of 128 shades


def test_a_shared_scale_can_be_cut(mixed: Explanation) -> None:
    figure = mixed.plot(scale="row", percentile=96)
    found = limits(figure)[0]
    assert 0 < found[0] == found[3] < 4 and "scale cut at percentile 96 of |R|" in texts(figure)
    with pytest.raises(ParameterError, match="scale='rows'.*Did you mean 'row'"):
        mixed.plot(scale="rows")


def test_every_panel_is_titled_and_inside_the_figure(mixed: Explanation) -> None:
    figure = mixed.plot(names={"table": ["age", "pay", "size", "x"], "ecg": ["I", "II"]})
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    names = ("image", "words", "table", "ecg")
    assert [ax.get_title() for ax in panels] == [f"{name}, explained: {row}" for row in (0, 1) for name in names]
    width, height = canvas.get_width_height()
    for ax in figure.axes:
        box = ax.get_tightbbox(canvas.get_renderer())
        assert box is not None and box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
    boxes = [ax.get_window_extent() for ax in panels]
    assert not any(first.overlaps(second) for place, first in enumerate(boxes) for second in boxes[:place])


def test_images_lie_below_their_relevance_where_asked_to(mixed: Explanation) -> None:
    assert len(mixed.plot().axes[0].images) == 1
    assert len(mixed.plot(overlaid=True, mean=0.5, std=0.5).axes[0].images) == 2


def test_integers_are_drawn_as_tokens(make: Make) -> None:
    ids = torch.tensor([[3, 1, 2]])
    figure = make(torch.tensor([[1.0, 2.0, 0.0]]), inputs=ids).plot()
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1", "2"]
    inner = make(torch.tensor([[1.0, 2.0, 0.0]]), inputs=ids, layer="embedding").plot()
    assert inner.axes[0].containers
    flags = make(torch.tensor([[1.0, 2.0, 0.0]]), inputs=ids > 1).plot()
    assert flags.axes[0].containers


def test_word_pieces_are_merged_by_style_or_by_the_word_ids_of_each_sample(make: Make) -> None:
    explanation = make(torch.tensor([[1.0, 2.0, 4.0], [0.0, 3.0, 5.0]]))  # the second is padded in front
    names = [["un", "##done", "!"], ["so", "##me"]]
    for merge in ("wordpiece", [[0, 0, 1], [None, 0, 0]]):
        figure = explanation.plot(kind="tokens", names=names, merge=merge)
        assert [[text.get_text() for text in ax.texts] for ax in figure.axes] == [["undone", "!"], ["some"]]
    with pytest.raises(InputError, match="word ids for 1 samples; there are 2"):
        explanation.plot(kind="tokens", names=names, merge=[[0, 0, 1]])
    one = explanation[0].plot(kind="tokens", names=names[0], merge=[0, 0, 0])
    assert [text.get_text() for text in one.axes[0].texts] == ["undone!"]
