"""The exceptions that callers of the library may catch."""


class SentryFuseError(Exception):
    """Base of every error the library raises on purpose."""


class ConfigError(SentryFuseError, ValueError):
    """A setting makes no sense; the message names it, the value seen and what is allowed."""


class InputError(SentryFuseError, ValueError):
    """A window of sensor data does not fit the model's modalities."""


class DataError(SentryFuseError):
    """A data set or download is missing, damaged or not of the window format."""


class BundleError(SentryFuseError):
    """A bundle is missing, damaged, foreign or of another schema version."""


class MaskMismatchError(SentryFuseError, ValueError):
    """A mask does not fit the model or the bytes it is applied to."""


class MeterError(SentryFuseError):
    """Energy could not be read."""
