"""Exceptions that a service and its callers share."""


class QuotaExceeded(Exception):
    """Raised with keyword arguments, which travel as its kwargs."""

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or 'No %(resource)s left: %(used)s used.' % kwargs)


class NotReady(Exception):
    """Raised with a message alone."""


class Picky(Exception):
    """Cannot be made of a message alone."""

    def __init__(self, first, second):
        super().__init__(first, second)
