"""The frames between the server and a worker. Both sides use this module; nothing here touches a socket.

A frame is ``HEAD`` (body length, kind) and a body. Control bodies are JSON. The two hot ones are binary:

EXECUTE   BATCH (id, count), then per request PART and its spec, meta, places and inline tensor bytes
RESULT    BATCH (id, count), TIMES, then per response the same; where a request's slot stands, ANSWERED, or
          OPEN: the request is answered by RESPONSE frames, or AGAIN: it goes back to its scheduler

A model that answers by response senders, and one that asks other models, add three:

RESPONSE  SENT (batch id, position of the request in it, FINAL and EMPTY), then one part unless EMPTY
CALL      SENT (call id, 0, 0), one part: a request, its model among the meta
REPLY     SENT (call id, 0, FINAL and EMPTY), then one part unless EMPTY

    spec    JSON, the same bytes for all requests of the same form, so both sides cache what it means:
            [[[name, datatype, shape, bytes], ...], [requested outputs]]
    meta    JSON of what differs from request to request (id, parameters, error); empty when there is nothing
    places  one int64 per tensor, offset in the sender's arena or -1 for inline; absent when all are inline
"""

from __future__ import annotations

import struct
from typing import Iterator, List, Optional, Sequence, Tuple, Union

Buffer = Union[bytes, bytearray, memoryview]

HEAD = struct.Struct("<IBxxx")  # body length, kind
BATCH = struct.Struct("<II")  # batch id, count
_BATCH_HEAD = struct.Struct("<IBxxxII")  # HEAD and BATCH
TIMES = struct.Struct("<QQQ")  # compute input, infer, output in ns
SENT = struct.Struct("<III")  # batch or call, position, flags
PART = struct.Struct("<IIIQH")  # cancel slot, spec bytes, meta bytes, inline bytes, number of places

EXECUTE = 1  # to the worker
RESULT = 2  # from the worker
AUTOCOMPLETE = 3  # to: {"config"}; answered by ANSWER {"config"} or {"error": [code, text]}
LOAD = 4  # to: {"args", "config"}; answered by ANSWER {} or {"error": [code, text]}
ANSWER = 5  # from
LOG = 6  # from: {"level", "file", "line", "message"}
STOP = 7  # to: finalize, answer, exit
RELEASE = 8  # both ways: int64 offsets of arena blocks that the reader is done with
FAILURE = 9  # from, before RESULT: {"about", "traceback"} for the server's log
RESPONSE = 10  # from: one response of a request, by its sender
CALL = 11  # from: an inference for another model
REPLY = 12  # to: one response to a CALL
ABANDON = 13  # from: {"call"}: its responses are no longer wanted
ASK = 14  # from: {"id", "what", ...}; answered by TOLD
TOLD = 15  # to: {"id", ...}, with "error": [code, text] if it failed
METRIC = 16  # from: {"metric", "op", "value"}; not answered
CHECK = 17  # to: is the model ready; answered by CHECKED, at any time
CHECKED = 18  # from: {"ready"}, with "why" if it is not
EXHAUSTED = 19  # from: {"why"}: this process should be replaced when it has answered what it has

FINAL = 1  # no response follows this one
EMPTY = 2  # there is no response, only the end

ANSWERED = 0
OPEN = 1
AGAIN = 2

INLINE = -1


# One request of an EXECUTE, or one response of a RESULT, as it is sent and as it is received (``inline`` is
# then a view of the frame): spec, meta, places, inline tensor bytes, slot of the request's cancel flag on the
# board.
Part = Tuple[bytes, bytes, Tuple[int, ...], Sequence[Buffer], int]
PartView = Tuple[bytes, bytes, Tuple[int, ...], memoryview, int]


def encode_batch(
    kind: int, batch_id: int, parts: Sequence[Part], times: Optional[bytes] = None
) -> List[Buffer]:
    """The buffers of an EXECUTE or RESULT frame, to be sent in order."""
    buffers: List[Buffer] = [b""]
    total = BATCH.size
    if times is not None:
        buffers.append(times)
        total += len(times)
    for part in parts:
        total += _put(buffers, part)
    buffers[0] = _BATCH_HEAD.pack(total, kind, batch_id, len(parts))
    return buffers


def encode_sent(
    kind: int, sender_id: int, position: int, flags: int, part: Optional[Part] = None
) -> List[Buffer]:
    """The buffers of a RESPONSE, CALL or REPLY frame."""
    buffers: List[Buffer] = [b"", SENT.pack(sender_id, position, flags)]
    total = SENT.size
    if part is not None:
        total += _put(buffers, part)
    buffers[0] = HEAD.pack(total, kind)
    return buffers


def _put(buffers: List[Buffer], part: Part) -> int:
    """Append what is sent of ``part``: how many bytes."""
    spec, meta, places, inline, slot = part
    inline_bytes = 0
    for buffer in inline:
        inline_bytes += len(buffer)
    head = PART.pack(slot, len(spec), len(meta), inline_bytes, len(places)) + spec
    if meta or places:
        head += meta + struct.pack("<%dq" % len(places), *places)
    buffers.append(head)
    buffers.extend(inline)
    return len(head) + inline_bytes


def decode_parts(body: memoryview, position: int, count: int) -> List[PartView]:
    """The parts of an EXECUTE or RESULT body from ``position`` on."""
    parts: List[PartView] = []
    unpack, size = PART.unpack_from, PART.size
    for _ in range(count):
        slot, spec_bytes, meta_bytes, inline_bytes, place_count = unpack(body, position)
        position += size
        spec = bytes(body[position : position + spec_bytes])
        position += spec_bytes
        meta = b""
        if meta_bytes:
            meta = bytes(body[position : position + meta_bytes])
            position += meta_bytes
        places: Tuple[int, ...] = ()
        if place_count:
            places = struct.unpack_from("<%dq" % place_count, body, position)
            position += 8 * place_count
        parts.append((spec, meta, places, body[position : position + inline_bytes], slot))
        position += inline_bytes
    return parts


class FrameReader:
    """Cuts a byte stream into frames, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._partial = bytearray()  # a frame that has begun and not ended
        self._need = 0  # its whole length, 0 while unknown

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._partial)

    def feed(self, chunk: memoryview) -> Iterator[Tuple[int, memoryview]]:
        """(kind, body) of each frame that ``chunk`` completes; bodies are views, valid while held."""
        position, end = 0, len(chunk)
        if self._partial:
            position = self._fill(chunk)
            if not self._need or len(self._partial) < self._need:
                return
            whole, self._partial, self._need = self._partial, bytearray(), 0
            yield whole[4], memoryview(whole)[HEAD.size :]
        while end - position >= HEAD.size:
            length, kind = HEAD.unpack_from(chunk, position)
            stop = position + HEAD.size + length
            if stop > end:
                self._need = HEAD.size + length
                break
            yield kind, chunk[position + HEAD.size : stop]
            position = stop
        if position < end:
            self._partial += chunk[position:]

    def _fill(self, chunk: memoryview) -> int:
        """Move bytes of ``chunk`` into the partial frame; how many were taken."""
        taken = 0
        if not self._need:
            taken = min(HEAD.size - len(self._partial), len(chunk))
            self._partial += chunk[:taken]
            if len(self._partial) < HEAD.size:
                return taken
            self._need = HEAD.size + HEAD.unpack_from(self._partial)[0]
        missing = self._need - len(self._partial)
        self._partial += chunk[taken : taken + missing]
        return taken + min(missing, len(chunk) - taken)


def encode_release(offsets: Sequence[int]) -> bytes:
    """A RELEASE frame for blocks of the other side's arena."""
    return HEAD.pack(8 * len(offsets), RELEASE) + struct.pack("<%dq" % len(offsets), *offsets)


def decode_release(body: memoryview) -> Tuple[int, ...]:
    """The offsets of a RELEASE body."""
    return struct.unpack("<%dq" % (len(body) // 8), body)
