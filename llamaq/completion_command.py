"""`llamaq completion`: what makes a shell complete commands, options and names."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete the words of llamaq.

    Ids of workers and names of models come from Redis. For bash, in ~/.bashrc: eval "$(llamaq
    completion bash)". For zsh the same in ~/.zshrc. For fish: llamaq completion fish >
    ~/.config/fish/completions/llamaq.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"this version of click can't complete words for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "llamaq", "_LLAMAQ_COMPLETE").source())
