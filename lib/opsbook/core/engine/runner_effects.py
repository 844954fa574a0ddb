"""Effects that the runner performs for a cell: it asks a person, returns a secret, keeps a note.

The time limit of a cell does not run while a person is asked.
"""

import asyncio
import time
from typing import Any

from opsbook.core.engine.questions import Questions, Unanswered
from opsbook.core.engine.secrets import Vault
from opsbook.core.model.effect import Effect
from opsbook.core.model.person import Answer, Question, QuestionKind

ASKED: dict[str, QuestionKind] = {"ask": "ask", "confirm": "confirm"}
"""Kinds of effects that are questions. In a session, the cell itself asks its person."""

KINDS = frozenset({*ASKED, "secret", "note"})
"""Kinds of effects that the runner performs."""


class RunnerEffects:
    """Questions, secrets and notes of one run."""

    def __init__(self, vault: Vault, questions: Questions) -> None:
        self.redactor = vault.redactor
        self._vault = vault
        self._questions = questions
        self._waited = 0.0
        self._waiting: dict[int, float] = {}
        self.withdrawn = asyncio.Event()
        """Set when the run is stopping: open questions are withdrawn, and no more are asked."""

    @property
    def waited(self) -> float:
        """Seconds so far in which the kernel waited for a person."""
        now = time.monotonic()
        return self._waited + (now - min(self._waiting.values()) if self._waiting else 0.0)

    async def put(self, number: int, question: Question) -> Answer:
        """Ask for the effect with this number. Raises Unanswered, also if the question is withdrawn."""
        self._waiting[number] = started = time.monotonic()
        asking = asyncio.create_task(self._questions.put(question))
        withdrawn = asyncio.create_task(self.withdrawn.wait())
        try:
            await asyncio.wait({asking, withdrawn}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise Unanswered(question)
            return asking.result()
        finally:
            for task in (asking, withdrawn):
                task.cancel()
            await asyncio.gather(asking, withdrawn, return_exceptions=True)
            del self._waiting[number]
            self._waited += 0.0 if self._waiting else time.monotonic() - started

    async def decide(self, number: int, question: Question) -> str | None:
        """A decision in the middle of an effect; None if nobody can decide."""
        if not self._questions.present:
            return None
        try:
            return (await self.put(number, question)).value
        except Unanswered:
            return None

    async def perform(self, number: int, effect: Effect) -> Any:
        """Perform an effect of one of the KINDS. Raises Unanswered, and LookupError for an unknown secret."""
        request = effect.request
        if effect.kind == "note":
            return {"text": request["text"]}
        if effect.kind == "secret":
            if request["name"] in self._vault.closed:
                raise LookupError(f"the secret {request['name']} is not for this page: secret_pages in environment.yml")
            if self._vault.get(str(request["name"])) is None:
                raise LookupError(f"there is no secret {request['name']}; name it under secrets: in environment.yml")
            return {"secret": str(request["name"])}
        choices = ("yes", "no") if effect.kind == "confirm" else tuple(map(str, request.get("choices") or ()))
        question = Question(str(request["name"]), ASKED[effect.kind], str(request["question"]), choices)
        answer = await self.put(number, question)
        return {"value": answer.value, "by": answer.by, "note": answer.note}

    def shown(self, effect: Effect, result: Any) -> Any:
        """The result as the cell gets it: a secret's value, of which the journal has only the name."""
        return self._vault.get(result["secret"]) if effect.kind == "secret" else result
