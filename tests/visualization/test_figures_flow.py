"""Relevance layer by layer: maps in the order of the network, and the graph coloured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from torch import Tensor, nn

import xaicore
from xaicore.errors import InputError, LayerError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import flow, graph_flow
from xaicore.visualization.graph_boxes import boxes_of, edges_of
from xaicore.visualization.graph_layouts import place

Make = Callable[..., Explanation]


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.Sequential(Block(4), Block(4))
        self.pool = nn.AvgPool2d(4)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(torch.relu(self.stem(x)))).flatten(1))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def explained(model: nn.Module) -> Explanation:
    names = ["head", "blocks.1", "stem", "blocks.0"]  # in no order
    return xaicore.explain(model, torch.rand(2, 1, 8, 8), method="lrp.epsilon", record=names)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def pictures(figure: Figure) -> list[Any]:
    return [ax for ax in figure.axes if ax.images]


def test_layers_stand_in_the_order_of_the_network(explained: Explanation) -> None:
    assert list(explained.recorded) == ["stem", "blocks.0", "blocks.1", "head"]
    figure = flow(explained)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["input", "stem", "blocks.0", "blocks.1", "head"]
    assert [ax.get_title() for ax in flow(explained, layers=["head", "stem"]).axes if ax.get_title()] == [
        "input",
        "head",
        "stem",
    ]


def test_each_map_is_the_relevance_at_its_layer_summed_over_channels(explained: Explanation) -> None:
    shown = pictures(flow(explained))
    for row in range(2):
        drawn = [np.asarray(ax.images[0].get_array()) for ax in shown[5 * row : 5 * row + 5]]
        np.testing.assert_allclose(drawn[0], explained.relevance[row, 0], rtol=1e-5)  # type: ignore[index]
        np.testing.assert_allclose(drawn[2], explained.recorded["blocks.0"][row].sum(0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(drawn[4][:, 0], explained.recorded["head"][row], rtol=1e-5)


def test_shape_and_sum_of_each_layer_are_printed(explained: Explanation) -> None:
    said = texts(flow(explained))
    for name, tensor in explained.recorded.items():
        shape = "×".join(map(str, tensor.shape[1:]))
        total = f"{float(tensor[1].double().sum()):.3g}".replace("-", "−")
        assert f"{shape}\nΣR = {total}" in said, name


def test_a_flow_shares_a_scale_and_pools_as_asked(explained: Explanation) -> None:
    figure = flow(explained, scale="figure", pool="norm")
    limits = {ax.images[0].get_clim()[1] for ax in pictures(figure)[:10]}
    everything = [explained.relevance, *explained.recorded.values()]
    norms = [each.flatten(2).norm(dim=1).max() if each.ndim == 4 else each.abs().max() for each in everything]  # type: ignore[union-attr]
    assert len(limits) == 1 and limits.pop() == pytest.approx(float(max(norms)), rel=1e-5)


def test_many_units_share_stripes_that_show_the_largest(make: Make) -> None:
    units = torch.zeros(1, 1000)
    units[0, 700] = -3.0
    units[0, 701] = 2.0
    figure = flow(make(torch.randn(1, 1, 4, 4), recorded={"fc": units}))
    stripes = np.asarray(pictures(figure)[1].images[0].get_array())
    assert stripes.shape == (63, 1) and stripes[700 // 16, 0] == -3 and np.count_nonzero(stripes) == 1
    assert "1000, 16 a stripe\nΣR = −1" in [text.replace("\n", " ").replace(" ΣR", "\nΣR") for text in texts(figure)]


def test_a_flow_may_begin_at_a_layer_or_at_several_inputs(make: Make) -> None:
    inner = make(torch.randn(1, 2, 4, 4), layer="stem", recorded={"head": torch.randn(1, 3)})
    assert [ax.get_title() for ax in flow(inner).axes if ax.get_title()] == ["stem", "head"]
    both = make({"left": torch.randn(1, 1, 4, 4), "right": torch.randn(1, 5)}, recorded={"head": torch.randn(1, 3)})
    assert [ax.get_title() for ax in flow(both).axes if ax.get_title()] == ["left", "right", "head"]


def test_what_has_no_flow_is_refused(make: Make, explained: Explanation) -> None:
    with pytest.raises(InputError, match=r"explain with record=\[...\]"):
        flow(make(torch.randn(1, 1, 4, 4)))
    with pytest.raises(InputError, match=r"'blocks.2' was not recorded. Did you mean 'blocks.[01]'\?"):
        flow(explained, layers=["blocks.2"])
    with pytest.raises(InputError, match="'head' has no positions in an image"):
        flow(explained, inputs=torch.rand(2, 1, 8, 8), form="overlay")
    flow(explained, inputs=torch.rand(2, 1, 8, 8), form="overlay", layers=["stem", "blocks.1"])


def boxes_drawn(ax: Axes) -> dict[str, FancyBboxPatch]:
    """Boxes by the text inside."""
    found = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    return dict(zip([text.get_text() for text in ax.texts], found, strict=True))


def test_boxes_have_the_sum_of_magnitudes_of_their_last_recorded_layer(
    model: nn.Module, explained: Explanation
) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    ax = graph_flow(graph, explained, sample=1, depth=2)
    drawn = boxes_drawn(ax)
    amounts = {name: float(tensor[1].double().abs().sum()) for name, tensor in explained.recorded.items()}
    amounts["x"] = float(explained.relevance[1].double().abs().sum())  # type: ignore[index]
    for name, amount in amounts.items():
        (label,) = [text for text in drawn if text.startswith(name)]
        assert label.endswith(f"\n{amount:.3g}")
    reds = {label.split("\n")[0]: patch.get_facecolor() for label, patch in drawn.items() if "\n" in label}
    largest = max(amounts, key=lambda name: amounts[name])
    assert min(reds, key=lambda label: sum(reds[label][:3])).startswith(largest), "the darkest is the largest"
    (unknown,) = [patch for label, patch in drawn.items() if label.startswith("pool")]
    assert unknown.get_facecolor()[:3] == (1, 1, 1) and unknown.get_linestyle() == "--"
    assert ax.figure.axes[1].get_ylabel() == "sum of |relevance|"


def test_the_sum_with_signs_is_on_a_scale_with_two_sides(model: nn.Module, explained: Explanation) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    ax = graph_flow(graph, explained, value="sum")
    low, high = ax.figure.axes[1].get_ylim()
    totals = [each[0].double().sum().abs() for each in [explained.relevance, *explained.recorded.values()]]  # type: ignore[index]
    assert low == -high and high == pytest.approx(float(max(totals)), rel=1e-6)


def test_a_ledger_colours_every_layer(model: nn.Module) -> None:
    x = torch.rand(2, 1, 8, 8)
    explanation = xaicore.explain(model, x, method="lrp.epsilon", ledger=True)
    graph = xaicore.trace(model, x)
    drawn = boxes_drawn(graph_flow(graph, explanation, depth=0))
    arrived = {row["layer"]: row["relevance_in"] for row in explanation.diagnostics.ledger or []}
    (head,) = [label for label in drawn if label.startswith("head")]
    assert head.endswith(f"\n{arrived[graph.find('head').name]:.3g}".replace("-", "−"))
    assert all("\n" in label for label in drawn), "none is unknown"


def test_every_edge_between_boxes_is_an_arrow_down(model: nn.Module, explained: Explanation) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    for depth in (0, 1, 2):
        ax = graph_flow(graph, explained, depth=depth)
        arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
        boxes = boxes_of(graph, 40, depth)
        assert len(arrows) == len(edges_of(boxes))
        assert all(start < end for start, end in edges_of(boxes))
        frames = [patch.get_extents().padded(-0.5) for patch in boxes_drawn(ax).values()]
        assert not any(one.overlaps(two) for number, one in enumerate(frames) for two in frames[number + 1 :])


def test_layers_of_a_module_become_one_box_where_there_are_many(model: nn.Module) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    layers = [layer for layer in graph.layers if not layer.constant]
    assert len(boxes_of(graph, 99, None)) == len(layers)
    few = boxes_of(graph, 8, None)
    assert len(few) <= 8 and [layer for box in few for layer in box.layers] == layers
    assert {"blocks.0", "blocks.1"} <= {box.label for box in few}
    with pytest.raises(ParameterError, match="at least one box"):
        boxes_of(graph, 0, None)


def test_boxes_are_placed_without_overlap_below_what_feeds_them() -> None:
    generator = np.random.default_rng(0)
    edges = sorted({tuple(sorted(pair)) for pair in generator.integers(0, 12, (18, 2)).tolist() if pair[0] != pair[1]})
    widths = generator.uniform(0.4, 1.5, 12)
    placed = place(widths, 0.3, edges, 0.1, 0.5)
    for start, end in edges:
        assert placed.centres[end][1] > placed.centres[start][1] + 0.3
    for one in range(12):
        for two in range(one):
            (x, y), (u, v) = placed.centres[one], placed.centres[two]
            assert y != v or abs(x - u) >= (widths[one] + widths[two]) / 2 + 0.1 - 1e-9
    assert all(0 <= x <= placed.width and 0 <= y <= placed.height for x, y in placed.centres)


def test_a_chain_is_straight() -> None:
    placed = place([1.0, 0.5, 2.0], 0.3, [(0, 1), (1, 2)], 0.1, 0.5)
    assert len({round(x, 9) for x, _ in placed.centres}) == 1 and placed.width == pytest.approx(2.0)


def test_the_graph_is_drawn_on_axes_of_somebody_else_in_smaller_type(model: nn.Module, explained: Explanation) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    ax = Figure(figsize=(3, 3)).add_subplot()
    assert graph_flow(graph, explained, ax, title="net") is ax
    assert ax.get_title() == "net" and ax.texts[0].get_fontsize() < 5
    ax.figure.draw_without_rendering()


def test_what_cannot_colour_a_graph_is_refused(model: nn.Module, make: Make, explained: Explanation) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    with pytest.raises(InputError, match="knows relevance at its input only"):
        graph_flow(graph, make(torch.randn(1, 1, 8, 8)))
    with pytest.raises(LayerError, match="conv9"):
        graph_flow(graph, make(torch.randn(1, 1, 8, 8), recorded={"conv9": torch.randn(1, 3)}))
    with pytest.raises(InputError, match="sample=2"):
        graph_flow(graph, explained, sample=2)
    with pytest.raises(ParameterError, match="value='max'"):
        graph_flow(graph, explained, value="max")


def test_relevance_that_is_no_number_has_a_hatched_box(model: nn.Module, make: Make) -> None:
    graph = xaicore.trace(model, torch.rand(2, 1, 8, 8))
    broken = make(torch.full((1, 1, 8, 8), float("nan")), recorded={"stem": torch.ones(1, 4, 8, 8)})
    drawn = boxes_drawn(graph_flow(graph, broken))
    (box,) = [patch for label, patch in drawn.items() if label.startswith("x\n")]
    assert box.get_hatch() and "x\nnan" in drawn
