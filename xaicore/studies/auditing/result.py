"""What an audit found: classes, clusters and samples, as a table, a figure, a page and a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaicore.errors import InputError, nearest
from xaicore.studies.auditing.examples import Example
from xaicore.studies.auditing.records import ClassRecord, ClusterRecord
from xaicore.studies.auditing.samples import Samples, class_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(eq=False, repr=False)
class Audit:
    """What a model looks at in a whole data set, class by class.

    Attributes
    ----------
    classes : list of ClassRecord
        The class whose object the model looks at least comes first; classes without masks come last, unranked.
    clusters : list of ClusterRecord
        The clusters of heatmaps of all classes, the most suspicious first.
    samples : Samples
        Numbers and down-sized maps of all samples, as arrays.
    examples : list of Example
        Thumbnails of some samples of each cluster.
    method, parameters : str, dict
        Of the explanations.
    target : {"true", "predicted"}
        Which class was explained.
    labels : list of str or None
        Names of the classes.
    settings : dict
        ``seed``, ``resolution``, ``clusters``.
    facts : list of (str, str)
        Model, hash of the weights, versions.
    notes : list of str
        What a user should know: what the explanations noted, what was left out, whether it was interrupted.
    """

    classes: list[ClassRecord]
    clusters: list[ClusterRecord]
    samples: Samples
    examples: list[Example]
    method: str
    parameters: dict[str, Any]
    target: str
    labels: list[str] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    facts: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.samples)

    def __getitem__(self, label: int | str) -> ClassRecord:
        """The record of a class, by its number or name."""
        for record in self.classes:
            if label in (record.label, record.name):
                return record
        known = [record.name for record in self.classes]
        raise InputError(f"the audit has no class {label!r}; it has {', '.join(known)}.{nearest(str(label), known)}")

    def clusters_of(self, label: int | str) -> list[ClusterRecord]:
        """The clusters of a class, the largest first."""
        wanted = self[label].label
        return sorted((each for each in self.clusters if each.label == wanted), key=lambda each: each.number)

    def members(self, cluster: ClusterRecord) -> list[int]:
        """Places of the samples of a cluster."""
        places: list[int] = self.samples.of_class(cluster.label, cluster.number).tolist()
        return places

    def name_of(self, label: int) -> str:
        """The name of a class."""
        return class_name(label, self.labels)

    def table(self) -> str:
        """Classes and the most suspicious clusters as text."""
        from xaicore.studies.auditing.tables import as_text

        return as_text(self)

    def plot(self, *, most: int = 6) -> Figure:
        """Draw classes with their intervals, and the most suspicious clusters with their mean maps and samples.

        Parameters
        ----------
        most : int
            How many clusters are drawn.
        """
        from xaicore.studies.auditing.drawing import draw

        return draw(self, most)

    def report(
        self, path: str | PathLike[str], *, title: str = "", command: str = "", code: str = "", data: str = ""
    ) -> Path:
        """Write one HTML file that needs no network, and return its path.

        Parameters
        ----------
        path : str or path
        title : str
            The heading.
        command, code : str
            What makes it again.
        data : str
            Where the samples come from.
        """
        from xaicore.studies.auditing.reporting import write_audit

        return write_audit(self, path, title=title, command=command, code=code, data=data)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write everything to one safetensors file and return its path; nothing in it can run code."""
        from xaicore.studies.auditing.files import save_audit

        return save_audit(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Audit:
        """Read what `save` wrote.

        Raises
        ------
        FileError
            Where the file is missing, damaged, or something else.
        """
        from xaicore.studies.auditing.files import load_audit

        return load_audit(path)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        found = f"{len(self)} samples, {len(self.classes)} classes, {len(self.clusters)} clusters"
        return f"Audit({self.method}; {found}{self._first()})"

    def _first(self) -> str:
        parts: Sequence[str] = [
            *(f"least at the object: {self.classes[0].name}" for each in self.classes[:1] if each.rank is not None),
            *(f"most suspicious: {each.title} ({each.suspicion:.2f})" for each in self.clusters[:1]),
        ]
        return "".join(f"; {part}" for part in parts)
