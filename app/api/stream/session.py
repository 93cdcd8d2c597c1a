"""One stream from its opening to its close: samples in, answers out, in the windows' order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from dataclasses import replace

from app.answering.ask import Ask
from app.api.stream import replies
from app.api.stream.channel import (
    FAULT,
    GOING_AWAY,
    NORMAL,
    POLICY,
    Channel,
    Close,
    GoingAwayError,
    GoneError,
)
from app.api.stream.limits import StreamLimits
from app.api.stream.messages import End, read_message
from app.api.stream.terms import Asked, StreamTerms
from app.errors import RequestError, UnknownModelError, WrongFieldError
from app.inference.model import ServedModel
from app.inference.windows import Windows
from app.service import InferenceService
from app.streaming.backlog import Backlog
from app.streaming.pace import Paces
from app.streaming.windower import Missed, Window, Windower
from app.telemetry.streams import StreamMeters
from sentryfuse.presence import Presence

logger = logging.getLogger(__name__)

_MOST_ERRORS = 8  # wrong messages in a row, and errors that wait to be told
_FLUSH_S = 10.0


class StreamSession:
    """Runs one stream.

    Args:
        service: Answers the windows.
        asked: What is asked.
        terms: What was agreed.
        limits: What it may ask.
        channel: To and from the client.
        meters: Told of every window.
    """

    def __init__(
        self,
        service: InferenceService,
        asked: Asked,
        *,
        terms: StreamTerms,
        limits: StreamLimits,
        channel: Channel,
        meters: StreamMeters,
    ) -> None:
        self._service = service
        self._asked = asked
        self._terms = terms
        self._limits = limits
        self._channel = channel
        self._meters = meters
        self._opened_s = service.clock()
        self._windower = Windower(
            asked.spec.modalities,
            hop_s=terms.hop_s,
            silence_s=terms.silence_s,
            most_windows=limits.backlog,
        )
        self._paces = Paces(asked.spec.modalities, limits.speed, self._opened_s)
        running = max(1, limits.backlog // 2)
        self._backlog: Backlog[bytes] = Backlog(running, max(1, limits.backlog - running))
        self._notices: deque[bytes] = deque()
        self._errors_in_a_row = 0
        self._answered = 0
        self._reading_cpu_s = 0.0
        self._answering: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._all_told = asyncio.Event()
        self._end: asyncio.Future[Close] = asyncio.get_running_loop().create_future()

    @property
    def windows(self) -> int:
        """Windows that were answered so far."""
        return self._answered

    def end(self, close: Close) -> None:
        """End the stream, unless it is ending already."""
        if not self._end.done():
            self._end.set_result(close)

    async def run(self) -> Close:
        """Serve until somebody ends it; return why, with nothing left running."""
        self._say(replies.opened(self._asked, self._terms, self._windower.longest_s))
        listening = self._spawn(self._listen())
        speaking = self._spawn(self._speak())
        try:
            close = await self._end
            listening.cancel()
            if close.flush:
                await self._flush()
            return close
        finally:
            tasks = [listening, speaking, *self._answering]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except GoneError as gone:
            self.end(Close(gone.code, by_client=True))
        except GoingAwayError:
            self.end(Close(GOING_AWAY, "the service is going away", flush=True))
        except Exception:
            logger.exception("fault in a stream")
            self.end(Close(FAULT, "a fault in the service; its log has the details"))

    async def _flush(self) -> None:
        self._all_told.clear()
        self._news.set()
        try:
            async with asyncio.timeout(_FLUSH_S):
                await self._all_told.wait()
        except TimeoutError:
            logger.warning("%d windows were not answered in time", self._backlog.windows)

    async def _listen(self) -> None:
        unhurried = replace(self._terms.wanted.budget, strict=False)
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_s):
                    message = await self._channel.receive()
            except TimeoutError:
                self.end(Close(POLICY, f"no samples for {self._limits.idle_s:g} s"))
                return
            received_s = self._service.clock()
            await self._service.turn_to_read(unhurried, received_s)
            try:
                self._take(message, received_s)
            except RequestError as error:
                self._wrong(error)

    def _take(self, message: str | bytes, received_s: float) -> None:
        began_cpu_s = time.thread_time()
        content = read_message(message, self._asked.spec)
        if isinstance(content, End):
            self._line_up(self._windower.finish(received_s - self._opened_s))
            self.end(Close(NORMAL, flush=True))
            return
        counts = {name: len(rows) for name, rows in content.rows.items()}
        self._paces.admit(counts, received_s)
        pushed = self._windower.push(
            content.rows, first_s=content.first_s, now_s=received_s - self._opened_s
        )
        self._reading_cpu_s += time.thread_time() - began_cpu_s
        self._meters.late(sum(pushed.late.values()))
        self._line_up(pushed.closed)
        if pushed.jumped:
            raise WrongFieldError(
                f"t leapt ahead by more than {self._windower.jump_s:g} s, to {content.first_s}: "
                "windows begin anew there; t is in seconds",
                field="t",
            )
        self._errors_in_a_row = 0

    def _wrong(self, error: RequestError) -> None:
        self._errors_in_a_row += 1
        if self._errors_in_a_row >= _MOST_ERRORS or len(self._notices) >= _MOST_ERRORS:
            self.end(Close(POLICY, _short(f"too many wrong messages, the last: {error}")))
        self._say(replies.wrong(error))

    def _say(self, content: bytes) -> None:
        self._notices.append(content)
        self._news.set()

    def _line_up(self, closed: Iterable[Window | Missed]) -> None:
        for one in closed:
            self._meters.windows("behind", self._backlog.add(one))
            if isinstance(one, Missed):
                self._meters.windows(one.reason, one.last - one.first + 1)
            self._start()
        self._news.set()

    def _start(self) -> None:
        while (window := self._backlog.start()) is not None:
            task = self._spawn(self._answer(window))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, window: Window) -> None:
        try:
            reply, outcome = await self._infer(window)
        except RequestError as error:
            outcome = replies.reason_of(error)
            reply = replies.skipped(window, outcome, error)
        self._meters.windows(outcome)
        self._backlog.finish(window.number, reply)
        self._news.set()

    async def _infer(self, window: Window) -> tuple[bytes, str]:
        service = self._service
        model = self._served()
        service.check_room(model)
        received_s = self._opened_s + window.closed_s
        reading_cpu_s, self._reading_cpu_s = self._reading_cpu_s, 0.0
        ask = Ask(
            windows=Windows(
                inputs=window.rows,
                presence=Presence.named([*window.rows], model.modality_names),
                batch=1,
                id=self._terms.id,
            ),
            budget=self._terms.wanted.budget,
            received_s=received_s,
            waited_s=max(0.0, service.clock() - received_s - reading_cpu_s),
            parse_cpu_s=reading_cpu_s,
            cascade=self._terms.wanted.cascade,
        )
        answer = await service.infer(model, ask)
        content = replies.answered(window, answer)
        service.answered(ask, answer, service.clock())
        self._answered += 1
        return content, "answered"

    def _served(self) -> ServedModel:
        """What is served under the model's name by now, if it takes the same sensors."""
        name = self._asked.name
        try:
            model = self._service.model(name, self._asked.version)
        except UnknownModelError:
            self.end(Close(GOING_AWAY, f"model {name} was unloaded", flush=True))
            raise
        if model.spec.modalities != self._asked.spec.modalities:
            reason = f"model {name} takes other sensors now; open a new stream"
            self.end(Close(GOING_AWAY, reason, flush=True))
            raise UnknownModelError(reason)
        return model

    async def _speak(self) -> None:
        try:
            while True:
                reply = self._notices.popleft() if self._notices else self._backlog.next()
                if reply is None:
                    if not self._backlog.windows:
                        self._all_told.set()
                    await self._news.wait()
                    self._news.clear()
                else:
                    await self._tell(reply)
                    self._start()
        except TimeoutError:
            reason = f"answers were not read for {self._limits.send_s:g} s"
            self.end(Close(POLICY, reason))
        finally:
            self._all_told.set()  # or as good as

    async def _tell(self, reply: bytes | Missed) -> None:
        content = replies.missed(reply) if isinstance(reply, Missed) else reply
        async with asyncio.timeout(self._limits.send_s):
            await self._channel.send(content)


def _short(reason: str, limit: int = 120) -> str:
    """Cut to what a close frame can hold."""
    return reason.encode()[:limit].decode(errors="ignore")
