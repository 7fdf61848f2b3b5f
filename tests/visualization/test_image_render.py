"""Renderers by name: of the core and of plugins, alone, in grids, and as a kind of plot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from xaicore.errors import InputError, ParameterError, PluginError, UnknownRendererError
from xaicore.explanation import Explanation
from xaicore.plugins import RendererSpec, renderers, reset_registry
from xaicore.visualization import grid, heatmap, render

Make = Callable[..., Explanation]
IMAGE_FORMS = [spec.name for spec in renderers() if "image" in spec.inputs]

PLUGIN = """
from xaicore.plugins import RendererSpec, hookimpl

@hookimpl
def xaicore_renderers():
    home = "mine_pkg_plugin"
    return [
        RendererSpec(name="mine.rows", target=home + ":rows", summary="s", inputs=("image",), scale="magnitude",
                     measure=home + ":row_sums"),
        RendererSpec(name="mine.heatmap", target=home + ":nothing", summary="s", inputs=("image",)),
        RendererSpec(name="mine.nothing", target=home + ":nothing", summary="s", inputs=("image",)),
        RendererSpec(name="mine.all", target=home + ":rows", summary="s", inputs=("image",), all_samples=True),
    ]

def row_sums(relevance):
    return abs(relevance).sum(-1).reshape(-1, relevance.shape[-2]).sum(0)

def rows(relevance, ax=None, *, scale=None, width=1.0, title=None):
    from xaicore.visualization.canvas import own_axes
    ax = own_axes(ax)
    ax.barh(range(relevance.shape[-2]), row_sums(relevance).numpy(), width)
    ax.set_xlim(0, scale)
    return ax

def nothing(relevance, ax):
    return relevance
"""


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture
def mine(site: Any) -> None:
    site.install("mine-pkg", "mine", PLUGIN)
    reset_registry()


@pytest.mark.parametrize("name", IMAGE_FORMS)
def test_a_sample_of_an_explanation_is_drawn_with_its_own_input(make: Make, name: str) -> None:
    torch.manual_seed(0)
    explanation = make(torch.randn(3, 3, 8, 8), inputs=torch.rand(3, 3, 8, 8))
    ax = Figure().add_subplot()
    assert render(explanation, name, ax, sample=1) is ax
    alone = render(explanation.relevance[1], name, image=explanation.inputs[1])  # type: ignore[index]
    np.testing.assert_array_equal(ax.images[0].get_array(), alone.images[0].get_array())


def test_what_the_image_was_normalised_with_is_taken_by_all(make: Make) -> None:
    explanation = make(torch.randn(1, 3, 8, 8), inputs=torch.randn(1, 3, 8, 8))
    for name in IMAGE_FORMS:
        render(explanation, name, mean=[0.5] * 3, std=0.2)


def test_tables_text_and_series_are_rendered_too(make: Make) -> None:
    assert render(make(torch.randn(2, 5)), "bars", sample=1).containers
    assert render(make(torch.randn(2, 5), inputs=torch.randn(2, 5)), "core.waterfall").patches
    said = render(make(torch.randn(2, 3)), "tokens", words=["a", "b", "c"])
    assert [text.get_text() for text in said.texts] == ["a", "b", "c"]
    assert render(make(torch.randn(1, 50), inputs=torch.randn(1, 50)), "series").lines
    assert render(make(torch.randn(1, 4, 50)), "channels_time").images
    assert render(make(torch.randn(9, 5), inputs=torch.randn(9, 5)), "summary").collections


def test_one_of_several_inputs_is_named(make: Make) -> None:
    explanation = make({"image": torch.randn(1, 3, 4, 4), "table": torch.randn(1, 5)})
    assert render(explanation, "heatmap", of="image").images[0].get_array().shape == (4, 4)
    with pytest.raises(InputError, match=r"choose one with of=.*\['image', 'table'\]"):
        render(explanation, "heatmap")
    with pytest.raises(InputError, match=r"Did you mean 'image'\?"):
        render(explanation, "heatmap", of="imgae")
    with pytest.raises(InputError, match="leave `of` out"):
        render(make(torch.randn(1, 3, 4, 4)), "heatmap", of="image")


def test_what_cannot_be_rendered_is_refused(make: Make) -> None:
    explanation = make(torch.randn(2, 3, 8, 8))
    with pytest.raises(UnknownRendererError, match=r"no renderer 'contuors'.*Did you mean 'contours'\?"):
        render(explanation, "contuors")
    with pytest.raises(ParameterError, match=r"core.contours has no option 'levles'. Did you mean 'levels'\?"):
        render(explanation, "contours", levles=3)
    with pytest.raises(ParameterError, match="core.contours needs image="):
        render(explanation, "contours")
    with pytest.raises(ParameterError, match="core.tokens needs words="):
        render(make(torch.randn(2, 3)), "tokens")
    with pytest.raises(InputError, match="sample=2: the explanation has 2 samples"):
        render(explanation, "heatmap", sample=2)


def test_a_renderer_of_a_plugin_is_given_the_options_that_it_has(mine: None, make: Make) -> None:
    explanation = make(torch.ones(1, 1, 2, 3), inputs=torch.rand(1, 1, 2, 3))
    ax = render(explanation, "mine.rows", mean=0.5, width=0.5)
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.5]
    with pytest.raises(PluginError, match="mine.nothing returned Tensor; a renderer returns its axes"):
        render(explanation, "mine.nothing")
    assert render(explanation, "mine.all", scale=9.0).get_xlim() == (0, 9), "it is given (B, C, H, W)"


def test_a_name_of_the_core_means_the_core_whatever_is_installed(mine: None, make: Make) -> None:
    explanation = make(torch.randn(1, 1, 4, 4))
    assert explanation.plot().axes and grid(None, explanation).axes
    assert render(explanation, "heatmap").images
    with pytest.raises(PluginError, match="mine.heatmap returned Tensor"):
        render(explanation, "mine.heatmap")


def test_a_renderer_of_a_plugin_draws_a_grid_on_its_own_measure(mine: None, make: Make) -> None:
    relevance = torch.tensor([1.0, -2.0]).view(2, 1, 1, 1).expand(2, 1, 2, 3)
    figure = grid(None, make(relevance), form="mine.rows", scale="figure")
    assert [ax.get_xlim() for ax in figure.axes if ax.containers] == [(0, 6), (0, 6)]
    assert {"0", "6"} <= set(texts(figure))


@pytest.mark.parametrize("name", IMAGE_FORMS)
def test_every_form_is_a_kind_of_plot(make: Make, name: str) -> None:
    explanation = make(torch.randn(2, 3, 8, 8), inputs=torch.rand(2, 3, 8, 8))
    figure = explanation.plot(kind=name)
    assert len([ax for ax in figure.axes if ax.images]) == 4, "two images, two pictures"
    one = explanation[1].plot(kind=name, ax=Figure().add_subplot())
    assert one.axes[0].images and one.axes[0].get_title() == "explained: 1"


def test_options_of_a_renderer_reach_it_from_plot(make: Make) -> None:
    relevance = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    figure = make(relevance).plot(kind="graymap", options={"pool": "norm"})
    assert figure.axes[0].images[0].get_array()[0, 0] == pytest.approx(5)
    alone = make(relevance).plot(kind="graymap", options={"pool": "norm"}, ax=Figure().add_subplot())
    assert alone.axes[0].images[0].get_array()[0, 0] == pytest.approx(5)


def test_kinds_and_renderers_of_one_name_are_the_same(make: Make) -> None:
    explanation = make(torch.randn(1, 5))
    assert texts(explanation.plot(kind="core.bars")) == texts(explanation.plot(kind="bars"))
    assert explanation.plot(kind="core.summary").axes
    with pytest.raises(ParameterError, match=r"kind='contuors'.*Did you mean 'contours'\?"):
        explanation.plot(kind="contuors")


def test_a_renderer_of_all_samples_is_no_kind_of_panel(mine: None, make: Make) -> None:
    with pytest.raises(ParameterError, match="draws all samples at once"):
        make(torch.randn(1, 1, 4, 4)).plot(kind="mine.all")
    with pytest.raises(ParameterError, match="mine.all draws no images one by one"):
        grid(None, make(torch.randn(1, 1, 4, 4)), form="mine.all")


def test_renderers_stand_beside_other_inputs(make: Make) -> None:
    relevance = {"image": torch.randn(2, 3, 8, 8), "table": torch.randn(2, 5)}
    explanation = make(relevance, inputs={"image": torch.rand(2, 3, 8, 8), "table": torch.randn(2, 5)})
    figure = explanation.plot(kind={"image": "contours"}, percentile=99)
    figure.draw_without_rendering()
    assert len([ax for ax in figure.axes if ax.images]) == 2 and len([ax for ax in figure.axes if ax.containers]) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": "both"}, "scale='both'"),
        ({"needs_input": True}, "say with given_as"),
        ({"measure": "nowhere"}, "measure 'nowhere' is no import string"),
    ],
)
def test_a_malformed_renderer_is_refused_where_it_is_made(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        RendererSpec(name="a.b", target="m:f", summary="s", **fields)


def test_heatmaps_by_name_and_by_function_are_the_same() -> None:
    relevance = torch.randn(3, 4, 4)
    one, two = render(relevance, "core.heatmap", pool="norm"), heatmap(relevance, pool="norm")
    np.testing.assert_array_equal(one.images[0].get_array(), two.images[0].get_array())
