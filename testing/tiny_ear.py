"""Makes a tiny projector of random weights, an Ultravox's: with it the demo model hears."""

import math
import struct
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from llamaq.demo_model import SHAPES, Size

WIDTH, HEADS, FFN, MELS = 16, 2, 32, 80
POSITIONS = 1500  # half a minute of sound; llama.cpp fills up what is shorter
STACKED = 50  # of them are one token
INNER = 32


def write_tiny_ear(path: Path, size: Size = "tiny") -> None:
    """Writes a GGUF file for the `--mmproj` of a server with a demo model of this size."""
    dim = SHAPES[size].dim
    writer = GGUFWriter(path, "clip")
    writer.add_clip_has_audio_encoder(True)
    writer.add_clip_audio_projector_type("ultravox")
    writer.add_audio_projection_dim(dim)
    writer.add_audio_embedding_length(WIDTH)
    writer.add_audio_feed_forward_length(FFN)
    writer.add_audio_block_count(1)
    writer.add_audio_head_count(HEADS)
    writer.add_audio_attention_layernorm_eps(1e-5)
    writer.add_audio_num_mel_bins(MELS)
    writer.add_audio_stack_factor(STACKED)
    writer.add_bool("clip.use_gelu", True)
    _Tensors(writer).write(dim)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def sound(pitch: float = 0.2, seconds: float = 0.25) -> bytes:
    """A tone, as a WAV file."""
    rate = 16_000
    samples = [int(9000 * math.sin(n * pitch)) for n in range(int(rate * seconds))]
    file = BytesIO()
    with wave.open(file, "wb") as told:
        told.setnchannels(1)
        told.setsampwidth(2)
        told.setframerate(rate)
        told.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


class _Tensors:
    """The tensors of a projector: Whisper's encoder with one layer, and what projects it."""

    def __init__(self, writer: GGUFWriter) -> None:
        self._writer = writer
        self._random = np.random.default_rng(0)

    def write(self, dim: int) -> None:
        for number, inputs in ((1, MELS), (2, WIDTH)):
            self._random_of(f"a.conv1d.{number}.weight", (WIDTH, inputs, 3), np.float16)
            self._random_of(f"a.conv1d.{number}.bias", (WIDTH, 1))
        self._random_of("a.position_embd.weight", (POSITIONS, WIDTH))
        for name in ("ln1", "ln2"):
            self._norm(f"a.blk.0.{name}")
        for name in ("attn_q", "attn_v", "attn_out"):
            self._linear(f"a.blk.0.{name}", WIDTH, WIDTH)
        self._random_of("a.blk.0.attn_k.weight", (WIDTH, WIDTH))
        self._linear("a.blk.0.ffn_up", FFN, WIDTH)
        self._linear("a.blk.0.ffn_down", WIDTH, FFN)
        self._norm("a.post_ln")
        self._ones("mm.a.norm_pre.weight", WIDTH * STACKED)
        self._random_of("mm.a.mlp.1.weight", (2 * INNER, WIDTH * STACKED))
        self._ones("mm.a.norm_mid.weight", INNER)
        self._random_of("mm.a.mlp.2.weight", (dim, INNER))

    def _random_of(self, name: str, shape: tuple[int, ...], kind: type = np.float32) -> None:
        values = self._random.standard_normal(shape) * shape[-1] ** -0.5
        self._writer.add_tensor(name, values.astype(kind))

    def _ones(self, name: str, width: int) -> None:
        self._writer.add_tensor(name, np.ones(width, np.float32))

    def _linear(self, name: str, rows: int, columns: int) -> None:
        self._random_of(f"{name}.weight", (rows, columns))
        self._random_of(f"{name}.bias", (rows,))

    def _norm(self, name: str) -> None:
        self._ones(f"{name}.weight", WIDTH)
        self._random_of(f"{name}.bias", (WIDTH,))
