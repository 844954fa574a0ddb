"""Messages in the shape of an AO process: what comes in, and what goes out."""

from dataclasses import dataclass, field
from typing import Any

from arcade import jsontext
from arcade.errors import MalformedError

MAX_BODY_BYTES = 64 * 1024
MAX_FROM = 128
MAX_ACTION = 64


@dataclass(frozen=True)
class Message:
    """One message. Tags are name to value; of a name given twice the later value counts. `flags` are those of the
    sender, by name.
    """

    action: str
    sender: str = ""
    data: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)

    def for_lua(self) -> dict[str, object]:
        """The message under the names handlers read."""
        told = {"Action": self.action, "From": self.sender, "Data": self.data, "Tags": self.tags}
        return {**told, "Flags": self.flags}


@dataclass(frozen=True)
class Reply:
    """What a handler answers: any JSON value, and messages to send on."""

    output: Any
    messages: list[Any]


def parse_message(body: bytes) -> Message:
    """The message in a request body. Raises MalformedError with what is wrong; unknown fields are ignored."""
    try:
        fields = jsontext.loads(body)
    except ValueError as error:
        raise MalformedError(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise MalformedError("the body must be a JSON object")
    action = _text(fields, "Action", MAX_ACTION)
    if not action:
        raise MalformedError("Action is missing")
    return Message(
        action=action,
        sender=_text(fields, "From", MAX_FROM),
        data=_text(fields, "Data", MAX_BODY_BYTES),
        tags=_tags(fields.get("Tags") or {}),
    )


def _text(fields: dict[str, Any], name: str, longest: int) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise MalformedError(f"{name} must be a string")
    if len(value) > longest:
        raise MalformedError(f"{name} has more than {longest} characters")
    return value


def _tags(given: object) -> dict[str, str]:
    pairs = list(given.items()) if isinstance(given, dict) else _pairs(given)
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise MalformedError("a tag's name and value must be strings")
    return dict(pairs)


def _pairs(given: object) -> list[tuple[Any, Any]]:
    if not isinstance(given, list) or not all(isinstance(tag, dict) for tag in given):
        raise MalformedError("Tags must be an object, or a list of {name, value}")
    return [(tag.get("name"), tag.get("value")) for tag in given]
