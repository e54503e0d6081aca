"""What is wrong with bytes that should be RDB."""


class RdbError(ValueError):
    """The bytes are not what they should be; the message says what is wrong."""


class PayloadError(RdbError):
    """Version or checksum of a payload are wrong."""
