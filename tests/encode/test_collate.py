"""Features to rectangular batches."""

from __future__ import annotations

import torch

from oneloop.encode.collate import pad_batch
from tests.small_tokenizers import gpt, wordpiece, xlnet


def test_C035_a_batch_is_as_wide_as_its_longest_row() -> None:
    features = [{"input_ids": [5] * length} for length in (50, 59, 47, 67, 59, 50, 62, 32)]
    inputs = pad_batch(features, wordpiece())["inputs"]
    assert inputs["input_ids"].shape == (8, 67)
    assert inputs["attention_mask"].sum(dim=1).tolist() == [50, 59, 47, 67, 59, 50, 62, 32]
    assert inputs["input_ids"].dtype == inputs["attention_mask"].dtype == torch.int64


def test_C044_labels_are_padded_with_minus_100() -> None:
    features = [
        {"input_ids": [5] * 12, "labels": [-100, 3, 0, 7, 0, 0, 0, 7, 0, 0, 0, -100]},
        {"input_ids": [5] * 4, "labels": [-100, 1, 2, -100]},
    ]
    labels = pad_batch(features, wordpiece())["labels"]
    assert labels.tolist() == [features[0]["labels"], [-100, 1, 2] + [-100] * 9]


def test_padding_follows_the_tokenizers_side_and_ids() -> None:
    features = [{"input_ids": [7, 8], "token_type_ids": [0, 2], "labels": [1, 2]}, {"input_ids": [7], "token_type_ids": [0], "labels": [3]}]
    batch = pad_batch(features, xlnet())
    assert batch["inputs"]["input_ids"].tolist() == [[7, 8], [xlnet().pad_token_id, 7]]
    assert batch["inputs"]["token_type_ids"].tolist() == [[0, 2], [3, 0]]
    assert batch["inputs"]["attention_mask"].tolist() == [[1, 1], [0, 1]]
    assert batch["labels"].tolist() == [[1, 2], [-100, 3]]


def test_a_tokenizer_without_a_pad_token_fills_up_with_its_end_token() -> None:
    batch = pad_batch([{"input_ids": [7, 8]}, {"input_ids": [7]}], gpt())
    assert batch["inputs"]["input_ids"].tolist() == [[7, 8], [gpt().eos_token_id, 7]]
    assert "token_type_ids" not in batch["inputs"]


def test_labels_keep_their_kind() -> None:
    def labels(*values: object) -> torch.Tensor:
        return pad_batch([{"input_ids": [1], "labels": value} for value in values], wordpiece())["labels"]

    assert labels(1, -100).dtype == torch.int64
    assert labels(0.5, 2.0).dtype == torch.float32
    assert labels([0.0, 1.0], [1.0, 1.0]).tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_labels_only_where_all_features_have_them_and_rows_travel_along() -> None:
    batch = pad_batch([{"input_ids": [1], "labels": 1, "row": 4}, {"input_ids": [1], "row": 9}], wordpiece())
    assert "labels" not in batch
    assert batch["rows"].tolist() == [4, 9]
