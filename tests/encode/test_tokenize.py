"""Text to tokens: offsets that hold, any length, any characters, any number of threads."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from oneloop.encode import tokenize as module
from oneloop.encode.tokenize import WORD_CHARACTERS, WORD_START, tokenize, tokenize_words
from oneloop.errors import ModelError
from tests.small_tokenizers import KINDS, SENTENCES, minilm, wordpiece

ODD_WORDS = ["EU", "\u200b", "\ufffd", "\x00", "\u00ad", "", "lamb", "\ud83d", "日本", " "]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_the_tokenizer_itself(kind: str) -> None:
    tokenizer = KINDS[kind]()
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in SENTENCES]
    assert [tokens.ids for tokens in tokenize(SENTENCES, tokenizer)] == expected
    assert [tokens.ids for tokens in tokenize(SENTENCES, tokenizer, offsets=False)] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_name_the_characters_of_the_text_without_space(kind: str) -> None:
    text = "My  name is\nSylvain — déjà 日本 👍 Brooklyn."
    tokens = tokenize([text], KINDS[kind]())[0]
    assert len(tokens.ids) == len(tokens.offsets)
    covered = {place for start, end in tokens.offsets for place in range(start, end)}
    assert {place for place, char in enumerate(text) if not char.isspace()} <= covered
    assert all(not text[start].isspace() for start, end in tokens.offsets if end - start > 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_gives_the_tokens_of_the_whole_text(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = KINDS[kind]()
    words = [word for sentence in SENTENCES for word in sentence.split()]
    random.Random(1).shuffle(words)
    text = " ".join(words)
    whole = tokenize([text], tokenizer)[0]
    monkeypatch.setattr(module, "STRETCH", 60)
    cut = tokenize(["short", text, "short"], tokenizer)[1]
    assert cut.ids == whole.ids
    assert cut.offsets == whole.offsets
    assert cut.cut == 0


def test_text_without_spaces_is_cut_between_characters_never_before_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRETCH", 50)
    text = "日本e\u0301語、" * 100
    tokens = tokenize([text], wordpiece())[0]
    covered = {place for start, end in tokens.offsets for place in range(start, end)}
    assert covered >= {place for place, char in enumerate(text) if char != "\u0301"}
    assert tokens.cut == 0


def test_D10_ten_megabytes_in_one_word_keep_a_slot_and_are_counted() -> None:
    began = time.perf_counter()
    before, monster, after = tokenize(["a lamb", "EU " + "a" * 10_000_000 + " lamb", "a lamb"], wordpiece())
    assert time.perf_counter() - began < 2
    assert before.ids == after.ids
    assert monster.cut == 1
    assert monster.ids[:1] == tokenize(["EU"], wordpiece())[0].ids[:1]
    lamb = tokenize(["lamb"], wordpiece())[0]
    assert monster.ids[-len(lamb.ids) :] == lamb.ids
    assert monster.offsets[-1][1] == 3 + 10_000_000 + 5
    assert max(end - start for start, end in monster.offsets) <= WORD_START


def test_D10_megabytes_of_words_take_time_in_proportion() -> None:
    tokenizer, text = minilm(), "lorem ipsum dolor sit amet " * 40_000  # 1 MB
    tokenize(["warm"], tokenizer)
    began = time.perf_counter()
    tokens = tokenize([text], tokenizer)[0]
    assert time.perf_counter() - began < 5
    assert tokens.cut == 0
    assert tokens.ids == tokenize(["lorem ipsum dolor sit amet"], tokenizer)[0].ids * 40_000


def test_lone_surrogates_keep_their_place() -> None:
    tokens = tokenize(["EU \ud83d lamb"], wordpiece())[0]
    assert tokens.offsets[-1][1] == len("EU x lamb")


def test_nothing_in_nothing_out() -> None:
    assert tokenize([], wordpiece()) == []
    assert tokenize(["", "   "], wordpiece())[0].ids == []


def test_the_tokenizer_is_left_as_it_is_and_its_own_truncation_ignored() -> None:
    tokenizer = minilm()  # its file stores truncation and padding to 128
    before = tokenizer.backend_tokenizer.truncation, tokenizer.backend_tokenizer.padding
    tokens = tokenize(["word " * 300], tokenizer)[0]
    assert len(tokens.ids) == 300
    assert (tokenizer.backend_tokenizer.truncation, tokenizer.backend_tokenizer.padding) == before


def test_tokens_added_later_are_seen() -> None:
    tokenizer = wordpiece().__class__(tokenizer_object=wordpiece().backend_tokenizer, unk_token="[UNK]")
    assert len(tokenize(["zyzzyva"], tokenizer)[0].ids) >= 1
    tokenizer.add_tokens(["zyzzyva"])
    assert tokenize(["zyzzyva"], tokenizer)[0].ids == [tokenizer.convert_tokens_to_ids("zyzzyva")]


def test_many_threads_share_a_tokenizer_that_others_use_with_truncation() -> None:
    tokenizer, failures = wordpiece(), []
    expected = [tokens.ids for tokens in tokenize(SENTENCES, tokenizer)]

    def work(number: int) -> None:
        try:
            for _ in range(10):
                if number == 0:
                    tokenizer(SENTENCES, truncation=True, max_length=4 + number, padding=True)
                elif [tokens.ids for tokens in tokenize(SENTENCES, tokenizer)] != expected:
                    failures.append("other ids")
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_C029_a_tokenizer_without_offsets_is_refused() -> None:
    from transformers import ByT5Tokenizer

    with pytest.raises(ModelError, match="ByT5Tokenizer does not tell which characters"):
        tokenize(["text"], ByT5Tokenizer())
    with pytest.raises(ModelError, match="fast"):
        tokenize_words([["text"]], ByT5Tokenizer())


@pytest.mark.parametrize("kind", KINDS)
def test_words_keep_their_numbers(kind: str) -> None:
    words = ["EU", "rejects", "German", "call", "to", "boycott", "British", "lamb", "."]
    tokens = tokenize_words([words, ["lamb"]], KINDS[kind]())
    assert sorted(set(tokens[0].word_ids)) == list(range(9))
    assert tokens[0].word_ids == sorted(tokens[0].word_ids)
    assert set(tokens[1].word_ids) == {0}


@pytest.mark.parametrize("kind", ["roberta", "gpt"])
def test_given_words_start_as_within_a_text(kind: str) -> None:
    tokenizer = KINDS[kind]()
    in_text = tokenize([" lamb"], tokenizer)[0].ids
    assert tokenize_words([["EU", "lamb"]], tokenizer)[0].ids[-len(in_text) :] == in_text


@pytest.mark.parametrize("kind", KINDS)
def test_D15_words_without_tokens_shift_no_other_word(kind: str) -> None:
    tokens = tokenize_words([ODD_WORDS], KINDS[kind]())[0]
    of_lamb = [token for token, word in zip(tokens.ids, tokens.word_ids) if word == ODD_WORDS.index("lamb")]
    assert of_lamb == tokenize_words([["lamb"]], KINDS[kind]())[0].ids
    assert max(tokens.word_ids, default=0) < len(ODD_WORDS)


def test_a_word_of_a_megabyte_is_read_in_part_and_counted() -> None:
    tokens = tokenize_words([["EU", "ab" * 500_000, "lamb"], ["EU"]], wordpiece())
    assert tokens[0].cut == 1
    assert set(tokens[0].word_ids) == {0, 1, 2}
    assert len(tokens[0].ids) <= WORD_CHARACTERS + 10
    assert tokens[1].cut == 0


def test_ten_thousand_short_texts_take_little_time() -> None:
    tokenizer, texts = minilm(), [f"how do i get a new card for account number {i} please" for i in range(10_000)]
    tokenize(texts[:10], tokenizer)
    began = time.perf_counter()
    found: list[Any] = tokenize(texts, tokenizer)
    assert len(found) == 10_000
    assert time.perf_counter() - began < 3  # 0.4 s on an idle machine
