"""Parts of a layer: as filters, as shares of an explanation, and as sums of recorded relevance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, noise, shaken
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore import channels, heads, neurons, region
from xaicore.errors import InputError, LayerError, ParameterError
from xaicore.graph import Part
from xaicore.propagation import Tape

X = noise(3, 2, 4, 5)


class Residual(nn.Module):
    """`two` lies beside a skip connection, `one` before it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.one(x).relu()
        h = (h + self.two(h)).relu()
        return self.head(F.max_pool2d(h, 2).mean((2, 3)))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return shaken(Residual())


def mask(part: Part, *shape: int) -> Tensor:
    return part.mask(shape, "layer").expand(shape)


def test_channels_are_those_numbers_of_dimension_one_or_another() -> None:
    expected = torch.zeros(3, 4, 5, dtype=torch.bool)
    expected[:, [1, 3]] = True
    assert torch.equal(mask(channels(1, -1), 3, 4, 5), expected)
    assert torch.equal(mask(channels(1, 3, dim=2), 3, 5, 4), expected.transpose(1, 2))
    assert torch.equal(mask(channels(1, 3, dim=-1), 3, 5, 4), expected.transpose(1, 2))


def test_regions_are_slices_behind_the_channels() -> None:
    expected = torch.zeros(2, 3, 6, 7, dtype=torch.bool)
    expected[:, :, 1:4, -2:] = True
    assert torch.equal(mask(region[1:4, -2:], 2, 3, 6, 7), expected)
    assert torch.equal(mask(region(slice(1, 4), slice(5, 7)), 2, 3, 6, 7), expected)
    assert mask(region[1:4], 2, 3, 6, 7).sum() == 2 * 3 * 3 * 7
    assert mask(region[2, -1], 2, 3, 6, 7).sum() == 2 * 3
    assert mask(region[::2], 2, 3, 6).sum() == 2 * 3 * 3
    tokens = torch.zeros(2, 6, 7, dtype=torch.bool)
    tokens[:, 1:4] = True
    assert torch.equal(mask(region(slice(1, 4), dim=1), 2, 6, 7), tokens)


def test_heads_share_the_features_or_have_a_dimension() -> None:
    split = torch.zeros(2, 5, 12, dtype=torch.bool)
    split[..., 0:3] = split[..., 9:12] = True
    assert torch.equal(mask(heads(0, 3, count=4), 2, 5, 12), split)
    assert torch.equal(mask(heads(0, -1, count=4, dim=1), 2, 12, 5), split.transpose(1, 2))
    own = torch.zeros(2, 4, 5, 3, dtype=torch.bool)
    own[:, 2] = True
    assert torch.equal(mask(heads(2), 2, 4, 5, 3), own)
    assert torch.equal(mask(heads(2, dim=2), 2, 5, 4, 3), own.transpose(1, 2))


def test_neurons_are_single() -> None:
    expected = torch.zeros(2, 3, 4, dtype=torch.bool)
    expected[:, 0, 1] = expected[:, 2, 3] = True
    assert torch.equal(mask(neurons((0, 1), (-1, 3)), 2, 3, 4), expected)
    assert mask(neurons(2, 4), 2, 5).sum() == 4


def test_parts_combine_as_sets_do() -> None:
    a, b = mask(channels(0, 1), 2, 3, 4, 4), mask(region[:2], 2, 3, 4, 4)
    assert torch.equal(mask(channels(0, 1) & region[:2], 2, 3, 4, 4), a & b)
    assert torch.equal(mask(channels(0, 1) | region[:2], 2, 3, 4, 4), a | b)
    assert torch.equal(mask(~(channels(0, 1) | region[:2]), 2, 3, 4, 4), ~(a | b))


@pytest.mark.parametrize(
    "written",
    [
        "channels(3, 5)", "channels(-1, dim=2)", "region[1:4, :, ::2]", "region(1:4, dim=1)", "heads(0, 2, count=12)",
        "heads(1)", "heads(1, count=2, dim=1)", "neurons((3, 0, 1), (0, 0, 0))", "~channels(1)",
        "((channels(1) & region[3:4]) | ~neurons((0,)))",
    ],
)  # fmt: skip
def test_a_part_reads_as_it_is_written(written: str) -> None:
    code = written.replace("region(1:4", "region(slice(1, 4)")
    words = {"channels": channels, "region": region, "heads": heads, "neurons": neurons}
    part = eval(code, words)
    assert repr(part) == written
    assert part == eval(code, words) and hash(part) == hash(eval(code, words))


@pytest.mark.parametrize(
    ("part", "shape", "message"),
    [
        (channels(4), (2, 4, 5), "'layer' has 4 channels; the filter names 4, valid are 0 to 3, or -4 to -1"),
        (channels(0), (2,), "no channels"),
        (channels(0, dim=0), (2, 3), "is the batch"),
        (heads(4, count=4), (2, 3, 12), "has 4 heads; the filter names 4"),
        (heads(0, count=5), (2, 3, 12), "the 12 features of 'layer' in dimension 2 do not split into 5 heads"),
        (region[1:2, 3:4], (2, 3, 4), "takes 2 dimensions from dimension 2 on"),
        (region[2:9], (2, 3, 4), "positions 0 to 3; the filter names 2:9"),
        (region[3:3], (2, 3, 4), "the filter names 3:3"),
        (region[7], (2, 3, 4), "the filter names 7:8"),
        (neurons((3, 0)), (2, 3, 4), r"neurons of shape \(3, 4\); the filter names \(3, 0\)"),
        (neurons(1), (2, 3, 4), r"the filter names \(1,\)"),
        (channels(0) & channels(9), (2, 3, 4), "the filter names 9"),
    ],
)
def test_neurons_that_a_layer_does_not_have_are_refused(part: Part, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(LayerError, match=message):
        part.mask(shape, "layer")


@pytest.mark.parametrize(
    "make",
    [
        lambda: channels(),
        lambda: channels("0"),  # type: ignore[arg-type]
        lambda: channels(0.5),  # type: ignore[arg-type]
        lambda: heads(0, count=0),
        lambda: neurons(),
        lambda: neurons((0.5, 1)),  # type: ignore[arg-type]
        lambda: region(),
        lambda: region[::-1],
        lambda: region["a"],  # type: ignore[index]
        lambda: region[0.5:2],  # type: ignore[misc]
        lambda: region[None],  # type: ignore[index]
        lambda: region(slice(1, 2), dim=0),
        lambda: channels(0) & 1,  # type: ignore[operator]
    ],
)
def test_what_names_no_part_is_refused(make: Any) -> None:
    with pytest.raises((ParameterError, InputError)):
        make()


@pytest.mark.parametrize("method", ["lrp.epsilon", "gradients.saliency"])
def test_a_part_filters_as_its_mask_does(model: nn.Module, method: str) -> None:
    part = channels(0, 2) & ~region[:2, 1:3]
    by_part = xaicore.explain(model, X, method=method, target=1, filter={"one": part})
    by_mask = xaicore.explain(model, X, method=method, target=1, filter={"one": part.mask((3, 4, 4, 5), "one")})
    assert_same(by_part.relevance, by_mask.relevance)  # type: ignore[arg-type]
    with pytest.raises(LayerError, match="'one' has 4 channels; the filter names 4"):
        xaicore.explain(model, X, method=method, target=1, filter={"one": channels(4)})


PARTITIONS: dict[str, list[Any]] = {
    "channels": [0, 1, 2, 3],
    "two and the others": [channels(1, 2), ~channels(1, 2)],
    "regions": [region[:2, :3], region[:2, 3:], region[2:, :3], region[2:, 3:]],
    "a neuron and the others": [neurons((1, 2, 3)), ~neurons((1, 2, 3))],
    "not all": [channels(3), channels(0) & region[1]],
}
METHODS = [
    "lrp.zero", "lrp.epsilon", "lrp.gamma", "lrp.alpha_2_beta_1", "lrp.z_plus", "lrp.flat", "lrp.w_square",
    "lrp.epsilon_plus", "gradients.saliency", "gradients.input_x_gradient",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", ["one", "two"])
def test_the_parts_and_what_flows_elsewhere_sum_to_the_whole(model: nn.Module, method: str, layer: str) -> None:
    analyzer: Any = xaicore.create_analyzer(method, model)
    whole = analyzer.analyze(X, 1).relevance
    for parts in PARTITIONS.values():
        found = analyzer.analyze_parts(X, layer, parts, 1)
        assert_same(sum(each.relevance for each in found.values()), whole)
        assert any(float(each.relevance.abs().max()) > 0 for name, each in found.items() if name != "elsewhere")


@pytest.mark.parametrize(("layer", "bypassed"), [("one", False), ("two", True)])
def test_elsewhere_is_what_goes_around_the_layer(model: nn.Module, layer: str, bypassed: bool) -> None:
    analyzer: Any = xaicore.create_analyzer("lrp.epsilon", model)
    elsewhere = analyzer.analyze_parts(X, layer, [0, 1, 2, 3], 1)["elsewhere"].relevance
    assert_same(elsewhere, analyzer.analyze(X, 1, filter={layer: []}).relevance)
    assert (float(elsewhere.abs().max()) > 0) is bypassed


def test_a_part_beside_a_skip_connection_gets_only_what_passes_the_layer(model: Any) -> None:
    x = X.clone().requires_grad_()
    h = model.one(x).relu()
    two = model.two(h)
    kept = torch.zeros(4, 1, 1).double()
    kept[2] = 1
    held = two * kept + (two * (1 - kept)).detach()  # the derivative passes channel 2 alone, and not the skip
    score = model.head(F.max_pool2d((h.detach() + held).relu(), 2).mean((2, 3)))[:, 1]
    (expected,) = torch.autograd.grad(score.sum(), x)
    found = xaicore.create_analyzer("gradients.saliency", model).analyze_parts(X, "two", [2], 1)  # type: ignore
    assert_same(found["channels(2)"].relevance, expected)


def test_all_parts_come_from_one_forward(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    forward = Tape._run
    monkeypatch.setattr(Tape, "_run", lambda self, tensors: runs.append(1) or forward(self, tensors))
    xaicore.create_analyzer("lrp.epsilon", model).analyze_parts(X, "one", [0, 1, 2, 3], 1)  # type: ignore
    assert len(runs) == 1


def test_parts_have_names_and_say_what_they_are(model: nn.Module) -> None:
    analyzer: Any = xaicore.create_analyzer("lrp.epsilon", model)
    found = analyzer.analyze_parts(X, "two", {"left": region[:, :2], "right": region[:, 2:]})
    assert list(found) == ["left", "right", "elsewhere"]
    assert list(analyzer.analyze_parts(X, "two", [[0, 1], region[0]])) == ["channels(0, 1)", "region[0:1]", "elsewhere"]
    assert found["left"].diagnostics.conservation_gap is None
    assert any("flows through left of 'two'" in note for note in found["left"].diagnostics.notes)
    assert found["left"].target["labels"] == analyzer.analyze(X).target["labels"]


def test_the_options_of_an_explanation_hold_for_its_parts(model: nn.Module) -> None:
    analyzer: Any = xaicore.create_analyzer("lrp.epsilon", model)
    whole = analyzer.analyze_parts(X, "two", [0, 1], [0, 1, 2])
    split = analyzer.analyze_parts(X, "two", [0, 1], [0, 1, 2], batch_size=2)
    assert all(torch.allclose(split[name].relevance, whole[name].relevance) for name in whole)
    recorded = analyzer.analyze_parts(X, "two", [0, 1], 1, record=["one"], ledger=True)
    at_one = analyzer.analyze(X, 1, record=["one"]).recorded["one"]
    assert_same(sum(each.recorded["one"] for each in recorded.values()), at_one)
    assert recorded["channels(0)"].diagnostics.ledger
    inner = analyzer.analyze_parts(X, "two", [0, 1], 1, layer="one")
    assert_same(sum(each.relevance for each in inner.values()), at_one)
    filtered = analyzer.analyze_parts(X, "two", [0, 1, 2, 3], 1, filter={"one": channels(1)})
    expected = analyzer.analyze(X, 1, filter={"one": channels(1)}).relevance
    assert_same(sum(each.relevance for each in filtered.values()), expected)


@pytest.mark.parametrize(
    ("layer", "parts", "options", "message"),
    [
        ("tow", [0], {}, "Did you mean 'two'"),
        ("two", [4], {}, "has 4 channels"),
        ("two", [], {}, "at least one part"),
        ("two", {"elsewhere": 0}, {}, "none called 'elsewhere'"),
        ("two", channels(0), {}, "give a list of parts"),
        ("two", ["first"], {}, "is no part of a layer"),
        ("two", [0], {"filter": {"two": 1}}, "filtered and split"),
        ("one", [0], {"layer": "two"}, "does not lie between two and the target"),
    ],
)
def test_parts_that_cannot_be_are_refused(
    model: nn.Module, layer: str, parts: Any, options: dict[str, Any], message: str
) -> None:
    analyzer: Any = xaicore.create_analyzer("lrp.epsilon", model)
    with pytest.raises((LayerError, ParameterError, InputError), match=message):
        analyzer.analyze_parts(X, layer, parts, 1, **options)


class Attention(nn.Module):
    """Two heads of width 3 over five tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.write, self.head = nn.Linear(6, 18), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.read(x).view(*x.shape[:2], 3, 2, 3).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        x = x + self.write(mixed.transpose(1, 2).flatten(2))
        return self.head(x.mean(1))


def test_heads_of_an_attention_sum_to_the_whole_where_they_share_features_and_where_not() -> None:
    model, x = shaken(Attention()), noise(2, 5, 6)
    analyzer: Any = xaicore.create_analyzer("gradients.input_x_gradient", model)
    whole = analyzer.analyze(x, 1).relevance
    own = analyzer.analyze_parts(x, "scaled_dot_product_attention", {"0": heads(0), "1": heads(1)}, 1)
    shared = analyzer.analyze_parts(x, "flatten", {"0": heads(0, count=2), "1": heads(1, count=2)}, 1)
    assert_same(sum(each.relevance for each in own.values()), whole)
    for name in own:
        assert_same(own[name].relevance, shared[name].relevance)
        assert float(own[name].relevance.abs().max()) > 0


def test_recorded_relevance_is_summed_by_part(model: nn.Module) -> None:
    found = xaicore.explain(model, X, method="lrp.epsilon", target=1, record=["two"])
    values = found.recorded["two"]
    sums = found.relevance_by_part("two", [1, region[:2, 1:3], neurons((0, 1, 2))])
    assert list(sums) == ["channels(1)", "region[:2, 1:3]", "neurons((0, 1, 2))"]
    assert_same(sums["channels(1)"], values[:, 1].sum((1, 2)))
    assert_same(sums["region[:2, 1:3]"], values[:, :, :2, 1:3].sum((1, 2, 3)))
    assert_same(sums["neurons((0, 1, 2))"], values[:, 0, 1, 2])
    parts = found.relevance_by_part(None, {"red": 0, "blue": 1})
    assert_same(parts["red"] + parts["blue"], found.diagnostics.relevance_sum)
    with pytest.raises(LayerError, match="Did you mean 'two'"):
        found.relevance_by_part("tow", [0])
    with pytest.raises(LayerError, match="'two' has 4 channels"):
        found.relevance_by_part("two", [7])
