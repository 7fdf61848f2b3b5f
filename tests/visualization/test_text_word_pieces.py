"""Word pieces become words, and the relevance of the words is that of their pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from xaicore.errors import InputError, ParameterError
from xaicore.visualization import merge_word_pieces

WORDPIECE = ["[CLS]", "un", "##believ", "##able", "!", "it", "works", "[SEP]", "[PAD]"]
BPE = ["<|endoftext|>", "Un", "believ", "able", ",", "Ġit", "Ġwork", "s", "Ċ", "Yes"]
SENTENCEPIECE = ["<s>", "▁Un", "believ", "able", ",", "▁it", "▁", "works", "</s>"]


def merged(pieces: list[str], style: Any = "auto", **options: Any) -> list[tuple[str, float]]:
    """Words with their relevance where piece n has 2 ** n: each sum tells its pieces."""
    words, values = merge_word_pieces(pieces, 2.0 ** torch.arange(len(pieces)), style, **options)
    assert values.sum() == 2 ** len(pieces) - 1 and values.dtype == np.float64
    return list(zip(words, values.tolist(), strict=True))


def bits(*places: int) -> float:
    return float(sum(2**place for place in places))


@pytest.mark.parametrize("style", ["auto", "wordpiece"])
def test_wordpieces_go_on_with_the_word_before(style: str) -> None:
    assert merged(WORDPIECE, style) == [
        ("[CLS]", 1), ("unbelievable", bits(1, 2, 3)), ("!", 16), ("it", 32), ("works", 64), ("[SEP]", 128),
        ("[PAD]", 256),
    ]  # fmt: skip


@pytest.mark.parametrize("style", ["auto", "bpe"])
def test_words_of_byte_pairs_begin_with_a_space_or_behind_a_line_break(style: str) -> None:
    assert merged(BPE, style) == [
        ("<|endoftext|>", 1), ("Unbelievable,", bits(1, 2, 3, 4)), ("it", 32), ("works", bits(6, 7)), ("\n", 256),
        ("Yes", 512),
    ]  # fmt: skip


@pytest.mark.parametrize("style", ["auto", "sentencepiece"])
def test_words_of_sentencepiece_begin_with_its_mark(style: str) -> None:
    assert merged(SENTENCEPIECE, style) == [
        ("<s>", 1), ("Unbelievable,", bits(1, 2, 3, 4)), ("it", 32), ("works", bits(6, 7)), ("</s>", 256),
    ]  # fmt: skip


def test_bytes_become_the_characters_they_stand_for() -> None:
    # "é" is C3 A9 and "€" is E2 82 AC in UTF-8; GPT-2 writes the byte 82 as the third of the characters from U+0120 on.
    assert merged(["Ġcaf", "Ã", "©"], "bpe") == [("café", 7)]
    assert merged(["Ġ5", "âĤ¬"], "bpe") == [("5€", 3)]
    assert merged(["▁", "<0xE2>", "<0x82>", "<0xAC>", "▁ok"]) == [("€", 15), ("ok", 16)]


def test_bytes_agree_with_those_of_a_tokenizer() -> None:
    decoders = pytest.importorskip("tokenizers.decoders")
    pre_tokenizers = pytest.importorskip("tokenizers.pre_tokenizers")
    text = "naïve 日本 ✓\x07\x80\xad"
    written = "".join(part for part, _ in pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text))
    assert written != text and decoders.ByteLevel().decode([written]) == text
    words, _ = merge_word_pieces(list(written), torch.ones(len(written)), "bpe")
    assert " ".join(words) == text


def test_without_marks_every_token_is_a_word_unless_the_style_is_given() -> None:
    assert [word for word, _ in merged(["un", "believ", "able"])] == ["un", "believ", "able"]
    assert merged(["un", "believ", "able"], "bpe") == [("unbelievable", 7)]
    assert merged(["a", "##", "b"]) == [("a", 1), ("##", 2), ("b", 4)]  # two hash signs by themselves are a word


def test_the_rarest_mark_decides() -> None:
    assert merged(["▁Ġgantija", "##x"]) == [("Ġgantija##x", 3)]
    assert merged(["Ġtitle", "###", "x"]) == [("title###x", 7)]


def test_special_tokens_can_be_named_and_stay_apart() -> None:
    pieces = ["<START>", "▁a", "<b>", "c"]
    assert merged(pieces) == [("<START>", 1), ("a", 2), ("<b>", 4), ("c", 8)]
    assert merged(pieces, special=["<START>"]) == [("<START>", 1), ("a<b>c", 14)]
    assert merged(["##s", "##t"], "wordpiece") == [("##st", 3)]  # nothing stands before it


def test_word_ids_decide_where_they_are_given() -> None:
    ids = [None, 0, 0, 0, 1, 2, 3, None, None]
    assert merged(WORDPIECE, ids) == merged(WORDPIECE)
    assert merged(["a", "b", "c", "d"], [0, 0, None, 0]) == [("ab", 3), ("c", 4), ("d", 8)]
    assert merged(["a", "b", "c", "d"], [0, -1, -1, 0]) == [("a", 1), ("b", 2), ("c", 4), ("d", 8)]  # of two texts


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """BERT's tokenizer with a vocabulary of its own, without a download."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "act", "##ors", "un", "##believ", "##able", ",", "##s"]
    model = tokenizers.models.WordPiece({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]")
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def test_marks_and_word_ids_of_transformers_agree(tokenizer: Any) -> None:
    encoding = tokenizer(["the actors , unbelievable acts", "acts zebra"], padding=True)
    for row in range(2):
        pieces, ids = tokenizer.convert_ids_to_tokens(encoding["input_ids"][row]), encoding.word_ids(row)
        relevance = torch.randn(len(pieces), dtype=torch.float64)
        by_marks, by_ids = (merge_word_pieces(pieces, relevance, style) for style in ("auto", ids))
        assert by_marks[0] == by_ids[0] and (by_marks[1] == by_ids[1]).all()
        for number in {each for each in ids if each is not None}:
            expected = sum(float(relevance[place]) for place, own in enumerate(ids) if own == number)
            assert min(abs(by_ids[1] - expected)) < 1e-12
    assert by_ids[0][:4] == ["[CLS]", "acts", "[UNK]", "[SEP]"]


def test_nan_stays_in_its_word_and_half_precision_is_added_in_double() -> None:
    words, values = merge_word_pieces(["a", "##b", "c"], [1.0, float("nan"), 2.0])
    assert words == ["ab", "c"] and np.isnan(values[0]) and values[1] == 2
    half = torch.full((1000,), 1.0, dtype=torch.bfloat16, requires_grad=True)
    assert merge_word_pieces(["a", *["##b"] * 999], half)[1].tolist() == [1000.0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="2 tokens for relevance of 3"):
        merge_word_pieces(["a", "b"], torch.ones(3))
    with pytest.raises(InputError, match="1 word ids for 2 tokens"):
        merge_word_pieces(["a", "b"], torch.ones(2), [0])
    with pytest.raises(ParameterError, match="style='wordpeice'.*Did you mean 'wordpiece'"):
        merge_word_pieces(["a"], torch.ones(1), "wordpeice")
    with pytest.raises(InputError, match="line of numbers"):
        merge_word_pieces([], torch.ones(0))


def test_infinities_of_both_signs_in_one_word_are_no_number() -> None:
    words, values = merge_word_pieces(["un", "##able", "so"], [float("inf"), float("-inf"), 1.0])
    assert words == ["unable", "so"] and np.isnan(values[0]) and values[1] == 1
