"""`xaicore.audit`: explanations of a whole data set, and what they have in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from xaicore.analyzers import Analyzer, create_analyzer
from xaicore.analyzers.jobs import engine_of
from xaicore.analyzers.streaming import explained_batches
from xaicore.engine import Batch
from xaicore.errors import ParameterError
from xaicore.studies.auditing.batches import LabelledBatch, LabelledBatches
from xaicore.studies.auditing.concluding import concluded
from xaicore.studies.auditing.recording import Recording
from xaicore.studies.auditing.result import Audit
from xaicore.studies.auditing.settings import Settings
from xaicore.studies.auditing.spool import Spool


def audit(
    model: Any,
    data: Any,
    *,
    method: str | Analyzer = "lrp.epsilon_plus",
    target: str = "true",
    inputs: Any = None,
    true: Any = None,
    masks: Any = None,
    boxes: Any = None,
    names: Any = None,
    labels: Sequence[str] | None = None,
    classes: Sequence[int | str] | None = None,
    clusters: int | str = "auto",
    resolution: int = 16,
    embedding: str = "pca",
    mean: Any = None,
    std: Any = None,
    input_name: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Audit:
    """Explain a whole data set, and tell which classes the model recognises by something else than the object.

    Goes through the data once. Of each sample a few numbers and a down-sized heatmap stay in memory, about a kilobyte.
    The heatmaps of each class are clustered (SpRAy), which finds strategies that rely on an artefact without being told
    where the object is; with masks or boxes, classes are ranked by how little the model looks at the object.

    Parameters
    ----------
    model : torch.nn.Module
        A classifier, whose output is (B, classes).
    data : iterable of batches, Dataset, tuple or dict
        Batches ``(inputs, classes)`` or ``(inputs, classes, masks)``, or dicts of these, as a DataLoader yields them;
        or one such tuple or dict with all samples.
    method : str or Analyzer
        How samples are explained.
    target : {"true", "predicted"}
        Which class is explained: with "true" everything is about what a class looks like, with "predicted" about why
        the model says it.
    inputs, true, masks, boxes, names : int, str, callable or list, optional
        Where in a batch these are, by position or key; see `xaicore.batches`. Masks are not zero inside the object;
        boxes are (x1, y1, x2, y2) in pixels, one for each sample, several, or none.
    labels : sequence of str, optional
        Names of the classes.
    classes : sequence of int or str, optional
        Leave samples of all other true classes out.
    clusters : int or "auto"
        How many clusters each class is divided into; "auto" follows the eigengap.
    resolution : int
        Sides of the down-sized heatmaps, from 2 to 64.
    embedding : {"pca", "tsne"}
        How samples are laid out in the plane.
    mean, std : float or one a channel, optional
        What images were normalised with, to show them as they were.
    input_name : str, optional
        Which input to look at, where the model has several.
    seed : int
        Of k-means, of t-SNE and of the bootstrap.
    **options
        ``engine=``, ``batch_size=``, ``progress=``, and further options of ``analyze``.

    Returns
    -------
    Audit
        After Ctrl-C, of the samples that were finished; its notes say so.

    Raises
    ------
    ParameterError, InputError
        Before anything runs, as far as it can be known.

    References
    ----------
    Lapuschkin, Waeldchen, Binder, Montavon, Samek and Mueller 2019, "Unmasking Clever Hans predictors and assessing
    what machines really learn".

    Examples
    --------
    >>> found = audit(model, loader, labels=names)  # doctest: +SKIP
    >>> print(found.clusters[0].title, found.clusters[0].why)  # doctest: +SKIP
    """
    settings = Settings(target, clusters, seed, resolution, embedding, labels, classes)
    if "layer" in options:
        raise ParameterError("an audit looks at the relevance of inputs: leave layer= out")
    analyzer = create_analyzer(method, model) if isinstance(method, str) else method
    if analyzer.model is not model:
        raise ParameterError(f"{analyzer!r} belongs to another model than the one that is audited")
    engine = engine_of(options)
    selectors = {"inputs": inputs, "true": true, "masks": masks, "boxes": boxes, "names": names}
    at_once = engine.batch_size if isinstance(engine.batch_size, int) else None
    stream = _Remembering(LabelledBatches(data, selectors, settings.numbers, at_once), target)
    with Spool() as spool:
        recording = Recording(spool, target, resolution, mean, std, input_name)
        for explanation in explained_batches(analyzer, stream, engine=engine, **options):
            recording.add(stream.waiting.popleft(), explanation)
        notes = [f"interrupted: only the first {len(recording)} samples"] if engine.report.interrupted else []
        return concluded(recording, settings, facts_of(analyzer), notes)


def facts_of(analyzer: Analyzer) -> list[tuple[str, str]]:
    """What tells this run from another: the model, its weights, the method, versions."""
    from xaicore.reports import facts_about

    return facts_about(analyzer.model, methods=[analyzer])


class _Remembering:
    """A stream of batches to explain, which keeps what else is known of those that are on their way."""

    def __init__(self, data: LabelledBatches, target: str) -> None:
        self._data, self._target = data, target
        self.waiting: deque[LabelledBatch] = deque()

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._data:
            self.waiting.append(batch)
            yield Batch(batch.inputs, batch.true if self._target == "true" else None)

    def __len__(self) -> int:
        return len(self._data)
