"""`llamaq up` and `bridge`: after their options, the command line of a llama-server may stand."""

import click

from worker_bridge.launcher import EXAMPLE


class StartingCommand(click.Command):
    """It needs no `--` before that command line, whose options are its own."""

    allow_interspersed_args = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As any command, but tells people where options of llama-server belong."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities and error.option_name.startswith("--"):
                raise
            line = f"llamaq {self.name} -- {' '.join(EXAMPLE)}"
            where = f"Options of llama-server follow its name: {line}"
            raise click.UsageError(f"{error.format_message()} {where}", ctx) from error
