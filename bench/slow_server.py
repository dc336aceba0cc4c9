"""A Microsoft Graph that is far away: every answer begins a tenth of a second late.

It serves alerts by id, and the list newest first, with the bounds on createdDateTime, the order and the page size that
the request asks for, so that time windows can be read from it. Below /large it serves one page of 1000 alerts whatever
is asked for, at once. It counts requests, how many were under way together, and the bytes that the kernel of the other
side has acknowledged:

    GET /_stats        as a JSON object
    DELETE /_stats     begins anew

All is said by one thread, from bytes that are ready: an answer takes it a fraction of a millisecond.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import json
import re
import signal
import socket
import struct
import urllib.parse

import pages
from timestamps import to_ticks

_BYTES_ACKED = 120                          # offset in Linux's struct tcp_info
_BOUND = re.compile(r"createdDateTime (ge|gt|le|lt) (\S+)$")


class BadRequest(Exception):
    pass


class Alerts:
    """The alerts, newest first, and what a request wants of them."""

    def __init__(self, count: int, port: int):
        timed = pages.newest_first(pages.templates()[:count])
        self.port = port
        self._texts = [text for _, text in timed]
        self._keys = [-ticks for ticks, _ in timed]         # ascending, as bisect needs
        self._by_id = {pages.alert_id(text): text for text in self._texts}
        self._large = pages.page([text for text, _ in zip(pages.alerts(self._texts), range(pages.PER_PAGE))], None)

    def ids(self) -> list[str]:
        return list(self._by_id)

    def answer(self, target: str) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        path = urllib.parse.unquote(path)
        if path == "/large" + pages.PATH:
            return 200, self._large
        if path.startswith(pages.PATH + "/"):
            text = self._by_id.get(path[len(pages.PATH) + 1:])
            return (200, pages.document(text)) if text else (404, b'{"error":{"code":"ResourceNotFound"}}')
        if path == pages.PATH:
            return 200, self._list(dict(urllib.parse.parse_qsl(query)))
        raise BadRequest(path)

    def _list(self, query: dict[str, str]) -> bytes:
        first, last = self._range(query.get("$filter", ""))
        texts = self._texts[first:last]
        order = query.get("$orderby", "createdDateTime desc").split()
        if order[0] != "createdDateTime":
            raise BadRequest("$orderby")
        if order[1:] != ["desc"]:
            texts.reverse()
        top = min(int(query.get("$top", 100)), pages.PER_PAGE)
        skip = int(query.get("$skiptoken", query.get("$skip", 0)))
        link = None
        if skip + top < len(texts):
            follow = {**query, "$skiptoken": str(skip + top)}
            link = f"http://127.0.0.1:{self.port}{pages.PATH}?{urllib.parse.urlencode(follow)}"
        count = len(texts) if query.get("$count") == "true" else None
        return pages.page(texts[skip:skip + top], link, count)

    def _range(self, text: str) -> tuple[int, int]:
        """The part of the list that is within all bounds. A clause of any other kind is refused, and nobody misled."""
        first, last = 0, len(self._keys)
        for clause in filter(None, re.split(r"\s+and\s+", text.replace("(", "").replace(")", ""))):
            found = _BOUND.match(clause.strip())
            if not found:
                raise BadRequest(clause)
            key = -to_ticks(found[2])
            if found[1] in ("ge", "gt"):
                last = min(last, (bisect.bisect_right if found[1] == "ge" else bisect.bisect_left)(self._keys, key))
            else:
                first = max(first, (bisect.bisect_left if found[1] == "le" else bisect.bisect_right)(self._keys, key))
        return first, last


class Counters:
    def __init__(self) -> None:
        self.requests = self.under_way = self.most = 0
        self.open: dict[Connection, int] = {}           # and what each had acknowledged when counting began
        self.acknowledged = 0                           # on connections that are closed

    def reset(self) -> None:
        self.requests = self.acknowledged = 0
        self.most = self.under_way
        self.open = {connection: connection.acknowledged() for connection in self.open}

    def shown(self, asking: Connection) -> bytes:
        received = self.acknowledged + sum(connection.acknowledged() - before
                                           for connection, before in self.open.items() if connection is not asking)
        return json.dumps({"requests": self.requests, "most": self.most, "received": received}).encode()


class Connection(asyncio.Protocol):
    def __init__(self, alerts: Alerts, counters: Counters, latency: float):
        self._alerts, self._counters, self._latency = alerts, counters, latency
        self._input = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._counters.open[self] = 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._counters.acknowledged += self.acknowledged() - self._counters.open.pop(self)

    def acknowledged(self) -> int:
        info = self._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return struct.unpack_from("Q", info, _BYTES_ACKED)[0]

    def data_received(self, data: bytes) -> None:
        self._input += data
        while b"\r\n\r\n" in self._input:
            head, _, self._input = self._input.partition(b"\r\n\r\n")
            method, target = head.split(b" ", 2)[:2]
            self._take(method.decode(), target.decode())

    def _take(self, method: str, target: str) -> None:
        if target == "/_stats":
            shown = self._counters.shown(self)
            if method == "DELETE":
                self._counters.reset()
            self._send(200, shown)
            return
        self._counters.requests += 1
        self._counters.under_way += 1
        self._counters.most = max(self._counters.most, self._counters.under_way)
        late = 0 if target.startswith("/large") else self._latency
        asyncio.get_running_loop().call_later(late, self._answer, target)

    def _answer(self, target: str) -> None:
        self._counters.under_way -= 1
        try:
            status, body = self._alerts.answer(target)
        except (BadRequest, ValueError) as error:
            status, body = 400, json.dumps({"error": {"code": "BadRequest", "message": str(error)}}).encode()
        if not self._transport.is_closing():
            self._send(status, body)

    def _send(self, status: int, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                              % (status, len(body), body))


async def serve(count: int, latency: float, ids_file: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    alerts, counters = Alerts(count, listener.getsockname()[1]), Counters()
    with open(ids_file, "w", encoding="ascii") as file:
        file.writelines(f"{name}\n" for name in alerts.ids())
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stop.done() or stop.set_result(None))
    server = await loop.create_server(lambda: Connection(alerts, counters, latency), sock=listener)
    print(alerts.port, flush=True)
    await stop
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds")
    parser.add_argument("--ids", required=True, help="file to write the ids of the alerts to")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.alerts, arguments.latency, arguments.ids))


if __name__ == "__main__":
    main()
