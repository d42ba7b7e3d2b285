"""Makes a tiny llama model of random weights that babbles: a real model without a download."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from gguf import GGUFWriter, TokenType

from llamaq.demo_words import (
    BYTES,
    CHAT_TEMPLATE,
    CLASS_NAMES,
    INFILL_IDS,
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
    path: Path,
    *,
    size: Size = "tiny",
    seed: int = 0,
    stop_rate: float = 0.01,
    template: str = CHAT_TEMPLATE,
    infill: bool = True,
) -> None:
    """Write a GGUF file to `path`, byte for byte the same for the same arguments.

    `stop_rate` (0 to 0.05) is about the share of tokens that end the answer at the server's
    default sampling; with 0 answers end only at a limit. `template` is the chat's. A model with
    `infill` has the tokens that llama-server's /infill needs. The file appears complete or not at
    all.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(
            temporary,
            SHAPES[size],
            f"llamaq demo {size}",
            template,
            INFILL_IDS if infill else {},
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

    # Less than what the layers write, so that the noise is more than a function of the last token.
    embedding = _matrix(random, VOCABULARY, shape.dim, 0.3 * shape.dim**0.5)
    classes = [CLASS_NAMES.index(token_class(token)) for token in range(VOCABULARY)]
    embedding[:, :kept] = np.eye(kept)[classes]
    yield "token_embd.weight", embedding

    for layer in range(shape.layers):
        for name, weights in _layer_tensors(random, shape):
            yield f"blk.{layer}.{name}.weight", weights

    rms = (NOISE_POWER * free / shape.dim) ** 0.5
    yield "output_norm.weight", _norm(shape, rms, (free / shape.dim) ** 0.5)
    noise = _matrix(random, VOCABULARY, free, 1)
    yield "output.weight", np.concatenate([transition_table(stop_rate), noise], axis=1)


def _layer_tensors(random: np.random.Generator, shape: Shape) -> Iterator[tuple[str, Weights]]:
    dim, ffn, gain = shape.dim, shape.ffn, 2 * shape.layers**-0.5
    yield "attn_norm", _norm(shape, 0, 1)
    yield "attn_q", _matrix(random, dim, dim, 2)
    yield "attn_k", _matrix(random, dim, dim, 2)
    yield "attn_v", _matrix(random, dim, dim, 1)
    yield "attn_output", _sparing_classes(_matrix(random, dim, dim, gain))
    yield "ffn_norm", _norm(shape, 0, 1)
    yield "ffn_gate", _matrix(random, ffn, dim, 1)
    yield "ffn_up", _matrix(random, ffn, dim, 1)
    yield "ffn_down", _sparing_classes(_matrix(random, dim, ffn, gain))


def _matrix(random: np.random.Generator, rows: int, columns: int, gain: float) -> Weights:
    scale = np.float32(gain * columns**-0.5)
    return random.standard_normal((rows, columns), np.float32) * scale


def _norm(shape: Shape, class_gain: float, noise_gain: float) -> Weights:
    is_class = np.arange(shape.dim) < len(CLASS_NAMES)
    return np.where(is_class, class_gain, noise_gain).astype(np.float32)


def _sparing_classes(weights: Weights) -> Weights:
    weights[: len(CLASS_NAMES)] = 0
    return weights


def _write(
    path: Path,
    shape: Shape,
    name: str,
    template: str,
    infill_ids: Mapping[str, int],
    tensors: Iterable[tuple[str, Weights]],
) -> None:
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
    for part, token in infill_ids.items():
        writer.add_uint32(f"tokenizer.ggml.fim_{part}_token_id", token)
    writer.add_chat_template(template)
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
