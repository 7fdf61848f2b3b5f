"""Explanation: what a method found, for a batch of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xaicore.errors import InputError, LayerError, nearest
from xaicore.explanation.diagnostics import Diagnostics, count_non_finite
from xaicore.explanation.notebooks import as_html, as_png
from xaicore.explanation.patterns import relevant_pattern
from xaicore.explanation.plain import plain, plain_index
from xaicore.explanation.pooling import Over, pool, pool_parts
from xaicore.plugins.importing import resolve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tensors = Tensor | Mapping[str, Tensor]
_TARGET_KEYS = ("kind", "labels", "index", "values")


@dataclass(eq=False, repr=False)
class Explanation:
    """The relevance of inputs (or of an inner layer) for the explained outputs of B samples.

    Parameters
    ----------
    relevance : Tensor or dict of str to Tensor
        Like the input it explains, (B, ...); a dict by input name where the model has several inputs.
    prediction : Tensor (B, ...)
        The model output that was explained.
    target : dict
        ``kind`` ("class", "index", "contrast", "callable" or "output"), ``labels`` (one str a sample),
        ``index`` (one int, tuple or None a sample) and ``values`` (B,), the explained scores.
    diagnostics : Diagnostics
        Conservation, non-finite values, fallbacks, notes, ledger.
    method : str
        Canonical name of the method, such as "lrp.epsilon".
    parameters : dict
        The method's parameters as plain data; what JSON cannot hold (a composite, a function) is kept as its repr.
    inputs : Tensor, dict of str to Tensor, or None
        The inputs, where they were kept.
    recorded : dict of str to Tensor
        Relevance at the inner layers that were asked for with ``record=``, by layer name.
    layer : str or None
        The layer whose relevance this is; None for the input.

    Examples
    --------
    >>> explanation.relevance.shape  # doctest: +SKIP
    torch.Size([6, 1, 28, 28])
    >>> explanation[2].plot()  # doctest: +SKIP
    """

    relevance: Tensor | dict[str, Tensor]
    prediction: Tensor
    target: dict[str, Any]
    diagnostics: Diagnostics
    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: Tensor | dict[str, Tensor] | None = None
    recorded: dict[str, Tensor] = field(default_factory=dict)
    layer: str | None = None

    def __post_init__(self) -> None:
        self.relevance = _checked(self.relevance, "relevance")
        self.inputs = None if self.inputs is None else _checked(self.inputs, "inputs")
        self.recorded = dict(self.recorded)
        self.parameters = {str(name): plain(value) for name, value in self.parameters.items()}
        missing = [key for key in _TARGET_KEYS if key not in self.target]
        if missing:
            raise InputError(f"The target of an explanation lacks {missing}; it needs {list(_TARGET_KEYS)}.")
        others = {key: plain(value) for key, value in self.target.items() if key not in _TARGET_KEYS}
        self.target = {
            "kind": str(self.target["kind"]),
            "labels": [str(label) for label in self.target["labels"]],
            "index": [plain_index(index) for index in self.target["index"]],
            "values": torch.as_tensor(self.target["values"]),
        } | others
        lengths = {"labels": len(self.target["labels"]), "index": len(self.target["index"])}
        lengths |= {"values": self.target["values"].numel(), "explained": self.diagnostics.explained.numel()}
        # Of several inputs some need not have the batch in front: the initial state of an LSTM, a shared matrix.
        relevance = {name or "relevance": len(tensor) for name, tensor in named(self.relevance).items()}
        if self.layer is None and len(self) not in relevance.values():
            lengths |= relevance
        if len(set(lengths.values())) > 1:
            raise InputError(f"The parts of an explanation disagree on the number of samples: {lengths}.")

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.target["labels"])

    def __iter__(self) -> Iterator[Explanation]:
        return (self[sample] for sample in range(len(self)))

    def __getitem__(self, which: int | slice | Sequence[int] | Tensor) -> Explanation:
        """Return the explanation of the chosen samples; a single one keeps its batch dimension."""
        samples = torch.arange(len(self))
        if isinstance(which, int) and not -len(self) <= which < len(self):
            raise IndexError(f"Sample {which} does not exist: the explanation has {len(self)} samples.")
        if not isinstance(which, slice):
            which = torch.as_tensor(which).cpu()
            which = which if which.numel() else which.long()  # an empty list has no type of its own
        index = samples[which].reshape(-1)
        stray = [name for name, tensor in self.recorded.items() if tensor.shape[:1] != (len(self),)]
        whole = [name for name, tensor in named(self.relevance).items() if tensor.shape[:1] != (len(self),)]
        if whole:
            place = f"at layer {self.layer!r}" if self.layer is not None else f"of input {whole[0]!r}"
            raise InputError(f"The relevance {place} has no batch dimension in front to select from.")

        def select(tensor: Tensor) -> Tensor:
            return tensor[index.to(tensor.device)] if tensor.shape[:1] == (len(self),) else tensor

        relevance = _mapped(select, self.relevance)
        diagnostics = self.diagnostics.select(index, count_non_finite(named(relevance).values()))
        if stray:
            diagnostics.notes.append(f"recorded layers without a batch dimension in front were left out: {stray}")
        chosen = index.tolist()
        target = self.target | {key: [self.target[key][sample] for sample in chosen] for key in ("labels", "index")}
        return replace(
            self,
            relevance=relevance,
            prediction=select(self.prediction),
            target=target | {"values": select(self.target["values"])},
            diagnostics=diagnostics,
            inputs=None if self.inputs is None else _mapped(select, self.inputs),
            recorded={name: select(tensor) for name, tensor in self.recorded.items() if name not in stray},
        )

    def __repr__(self) -> str:
        labels = self.target["labels"]
        shown = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
        parts = [
            f"{name + ' ' if name else ''}{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
            for name, tensor in named(self.relevance).items()
        ]
        gap = self.diagnostics.conservation_gap
        ending = [f"at layer {self.layer}"] if self.layer else []
        ending += [f"gap {gap.detach().max().item():.2g}"] if gap is not None and gap.numel() else []
        ending += [f"{self.diagnostics.non_finite} non-finite values"] if self.diagnostics.non_finite else []
        return f"Explanation({'; '.join([self.method, f'target {shown}', *parts, *ending])})"

    def detach(self) -> Explanation:
        """Return the explanation cut off from the autograd graph."""
        return self._with_tensors(torch.Tensor.detach)

    def to(self, device: str | torch.device) -> Explanation:
        """Return the explanation with all tensors on `device`."""
        return self._with_tensors(lambda tensor: tensor.to(device))

    def pool(
        self, over: Over, how: str = "sum", *, regions: Any = None, name: str | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Pool relevance over channels, regions, time or words.

        Parameters
        ----------
        over : str, int, or several of them
            "channels" (dimension 1 of three or more), "space" (all dimensions behind the channels), "time" (the
            last dimension), "words" (dimension 1; needs `regions`), or numbers of dimensions. Several are pooled
            jointly: ``over=("channels", "space")`` leaves one value a sample, or one a region.
        how : {"sum", "abs", "norm", "max", "mean", "max_abs"}
            "abs" sums magnitudes, "norm" is the Euclidean norm, "max_abs" the signed value of largest magnitude.
            Only "sum" conserves relevance.
        regions : int, integer tensor, or list, optional
            Pool within regions instead of over everything. An int k: squares of k positions a side (stretches of
            k steps in time), cut off at the border. A map of labels 0, 1, ... shaped like the pooled dimensions
            (or with the batch in front): one value a label. Label -1 (or None in a list) leaves a position out, so
            that ``regions=[encoding.word_ids(i) for i in range(B)]`` sums tokens to words. A label without members
            gives 0 for "sum", "abs" and "norm", NaN otherwise.
        name : str, optional
            Pool only this input of several.

        Returns
        -------
        Tensor or dict of str to Tensor
            The dimensions not pooled, in order, then those of the regions: (B, C, H, W) pooled over "space" with
            ``regions=k`` is (B, C, ceil(H/k), ceil(W/k)); with labels up to S - 1 it is (B, C, S).

        Raises
        ------
        ParameterError, InputError
            For an unknown `over` or `how`; for relevance or labels whose shapes do not fit.
        """
        if name is not None:
            inputs = named(self.relevance)
            if name not in inputs:
                known = [key for key in inputs if key]
                raise InputError(f"No relevance of an input {name!r}; there is {known}.{nearest(name, known)}")
            return pool(inputs[name], over, how, regions)
        pooled: Tensor | dict[str, Tensor] = _mapped(lambda values: pool(values, over, how, regions), self.relevance)
        return pooled

    def relevance_by_part(self, layer: str | None, parts: Mapping[str, Any] | Sequence[Any]) -> dict[str, Tensor]:
        """Sum the relevance at a layer within parts of it: channels, a region, heads, neurons.

        Parameters
        ----------
        layer : str or None
            One of ``recorded``, or an input of several; None for the relevance itself.
        parts : list or dict by name
            Parts as `xaicore.channels`, `region`, `heads` and `neurons` name them; a number is a channel.

        Returns
        -------
        dict of str to Tensor (B,)
            By the names that were given, or as the parts are written: ``"channels(3, 5)"``.

        Raises
        ------
        LayerError
            The layer was not recorded, or has no such part.
        """
        tensors, name = named(self.relevance) | self.recorded, layer or ""
        if name not in tensors:
            known = [key for key in tensors if key]
            raise LayerError(
                f"the explanation has no relevance of a layer {layer!r}; it has: {', '.join(known) or 'none'}. "
                f"Ask for layers with record=[...].{nearest(name, known)}"
            )
        return pool_parts(tensors[name], parts, layer or self.layer or "input")

    def relevant_pattern(
        self,
        keep: float = 0.8,
        *,
        quantile: float | None = None,
        blur: float = 0.0,
        fill: float | str | Tensor | Mapping[str, Any] = 0.0,
        inputs: Any = None,
    ) -> Tensor | dict[str, Tensor]:
        """Return the inputs with only those positions left that carry the most relevance.

        The relevance of a position is summed over channels. Positions without positive relevance never stay, so that
        of a sample without any nothing does. All inputs of the model share one threshold in each sample.

        Parameters
        ----------
        keep : float
            The smallest set of positions stays that carries this share of the positive relevance, and with the last
            of them all that are as relevant.
        quantile : float, optional
            Instead of ``keep``: what reaches this quantile of all positions stays; 0.9 leaves the upper tenth.
        blur : float
            Smooth the relevance first, with a Gaussian of this standard deviation, in positions.
        fill : float, Tensor, {"mean", "blur"} or dict by input name
            What is shown elsewhere: a value or a tensor that broadcasts to the input; the mean of each channel; or the
            input itself, blurred to a tenth of its size. Tokens take the number of a token.
        inputs : optional
            What was explained, where the explanation does not keep it.

        Returns
        -------
        Tensor or dict of str to Tensor
            Like the inputs; those that were not explained (a mask) as they are.

        Raises
        ------
        InputError, ParameterError
            For relevance of an inner layer, or that is not finite; inputs or a fill that do not fit; a share or
            quantile out of range.

        References
        ----------
        Montavon, Samek and Mueller 2018, "Methods for interpreting and understanding deep neural networks".
        """
        return relevant_pattern(self, keep, quantile=quantile, blur=blur, fill=fill, inputs=inputs)

    def plot(self, **options: Any) -> Figure:
        """Draw the explanation; see `xaicore.visualization.plot_explanation` for the options."""
        # Pictures are a room above this one: it is named here, and imported when a picture is asked for.
        figure: Figure = resolve("xaicore.visualization:plot_explanation")(self, **options)
        return figure

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the explanation to one safetensors file and return its path; see `xaicore.load_explanation`."""
        from xaicore.explanation.files import save_explanation

        return save_explanation(self, path)

    @classmethod
    def concat(cls, parts: Sequence[Explanation]) -> Explanation:
        """Join the explanations of batch chunks, made by one method, in order."""
        from xaicore.explanation.joining import concat

        return concat(parts)

    def _repr_png_(self) -> bytes:
        return as_png(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def _with_tensors(self, change: Callable[[Tensor], Tensor]) -> Explanation:
        checks = self.diagnostics
        gap, reference = checks.conservation_gap, checks.reference
        return replace(
            self,
            relevance=_mapped(change, self.relevance),
            prediction=change(self.prediction),
            target=self.target | {"values": change(self.target["values"])},
            diagnostics=replace(
                checks,
                explained=change(checks.explained),
                relevance_sum=change(checks.relevance_sum),
                conservation_gap=None if gap is None else change(gap),
                reference=None if reference is None else change(reference),
            ),
            inputs=None if self.inputs is None else _mapped(change, self.inputs),
            recorded={name: change(tensor) for name, tensor in self.recorded.items()},
        )


def named(tensors: Tensors) -> dict[str, Tensor]:
    """Return tensors by name; a single tensor has the name ""."""
    return {"": tensors} if isinstance(tensors, Tensor) else dict(tensors)


def _mapped(change: Callable[[Tensor], Tensor], tensors: Tensors) -> Any:
    if isinstance(tensors, Tensor):
        return change(tensors)
    return {name: change(tensor) for name, tensor in tensors.items()}


def _checked(tensors: Any, what: str) -> Any:
    if isinstance(tensors, Tensor):
        if tensors.ndim == 0:
            raise InputError(f"The {what} of an explanation needs a batch dimension; it is a single number.")
        return tensors
    if isinstance(tensors, Mapping) and tensors and all(isinstance(entry, Tensor) for entry in tensors.values()):
        return {str(name): _checked(tensor, f"{what} of input {name!r}") for name, tensor in tensors.items()}
    raise InputError(f"The {what} of an explanation is a tensor or a dict of tensors by name, not {type(tensors)}.")
