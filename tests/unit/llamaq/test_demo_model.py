"""The demo model's file and what it may say; no server is started."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from llamaq.demo_model import CONTEXT_TOKENS, SHAPES, model_tensors, write_demo_model
from llamaq.demo_words import (
    CLASS_NAMES,
    SPECIAL_IDS,
    TOKEN_CLASSES,
    byte_token_text,
    token_class,
    transition_table,
)

PLAIN_TEXT = ("consonant", "vowel", "space", "stop", "other")
JSON_STRING = ("quote", "first", "second", "third", "fourth")


def likely_after(previous: str) -> set[str]:
    """Classes of the tokens that are worth at least a hundredth of the best one."""
    column = transition_table(stop_rate=0.01)[:, CLASS_NAMES.index(previous)]
    return {
        token_class(int(token)) for token in np.flatnonzero(column > column.max() - np.log(100))
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_demo_model(path)
    return path


def test_same_seed_makes_the_same_bytes(model: Path, tmp_path: Path) -> None:
    write_demo_model(tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == model.read_bytes()


def test_another_seed_makes_another_model(model: Path, tmp_path: Path) -> None:
    write_demo_model(tmp_path / "other.gguf", seed=1)
    assert (tmp_path / "other.gguf").read_bytes() != model.read_bytes()


def test_nothing_but_the_model_is_left_in_the_folder(model: Path) -> None:
    assert list(model.parent.iterdir()) == [model]


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_demo_model(path, stop_rate=0.06)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_file_says_how_long_its_context_is(model: Path) -> None:
    field = GGUFReader(model).get_field("llama.context_length")
    assert field is not None
    assert field.contents() == CONTEXT_TOKENS


def test_model_can_be_made_without_the_tokens_of_infill(model: Path, tmp_path: Path) -> None:
    write_demo_model(tmp_path / "plain.gguf", infill=False)
    names = [f"tokenizer.ggml.fim_{part}_token_id" for part in ("pre", "suf", "mid")]
    fields = [GGUFReader(model).get_field(name) for name in names]
    assert [field.contents() for field in fields if field] == [0xF8, 0xF9, 0xFA]
    plain = GGUFReader(tmp_path / "plain.gguf")
    assert not any(plain.get_field(name) for name in names)


def test_every_byte_has_its_own_token_text() -> None:
    assert len({byte_token_text(byte) for byte in range(256)}) == 256


def test_space_is_written_as_gpt2_writes_it() -> None:
    assert byte_token_text(0x20) == "\u0120"


@pytest.mark.parametrize("previous", PLAIN_TEXT)
def test_plain_text_stays_plain_text(previous: str) -> None:
    assert likely_after(previous) <= {"consonant", "vowel", "space", "stop", "turn_end"}


@pytest.mark.parametrize(("previous", "following"), [*pairwise(JSON_STRING)])
def test_json_string_leads_to_its_closing_quote(previous: str, following: str) -> None:
    assert following in likely_after(previous)


def test_fourth_letter_of_a_json_string_is_followed_by_a_quote() -> None:
    column = transition_table(0.01)[:, CLASS_NAMES.index("fourth")]
    assert column.argmax() == ord('"')


@pytest.mark.parametrize("closing", ["close", "close_list", "call_end"])
def test_turn_ends_after_json_where_no_quote_may_follow(closing: str) -> None:
    column = transition_table(0.01)[:, CLASS_NAMES.index(closing)]
    column[ord('"')] = -40
    assert column[SPECIAL_IDS["turn_end"]] == column.max()


@pytest.mark.parametrize("previous", CLASS_NAMES)
def test_unprintable_bytes_never_come(previous: str) -> None:
    column = transition_table(0.01)[:, CLASS_NAMES.index(previous)]
    assert max(column[:0x20].max(), column[0x7F:0x100].max()) <= -40


def test_stop_rate_zero_never_ends_a_turn_in_plain_text() -> None:
    column = transition_table(0)[:, CLASS_NAMES.index("stop")]
    assert column[SPECIAL_IDS["turn_end"]] == -40


def test_no_layer_reads_or_writes_the_class_of_the_last_token() -> None:
    tensors = dict(model_tensors(SHAPES["tiny"], seed=0, stop_rate=0.01))
    kept = len(CLASS_NAMES)
    written = [tensors[f"blk.0.{name}.weight"][:kept] for name in ("attn_output", "ffn_down")]
    read = [tensors[f"blk.0.{name}.weight"][:kept] for name in ("attn_norm", "ffn_norm")]
    assert not any(weights.any() for weights in (*written, *read))


def test_classes_share_no_character() -> None:
    characters = "".join(TOKEN_CLASSES.values())
    assert len(set(characters)) == len(characters)
