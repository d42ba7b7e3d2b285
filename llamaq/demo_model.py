"""Makes a tiny llama model of random weights that babbles: a real model without a download."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from gguf import GGUFWriter, TokenType

from llamaq.demo_words import (
    BYTES,
    CHAT_TEMPLATE,
    CLASS_NAMES,
    SPECIAL_IDS,
    SPECIAL_TOKENS,
    VOCABULARY,
    Weights,
    byte_token_text,
    token_class,
    transition_table,
)

Size = Literal["tiny", "small"]

CONTEXT_TOKENS = 8192
# Mean square of the noise dimensions after the last layer, as measured.
NOISE_POWER = 3.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a model is: residual width, layers, attention heads, feed-forward width."""

    dim: int
    layers: int
    heads: int
    ffn: int


SHAPES: dict[Size, Shape] = {
    "tiny": Shape(dim=64, layers=2, heads=4, ffn=128),
    "small": Shape(dim=512, layers=4, heads=8, ffn=1536),
}


def write_demo_model(
    path: Path, *, size: Size = "tiny", seed: int = 0, stop_rate: float = 0.01
) -> None:
    """Write a GGUF file to `path`, byte for byte the same for the same arguments.

    `stop_rate` (0 to 0.05) is about the share of tokens that end the answer at the server's
    default sampling; with 0 answers end only at a limit. The file appears complete or not at all.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(
            temporary,
            SHAPES[size],
            f"llamaq demo {size}",
            model_tensors(SHAPES[size], seed, stop_rate),
        )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def model_tensors(shape: Shape, seed: int, stop_rate: float) -> Iterator[tuple[str, Weights]]:
    """The model's tensors by name, rows first.

    The first dimensions of the residual stream hold the class of the last token. No layer reads or
    writes them, so they reach the output matrix unchanged and choose the class of the next token;
    the others are an ordinary random transformer and add noise that depends on the whole context.
    """
    random = np.random.default_rng(seed)
    kept = len(CLASS_NAMES)
    free = shape.dim - kept

    def matrix(rows: int, columns: int, gain: float) -> Weights:
        scale = np.float32(gain * columns**-0.5)
        return random.standard_normal((rows, columns), np.float32) * scale

    def written(weights: Weights) -> Weights:
        weights[:kept] = 0
        return weights

    def norm(class_gain: float, noise_gain: float = 1) -> Weights:
        return np.where(np.arange(shape.dim) < kept, class_gain, noise_gain).astype(np.float32)

    table = transition_table(stop_rate)
    embedding = matrix(VOCABULARY, shape.dim, 0.3 * shape.dim**0.5)
    embedding[:, :kept] = np.eye(kept)[
        [CLASS_NAMES.index(token_class(t)) for t in range(VOCABULARY)]
    ]
    yield "token_embd.weight", embedding

    gain = 2 * shape.layers**-0.5
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", norm(0)
        yield f"{block}.attn_q.weight", matrix(shape.dim, shape.dim, 2)
        yield f"{block}.attn_k.weight", matrix(shape.dim, shape.dim, 2)
        yield f"{block}.attn_v.weight", matrix(shape.dim, shape.dim, 1)
        yield f"{block}.attn_output.weight", written(matrix(shape.dim, shape.dim, gain))
        yield f"{block}.ffn_norm.weight", norm(0)
        yield f"{block}.ffn_gate.weight", matrix(shape.ffn, shape.dim, 1)
        yield f"{block}.ffn_up.weight", matrix(shape.ffn, shape.dim, 1)
        yield f"{block}.ffn_down.weight", written(matrix(shape.dim, shape.ffn, gain))

    yield (
        "output_norm.weight",
        norm((NOISE_POWER * free / shape.dim) ** 0.5, (free / shape.dim) ** 0.5),
    )
    yield "output.weight", np.concatenate([table, matrix(VOCABULARY, free, 1)], axis=1)


def _write(path: Path, shape: Shape, name: str, tensors: Iterable[tuple[str, Weights]]) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    _write_tokenizer(writer)
    for tensor, weights in tensors:
        writer.add_tensor(tensor, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_tokenizer(writer: GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*map(byte_token_text, range(BYTES)), *SPECIAL_TOKENS.values()])
    kinds = {"call": TokenType.USER_DEFINED, "call_end": TokenType.USER_DEFINED}
    writer.add_token_types(
        [TokenType.NORMAL] * BYTES + [kinds.get(name, TokenType.CONTROL) for name in SPECIAL_TOKENS]
    )
    # The loader wants a merge. Bytes C0 and C1 never occur in UTF-8, so this one never applies.
    writer.add_token_merges([f"{byte_token_text(0xC0)} {byte_token_text(0xC1)}"])
    writer.add_bos_token_id(SPECIAL_IDS["bos"])
    writer.add_eos_token_id(SPECIAL_IDS["turn_end"])
    writer.add_pad_token_id(SPECIAL_IDS["bos"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
