"""Ask a question: answers given ahead come first, then the person at the terminal or a request in the inbox."""

import asyncio
from collections.abc import Mapping

from opsbook.core.model.events import Detached, QuestionAnswered, QuestionAsked
from opsbook.core.model.person import Answer, Gone, Person, Question
from opsbook.core.model.sink import Sink


class Unanswered(Exception):
    """Nobody can answer. The run stops and waits."""

    def __init__(self, question: Question) -> None:
        super().__init__(f"{question.name} needs an answer and nobody is there: {question.text}")
        self.question = question


class Questions:
    """Asks all questions of a run, and journals them with their answers."""

    def __init__(self, sink: Sink, person: Person, known: Mapping[str, str], operator: str) -> None:
        self.operator = operator
        self._sink = sink
        self._person = person
        self._known = {name: Answer(value, f"{operator} (given ahead)") for name, value in known.items()}
        self._gone = False
        self._open: dict[int, tuple[Question, asyncio.Future[Answer]]] = {}
        self._turn = asyncio.Lock()

    @property
    def present(self) -> bool:
        """Whether a person is or was there: after losing the terminal, one can come back with attach."""
        return self._person.present

    def answered(self, name: str) -> bool:
        """Whether a question of this name can be answered: by a person, or ahead."""
        return self.present or name in self._known

    async def put(self, question: Question) -> Answer:
        """Ask, and journal the answer. Raises Unanswered if nobody can give one."""
        number = self._sink.write(QuestionAsked(**vars(question))).seq
        known = self._known.get(question.name)
        if known is not None and question.accepts(known.value):
            answer = known
            if question.kind == "decide":
                # It is valid for one decision: the next failure asks again.
                del self._known[question.name]
        elif self.present:
            answer = await self._ask(question, number)
        else:
            raise Unanswered(question)
        self._sink.write(QuestionAnswered(name=question.name, asked=number, **vars(answer)), durable=True)
        return answer

    async def _ask(self, question: Question, number: int) -> Answer:
        """The first answer: from the person at the terminal, or from the inbox. The terminal asks one at a time."""
        elsewhere: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = (question, elsewhere)
        here = asyncio.create_task(self._in_turn(question))
        try:
            await asyncio.wait({here, elsewhere}, return_when=asyncio.FIRST_COMPLETED)
            return elsewhere.result() if elsewhere.done() else here.result()
        finally:
            del self._open[number]
            here.cancel()
            await asyncio.gather(here, return_exceptions=True)

    async def _in_turn(self, question: Question) -> Answer:
        async with self._turn:
            if not self._gone:
                try:
                    return await self._person.ask(question)
                except Gone as gone:
                    self._gone = True
                    self._sink.write(Detached(why=str(gone)))
        # Without the terminal, only the inbox can answer.
        never: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        return await never

    def offer(self, name: str, answer: Answer, asked: int | None = None) -> None:
        """Take an answer from the inbox: for the first open question of this name, or for a later one.

        With `asked`, it answers only the question with that event number. Raises ValueError if it does not fit.
        """
        open_ = {n: (q, f) for n, (q, f) in self._open.items() if q.name == name and not f.done()}
        question, future = open_.get(asked or min(open_, default=0), (None, None))
        if asked is not None and future is None:
            raise ValueError(f"{name} was answered before, or is not asked any more")
        if question is not None and not question.accepts(answer.value):
            raise ValueError(f"{answer.value!r} does not answer {name}: it takes {', '.join(question.choices)}")
        if future is None:
            self._known[name] = answer
        else:
            future.set_result(answer)
