"""Asking many servers at once: a bounded number of threads, few on one host, retries by reason, a deadline for each.

A server that does not answer costs its own time only: between two attempts it holds no thread, and one that hangs past
its deadline is given up, with whatever it may still say. Each attempt is a new connection. A login that was refused is
never repeated within a run: servers lock accounts for that. Knows neither SQL nor what is asked.
"""

from __future__ import annotations

import heapq
import queue
import random
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.project.fleet.reasons import Reason, passes, reason_of

Reading = TypeVar("Reading")
Kept = TypeVar("Kept")
_SLACK = 5.0  # seconds past its deadline after which a server is given up: its own time-outs should have told by then
_WRITERS = 4  # answers are kept by so many threads, each with a connection to the control database
_BACKLOG = 8  # answers that wait to be kept; with more, no further server is asked
_TICK = 10.0  # the longest wait without a sign of life


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard servers are asked. `waits` are the seconds before each further attempt; `start_within` spreads the
    beginnings, so that a hundred logins do not meet in one moment."""

    parallel: int = 16
    per_host: int = 4
    deadline: float = 300.0
    waits: Sequence[float] = (1.0, 3.0)
    start_within: float = 0.5


@dataclass(frozen=True, slots=True)
class Answer(Generic[Reading]):
    """What came of asking one server: `reading`, or the last `error` with its reason."""

    name: str
    reading: Reading | None
    error: SyncError | None
    reason: Reason | None
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Question(Generic[Reading]):
    """One server. `ask` gets the seconds that are left, and connects anew each time; `host` is where it stands."""

    name: str
    host: str
    ask: Callable[[float], Reading]


@dataclass(slots=True)
class _Turn(Generic[Reading]):
    """A question on its way. `attempt` tells a late answer from the one that is waited for."""

    question: Question[Reading]
    began: float | None = None
    attempt: int = 0

    def age(self, now: float) -> float:
        return 0.0 if self.began is None else now - self.began


@dataclass(frozen=True, slots=True)
class _Told(Generic[Reading]):
    name: str
    attempt: int
    reading: Reading | None
    error: SyncError | None


class Round(Generic[Reading, Kept]):
    """One round over some servers. `keep` is called for each final answer, in another thread, and gives what `run`
    yields; what it raises is its result as well, through `broken`. A reading that came `halfway`, because the
    connection was lost on the way, say, is asked for once more."""

    def __init__(
        self,
        questions: Sequence[Question[Reading]],
        keep: Callable[[Answer[Reading]], Kept],
        broken: Callable[[Answer[Reading], SyncError], Kept],
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[], float] = random.random,
        halfway: Callable[[Reading], bool] = lambda reading: False,
    ) -> None:
        self._halfway = halfway
        self._keep, self._broken, self._pace = keep, broken, pace
        self._clock, self._sleep = clock, sleep
        now = clock()
        self._later = [(now + jitter() * pace.start_within, at) for at in range(len(questions))]
        heapq.heapify(self._later)
        self._ready: dict[str, deque[int]] = {}  # by host
        self._turns = [_Turn(question) for question in questions]
        self._at = {question.name: at for at, question in enumerate(questions)}
        self._running: set[int] = set()
        self._hosts: Counter[str] = Counter()
        self._keeping: dict[Future[Kept], Answer[Reading]] = {}
        self._told: queue.SimpleQueue[_Told[Reading] | Future[Kept]] = queue.SimpleQueue()

    def run(self, alive: Callable[[], None] = lambda: None) -> Generator[Kept, None, None]:
        """Yield what was kept of each server, as it is done. `alive` is called every few seconds."""
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="fleet-keep") as writers:
            try:
                while self._later or self._ready or self._running or self._keeping:
                    alive()
                    self._start()
                    for answer in self._overdue():
                        self._hand_over(writers, answer)
                    told = self._next()
                    if isinstance(told, Future):
                        yield self._kept(told)
                    elif told is not None and (final := self._heard(told)) is not None:
                        self._hand_over(writers, final)
            finally:
                writers.shutdown(cancel_futures=True)

    # -- starting

    def _start(self) -> None:
        """Start what is due, as far as there is room: in all, and on its host."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            at = heapq.heappop(self._later)[1]
            self._ready.setdefault(self._turns[at].question.host, deque()).append(at)
        while len(self._running) < self._pace.parallel and len(self._keeping) < _BACKLOG:
            host = next((h for h in self._ready if self._hosts[h] < self._pace.per_host), None)
            if host is None:
                return
            self._begin(self._ready[host].popleft(), now)
            if not self._ready[host]:
                del self._ready[host]

    def _begin(self, at: int, now: float) -> None:
        turn = self._turns[at]
        turn.began = now if turn.began is None else turn.began
        turn.attempt += 1
        self._running.add(at)
        self._hosts[turn.question.host] += 1
        left = max(self._pace.deadline - turn.age(now), 1.0)
        # no pool: a thread that hangs must neither hold a place nor the end of the process
        work = threading.Thread(target=self._ask, args=(turn.question, turn.attempt, left), daemon=True)
        work.name = f"fleet-ask {turn.question.name}"
        work.start()

    def _ask(self, question: Question[Reading], attempt: int, left: float) -> None:
        try:
            told = _Told(question.name, attempt, question.ask(left), None)
        except SyncError as error:
            told = _Told(question.name, attempt, None, error)
        except BaseException as error:  # one server's failure, whatever it is: the others go on
            told = _Told(question.name, attempt, None, unexpected(question.name, error))
        self._told.put(told)

    # -- hearing

    def _next(self) -> _Told[Reading] | Future[Kept] | None:
        """The next thing that happened, or None when it is time to look again."""
        now = self._clock()
        moments = [due for due, _ in self._later[:1]] if len(self._running) < self._pace.parallel else []
        moments += [now + self._pace.deadline + _SLACK - self._turns[at].age(now) for at in self._running]
        wait = min([max(moment - now, 0.0) for moment in moments] or [_TICK])
        if not self._running and not self._keeping:
            if wait > 0:
                self._sleep(wait)
            return None
        try:
            return self._told.get(timeout=min(max(wait, 0.01), _TICK))
        except queue.Empty:
            return None

    def _heard(self, told: _Told[Reading]) -> Answer[Reading] | None:
        """The final answer of a server; None when it is tried again, or was given up before."""
        at = self._at[told.name]
        turn = self._turns[at]
        if at not in self._running or told.attempt != turn.attempt:
            return None
        self._release(at)
        now = self._clock()
        if self._is_unsure(told) and self._again(at, now):
            return None
        reason = None if told.error is None else reason_of(told.error)
        return Answer(told.name, told.reading, told.error, reason, turn.attempt, turn.age(now))

    def _is_unsure(self, told: _Told[Reading]) -> bool:
        """Whether asking again may tell more."""
        if told.error is not None:
            return passes(told.error)
        return told.attempt == 1 and told.reading is not None and self._halfway(told.reading)

    def _again(self, at: int, now: float) -> bool:
        """Put it back into the line, a wait later; False when its attempts or its time are used up."""
        turn = self._turns[at]
        if turn.attempt > len(self._pace.waits):
            return False
        due = now + self._pace.waits[turn.attempt - 1]
        if turn.age(due) >= self._pace.deadline:
            return False
        heapq.heappush(self._later, (due, at))
        return True

    def _overdue(self) -> Iterator[Answer[Reading]]:
        """Those that hang. Nobody is given up who has answered, however long it took us to listen."""
        if not self._told.empty():
            return
        now = self._clock()
        for at in [at for at in self._running if self._turns[at].age(now) > self._pace.deadline + _SLACK]:
            turn = self._turns[at]
            self._release(at)
            text = f"{turn.question.name}: it was not done within {self._pace.deadline:.0f} s, and was given up"
            error = Retry(text, hint="raise deadline, or look why the server is slow", code="timeout")
            yield Answer(turn.question.name, None, error, "timeout", turn.attempt, turn.age(now))

    def _release(self, at: int) -> None:
        self._running.discard(at)
        self._hosts[self._turns[at].question.host] -= 1

    # -- keeping

    def _hand_over(self, writers: ThreadPoolExecutor, answer: Answer[Reading]) -> None:
        future = writers.submit(self._keep, answer)
        self._keeping[future] = answer
        future.add_done_callback(self._told.put)

    def _kept(self, future: Future[Kept]) -> Kept:
        answer = self._keeping.pop(future)
        try:
            return future.result()
        except SyncError as error:
            return self._broken(answer, error)
        except Exception as error:  # as in `_ask`: one server's failure
            return self._broken(answer, unexpected(answer.name, error))


def unexpected(name: str, error: BaseException) -> Stop:
    """An error that nobody foresaw, without its text, which may quote a value: its type and place are enough."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    hint = "this is a bug: please report it"
    return Stop(f"{name}: unexpected {type(error).__name__}{place}", hint=hint, code="unexpected")
