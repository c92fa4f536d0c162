"""As much of nova.exception as a caller of the scheduler needs."""


class NovaException(Exception):
    msg_fmt = 'An unknown exception occurred.'
    code = 500

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        self.kwargs.setdefault('code', self.code)
        super().__init__(message or self.msg_fmt % kwargs)


class NoValidHost(NovaException):
    msg_fmt = 'No valid host was found. %(reason)s'
