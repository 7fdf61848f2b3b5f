"""Models as their authors wrote them, seeded, with weights that exercise everything: for tests across packages.

Nothing is downloaded and no model class is changed. Only the weights are ours: what libraries initialise to a constant
(biases, scales, heads) gets a little noise, and batch norm gets statistics near those of its real inputs, so that a
bias forgotten or a statistic folded the wrong way shows in the numbers.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

SEED = 20240229
CLASSES = 10
VOCABULARY = 97
BATCH = 2

_torchvision_operators: torch.library.Library | None = None  # must outlive the import, or its operators vanish


def import_torchvision() -> Any:
    """Import torchvision, also where its compiled operators do not load (none of the classifiers uses them)."""
    global _torchvision_operators
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        _torchvision_operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"):
            _torchvision_operators.define(f"{name}(Tensor boxes) -> Tensor")
            _torchvision_operators.define(f"_{name}_backward(Tensor grad) -> Tensor")
        return importlib.import_module("torchvision")


@contextlib.contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Draw from a known seed inside, and leave the global random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def randomise_constants(model: nn.Module, scale: float = 0.1) -> None:
    """Add noise to every parameter that is one constant: zero biases, unit scales, layer scales of 1e-6, zero heads."""
    with torch.no_grad():
        for parameter in model.parameters():
            if bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(torch.randn_like(parameter), alpha=scale)


def calibrate_batch_norm(model: nn.Module, *inputs: Tensor) -> None:
    """Set the running statistics to those of `inputs`, then off by a random tenth: no one's default."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        model(*inputs)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            spread = norm.running_var.clamp(min=1e-3).sqrt()
            norm.running_mean.add_(torch.randn_like(spread) * spread, alpha=0.1)
            norm.running_var.copy_(spread.square() * torch.empty_like(spread).uniform_(0.9, 1.1))
            norm.num_batches_tracked.fill_(1)


@dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    Attributes
    ----------
    factory
        Makes the model, with whatever weights its library gives it.
    size
        Height and width of the image it gets here; 0 for token models.
    target
        What is explained: None for the predicted class, a tuple for outputs of several dimensions.
    tags
        "lrp": every relevance rule must know its layers. "tokens": its inputs are integers.
    """

    name: str
    factory: Callable[[], nn.Module]
    size: int = 0
    keyword: str = ""
    target: tuple[int, ...] | None = None
    tags: frozenset[str] = frozenset()

    def build(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return the model in eval mode: the same weights at every call."""
        with seeded():
            model = self.factory()
            randomise_constants(model)
            if self.size:
                calibrate_batch_norm(model, _images(8, self.size))
        return model.to(dtype).eval()

    def inputs(self, dtype: torch.dtype = torch.float32, batch: int = BATCH) -> Tensor | dict[str, Tensor]:
        """Return what the model is explained on: images, or token numbers (with a mask where `keyword` says so)."""
        with seeded(SEED + 1):
            if self.size:
                images = _images(batch, self.size).to(dtype)
                return {self.keyword: images} if self.keyword else images
            tokens = torch.randint(5, VOCABULARY, (batch, 7))
        if self.keyword != "attention_mask":
            return {"input_ids": tokens}
        mask = torch.ones_like(tokens)
        mask[-1, 5:] = 0
        return {"input_ids": tokens, "attention_mask": mask}


def _images(batch: int, size: int) -> Tensor:
    """Noise on two scales: neither constant over space nor white."""
    coarse = nn.functional.interpolate(torch.randn(batch, 3, 4, 4), size=(size, size), mode="nearest")
    return coarse + 0.5 * torch.randn(batch, 3, size, size)


def _vision(name: str, size: int, *tags: str, **options: Any) -> Entry:
    def factory() -> nn.Module:
        return getattr(import_torchvision().models, name)(weights=None, num_classes=CLASSES, **options)

    return Entry(name, factory, size, tags=frozenset(tags))


def _swin(version: int) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        torchvision = import_torchvision()
        swin = torchvision.models.swin_transformer
        block = {1: swin.SwinTransformerBlock, 2: swin.SwinTransformerBlockV2}[version]
        merging = {1: swin.PatchMerging, 2: swin.PatchMergingV2}[version]
        return torchvision.models.SwinTransformer(
            patch_size=[4, 4], embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=CLASSES,
            stochastic_depth_prob=0.2, block=block, downsample_layer=merging,
        )  # fmt: skip

    return factory


def _max_vit() -> nn.Module:
    maxvit = import_torchvision().models.maxvit
    return maxvit.MaxVit(
        input_size=(64, 64), stem_channels=8, partition_size=2, block_channels=[8, 16],
        block_layers=[1, 1], head_dim=8, stochastic_depth_prob=0.2, num_classes=CLASSES,
    )  # fmt: skip


def _transformer(model: str, configuration: str, **options: Any) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        import_torchvision()  # transformers imports it by itself, and fails where it fails
        transformers = importlib.import_module("transformers")
        transformers.logging.set_verbosity_error()
        return getattr(transformers, model)(getattr(transformers, configuration)(**options))

    return factory


_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_BERT = {"vocab_size": VOCABULARY, "max_position_embeddings": 32, "num_labels": CLASSES, **_SMALL}
_GPT2 = {"vocab_size": VOCABULARY, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4, "pad_token_id": 0,
         "bos_token_id": 1, "eos_token_id": 1}  # fmt: skip
_LLAMA = {"vocab_size": VOCABULARY, "max_position_embeddings": 32, "num_key_value_heads": 2, "pad_token_id": 0,
          **_SMALL}  # fmt: skip
_LRP = frozenset({"lrp"})
_TOKENS = frozenset({"tokens", "lrp"})

ENTRIES: tuple[Entry, ...] = (
    _vision("alexnet", 64, "lrp"),
    _vision("vgg11", 32, "lrp", init_weights=False),
    _vision("vgg16_bn", 32, "lrp", init_weights=False),
    _vision("squeezenet1_1", 64, "lrp"),
    _vision("resnet18", 32, "lrp"),
    _vision("resnet50", 32, "lrp"),
    _vision("densenet121", 32, "lrp"),
    _vision("googlenet", 64, "lrp", init_weights=False, transform_input=True),  # as with its published weights
    _vision("inception_v3", 75, "lrp", init_weights=False),
    _vision("mnasnet0_5", 32, "lrp"),
    _vision("regnet_x_400mf", 32, "lrp"),
    _vision("shufflenet_v2_x0_5", 32, "lrp"),
    _vision("regnet_y_400mf", 32, "lrp"),
    _vision("efficientnet_b0", 32, "lrp"),
    _vision("mobilenet_v2", 32, "lrp"),
    _vision("mobilenet_v3_small", 32, "lrp"),
    _vision("convnext_tiny", 32, "lrp"),
    Entry("swin", _swin(version=1), 64, tags=_LRP),  # of swin_t, a capture takes three times as long
    Entry("swin_v2", _swin(version=2), 64, tags=_LRP),
    _vision("vit_b_16", 32, "lrp", image_size=32),
    Entry("maxvit", _max_vit, 64, tags=_LRP),
    Entry("transformers_vit", _transformer("ViTForImageClassification", "ViTConfig", image_size=32, patch_size=8,
                                           num_labels=CLASSES, **_SMALL), 32, "pixel_values", tags=_LRP),
    Entry("bert", _transformer("BertForSequenceClassification", "BertConfig", **_BERT), keyword="attention_mask",
          tags=_TOKENS),
    Entry("gpt2_classifier", _transformer("GPT2ForSequenceClassification", "GPT2Config", num_labels=CLASSES,
                                          use_cache=False, **_GPT2), tags=_TOKENS),
    Entry("gpt2_language", _transformer("GPT2LMHeadModel", "GPT2Config", use_cache=False, **_GPT2), target=(-1, 7),
          tags=_TOKENS),
    Entry("llama", _transformer("LlamaForCausalLM", "LlamaConfig", use_cache=False, **_LLAMA), target=(-1, 7),
          tags=_TOKENS),
    # As a user loads it: the default configuration returns a cache of keys and values beside the logits.
    Entry("llama_with_cache", _transformer("LlamaForCausalLM", "LlamaConfig", **_LLAMA), target=(-1, 7), tags=_TOKENS),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in ENTRIES}


def names(tag: str = "") -> list[str]:
    """Return the names of all entries, or of those with a tag."""
    return [entry.name for entry in ENTRIES if not tag or tag in entry.tags]


def call(model: nn.Module, inputs: Tensor | dict[str, Tensor]) -> Tensor:
    """Call the model as a user would and return its logits."""
    output = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    return output if isinstance(output, Tensor) else output["logits"]


def explained_value(logits: Tensor, target: tuple[int, ...] | None) -> Tensor:
    """Return the explained number of each sample: the largest logit, or the one at `target`."""
    return logits.amax(1) if target is None else logits[(slice(None), *target)]


def autograd_gradient(
    model: nn.Module, inputs: Tensor | dict[str, Tensor], target: tuple[int, ...] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (explained values, point, gradient at the point) by plain autograd on the user's model.

    The point is the image, or for tokens what the embedding looked up: (batch, tokens, features).
    """
    images = inputs if isinstance(inputs, Tensor) else inputs.get("pixel_values")
    if images is None:
        return _gradient_at_embedding(model, inputs, target)
    images = images.detach().clone().requires_grad_()
    values = explained_value(call(model, images if isinstance(inputs, Tensor) else {"pixel_values": images}), target)
    return values.detach(), images.detach(), torch.autograd.grad(values.sum(), images)[0]


def _gradient_at_embedding(
    model: nn.Module, inputs: Tensor | dict[str, Tensor], target: tuple[int, ...] | None
) -> tuple[Tensor, Tensor, Tensor]:
    looked_up: list[Tensor] = []

    def remember(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        looked_up.append(output.detach().requires_grad_())
        return looked_up[-1]

    handle = model.get_input_embeddings().register_forward_hook(remember)  # type: ignore[operator]
    try:
        values = explained_value(call(model, inputs), target)
    finally:
        handle.remove()
    return values.detach(), looked_up[0].detach(), torch.autograd.grad(values.sum(), looked_up[0])[0]
