"""What became of one call of a client."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` is empty where it worked."""

    client: str
    call: str
    why: str = ""


def table(verdicts: list[Verdict]) -> str:
    """One row for each call, in Markdown."""
    lines = ["| client | call | result |", "|---|---|---|"]
    for verdict in verdicts:
        result = " ".join(verdict.why.split())[:160].replace("|", "/") if verdict.why else "ok"
        lines.append(f"| {verdict.client} | {verdict.call} | {result} |")
    return "\n".join(lines)
