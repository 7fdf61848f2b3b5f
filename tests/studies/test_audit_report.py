"""An audit as a table, a figure and a page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import xaicore
from xaicore.errors import ParameterError
from xaicore.studies.auditing import examples
from xaicore.studies.auditing.tables import as_data, sample_rows


@pytest.fixture(scope="module")
def found() -> xaicore.Audit:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))
    images, classes = torch.rand(60, 3, 10, 10), torch.arange(60) % 3
    masks = torch.zeros(60, 10, 10, dtype=torch.bool)
    masks[:, 2:8, 2:8] = True
    names = [f"<b>{number}</b>.png" for number in range(60)]
    data: Any = {"x": images, "y": classes, "masks": masks, "names": names}
    return xaicore.audit(model, data, method="gradients.input_x_gradient", labels=["cat", "dog", "<i>cow"], clusters=2)


def test_a_table_tells_classes_clusters_spectra_and_notes(found: xaicore.Audit) -> None:
    text = str(found)
    assert "RANK" in text and "SUSPICION" in text and "EIGENVALUES" in text and "2 clusters, as asked for" in text
    assert text.index(found.classes[0].name) < text.index("Clusters of heatmaps")
    assert "least at the object" in repr(found)


def test_every_sample_is_in_one_cluster_of_its_class(found: xaicore.Audit) -> None:
    places = [place for record in found.clusters for place in found.members(record)]
    assert sorted(places) == list(range(60))
    for record in found.clusters:
        assert len(found.members(record)) == record.size
        assert {int(found.samples.explained[place]) for place in found.members(record)} == {record.label}
    assert [each.number for each in found.clusters_of("dog")] == [1, 2]


def test_a_mean_map_is_the_mean_of_normalised_maps(found: xaicore.Audit) -> None:
    record = found.clusters[0]
    maps = found.samples.maps[found.members(record)].astype(np.float64)
    expected = (maps / np.abs(maps).sum((1, 2), keepdims=True)).mean(0)
    np.testing.assert_allclose(record.mean_map, expected, rtol=1e-6)


def test_data_for_scripts_hold_no_nan(found: xaicore.Audit) -> None:
    data = as_data(found)
    assert [each["name"] for each in data["classes"]] == [record.name for record in found.classes]
    assert sum(len(each["members"]) for each in data["clusters"]) == 60
    assert "nan" not in repr(data).lower().replace("names", "")
    rows = list(sample_rows(found))
    assert len(rows) == 60 and rows[3]["name"] == "<b>3</b>.png" and rows[3]["true"] == "cat"


def test_the_figure_shows_as_many_clusters_as_asked_for(found: xaicore.Audit, tmp_path: Any) -> None:
    figure = found.plot(most=4)
    assert isinstance(figure, Figure)
    titles = [ax.get_title() for ax in figure.axes]
    assert sum("suspicion" in title for title in titles) == 4
    figure.savefig(tmp_path / "a.png")
    with pytest.raises(ParameterError, match="most=0"):
        found.plot(most=0)


def test_a_page_shows_samples_of_each_cluster_and_text_stays_text(found: xaicore.Audit, tmp_path: Any) -> None:
    page = found.report(tmp_path / "page.html", title="A <u>title", command="xaicore audit", data="some images")
    text = page.read_text(encoding="utf-8")
    assert "A &lt;u&gt;title" in text and "<b>3</b>" not in text and "<i>cow" not in text
    assert "60 of 60 samples are shown" in text and "weights (SHA-256)" in text and "some images" in text


def test_examples_are_spread_over_clusters_and_are_not_too_many(
    found: xaicore.Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Everything:
        def __getitem__(self, place: int) -> Any:
            return None

    for most in (300, 24, 12, 5, 0):
        chosen = examples.chosen_examples(found.samples, found.clusters, Everything(), most)  # type: ignore[arg-type]
        assert len(chosen) == min(most, 60) or most == 300
        assert len({each.place for each in chosen}) == len(chosen)
    first = found.clusters[0]
    chosen = examples.chosen_examples(found.samples, found.clusters, Everything(), 12)  # type: ignore[arg-type]
    rows = found.samples.maps[found.members(first)].reshape(first.size, -1).astype(np.float64)
    rows /= np.abs(rows).sum(1, keepdims=True)
    nearest = ((rows - rows.mean(0)) ** 2).sum(1).argmin()
    assert chosen[0].place == found.members(first)[nearest]  # the most typical comes first
