"""Sounds that harm a llama-server are refused, whatever carries them."""

import json
import struct
from base64 import b64encode

import pytest

from api.audio.request import parse_transcription
from api.chat.request import parse_chat
from api.errors import ApiError
from api.sound import flaw_of
from testing.builders import make_chat, make_form, make_settings
from testing.tiny_ear import sound

SETTINGS = make_settings()


def wav(samples: int, rate: int = 16_000, encoding: int = 1, before: bytes = b"") -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, encoding, 1, rate, 2 * rate, 2, 16)
    data = struct.pack("<4sI", b"data", 2 * samples) + bytes(2 * samples)
    return b"RIFF\0\0\0\0WAVE" + before + form + data


def flac(rate: int, samples: int) -> bytes:
    return b"fLaC\x80\0\0\x22" + bytes(10) + struct.pack(">Q", rate << 44 | samples) + bytes(16)


@pytest.mark.parametrize(
    "fine",
    [
        *(sound(), wav(16), wav(400, 8000), wav(1, encoding=17), flac(16_000, 9000)),
        *(flac(44_100, 0), b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC", b"ID3", wav(99)[:30]),
        wav(99, before=struct.pack("<4sI", b"JUNK", 2**32 - 1)),
    ],
)
def test_sound_passes_that_harms_nobody_or_is_none(fine: bytes) -> None:
    assert flaw_of(fine) is None


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (wav(1), "millisecond"),
        (wav(0), "millisecond"),
        (wav(15), "millisecond"),
        (wav(99)[:46], "millisecond"),
        (wav(1, before=b"JUNK\x03\0\0\0abc\0"), "millisecond"),
        (wav(9, 384_000), "millisecond"),
        (wav(20_000, 1), "has 1 samples"),
        (wav(20_000, 1, encoding=17), "has 1 samples"),
        (flac(1, 32_768), "has 1 samples"),
        (flac(16_000, 1), "millisecond"),
    ],
)
def test_sound_that_harms_a_server_is_refused_by_its_name(bad: bytes, says: str) -> None:
    with pytest.raises(ApiError, match=says) as refused:
        parse_transcription(make_form({}, file=bad), SETTINGS)
    assert (refused.value.status, refused.value.param) == (400, "file")
    data = b64encode(bad).decode()
    for kind, key, text in (
        ("input_audio", "data", data),
        ("input_audio", "data", f"data:audio/wav;base64,{data}"),
        ("audio_url", "url", f"data:audio/wav;base64,{data}"),
        ("image_url", "url", f"data:image/png;base64,{data}"),
    ):
        part = {"type": kind, kind: {key: text, "format": "wav"}}
        body = make_chat(messages=[{"role": "user", "content": [part]}])
        with pytest.raises(ApiError, match=says) as told:
            parse_chat(body, SETTINGS)
        assert told.value.param == f"messages[0].content[0].{kind}.{key}"


def test_data_that_is_no_base64_is_left_to_the_server() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "UklGRé=", "format": "wav"}}
    said = json.loads(make_chat(messages=[{"role": "user", "content": [part]}]))
    assert parse_chat(json.dumps(said).encode(), SETTINGS).needs.abilities == {"audio"}
