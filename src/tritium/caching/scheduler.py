"""In front of a model's scheduler: answers from the cache what is there, and keeps what is computed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tritium.caching.entry import Entry
from tritium.caching.interface import ResponseCache
from tritium.caching.key import KeyMaker
from tritium.core.interfaces import ModelInstance, Scheduler
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.statistics import ModelStatistics
from tritium.core.tensor import Buffer
from tritium.errors import TritiumError

OFF_LOOP_BYTES = 1 << 20  # a digest of more is made in a thread: about a millisecond for each megabyte


class CachedScheduler:
    """A Scheduler of a model whose responses may be kept: one response a request, whatever came before."""

    def __init__(
        self,
        inner: Scheduler,
        cache: ResponseCache,
        keys: KeyMaker,
        statistics: ModelStatistics,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.inner = inner
        self._cache = cache
        self._keys = keys
        self._statistics = statistics
        self._now_ns = now_ns
        self._digests: set[asyncio.Task[None]] = set()
        self._looking = 0  # requests whose lookup has not ended
        self._looked = asyncio.Event()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """Who runs what is not in the cache."""
        return self.inner.instances

    @property
    def pending(self) -> int:
        """Requests that wait, those for the cache included."""
        return self._looking + self.inner.pending

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._looking) or self.inner.busy

    def enqueue(self, request: InferenceRequest) -> None:
        """Answer ``request`` from the cache, or have it run.

        Raises:
            TritiumError: it is not in the cache and cannot be queued; if that shows later, its stream fails.
        """
        if sum(len(tensor.buffer) for tensor in request.inputs) > OFF_LOOP_BYTES:
            self._looking += 1
            task = asyncio.get_running_loop().create_task(self._look_up_large(request), name="cache-key")
            self._digests.add(task)
            task.add_done_callback(self._digests.discard)
            return
        lookup = _Lookup(self, request, self._keys.key(request), self._now_ns())
        self._looking += 1
        self._cache.lookup(lookup.key, lookup.found)
        lookup.at_once = False
        if lookup.refusal is not None:
            raise lookup.refusal

    def recall(self, form: object, buffers: Sequence[Buffer]) -> InferenceResponse | None:
        """What is in the cache, if it is in this process, for a plain request (see ``KeyMaker.key_again``),
        which then is counted as answered; None: enqueue the request.

        Args:
            form: of the request, see InferenceRequest.
            buffers: of its tensors.
        """
        if self._cache.shared or sum(map(len, buffers)) > OFF_LOOP_BYTES:
            return None
        began_ns = self._now_ns()
        key = self._keys.key_again(form, buffers)
        entry = self._cache.at_hand(key) if key is not None else None
        if entry is None:
            return None
        now_ns = self._now_ns()
        self._statistics.record_cache_hit(began_ns, began_ns, now_ns, wall_ms=time.time_ns() // 1_000_000)
        return entry.response()

    async def _look_up_large(self, request: InferenceRequest) -> None:
        key = await asyncio.to_thread(self._keys.key, request)
        lookup = _Lookup(self, request, key, self._now_ns())
        lookup.at_once = False
        self._cache.lookup(key, lookup.found)

    def found(self, lookup: _Lookup, entry: Entry | None) -> None:
        """The cache has answered."""
        self._looking -= 1
        if not self._looking:
            self._looked.set()
        request, now_ns = lookup.request, self._now_ns()
        if entry is None:
            self._statistics.cache_miss.add(1, now_ns - lookup.began_ns)
            self._run(lookup)
            return
        request.stream.send(entry.response(), final=True)
        self._statistics.record_cache_hit(
            request.arrival_ns, lookup.began_ns, now_ns, wall_ms=time.time_ns() // 1_000_000
        )
        if request.observer is not None:
            request.observer.executed(lookup.began_ns - request.arrival_ns, 0, 0, 0)

    def _run(self, lookup: _Lookup) -> None:
        request = lookup.request
        stream = request.stream
        request.stream = _Keeping(self, lookup.key, stream).inner
        try:
            self.inner.enqueue(request)
        except TritiumError as error:
            if lookup.at_once:
                request.stream = stream
                lookup.refusal = error
            else:
                stream.fail(error)

    def keep(self, key: bytes, response: InferenceResponse) -> None:
        """The model has answered: what it says is kept unless it is an error."""
        if response.error is not None or response.empty:
            return
        began_ns = self._now_ns()
        self._cache.insert(key, Entry.of(response))
        self._statistics.cache_miss.ns += self._now_ns() - began_ns

    async def stop(self) -> None:
        """Answer everything accepted, then stop the instances."""
        while self._looking:
            self._looked.clear()
            await self._looked.wait()
        await self.inner.stop()


class _Lookup:
    """One request while the cache is asked for it."""

    __slots__ = ("_owner", "at_once", "began_ns", "key", "refusal", "request")

    def __init__(self, owner: CachedScheduler, request: InferenceRequest, key: bytes, began_ns: int) -> None:
        self._owner = owner
        self.request = request
        self.key = key
        self.began_ns = began_ns
        self.at_once = True  # whoever enqueued the request still waits
        self.refusal: TritiumError | None = None  # for them

    def found(self, entry: Entry | None) -> None:
        """The cache has answered."""
        self._owner.found(self, entry)


class _Keeping:
    """Between the model and the stream of a request whose response is to be kept."""

    __slots__ = ("_key", "_outer", "_owner", "inner")

    def __init__(self, owner: CachedScheduler, key: bytes, outer: ResponseStream) -> None:
        self._owner = owner
        self._key = key
        self._outer = outer
        self.inner = ResponseStream(self._on_response)
        self.inner.cancelled = outer.cancelled
        outer.attach(0, self._cancel, self._pause)

    def _on_response(self, response: InferenceResponse, final: bool) -> None:
        self._outer.send(response, final=final)  # the client first
        if final:
            self._owner.keep(self._key, response)

    def _cancel(self, _slot: int) -> None:
        self.inner.cancel()

    def _pause(self, _slot: int, paused: bool) -> None:
        self.inner.pause(paused)
