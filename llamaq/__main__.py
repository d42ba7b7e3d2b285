"""The command line: a group that loads a command's module when that command is used."""

import os
from collections.abc import Mapping
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from llamaq.logs import FORMS, LOG_FORMAT, LOG_LEVEL, set_up_logs

_COMMANDS: Mapping[str, str] = {
    "alias": "More names for models, kept in Redis.",
    "api": "Serve the API.",
    "bridge": "Bridge llama-servers that run, or one that COMMAND starts.",
    "cancel": "Cancel JOB, queued or running.",
    "completion": "Print what makes SHELL complete the words of llamaq.",
    "dashboard": "Print a link that opens the dashboard in a browser.",
    "doctor": "Look for what is wrong: Redis, clocks, versions, servers, tokens, disk, ports.",
    "drain": "Let WORKER take no more jobs; those that it works on end normally.",
    "invite": "Let the machine NAME, which you need not trust with more, serve one model.",
    "join": "Print the line that joins the llama-server of another machine of yours.",
    "pause": "Let the workers of this user on this machine take no jobs.",
    "resume": "Let WORKER take jobs again after `llamaq drain`.",
    "status": "Show the models, their workers, slots and queues.",
    "tenant": "Limits of what tenants may use, kept in Redis.",
    "token": "Make, inspect and revoke access tokens.",
    "top": "Watch the workers, slots, queues and jobs, until you press q.",
    "uninvite": "End the access of the machine NAME at once; its requests go to other workers.",
    "up": "Run everything on this machine: Redis, the API, and the bridges.",
    "usage": "Show what tenants have used, or this TENANT: requests, tokens, and seconds in slots.",
}
"""Each command and what it does, so that `--help` need not load them."""


class _LazyGroup(click.Group):
    """Each command is in a module of its own, which is loaded when the command is used: `up` is in
    `llamaq/up_command.py`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Loads no command."""
        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        found = [CompletionItem(name, help=_COMMANDS[name]) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"llamaq.{cmd_name}_command"), cmd_name)
        return command


@click.group(cls=_LazyGroup, context_settings={"max_content_width": 100})
@click.version_option(package_name="llamaq")
@click.option(
    "--log-level",
    envvar=LOG_LEVEL,
    show_envvar=True,
    default="info",
    type=click.Choice(["debug", "info", "warning", "error"]),
)
@click.option(
    "--log-format",
    envvar=LOG_FORMAT,
    show_envvar=True,
    default="text",
    type=click.Choice(list(FORMS)),
    help="Form of the log lines; json: one object a line.",
)
def main(log_level: str, log_format: str) -> None:
    """One OpenAI-compatible endpoint for every llama.cpp server you run."""
    os.environ[LOG_FORMAT] = log_format  # for the processes that this one starts
    set_up_logs(log_level)


if __name__ == "__main__":
    main()
