"""Sequence batching: the requests of a sequence go to one slot of one instance, one after the other.

The rules are Triton's. A sequence, from the request with the START flag to that with END, keeps a slot; when
all slots are taken, new sequences wait in the backlog. Which requests of an instance's slots run together is
the strategy's choice (``sequence_slots.py``). What happens to a sequence:

    END          its slot is free when that request is answered
    iterative    every request is a sequence, which ends when the model has answered it for good
    START        again, on one that has not ended: it begins anew, behind what it has queued
    idle         with nothing queued or running for max_sequence_idle_microseconds: it is forgotten
    cancelled    a queued request whose client has gone never runs, and ends the sequence: those behind it,
                 up to the next START, are answered as cancelled
    lost         the worker that held it ended: what is queued up to the next START fails
    time-out     of its first request, while it waits for a slot: all it has fails
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

from tritium.core.interfaces import Outcome
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.errors import TritiumError, UnavailableError
from tritium.scheduling import sequence_errors
from tritium.scheduling.sequence_backlog import Backlog, LiveSequence
from tritium.scheduling.sequence_controls import SequenceControls
from tritium.scheduling.sequence_pool import SlotPool
from tritium.scheduling.sequence_slots import SlotStrategy
from tritium.scheduling.sequence_state import ImplicitStates

_NEVER_US = 2**63


class SequenceBatcher:
    """The policy of ``sequence_batching``.

    Args:
        model: its name, for the texts.
        strategies: one per instance.
        slots: of each instance.
        max_idle_us: how long a sequence lives without a request.
        max_queue_size: requests that wait, of all sequences.
        iterative: a request is a whole sequence, and runs until the model does not give it back.
    """

    collects = True

    def __init__(
        self,
        model: str,
        strategies: Sequence[SlotStrategy],
        controls: SequenceControls,
        states: ImplicitStates,
        *,
        slots: int,
        max_idle_us: int,
        max_queue_size: int,
        iterative: bool = False,
    ) -> None:
        self._model = model
        self._strategies = strategies
        self._controls = controls
        self._states = states
        self._max_idle_us = max_idle_us
        self._max_queue_size = max_queue_size
        self._iterative = iterative
        self._sizes_vary = controls.sizes_vary or states.sizes_vary  # of what is added to requests
        self._has_states = bool(states)
        self._last_made_id = 0
        self._live: dict[int | str, LiveSequence] = {}
        self._active: dict[int, LiveSequence] = {}  # by id() of the request that is offered or runs
        self._idle: OrderedDict[int | str, int] = OrderedDict()  # when each is forgotten, in order
        self._lost: OrderedDict[int | str, int] = OrderedDict()  # until when that is remembered, in order
        self._backlog = Backlog()
        self._pool = SlotPool(len(strategies), slots)
        self._calm_until_us = _NEVER_US  # nothing expires before that
        self._dropped: list[tuple[InferenceRequest, TritiumError]] = []
        self._cancelled: list[InferenceRequest] = []
        self._waiting = 0
        self._closing = False

    def add(self, request: InferenceRequest, now_us: int) -> None:
        """Queue ``request``.

        Raises:
            InvalidArgumentError: it has more rows than one, no sequence id, or no START where one is due.
            UnavailableError: the queue is full, or its sequence was lost.
        """
        self._expire(now_us)
        if self._iterative and not request.correlation_id:
            self._make_sequence(request)
        self._check(request)
        key = request.correlation_id
        sequence = self._live.get(key)
        if sequence is None:
            sequence = self._live[key] = LiveSequence(key)
            self._lost.pop(key, None)
        else:
            self._idle.pop(key, None)
        sequence.queue.append(request)
        sequence.ends = self._iterative or bool(request.flags & SEQUENCE_END)
        self._waiting += 1
        if len(sequence.queue) == 1 and sequence.active is None:
            if sequence.place is None:
                self._wait_for_slot(sequence)
            else:
                self._advance(sequence, now_us)
        self._fill(now_us)

    def _make_sequence(self, request: InferenceRequest) -> None:
        """Give a request, which is a sequence by itself, an id and the START flag."""
        self._last_made_id += 1
        while self._last_made_id in self._live:  # a client has chosen this one
            self._last_made_id += 1
        request.correlation_id = self._last_made_id
        request.flags |= SEQUENCE_START

    def _check(self, request: InferenceRequest) -> None:
        key = request.correlation_id
        if request.batch_size > 1:
            raise sequence_errors.too_many_rows(self._model)
        if not key:
            raise sequence_errors.no_id(self._model)
        self._controls.check(key)
        if not request.flags & SEQUENCE_START and ((live := self._live.get(key)) is None or live.ends):
            raise self._not_started(key)
        if self._waiting >= self._max_queue_size:
            raise UnavailableError(f"{request.label} Exceeds maximum queue size")

    def _not_started(self, key: int | str) -> TritiumError:
        make = sequence_errors.lost if key in self._lost else sequence_errors.not_started
        return make(self._model, key)

    def next_batch(self, now_us: int, instance: int = 0) -> list[InferenceRequest] | None:
        """What ``instance``, which can take a batch, should run now; None while there is nothing.

        Rows without a request are requests that ``is_empty_row`` knows.
        """
        self.prepare(now_us, instance)
        strategy = self._strategies[instance]
        while True:
            rows = strategy.next_batch(now_us)
            cancelled = self._drop_cancelled(strategy, now_us)
            if rows is not None or not cancelled:
                break
        if rows is None:
            return None
        requests = [row for row in rows if row is not None]
        self._waiting -= len(requests)
        for request in requests:
            sequence = self._active[id(request)]
            sequence.running = sequence.begun = True
        if len(requests) == len(rows):
            return requests
        empty = self._controls.empty_row(requests[0])
        return [row or empty for row in rows]

    def prepare(self, now_us: int, instance: int) -> None:
        """``instance`` can take a batch: do what is due before it is asked for one."""
        self._expire(now_us)
        self._pool.unpark(instance)
        self._fill(now_us)

    def offers(self, now_us: int, instance: int) -> bool:
        """Whether ``instance`` has anything to run, now or when there is company."""
        self._drop_cancelled(self._strategies[instance], now_us)
        return bool(self._strategies[instance])

    def _drop_cancelled(self, strategy: SlotStrategy, now_us: int) -> bool:
        """Take back what ``strategy`` found cancelled: whether it found anything."""
        cancelled = strategy.take_cancelled()
        for request in cancelled:
            self._take_back(self._active.pop(id(request)), now_us)
        self._fill(now_us)
        return bool(cancelled)

    def done(self, requests: Sequence[InferenceRequest], outcome: Outcome, now_us: int) -> None:
        """A batch is over: what is next for its sequences? Requests in ``outcome.again`` come first."""
        for place, request in enumerate(requests):
            sequence = self._active.pop(id(request), None)
            if sequence is None:  # an empty row, or lost
                if place in outcome.again:
                    self._dropped.append((request, sequence_errors.lost(self._model, request.correlation_id)))
                continue
            if self._has_states and place not in outcome.delivered:
                self._states.absorb(request, outcome.responses[place], sequence.state)
            if place in outcome.again:
                request.flags &= ~SEQUENCE_START
                self._waiting += 1
                self._take_back(sequence, now_us)
                continue
            sequence.active, sequence.running = None, False
            if self._iterative or request.flags & SEQUENCE_END:
                self._end(sequence)
            else:
                self._advance(sequence, now_us)
        self._fill(now_us)

    def sent(self, request: InferenceRequest, response: InferenceResponse) -> None:
        """A model answers ``request`` while it runs."""
        if self._has_states and (sequence := self._active.get(id(request))) is not None:
            self._states.absorb(request, response, sequence.state)

    def lost(self, instance: int, now_us: int) -> None:
        """The worker of ``instance`` ended, and with it what it knew of its sequences."""
        self._strategies[instance].clear()
        for sequence in [s for s in self._live.values() if s.place is not None and s.place[1] == instance]:
            self._lose(sequence, now_us)
        self._pool.park(instance)
        self._fill(now_us)

    def _lose(self, sequence: LiveSequence, now_us: int) -> None:
        self._idle.pop(sequence.key, None)
        if sequence.active is not None:
            del self._active[id(sequence.active)]
            if not sequence.running:
                self._restore(sequence)
            sequence.active, sequence.running = None, False
        if sequence.begun:
            self._drop_to_start(sequence, sequence_errors.lost(self._model, sequence.key))
            if not sequence.queue:
                self._lost[sequence.key] = self._expires(now_us + self._max_idle_us)
                self._lost.move_to_end(sequence.key)
        self._end(sequence)

    def close(self, now_us: int) -> None:
        """No more requests come: a sequence that has none ends now, so that those in the backlog can run."""
        self._closing = True
        for key in [*self._idle]:
            self._end(self._live[key])
        self._idle.clear()
        self._fill(now_us)

    def next_wakeup_us(self, free: Collection[int] = ()) -> int | None:
        """When ``next_batch`` may have something although nothing comes.

        Args:
            free: instances for which it has just found nothing.
        """
        times = [self._strategies[instance].next_wakeup_us() for instance in free]
        return min((time for time in times if time is not None), default=None)

    def take_expired(self, now_us: int) -> list[tuple[InferenceRequest, TritiumError]]:
        """Do what is due by ``now_us``: requests that left and never run (again), and what to tell them."""
        self._expire(now_us)
        self._fill(now_us)
        taken, self._dropped = self._dropped, []
        return taken

    def next_expiry_us(self) -> int | None:
        """When ``take_expired`` has something to do next: a sequence idles, or waits, for too long."""
        idle_us = next(iter(self._idle.values()), None)
        deadline_us = self._backlog.next_deadline_us()
        return deadline_us if idle_us is None else min(idle_us, deadline_us or idle_us)

    def take_cancelled(self) -> list[InferenceRequest]:
        """Requests that left since the last call because their clients had gone."""
        taken, self._cancelled = self._cancelled, []
        return taken

    def take_all(self) -> list[InferenceRequest]:
        """Everything that waits; all sequences end."""
        taken: list[InferenceRequest] = []
        for sequence in self._live.values():
            if sequence.active is not None and not sequence.running:
                taken.append(sequence.active)
            taken += sequence.queue
        for strategy in self._strategies:
            strategy.clear()
        self._live.clear()
        self._active.clear()
        self._idle.clear()
        self._backlog.clear()
        self._pool.reset()
        self._waiting = 0
        return taken

    def __len__(self) -> int:
        return self._waiting

    def _advance(self, sequence: LiveSequence, now_us: int) -> None:
        """What is next for a sequence that has a slot, and of which nothing is active."""
        queue = sequence.queue
        while queue and queue[0].stream.cancelled:
            self._cancelled.append(queue.popleft())
            self._waiting -= 1
            self._drop_to_start(sequence, sequence_errors.cut_short(self._model, sequence.key))
            if not queue:
                self._end(sequence)
                return
        if not queue:
            if self._closing:
                self._end(sequence)
            else:
                self._idle[sequence.key] = self._expires(now_us + self._max_idle_us)
            return
        assert sequence.place is not None
        slot, instance = sequence.place
        request = sequence.active = queue.popleft()
        sequence.own_inputs = request.inputs
        request.inputs = [*request.inputs, *self._controls.tensors(sequence.key, request.flags)]
        if self._has_states:
            self._states.attach(request, sequence.state)
        if self._sizes_vary:
            request.form = None
        self._active[id(request)] = sequence
        self._strategies[instance].offer(request, slot, now_us)

    def _take_back(self, sequence: LiveSequence, now_us: int) -> None:
        """The active request of a sequence is to run after all, or was cancelled."""
        self._restore(sequence)
        sequence.active, sequence.running = None, False
        self._advance(sequence, now_us)

    @staticmethod
    def _restore(sequence: LiveSequence) -> None:
        assert sequence.active is not None
        sequence.active.inputs = sequence.own_inputs
        sequence.queue.appendleft(sequence.active)

    def _drop_to_start(self, sequence: LiveSequence, error: TritiumError) -> None:
        """Whatever is queued of a sequence that was cut short; it may begin anew behind that."""
        queue = sequence.queue
        while queue and not queue[0].flags & SEQUENCE_START:
            self._dropped.append((queue.popleft(), error))
            self._waiting -= 1

    def _end(self, sequence: LiveSequence) -> None:
        """Free the slot; a sequence of the same id that is queued already waits for one like any other."""
        if sequence.place is not None:
            self._pool.release(sequence.place)
            sequence.place = None
        sequence.begun = False
        if sequence.queue:
            self._wait_for_slot(sequence)
        else:
            del self._live[sequence.key]

    def _wait_for_slot(self, sequence: LiveSequence) -> None:
        self._backlog.append(sequence)
        deadline_us = self._backlog.next_deadline_us()
        if deadline_us is not None:
            self._expires(deadline_us)

    def _fill(self, now_us: int) -> None:
        """Give free slots to sequences of the backlog."""
        while self._backlog and self._pool:
            sequence = self._backlog.pop()
            sequence.place = self._pool.take()
            self._advance(sequence, now_us)

    def _expires(self, at_us: int) -> int:
        """Something does, at ``at_us``."""
        if at_us < self._calm_until_us:
            self._calm_until_us = at_us
        return at_us

    def _expire(self, now_us: int) -> None:
        if now_us < self._calm_until_us:
            return
        while self._idle and next(iter(self._idle.values())) <= now_us:
            self._end(self._live[self._idle.popitem(last=False)[0]])
        while self._lost and next(iter(self._lost.values())) <= now_us:
            self._lost.popitem(last=False)
        for sequence in self._backlog.expired(now_us):
            self._dropped += [(request, sequence_errors.timed_out()) for request in sequence.queue]
            self._waiting -= len(sequence.queue)
            del self._live[sequence.key]
        times = (next(iter(self._lost.values()), None), self.next_expiry_us())
        self._calm_until_us = min((time for time in times if time is not None), default=_NEVER_US)
