"""How do the bytes of an answer go out, honestly or not?

Every wait ends when the client goes away or the server stops, so that no fault keeps a thread or the process alive.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import threading
import time
import zlib
from http import HTTPStatus

from reply import DIAGNOSTIC, Delivery, Response, http_date
from settings import Settings

_TICK = 0.1                     # seconds between looks at whether the server stops
_GZIP_LEVEL = 1
_NO_BODY = (204, 304)


class Gone(ConnectionError):
    """The client has gone, or is to be treated as if it had: the connection ends here."""


class Line:
    """A connection to a client, on which one answer at a time is sent."""

    def __init__(self, connection: socket.socket, stopping: threading.Event):
        self._connection = connection
        self._stopping = stopping

    def send(self, request, response: Response, settings: Settings) -> bool:
        """Send an answer; whether the connection may carry another one."""
        plan = response.delivery
        self.wait(settings.latency_ms / 1000 + plan.delay)
        if plan.silent:
            self._stall(plan.stall_seconds)
        if plan.hang_up:
            return False
        if plan.reset and plan.cut_after is None:
            return self._reset()
        if plan.raw is not None:
            self._connection.sendall(plan.raw)
            return False
        body = _encoded(request, response, settings)
        chunked = settings.chunked if plan.chunked is None else plan.chunked
        chunked = chunked and request.version != "HTTP/1.0"
        self._connection.sendall(_head(request, response, len(body), chunked))
        if request.method == "HEAD" or response.status in _NO_BODY:
            return True
        return self._send_body(memoryview(body), plan, chunked, settings.bandwidth)

    def _send_body(self, body: memoryview, plan: Delivery, chunked: bool, bandwidth: int) -> bool:
        sent, step = 0, min(plan.step, max(bandwidth // 20, 1)) if bandwidth else plan.step
        while True:
            if plan.stall_after is not None and not plan.silent and sent == min(plan.stall_after, len(body)):
                self._stall(plan.stall_seconds)
            if plan.cut_after is not None and sent >= min(plan.cut_after, len(body)):
                return self._reset() if plan.reset else False
            if sent == len(body):
                break
            end = _next_stop(sent, step, len(body), plan)
            self._connection.sendall(_chunk(body[sent:end]) if chunked else body[sent:end])
            self.wait(plan.pause + ((end - sent) / bandwidth if bandwidth else 0))
            sent = end
        if chunked:
            self._connection.sendall(b"0\r\n\r\n")
        return not plan.close_after and not plan.length_error

    # Waiting

    def wait(self, seconds: float) -> None:
        """Sleep while there is a client to sleep for."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._watch(min(left, _TICK))

    def _stall(self, seconds: float | None) -> None:
        if seconds is not None:
            self.wait(seconds)
            return
        while True:
            self._watch(_TICK)

    def _watch(self, seconds: float) -> None:
        """Wait a moment; Gone if the client closes meanwhile or the server stops."""
        if self._stopping.is_set():
            raise Gone("the server stops")
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            readable = selector.select(seconds)
        if not readable:
            return
        if self._has_hung_up():
            raise Gone("the client has closed the connection")
        time.sleep(seconds)         # the client has sent its next request early

    def _has_hung_up(self) -> bool:
        if isinstance(self._connection, ssl.SSLSocket):
            return True             # nothing but an end can come while a client waits for its answer
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False

    def _reset(self) -> bool:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()
        raise Gone("the connection was reset")


def _next_stop(sent: int, step: int, size: int, plan: Delivery) -> int:
    """Where the next write ends: after a step, and at the places where something is to happen."""
    places = [place for place in (plan.stall_after, plan.cut_after) if place is not None and place > sent]
    return min([sent + step, size, *places])


def _chunk(piece: memoryview) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _encoded(request, response: Response, settings: Settings) -> bytes:
    body = response.render()
    if not (settings.gzip and response.delivery.compress and body and request.accepts_gzip()):
        return body
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)
    response.headers["Content-Encoding"] = "gzip"
    return packer.compress(body) + packer.flush()


def _head(request, response: Response, size: int, chunked: bool) -> bytes:
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Status"
    headers = {"Date": http_date(), "request-id": request.request_id, "client-request-id": request.client_request_id,
               "x-ms-ags-diagnostic": DIAGNOSTIC, "Vary": "Accept-Encoding", **response.headers}
    if response.status not in _NO_BODY:
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(max(size + response.delivery.length_error, 0))
    lines = [f"HTTP/1.1 {response.status} {reason}"] + [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
