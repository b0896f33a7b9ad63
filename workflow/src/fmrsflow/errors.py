"""Exceptions that mean "these data" or "this disk", as opposed to "this program"."""


class DataError(ValueError):
    """Data that cannot be processed as they are.

    The message says what is wrong, with the value and the limit, and what to do.
    A stage turns it into ``status: failed`` for that scan and goes on; every other
    exception is a fault of the program and stops the job.
    """


class Damaged(DataError):
    """A file of our own results is missing, damaged or was edited: no property of the data, so a
    scan that meets one ends in a fault and is done again once the file is made anew."""


class Unwritable(OSError):
    """An output cannot be written: disk full, no leave to write, read-only.

    The job ends without a record of that scan, so that the same command does it again.
    """

    def __init__(self, path, error: OSError):
        super().__init__(
            f"{path} cannot be written ({error.strerror or error}); make room or get leave to "
            "write there, then run the same command again"
        )
