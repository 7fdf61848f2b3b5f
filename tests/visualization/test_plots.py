"""One picture of one explanation, chosen by shape; and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from xaicore import __version__
from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import plot_explanation, provenance

Make = Callable[..., Explanation]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def kinds(figure: Figure) -> list[str]:
    """What each axes shows, told by its artists."""
    FigureCanvasAgg(figure).draw()
    found = []
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            continue
        found.append("bars" if ax.containers else "line" if len(ax.lines) else "picture" if ax.images else "other")
    return found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 10), ["bars"] * 2),
        ((2, 41), ["line"] * 2),
        ((2, 1, 30), ["line"] * 2),
        ((2, 3, 30), ["line"] * 2),
        ((2, 7, 30), ["picture"] * 2),
        ((2,), ["bars"] * 2),
        ((2, 1, 3, 3, 3), ["bars"] * 2),
    ],
)
def test_the_kind_of_picture_follows_the_shape(make: Make, shape: tuple[int, ...], expected: list[str]) -> None:
    assert kinds(make(torch.randn(shape)).plot()) == expected


def test_images_become_a_grid_with_their_inputs(make: Make) -> None:
    figure = make(torch.randn(2, 3, 8, 8), inputs=torch.rand(2, 3, 8, 8)).plot(labels=["cat", "dog"], true=[1, 1])
    assert len([ax for ax in figure.axes if ax.images]) == 4
    assert any("true: dog\npredicted: cat" in text for text in texts(figure))


def test_a_series_is_drawn_over_its_relevance(make: Make) -> None:
    figure = make(torch.randn(1, 1, 50), inputs=torch.randn(1, 1, 50)).plot()
    assert figure.axes[0].images and figure.axes[0].lines


def test_the_kind_can_be_chosen(make: Make) -> None:
    explanation = make(torch.randn(2, 5))
    assert kinds(explanation.plot(kind="series")) == ["line", "line"]
    words = [list("abcde"), list("vwxyz")]
    shown = texts(explanation.plot(kind="tokens", names=words))
    assert [text for text in shown if len(text) == 1 and text.isalpha()] == list("abcdevwxyz")
    with pytest.raises(ParameterError, match="kind='pie'"):
        explanation.plot(kind="pie")


def test_features_are_named(make: Make) -> None:
    said = texts(make(torch.randn(1, 3)).plot(names=["age", "sex", "$pay_in"]))
    assert {"age", "sex", "$pay_in"} <= set(said)
    assert "0, 1, 1" in texts(make(torch.randn(1, 2, 2, 2, 1)).plot()) or "0, 1, 1, 0" in texts(
        make(torch.randn(1, 2, 2, 2, 1)).plot()
    )


def test_several_inputs_stand_side_by_side(make: Make) -> None:
    relevance = {"image": torch.randn(2, 3, 8, 8), "table": torch.randn(2, 5), "curve": torch.randn(2, 60)}
    figure = make(relevance, inputs={"curve": torch.randn(2, 60)}).plot()
    assert kinds(figure) == ["picture", "bars", "line"] * 2
    assert "image, explained: 0" in texts(figure) and "table, explained: 1" in texts(figure)


def test_only_the_first_samples_are_drawn_and_the_foot_says_so(make: Make) -> None:
    explanation = make(torch.randn(20, 1, 4, 4), inputs=torch.rand(20, 1, 4, 4))
    figure = explanation.plot(limit=3, true=list(range(20)))
    assert len([ax for ax in figure.axes if ax.images]) == 6
    assert any(text.startswith("the first 3 of 20 samples · lrp.epsilon") for text in texts(figure))
    assert not any("xaicore" in text for text in texts(explanation.plot(footer=False)))


def test_a_long_foot_below_bars_is_broken_and_not_cut_off(make: Make) -> None:
    long = make(torch.randn(2, 3), parameters={f"a_parameter_{number}": number for number in range(9)})
    figure = long.plot()
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    foot = next(text for text in figure.findobj(Text) if "xaicore" in text.get_text())
    assert "\n" in foot.get_text() and foot.get_window_extent().x1 <= figure.bbox.x1


def test_one_sample_is_drawn_on_axes_given(make: Make) -> None:
    figure = Figure()
    ax = figure.add_subplot()
    assert make(torch.randn(1, 3, 8, 8)).plot(ax=ax) is figure and ax.images
    with pytest.raises(InputError, match="one sample of one input"):
        make(torch.randn(2, 3, 8, 8)).plot(ax=ax)


def test_an_explanation_of_nothing_is_refused(make: Make) -> None:
    with pytest.raises(InputError, match="no samples"):
        plot_explanation(make(torch.randn(2, 3))[[]])


def test_relevance_that_requires_grad_is_drawn_in_every_kind(make: Make) -> None:
    for shape in [(1, 3), (1, 50), (1, 2, 10), (1, 1, 4, 4)]:
        relevance = torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) * 1
        FigureCanvasAgg(make(relevance, inputs=torch.rand(shape)).plot()).draw()


def test_provenance_is_one_short_line(make: Make) -> None:
    explanation = make(torch.ones(1, 2), parameters={"epsilon": 0.25, "text": "a\nb" * 200}, layer="conv")
    line = provenance(explanation)
    assert line.startswith("lrp.epsilon(epsilon=0.25, ") and line.endswith(f"… · at layer conv · xaicore {__version__}")
    assert "\n" not in line and len(line) <= 160
    assert provenance(make(torch.ones(1, 2), parameters={})) == f"lrp.epsilon · xaicore {__version__}"


def test_plotting_does_not_touch_a_graphical_back_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pyplot was used")

    monkeypatch.setattr(matplotlib.pyplot, "figure", refuse)
    monkeypatch.setattr(matplotlib.pyplot, "new_figure_manager", refuse)
    make(torch.randn(1, 3, 8, 8)).plot()


def words(figure: Figure) -> list[list[str]]:
    """What is written in each axes with tokens."""
    return [[text.get_text() for text in ax.texts] for ax in figure.axes if ax.texts]


def test_words_of_each_sample_may_be_fewer_where_the_rest_is_padding(make: Make) -> None:
    relevance = torch.tensor([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0], [0.0, 1.0, 2.0]])
    ragged = [["a", "b", "c"], ["d"], ["e", "f"]]
    assert words(make(relevance).plot(kind="tokens", names=ragged)) == ragged
    with pytest.raises(InputError, match="2 tokens for relevance of 3"):
        make(relevance).plot(kind="tokens", names=[["a", "b"], ["d"], ["e", "f"]])
    with pytest.raises(InputError, match="names are given for 1 samples; there are 3"):
        make(relevance).plot(kind="tokens", names=[["a", "b", "c"]])


def test_kinds_and_names_are_given_by_input(make: Make) -> None:
    explanation = make({"words": torch.randn(2, 3), "table": torch.randn(2, 2), "image": torch.randn(2, 3, 4, 4)})
    own = [list("abc"), list("def")]
    figure = explanation.plot(kind={"words": "tokens"}, names={"words": own, "table": ["age", "pay"]})
    assert words(figure) == own and {"age", "pay"} <= set(texts(figure))
    assert kinds(figure) == ["other", "bars", "picture"] * 2
    assert words(make(torch.randn(2, 3)).plot(kind={"words": "tokens"}, names={"words": own})) == own
    with pytest.raises(InputError, match=r"names: there is no explained input 'word'.*Did you mean 'words'"):
        explanation.plot(names={"word": own})
    with pytest.raises(ParameterError, match=r"kind='token'.*Did you mean 'tokens'"):
        explanation.plot(kind={"words": "token"})


def test_long_texts_have_the_room_they_take(make: Make) -> None:
    texts_of = [[f"word{number}" for number in range(count)] for count in (60, 3, 25)]
    relevance = torch.zeros(3, 60)
    relevance[:, :3] = 1
    figure = make({"words": relevance, "table": torch.randn(3, 2)}).plot(
        kind={"words": "tokens"}, names={"words": texts_of}
    )
    FigureCanvasAgg(figure).draw()
    axes = [ax for ax in figure.axes if ax.texts]
    assert len(axes) == 3
    for ax in axes:
        inside = ax.get_window_extent()
        boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
        for box in boxes:
            assert box.x0 >= inside.x0 and box.x1 <= inside.x1 + 3 and box.y0 >= inside.y0 and box.y1 <= inside.y1
        for one in range(len(boxes)):
            assert not any(boxes[one].padded(-0.5).overlaps(other.padded(-0.5)) for other in boxes[:one])
