"""How far an explanation can be trusted: conservation, non-finite values, fallbacks, the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation.plain import from_json, plain, to_json

GAP_WORTH_A_WARNING = 0.01
CANCELLATION_WORTH_A_NOTE = 100.0
CAUTION = "do not trust this explanation: "
_TINY = torch.finfo(torch.float32).tiny
_ABSORBERS = ("bias", "stabilizer", "elsewhere", "unaccounted")
_ROW_NAMES = ("layer", "kind", "module_path")


@dataclass(eq=False)
class Diagnostics:
    """What is known about the quality of one explanation of B samples.

    Parameters
    ----------
    explained : Tensor (B,)
        Value of the explained quantity, in the model's output units.
    relevance_sum : Tensor (B,)
        Sum of the relevance of each sample, over all inputs.
    conservation_gap : Tensor (B,) or None
        ``|explained - relevance_sum| / |explained|``; None for methods that do not promise conservation. Where there
        is a reference, ``explained - reference`` stands for ``explained``: completeness.
    non_finite : int
        How many relevance values are NaN or infinite.
    fallbacks : list of str
        Layers that were handled by a fallback, and by which.
    notes : list of str
        Whatever else a user should know (a softmax head was stripped, ...). One that begins with "do not trust this
        explanation: " is a warning.
    reference : Tensor (B,) or None
        The explained quantity at a baseline, for methods whose relevance explains the difference to it.
    ledger : list of dict or None
        One row a layer, in the order of the walk: ``layer``, ``kind``, ``module_path`` and, summed over the batch,
        ``relevance_in``, ``relevance_out``, ``bias``, ``stabilizer``, ``elsewhere`` (what went to inputs that are not
        explained), ``unaccounted``.
    """

    explained: Tensor
    relevance_sum: Tensor
    conservation_gap: Tensor | None = None
    non_finite: int = 0
    fallbacks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ledger: list[dict[str, Any]] | None = None
    reference: Tensor | None = None

    @classmethod
    def measure(
        cls,
        relevance: Tensor | Mapping[str, Tensor],
        explained: Tensor,
        *,
        conserving: bool,
        fallbacks: Iterable[str] = (),
        notes: Iterable[str] = (),
        ledger: list[dict[str, Any]] | None = None,
        reference: Tensor | None = None,
    ) -> Self:
        """Take the numbers from the relevance itself; `conserving` says whether the method promises conservation."""
        parts = list(relevance.values()) if isinstance(relevance, Mapping) else [relevance]
        parts = [part.detach() for part in parts]
        explained = explained.detach()
        notes = list(notes)
        if any(part.shape[:1] != explained.shape for part in parts):
            notes.append("relevance has no batch dimension in front: its sum per sample was not measured")
            relevance_sum = torch.full_like(explained, math.nan)
            conserving = False
        else:
            precision = torch.float32 if explained.device.type == "mps" else torch.float64
            total = sum(part.reshape(len(part), -1).sum(1, dtype=precision) for part in parts)
            relevance_sum = torch.as_tensor(total, device=explained.device)  # the inputs may live elsewhere
        goal = explained if reference is None else explained - reference.detach()
        gap = (goal - relevance_sum).abs() / goal.abs().clamp_min(_TINY) if conserving else None
        if conserving and parts and reference is None:
            notes += _cancellation(parts, explained)
        # A sum is finite only where all of it is, and was taken already.
        non_finite = 0 if bool(torch.isfinite(relevance_sum).all()) else count_non_finite(parts)
        return cls(explained, relevance_sum, gap, non_finite, list(fallbacks), notes, ledger, reference)

    def warnings(self) -> list[str]:
        """Say, one sentence each, what makes the explanation less trustworthy; empty when nothing does."""
        found = []
        if self.non_finite:
            found.append(f"{self.non_finite} relevance values are NaN or infinite: do not read them as relevance.")
        if self.conservation_gap is not None and self.conservation_gap.numel():
            worst, sample = _worst(self.conservation_gap)
            if not worst <= GAP_WORTH_A_WARNING:  # so that NaN warns too
                found.append(self._gap_warning(f"by {_percent(worst)} in the worst sample (number {sample})"))
        if self.fallbacks:
            found.append(f"{len(self.fallbacks)} layers were handled by a fallback: {'; '.join(self.fallbacks)}.")
        found += [note for note in self.notes if note.startswith(CAUTION)]
        return found

    def summary(self) -> str:
        """Return the diagnostics as aligned lines of text for a terminal."""
        lines = [
            ("samples", str(len(self.explained))),
            ("explained value", _spread(self.explained)),
            ("relevance sum", _spread(self.relevance_sum)),
            ("conservation gap", "not promised by this method"),
            ("non-finite values", str(self.non_finite) if self.non_finite else "none"),
            ("fallbacks", "; ".join(self.fallbacks) or "none"),
        ]
        if self.conservation_gap is not None and self.conservation_gap.numel():
            worst, sample = _worst(self.conservation_gap)
            lines[3] = ("conservation gap", f"worst {worst:.3g} (sample {sample})")
        if self.reference is not None:
            lines.insert(2, ("at the baseline", _spread(self.reference)))
        lines += [("note", note) for note in self.notes if not note.startswith(CAUTION)]
        lines += [("warning", warning) for warning in self.warnings()]
        text = "\n".join(f"{name:<18} {value}" for name, value in lines)
        return f"{text}\n{self._ledger_table()}" if self.ledger else text

    def _gap_warning(self, extent: str) -> str:
        if self.reference is None:
            return f"Relevance is not conserved: it misses the explained value {extent}. {self._where_it_went()}"
        return (
            f"Relevance is not complete: it misses the difference to the value at the baseline {extent}. Methods that "
            "take steps or samples come closer with more of them."
        )

    def _where_it_went(self) -> str:
        if not self.ledger:
            return "Where it went is not known: ask for the ledger."
        shares = {name: sum(float(row.get(name, 0.0)) for row in self.ledger) for name in self._shown_absorbers()}
        top = max(self.ledger, key=_absorbed)
        place = f" ({top['module_path']})" if top.get("module_path") else ""
        parts = ", ".join(f"{name} {value:.3g}" for name, value in shares.items())
        return f"Summed over the batch: {parts}; most of it at layer {top['layer']}{place}."

    def _shown_absorbers(self) -> list[str]:
        """The columns of the ledger; most models have no inputs that relevance could go to without being explained."""
        used = any(row.get("elsewhere") for row in self.ledger or [])
        return [name for name in _ABSORBERS if used or name != "elsewhere"]

    def _ledger_table(self, rows: int = 8) -> str:
        largest = sorted(self.ledger or [], key=_absorbed, reverse=True)[:rows]
        absorbers = self._shown_absorbers()
        header = f"{'layer':<20} {'module':<28} {'in':>11} {'out':>11}" + "".join(f" {n:>11}" for n in absorbers)
        lines = [f"ledger (of {len(self.ledger or [])} layers, those that absorbed most)", header]
        for row in largest:
            numbers = (float(row.get(name, 0.0)) for name in ("relevance_in", "relevance_out", *absorbers))
            cells = "".join(f" {number:>11.4g}" for number in numbers)
            lines.append(f"{row['layer']:<20} {row.get('module_path') or '-':<28}{cells}")
        return "\n".join(lines)

    def select(self, index: Tensor, non_finite: int) -> Diagnostics:
        """Return the diagnostics of the samples at `index` (K,); the ledger, a sum over the batch, is left out."""
        notes = list(self.notes)
        if self.ledger is not None:
            notes.append(f"the ledger is a sum over {len(self.explained)} samples: it was left out of a selection")
        explained, total, gap, reference = (
            None if tensor is None else tensor[index.to(tensor.device)]
            for tensor in (self.explained, self.relevance_sum, self.conservation_gap, self.reference)
        )
        assert explained is not None and total is not None
        return Diagnostics(explained, total, gap, non_finite, list(self.fallbacks), notes, reference=reference)

    @classmethod
    def concat(cls, parts: Sequence[Diagnostics]) -> Diagnostics:
        """Join the diagnostics of batch chunks: tensors in order, counts and ledgers added, texts without repeats."""
        if not parts:
            raise InputError("Diagnostics.concat was given an empty list: pass one entry a chunk.")
        gaps = [part.conservation_gap for part in parts if part.conservation_gap is not None]
        references = [part.reference for part in parts if part.reference is not None]
        ledgers = [part.ledger for part in parts if part.ledger is not None]
        return Diagnostics(
            torch.cat([part.explained for part in parts]),
            torch.cat([part.relevance_sum for part in parts]),
            torch.cat(gaps) if len(gaps) == len(parts) else None,
            sum(part.non_finite for part in parts),
            list(dict.fromkeys(text for part in parts for text in part.fallbacks)),
            list(dict.fromkeys(text for part in parts for text in part.notes)),
            _add_ledgers(ledgers) if len(ledgers) == len(parts) else None,
            torch.cat(references) if len(references) == len(parts) else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return standard JSON data; tensors as lists, with their dtype, NaN and infinity as ``{"$float": "nan"}``."""

        def encoded(tensor: Tensor | None) -> Any:
            if tensor is None:
                return None
            return {"dtype": plain(tensor.dtype), "values": to_json(tensor.detach().tolist())}

        names = ("explained", "relevance_sum", "conservation_gap", "reference")
        return {name: encoded(getattr(self, name)) for name in names} | self.texts()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Diagnostics:
        """Undo `to_dict`."""

        def tensor(name: str) -> Any:
            entry = from_json(data.get(name))
            if entry is None:
                return None
            return torch.tensor(entry["values"], dtype=getattr(torch, entry["dtype"].removeprefix("torch.")))

        tensors = (tensor(name) for name in ("explained", "relevance_sum", "conservation_gap", "reference"))
        return cls.from_parts(data, *tensors)

    def texts(self) -> dict[str, Any]:
        """Return everything but the tensors as standard JSON data."""
        names = ("non_finite", "fallbacks", "notes", "ledger")
        return {name: to_json(plain(getattr(self, name))) for name in names}

    @classmethod
    def from_parts(
        cls,
        texts: Mapping[str, Any],
        explained: Tensor,
        total: Tensor,
        gap: Tensor | None = None,
        reference: Tensor | None = None,
    ) -> Diagnostics:
        """Put together what `texts` and the tensors hold."""
        names = ("non_finite", "fallbacks", "notes", "ledger")
        others = {name: from_json(texts[name]) for name in names}
        return cls(explained, total, gap, reference=reference, **others)


def _cancellation(parts: Sequence[Tensor], explained: Tensor) -> list[str]:
    """A note where relevance of both signs is far larger than what it sums to: then the sum says little."""
    size = sum((part.reshape(len(part), -1).abs().sum(1) for part in parts), torch.zeros(()))
    times = torch.as_tensor(size).to(explained.device) / explained.abs().clamp_min(_TINY)
    if not times.numel() or not float(times.max()) >= CANCELLATION_WORTH_A_NOTE:
        return []
    return [
        f"positive and negative relevance cancel: together they are up to {float(times.max()):.2g} times the explained "
        "value, so that small denominators may have drawn the picture. A larger epsilon is steadier, and so are rules "
        "that keep positive and negative contributions apart in the layers where they cancel (z-plus, gamma)"
    ]


def count_non_finite(tensors: Iterable[Tensor]) -> int:
    """Return how many values of all tensors together are NaN or infinite."""
    return sum(int((~torch.isfinite(tensor.detach())).sum()) for tensor in tensors)


def _absorbed(row: Mapping[str, Any]) -> float:
    total = sum(abs(float(row.get(name, 0.0))) for name in _ABSORBERS)
    return math.inf if math.isnan(total) else total


def _add_ledgers(ledgers: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in (row for ledger in ledgers for row in ledger):
        key = tuple(entry.get(name) for name in _ROW_NAMES)
        known = rows.setdefault(key, {name: value for name, value in entry.items() if name in _ROW_NAMES})
        for name in entry.keys() - set(_ROW_NAMES):
            known[name] = known.get(name, 0.0) + float(entry[name])
    return list(rows.values())


def _worst(gap: Tensor) -> tuple[float, int]:
    """The largest gap and its sample; NaN counts as the largest."""
    sample = int(gap.detach().argmax())
    return float(gap[sample]), sample


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.3g} %" if math.isfinite(ratio) else str(ratio)


def _spread(values: Tensor) -> str:
    if not values.numel():
        return "no samples"
    low, high = values.detach().min().item(), values.detach().max().item()
    return f"{low:.6g}" if len(values) == 1 else f"{low:.6g} to {high:.6g}"
