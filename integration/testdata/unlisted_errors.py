"""Exceptions of a module that the clients of the tests do not allow."""


class Unlisted(Exception):
    pass
