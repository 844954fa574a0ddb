"""The errors arcade answers with one sentence instead of a traceback."""


class ArcadeError(Exception):
    """A problem whose text is one sentence for the reader.

    `outcome` is the label counted in arcade_messages_total, `status` the HTTP status it becomes.
    """

    status = 500
    outcome = "error"


class SettingsError(ArcadeError):
    """A setting is missing or wrong."""


class HandlerError(ArcadeError):
    """A Lua handler does not compile or failed; the text begins with `handlers/file.lua:line:`."""


class MalformedError(ArcadeError):
    """A request body that is no message."""

    status = 400
    outcome = "malformed"


class TooLargeError(ArcadeError):
    """A request body above the limit."""

    status = 413
    outcome = "malformed"


class RefusedError(ArcadeError):
    """A well-formed message that a handler turns down, with its reason."""

    status = 400
    outcome = "refused"


class UnauthorizedError(ArcadeError):
    """A request that needs a key, and has none that is known."""

    status = 401
    outcome = "refused"


class UnknownActionError(ArcadeError):
    """A message whose action has no handler."""

    status = 404
    outcome = "unknown"


class UnavailableError(ArcadeError):
    """The database, or capacity, is missing right now; the same message may succeed later."""

    status = 503
    outcome = "unavailable"


class FullError(ArcadeError):
    """What this instance may write is used up: it takes no messages until somebody makes room."""

    status = 507
    outcome = "unavailable"


class MigrationError(ArcadeError):
    """The migrations cannot be applied as they are."""


class BuildError(ArcadeError):
    """A release cannot be built from what was given."""
