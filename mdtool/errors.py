"""The one exception a user of mdtool ever sees, and what others say of files."""

from __future__ import annotations


def reason(error: Exception) -> str:
    """Why a file could not be read, without its name, which the operating system would say again."""
    return getattr(error, "strerror", None) or str(error)


class MdtoolError(Exception):
    """A mistake in the input or the environment, told in one sentence: what, where, what to do.

    `exit_code` is the process status the command line returns: 2 for bad input (the default),
    1 for a failure that the input did not cause, 3 for an unmet requirement of an edit request.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def at(self, where: object) -> MdtoolError:
        """The same with the place in front where it happened: a file, a run, a line."""
        return MdtoolError(f"{where}: {self}", self.exit_code)
