"""The one exception that means "these data", as opposed to "this program"."""


class DataError(ValueError):
    """Data that cannot be processed as they are.

    The message says what is wrong, with the value and the limit, and what to do.
    A stage turns it into ``status: failed`` for that scan and goes on; every other
    exception is a fault of the program and stops the job.
    """
