"""How many tokens a request will probably cost, before anybody has counted them. Pure; cheap."""

BYTES_PER_TOKEN = 4  # English text and code; others have fewer, which finish corrects
USUAL_COMPLETION = 256  # of a model that has answered nothing yet


def completion_tokens(max_tokens: int | None, mean: float) -> int:
    """Tokens of one answer. `mean` is what answers of this model have on average, 0 if unknown.

    >>> completion_tokens(None, 0), completion_tokens(10, 300.2), completion_tokens(None, 300.2)
    (256, 10, 300)
    """
    usual = round(mean) or USUAL_COMPLETION
    return usual if max_tokens is None else min(max_tokens, usual)


def bytes_of(text: str) -> int:
    """How many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
