"""A classifier reads the first position only, so its last layer need not compute the others.

In:  a BERT-like sequence classifier. Out: the same model, the same logits, less work.

Of the last layer, the keys and values are needed at every position; queries, attention output and the feed-forward part at
the first one only: of twelve equal matrix products ten. Gradients are the same, since nothing else flows back from there.
"""

from __future__ import annotations

import types
from typing import Any

# heads of transformers 5 that read `hidden[:, 0]` of the last layer and nothing else (modeling_bert.py and its kin)
BERT_LIKE = {
    "BertForSequenceClassification",
    "RobertaForSequenceClassification",
    "XLMRobertaForSequenceClassification",
    "CamembertForSequenceClassification",
    "ElectraForSequenceClassification",
}
DISTILBERT = {"DistilBertForSequenceClassification"}
OF_DECODERS = {"encoder_hidden_states", "encoder_attention_mask", "past_key_values"}  # arguments of a layer, all None here
IMPLEMENTATIONS = {"oneloop", "sdpa"}  # of attention; those that take fewer queries than keys


def narrow(model: Any) -> bool:
    """Let the last layer of a model in place compute its first position only. Returns whether it is one that can."""
    kind = type(model).__name__
    if getattr(model.config, "_attn_implementation", "") not in IMPLEMENTATIONS:
        return False
    if kind in DISTILBERT:
        layer = model.base_model.transformer.layer[-1]
        layer.forward = types.MethodType(_distilbert, layer)
        return True
    if kind in BERT_LIKE and not model.config.is_decoder and not model.config.add_cross_attention:
        layer = model.base_model.encoder.layer[-1]
        layer.forward = types.MethodType(_bert, layer)
        return True
    return False


def _attended(module: Any, query: Any, key: Any, value: Any, hidden: Any, mask: Any, kwargs: dict[str, Any]) -> Any:
    """Attention of the first position to all, (B, 1, H), by whichever implementation the model uses."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    size = getattr(module, "attention_head_size", None) or module.dim // module.n_heads
    parts = ((query, hidden[:, :1]), (key, hidden), (value, hidden))
    split = [part(states).view(*states.shape[:2], -1, size).transpose(1, 2) for part, states in parts]
    implementation = ALL_ATTENTION_FUNCTIONS[module.config._attn_implementation]
    mask = mask[..., :1, :] if mask is not None and mask.ndim == 4 else mask
    dropout = module.dropout.p if module.training else 0.0
    found, _ = implementation(module, *split, mask, dropout=dropout, scaling=size**-0.5, **kwargs)
    return found.reshape(len(hidden), 1, -1)


def _bert(layer: Any, hidden_states: Any, attention_mask: Any = None, *args: Any, **kwargs: Any) -> Any:
    """BertLayer at the first position: (B, T, H) to (B, 1, H)."""
    kwargs = {name: value for name, value in kwargs.items() if name not in OF_DECODERS}
    own = layer.attention.self
    found = _attended(own, own.query, own.key, own.value, hidden_states, attention_mask, kwargs)
    return layer.feed_forward_chunk(layer.attention.output(found, hidden_states[:, :1]))


def _distilbert(block: Any, hidden_states: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
    """DistilBERT's TransformerBlock at the first position: (B, T, H) to (B, 1, H)."""
    own, first = block.attention, hidden_states[:, :1]
    found = own.out_lin(_attended(own, own.q_lin, own.k_lin, own.v_lin, hidden_states, attention_mask, kwargs))
    found = block.sa_layer_norm(found + first)
    return block.output_layer_norm(block.ffn(found) + found)
