"""Train a small BERT, unmodified, to tell praise from blame, and colour the words that it reacts to.

    python examples/explain_tokens.py --out tokens.png

Needs xaicore, xai-gradients and transformers. Takes about ten seconds on a CPU. Nothing is downloaded: the sentences
are made up from a few words, and the model learns them from scratch.

Tokens are integers, so an explanation is found at the embedding and summed to one value a token. BERT sends its
embeddings straight into a layer norm, behind which the gradient of each token sums to nearly zero. So this example
takes the squared gradient: it has no sign, and nothing in it cancels.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

import xaicore
from xaicore.visualization import tokens

SUBJECTS = ["the film", "this book", "her play", "the second part"]
ADVERBS = ["", "not", "really", "surely"]
PRAISE = ["good", "lovely", "clever", "funny"]
BLAME = ["bad", "dull", "clumsy", "awful"]
ENDINGS = ["", "and too long", "and quite short", "for a friday night"]


def sentences() -> tuple[list[list[str]], Tensor]:
    """Return every sentence as words, and its class: 1 is praise, 0 blame. A "not" turns the meaning round."""
    texts, classes = [], []
    for subject, adverb, quality, ending in itertools.product(SUBJECTS, ADVERBS, PRAISE + BLAME, ENDINGS):
        texts.append(f"[CLS] {subject} is {adverb} {quality} {ending} [SEP]".split())
        classes.append(int((quality in PRAISE) != (adverb == "not")))
    return texts, torch.tensor(classes)


def encode(texts: list[list[str]], vocabulary: list[str]) -> dict[str, Tensor]:
    """Return the numbers of the words, padded with 0, and the mask that hides the padding."""
    length = max(map(len, texts))
    ids = torch.tensor([[vocabulary.index(word) for word in text] + [0] * (length - len(text)) for text in texts])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def train(inputs: dict[str, Tensor], classes: Tensor, words: int) -> nn.Module:
    """Return a small BERT with random weights, trained on these sentences."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=words, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    for _ in range(12):
        for batch in torch.randperm(len(classes)).split(64):
            optimizer.zero_grad()
            part = {name: tensor[batch] for name, tensor in inputs.items()}
            nn.functional.cross_entropy(model(**part).logits, classes[batch]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tokens.png"), help="the picture to write")
    out = parser.parse_args().out

    texts, classes = sentences()
    vocabulary = ["[PAD]", *sorted({word for text in texts for word in text})]
    inputs = encode(texts, vocabulary)
    model = train(inputs, classes, len(vocabulary))

    shown = [
        "[CLS] the film is really lovely and too long [SEP]",
        "[CLS] this book is not dull for a friday night [SEP]",
        "[CLS] her play is clumsy and quite short [SEP]",
        "[CLS] the second part is not funny [SEP]",
    ]
    chosen = [texts.index(text.split()) for text in shown]
    batch = {name: tensor[chosen] for name, tensor in inputs.items()}
    explanation = xaicore.explain(model, batch, method="gradients.sensitivity")
    for note in explanation.diagnostics.notes:
        print(f"note: {note}")

    figure = Figure(figsize=(4.0, 1.8))
    figure.text(0.02, 0.9, "How strongly the prediction reacts to each word", fontsize=9)
    for row, number in enumerate(chosen):
        words = texts[number]
        relevance = explanation.relevance["input_ids"][row, : len(words)]  # without the padding
        predicted = ("blame", "praise")[explanation.target["index"][row]]
        ax = figure.add_axes((0.19, 0.65 - 0.2 * row, 0.8, 0.17))
        tokens(relevance, words, ax)
        figure.text(0.02, 0.715 - 0.2 * row, predicted, fontsize=7)
    figure.savefig(out, dpi=150)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
