"""`llamaq usage`: what tenants have used."""

import csv
import io
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from dispatcher.usage_report import GROUPS, BadPeriod, month
from llamaq.data_dir import beside_up_option
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url


@click.command(epilog=REDIS_SETTINGS)
@click.argument("tenant", default="")
@click.option("--month", "month_", default="", metavar="YYYY-MM", help="Of this month.")
@click.option("--from", "first", default="", metavar="DAY", help="From this UTC day on.")
@click.option("--to", "last", default="", metavar="DAY", help="Until this one. [default: today]")
@click.option(
    "--by",
    type=click.Choice(GROUPS),
    help="What to sum up by. [default: tenant, or day for one TENANT]",
)
@click.option("--csv", "form", flag_value="csv", help="For spreadsheets.")
@click.option("--json", "form", flag_value="json", help="For programs.")
@beside_up_option()
def usage(tenant: str, by: str | None, form: str | None, data_dir: Path, **period: str) -> None:
    """Show what tenants have used, or this TENANT: requests, tokens, and seconds in slots.

    It shows the current month unless you name another time. Days are UTC.
    """
    from llamaq.usage_work import report

    first, last = _days(**period)
    by = by or ("day" if tenant else "tenant")
    found = with_redis_url(data_dir, partial(report, tenant, first, last, by))
    if form == "json":
        click.echo(json.dumps(found, indent=2))
    elif form == "csv":
        click.echo(_in_csv(found["data"], by), nl=False)
    else:
        click.echo(_in_table(found, by))


def _days(month_: str, first: str, last: str) -> tuple[str, str]:
    if not month_:
        return first, last
    if first or last:
        raise click.UsageError("give --month, or --from and --to")
    try:
        since, until = month(month_)
    except BadPeriod as error:
        raise click.UsageError(str(error)) from error
    return since.isoformat(), until.isoformat()


def _rows(data: Sequence[dict[str, Any]], by: str) -> list[list[str]]:
    names = [by, "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "slot_seconds"]
    return [names, *([str(row[name]) for name in names] for row in data)]


def _in_csv(data: Sequence[dict[str, Any]], by: str) -> str:
    """A name that a spreadsheet would take for a formula begins with a quote."""
    text = io.StringIO()
    rows = _rows([{**row, by: _harmless(row[by])} for row in data], by)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _harmless(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _in_table(found: dict[str, Any], by: str) -> str:
    if not found["data"]:
        return f"Nothing was used from {found['from']} to {found['to']}."
    titles, *rows = _rows([*found["data"], {by: "total", **found["total"]}], by)
    rows = [[ascii(row[0])[1:-1] if not row[0].isprintable() else row[0], *row[1:]] for row in rows]
    table = [[title.replace("_", " ") for title in titles], *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(titles))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table
    )
