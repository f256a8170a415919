"""Calling minigan deblur in tests, and what a call of any command that is refused must look like."""

from click.testing import CliRunner, Result

from minigan.cli.main import main


def call(*arguments: object) -> Result:
    """minigan deblur with these arguments."""
    return CliRunner().invoke(main, ["deblur", *map(str, arguments)])


def refused(result: Result, *words: object) -> None:
    """Exit status 2, and nothing but one sentence with these words on standard error."""
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (message,) = result.stderr.splitlines()
    assert message.startswith("Error: ")
    for word in words:
        assert str(word) in message, message
