"""The command line: a group that loads a command's module when that command is used."""

from importlib import import_module

import click

from llamaq.logs import LOG_LEVEL, set_up_logs

_COMMANDS = (
    "alias",
    "api",
    "bridge",
    "invite",
    "join",
    "status",
    "tenant",
    "token",
    "uninvite",
    "up",
    "usage",
)


class _LazyGroup(click.Group):
    """Each command is in a module of its own: `up` in `llamaq/up_command.py`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

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
def main(log_level: str) -> None:
    """One OpenAI-compatible endpoint for every llama.cpp server you run."""
    set_up_logs(log_level)


if __name__ == "__main__":
    main()
