"""Makes tiny BERT models of random weights: one embeds, one ranks, none makes text."""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, PoolingType, TokenType

DIM, LAYERS, HEADS, FFN, CONTEXT = 32, 1, 2, 64, 512
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHARACTERS = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
WORDS = [*SPECIAL, *(f"▁{each}" for each in CHARACTERS), *CHARACTERS]  # a token is a character


def write_tiny_model(path: Path, *, ranks: bool = False) -> None:
    """Writes a GGUF file: a model that embeds (mean pooling), or one that `ranks`."""
    writer = GGUFWriter(path, "bert")
    _write_sizes(writer)
    writer.add_pooling_type(PoolingType.RANK if ranks else PoolingType.MEAN)
    _write_tokenizer(writer)
    _Layers(writer).write(ranks=ranks)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_sizes(writer: GGUFWriter) -> None:
    writer.add_name("llamaq tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)


def _write_tokenizer(writer: GGUFWriter) -> None:
    writer.add_tokenizer_model("bert")
    writer.add_token_list(WORDS)
    plain = len(WORDS) - len(SPECIAL)
    writer.add_token_types([TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL] * plain)
    writer.add_token_type_count(2)
    pad, unknown, begin, end, mask = range(len(SPECIAL))
    writer.add_pad_token_id(pad)
    writer.add_unk_token_id(unknown)
    writer.add_bos_token_id(begin)
    writer.add_sep_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_mask_token_id(mask)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


class _Layers:
    """The tensors of a model."""

    def __init__(self, writer: GGUFWriter) -> None:
        self._writer = writer
        self._random = np.random.default_rng(0)

    def write(self, *, ranks: bool) -> None:
        self._matrix("token_embd", len(WORDS), DIM, DIM**0.5)
        self._matrix("position_embd", CONTEXT, DIM, 0.3)
        self._matrix("token_types", 2, DIM)
        self._norm("token_embd_norm")
        for layer in range(LAYERS):
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                self._linear(f"blk.{layer}.{name}", DIM, DIM, 2)
            self._norm(f"blk.{layer}.attn_output_norm")
            self._linear(f"blk.{layer}.ffn_up", FFN, DIM)
            self._linear(f"blk.{layer}.ffn_down", DIM, FFN)
            self._norm(f"blk.{layer}.layer_output_norm")
        if ranks:
            self._linear("cls", DIM, DIM)
            self._linear("cls.output", 1, DIM)

    def _matrix(self, name: str, rows: int, columns: int, gain: float = 1) -> None:
        values = self._random.standard_normal((rows, columns)) * gain * columns**-0.5
        self._writer.add_tensor(f"{name}.weight", values.astype(np.float32))

    def _linear(self, name: str, rows: int, columns: int, gain: float = 1) -> None:
        self._matrix(name, rows, columns, gain)
        self._writer.add_tensor(f"{name}.bias", np.zeros(rows, np.float32))

    def _norm(self, name: str) -> None:
        self._writer.add_tensor(f"{name}.weight", np.ones(DIM, np.float32))
        self._writer.add_tensor(f"{name}.bias", np.zeros(DIM, np.float32))
