"""From the bytes of a form (multipart/form-data, RFC 7578) to its fields and files. Pure."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.errors import ApiError, bad_request

MOST_PARTS = 64
_MOST_LINE_BYTES = 512

# It would write a line for each broken form.
logging.getLogger(MultipartParser.__module__).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Form:
    """What a form says: the texts of its fields, and the bytes of its files, by their names.

    Of several with one name it has the last. Their names are `repeated`.
    """

    fields: Mapping[str, str]
    files: Mapping[str, bytes] = field(repr=False)
    repeated: frozenset[str]


def read_form(body: bytes) -> Form:
    """The form that `body` is, or an `ApiError` 400 that says what it is instead.

    The first line of a form is its boundary, so no header need tell it.
    """
    reader = _Reader()
    parser = MultipartParser(
        _boundary(body),
        {
            "on_part_begin": reader.begin,
            "on_header_field": reader.name_header,
            "on_header_value": reader.read_header,
            "on_part_data": reader.add,
            "on_end": reader.end,
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise _no_form() from error
    if not reader.is_complete:
        raise bad_request("The form is cut off: it must end with its boundary and two hyphens.")
    return _form_of(reader.parts)


def _boundary(body: bytes) -> bytes:
    line, ended, _ = body[:_MOST_LINE_BYTES].lstrip(b"\r\n").partition(b"\r\n")
    if not ended or not line.startswith(b"--"):
        raise _no_form()
    return line[2:]


class _Part:
    """One part of a form, as it is read."""

    def __init__(self) -> None:
        self.options: Mapping[bytes, bytes] = {}
        self.pieces: list[bytes] = []


class _Reader:
    """What a parser tells of a form."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.is_complete = False
        self._header = b""

    def begin(self) -> None:
        """The next part begins."""
        if len(self.parts) == MOST_PARTS:
            raise bad_request(f"The form has more than {MOST_PARTS} parts: send fewer.")
        self.parts.append(_Part())

    def name_header(self, data: bytes, start: int, end: int) -> None:
        """A header of the part has this name."""
        self._header = data[start:end].lower()

    def read_header(self, data: bytes, start: int, end: int) -> None:
        """It has this value."""
        if self._header == b"content-disposition":
            _, self.parts[-1].options = parse_options_header(data[start:end])

    def add(self, data: bytes, start: int, end: int) -> None:
        """The part has these bytes too."""
        self.parts[-1].pieces.append(data[start:end])

    def end(self) -> None:
        """The form is complete."""
        self.is_complete = True


def _form_of(parts: list[_Part]) -> Form:
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    repeated = set()
    for part in parts:
        if b"name" not in part.options:
            raise bad_request("Each part of the form must have a name.")
        name = _text(part.options[b"name"], "The name of a part")
        if name in fields or name in files:
            repeated.add(name)
        content = b"".join(part.pieces)
        if b"filename" in part.options:
            files[name] = content
        else:
            fields[name] = _text(content, f"`{name:.64}`")
    return Form(fields, files, frozenset(repeated))


def _text(content: bytes, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise bad_request(f"{what} must be UTF-8, or a file with a name.") from error


def _no_form() -> ApiError:
    return bad_request(
        "The body must be a form (multipart/form-data), as `curl --form` and OpenAI's clients "
        "send it, whose first line is its boundary."
    )
