"""Content blocks as the parts of a chat's content. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.errors import ApiError, bad_request
from api.request_fields import text_of

Json = dict[str, Any]

# Said by Anthropic's own tools and services, or sealed by them: a llama-server knows nothing of it.
UNREADABLE = frozenset(
    {
        "redacted_thinking",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "container_upload",
        "browser_state",
        "compaction",
    }
)


def parts_of(block: Any, where: str) -> list[Json]:
    """The parts that say what a block says: of text, or a picture. None for what is unreadable.

    Raises an `ApiError` 400.
    """
    kind = block.get("type") if isinstance(block, dict) else None
    if isinstance(kind, str) and kind in UNREADABLE:
        return []
    if not isinstance(kind, str) or kind not in _READERS:
        raise bad_type(where)
    return _READERS[kind](block, where)


def bad_type(where: str) -> ApiError:
    """The error for a block of a type that we don't know."""
    allowed = ", ".join((*_READERS, "thinking", "tool_use", "tool_result"))
    return bad_request(f"`{where}.type` must be one of {allowed}.", param=f"{where}.type")


def all_parts(content: Any, where: str) -> list[Json]:
    """Those of a content: a string, or a list of blocks."""
    if isinstance(content, str):
        return [text_part(content)]
    if not isinstance(content, list):
        raise bad_request(f"`{where}` must be a string or a list of blocks.", param=where)
    return [part for i, block in enumerate(content) for part in parts_of(block, f"{where}[{i}]")]


def text_part(text: str) -> Json:
    """A part of text."""
    return {"type": "text", "text": text}


def plain(parts: Sequence[Json]) -> str | list[Json]:
    """Parts that are all text as one string, as llama-server joins the text of a tool's result."""
    if any(part["type"] != "text" for part in parts):
        return list(parts)
    return "".join(part["text"] for part in parts)


def _text(block: Json, where: str) -> list[Json]:
    return [text_part(text_of(block, "text", where))]


def _image(block: Json, where: str) -> list[Json]:
    source, where = _source(block, where)
    if source.get("type") == "base64":
        kind = source.get("media_type", "image/jpeg")
        if not isinstance(kind, str):
            raise bad_request(
                f"`{where}.media_type` must be a string.", param=f"{where}.media_type"
            )
        url = f"data:{kind};base64,{text_of(source, 'data', where)}"
    elif source.get("type") == "url":
        url = text_of(source, "url", where)
        if url[:5].lower() != "data:":
            raise _not_inline(f"{where}.url")
    else:
        raise _not_inline(f"{where}.type")
    return [{"type": "image_url", "image_url": {"url": url}}]


def _not_inline(where: str) -> ApiError:
    return bad_request(
        f"`{where}` names a file elsewhere, which no llama-server may fetch: send the file itself, "
        'as a source of the type "base64".',
        param=where,
    )


def _document(block: Json, where: str) -> list[Json]:
    title, (source, where) = block.get("title"), _source(block, where)
    heading = [text_part(title + "\n")] if isinstance(title, str) and title else []
    if source.get("type") == "text":
        return [*heading, text_part(text_of(source, "data", where))]
    if source.get("type") == "content":
        return [*heading, *all_parts(source.get("content"), f"{where}.content")]
    raise bad_request(
        f'`{where}.type` must be "text" or "content": no llama-server reads PDFs or files that lie '
        "elsewhere, so send their text.",
        param=f"{where}.type",
    )


def _search_result(block: Json, where: str) -> list[Json]:
    named = [text_of(block, name, where) for name in ("title", "source")]
    return [
        text_part("\n".join((*named, ""))),
        *all_parts(block.get("content"), f"{where}.content"),
    ]


def _tool_reference(block: Json, where: str) -> list[Json]:
    return [text_part(text_of(block, "tool_name", where))]


def _source(block: Json, where: str) -> tuple[Json, str]:
    where = f"{where}.source"
    source = block.get("source")
    if not isinstance(source, dict):
        raise bad_request(f"`{where}` must be an object.", param=where)
    return source, where


_READERS: Mapping[str, Callable[[Json, str], list[Json]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
}
