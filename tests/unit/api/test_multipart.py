"""Forms as clients send them, and what is none."""

import os
import time

import httpx
import pytest

from api.errors import ApiError
from api.multipart import MOST_PARTS, Form, read_form
from testing.builders import make_form

HEAD = b'--b\r\nContent-Disposition: form-data; name="a"'
END = b"\r\n--b--\r\n"


def refusal(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        read_form(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")
    return caught.value.message


def test_fields_are_texts_and_files_are_bytes() -> None:
    sound = os.urandom(4096) + b"\r\n--\r\n\r"
    body = make_form({"prompt": "grün\n", "model": ""}, file=sound)
    assert read_form(body) == Form({"prompt": "grün\n", "model": ""}, {"file": sound}, frozenset())


@pytest.mark.parametrize(
    "body",
    [
        HEAD + b"\r\n\r\nx" + END,
        b"\r\n" + HEAD + b"\r\n\r\nx" + END,
        HEAD + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--",
        HEAD + b"\r\n\r\nx" + END + b"an epilogue",
        HEAD.replace(b"C", b"c") + b"\r\n\r\nx" + END,
        HEAD.replace(b"form-data; ", b"form-data;") + b"\r\n\r\nx" + END,
        HEAD.replace(b'"', b"") + b"\r\n\r\nx" + END,
    ],
)
def test_form_is_read_however_it_is_written(body: bytes) -> None:
    assert read_form(body).fields == {"a": "x"}


def test_of_several_with_one_name_the_last_is_kept_and_the_name_is_told() -> None:
    request = httpx.Request("POST", "http://x", data={"a": ["1", "2"]}, files={"b": b""})
    form = read_form(request.read())
    assert (form.fields, form.files, form.repeated) == ({"a": "2"}, {"b": b""}, {"a"})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "must be a form"),
        (b'{"model": "tiny"}', "must be a form"),
        (b"model=tiny&prompt=a", "must be a form"),
        (b"--" + b"b" * 600 + b"\r\n", "must be a form"),
        (b"--b\r\nno header\r\n\r\nx" + END, "must be a form"),
        (HEAD + b"\r\n" + b"X: y\r\n" * 40 + b"\r\nx" + END, "must be a form"),
        (HEAD + b"; x=" + b"y" * 99_999 + b"\r\n\r\nx" + END, "must be a form"),
        (HEAD + b"\r\n\r\nx", "cut off"),
        (HEAD + b"\r\n\r\nx\r\n--b\r\n", "cut off"),
        (HEAD + b"\r\n\r\nx\r\n--b-", "cut off"),
        (HEAD + b"\r\n\r\n\xff" + END, "`a` must be UTF-8"),
        (b"--b\r\nX: y\r\n\r\nx" + END, "must have a name"),
        ((HEAD + b"\r\n\r\nx\r\n") * (MOST_PARTS + 1) + END, "more than 64 parts"),
    ],
)
def test_what_is_no_form_is_told_why(body: bytes, says: str) -> None:
    assert says in refusal(body)


@pytest.mark.parametrize("part", [b"\r", b"\r\n--", b"\r\n--b", b"-", b"\r\n--b\r\n"])
def test_no_body_takes_long(part: bytes) -> None:
    body = HEAD + b"\r\n\r\n" + part * (4 * 2**20 // len(part))
    before = time.process_time()
    refusal(body)
    assert time.process_time() - before < 1
