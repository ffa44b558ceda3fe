"""Capital letters for a tokenizer that lower-cases: a mark before each word that starts with one.

In:  a lower-casing fast tokenizer, e.g. MiniLM's: "IBM hired Ada Lovelace" → ibm hired ada love ##lace
Out: the same tokenizer with marks:                                       → § ibm hired ^ ada ^ love ##lace

`^` stands before a capital letter, `§` before a word that goes on in capitals; both are in the vocabulary of BERT-like
models. The rule lives in the tokenizer's normaliser, so it is saved in tokenizer.json and every program that loads the
model reads text in the same way. Names are what token classification mostly looks for, and capitals are their best sign.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

CAPITAL, CAPITALS = "^", "§"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZÀÁÂÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖØÙÚÛÜŠŽŁŚĆ"
LEAST, MOST = 0.02, 0.6  # share of words with a capital between which the marks tell something: below, the text has none; above, all do


def lowers(tokenizer: Any) -> bool:
    """Whether a tokenizer treats capitals and small letters alike and knows both marks."""
    vocabulary = tokenizer.get_vocab()
    return tokenizer.tokenize("Ab") == tokenizer.tokenize("ab") and CAPITAL in vocabulary and CAPITALS in vocabulary


def tells(words: Iterable[str]) -> bool:
    """Whether capitals carry information in these words: some have them and some have not."""
    lettered = [word for word in words if word[:1].isalpha()]
    share = sum(word[0].isupper() for word in lettered) / max(len(lettered), 1)
    return LEAST < share < MOST


def mark_case(tokenizer: Any) -> Any:
    """A copy of the tokenizer that marks capitals. Offsets of a mark and of the letter behind it are the same."""
    from tokenizers import Regex, Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    rules = [normalizers.Replace(Regex(rf"(?<!\p{{L}}){letter}(?=\p{{Lu}})"), CAPITALS + letter.lower()) for letter in LETTERS]
    rules += [normalizers.Replace(Regex(rf"(?<!\p{{L}}){letter}"), CAPITAL + letter.lower()) for letter in LETTERS]
    backend = Tokenizer.from_str(json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())))
    backend.normalizer = normalizers.Sequence([*rules, backend.normalizer])
    backend.no_truncation()
    backend.no_padding()
    kind: Any = PreTrainedTokenizerFast
    return kind(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side,
        model_input_names=tokenizer.model_input_names,
        **{name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
    )
