"""Reports that tests of the page share: small, and with values that can be told by hand."""

from __future__ import annotations

import numpy as np

from xaicore.reports import CurveView, MapView, MetricView, Report, SampleView, TableView

COLUMNS = ("lrp.zero", "gradients.saliency")
NAMES = ("photo_10.png", "photo_2.png", "photo_1.png", "other.png", "photo_3.png", "photo_20.png")
TRUE = ("cat", "cat", "dog", "dog", "class 10", "class 2")
PREDICTED = ("cat", "dog", "dog", "cat", "class 10", "class 2")
CONFIDENCE = (0.9, 0.6, 0.95, 0.35, 0.5, None)
SCORES = (3.0, -1.0, 2.0, 10.0, 0.5, 1.0)
HOSTILE = (
    "<script>window.broken = 1</script>",
    '"><img src=x onerror="window.broken = 2">',
    "</script><script>window.broken = 3</script>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u2028\u2029\u202edesrever\u0000",
    '=HYPERLINK("http://example.org","x"),\'+1',
    "&lt;b&gt;&amp;",
    "\udcff lone surrogate",
)


def maps_of(number: int) -> dict[str, MapView]:
    """Map 1 reaches to 1 + number; map 2 is ten times as large. The first sample's second map has a NaN."""
    first = np.array([[1.0, -1.0], [0.0, 0.5]]) * (1 + number)
    second = first * 10
    if number == 0:
        second[1, 0] = np.nan
    score = SCORES[number]
    return {
        COLUMNS[0]: MapView(relevance=first, explained=f"class {number}", score=score, gap=0.001 * 10**number),
        COLUMNS[1]: MapView(relevance=second, score=-score, non_finite=int(number == 0), notes=("softmax stripped",)),
    }


def samples() -> list[SampleView]:
    return [
        SampleView(
            name=name,
            maps=maps_of(number),
            picture=np.full((4, 4, 3), [0.0, 0.5, 1.0]),
            true=TRUE[number],
            predicted=PREDICTED[number],
            confidence=CONFIDENCE[number],
            cluster=f"all / {number % 2}",
            position=(float(number % 3), float(number // 3)),
            scores={"gini": {COLUMNS[0]: 0.1 * number, COLUMNS[1]: 1 - 0.1 * number}},
            facts={"camera": f"no. {number}"},
        )
        for number, name in enumerate(NAMES)
    ]


def report() -> Report:
    """Every part that a page may have."""
    metrics = [
        MetricView(metric="flipping", column="lrp.zero", mean=0.2, low=0.1, high=0.3, better="lower", samples=6),
        MetricView(
            metric="flipping", column="gradients.saliency", mean=0.5, low=0.4, high=0.6, better="lower", samples=4,
            undefined=2,
        ),
        MetricView(metric="gini", column="lrp.zero", mean=0.25, low=0.2, high=0.3, better="higher", samples=6),
        MetricView(
            metric="gini", column="gradients.saliency", mean=0.75, low=0.7, high=0.8, better="higher", samples=6
        ),
    ]  # fmt: skip
    curve = CurveView(
        title="Flipping",
        x_label="share flipped",
        y_label="score",
        x=[0.0, 0.25, 0.5, 1.0],
        lines={"lrp.zero": [1.0, 0.5, 0.25, 0.0], "gradients.saliency": [1.0, 0.8, float("nan"), 0.4]},
        bands={"lrp.zero": ([0.9, 0.4, 0.2, 0.0], [1.0, 0.6, 0.3, 0.1])},
    )
    table = TableView(
        title="Classes",
        columns=["class", "accuracy"],
        rows=[["class 10", 0.5], ["class 2", None], ["class 1", 1.0], ["class 3", 0.75]],
        caption="How often each class is right.",
    )
    return Report(
        title="A report of everything",
        lead="What a test needs.",
        facts=[("model", "nets.Residual"), ("weights (SHA-256)", "ab" * 32)],
        command="xaicore compare nets:Residual photos",
        code="import xaicore",
        samples=samples(),
        columns=COLUMNS,
        metrics=metrics,
        curves=[curve],
        tables=[table],
        notes=["one file was left out"],
    )


def words_report() -> Report:
    relevance = np.array([2.0, -1.0, np.nan, 0.5])
    view = MapView(relevance=relevance, explained="good", score=1.5, gap=0.2, non_finite=1)
    return Report(
        title="Words",
        samples=[SampleView(name="review", words=("fine", "not", "odd", "film"), maps={"lrp.zero": view})],
    )


def hostile_report(texts: tuple[str, ...] = HOSTILE) -> Report:
    """Every text of a report is one that would do harm as HTML, in a script or in a spreadsheet."""
    values = np.arange(len(texts), dtype=float)
    text = "".join(texts)
    note = "do not trust this explanation: " + text
    made = [
        SampleView(
            name=bad,
            words=texts,
            predicted=bad,
            true=bad + "!",
            confidence=0.5,
            facts={bad: bad},
            scores={bad: {text: 1.0}},
            cluster=f"{bad} / {bad}",
            position=(float(number), 0.0),
            maps={
                text: MapView(relevance=values, explained=bad, notes=(bad, note)),
                "none": MapView(relevance=None, reason=bad),
            },
        )
        for number, bad in enumerate(texts)
    ]
    return Report(
        title=text,
        lead=text,
        facts=[(text, text)],
        command=text,
        code=text,
        samples=made,
        columns=[text, "none"],
        metrics=[MetricView(metric=text, column=text, mean=1.0, low=0.0, high=2.0, samples=1, note=text)],
        curves=[CurveView(title=text, x_label=text, y_label=text, x=[0, 1], lines={text: [0, 1]}, caption=text)],
        tables=[TableView(title=text, columns=[text], rows=[[text], [None]], caption=text)],
        notes=[text, note],
    )
