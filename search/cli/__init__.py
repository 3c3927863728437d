"""The command line. Nothing else imports this package."""


def main() -> None:
    """Run the command line with the arguments of this process; the ``snnsearch`` command."""
    from search.cli.app import main as run

    run()
