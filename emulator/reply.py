"""What is an answer, before it is bytes on a connection?

A Response holds what is to be said, a Page the rows of a list answer while they can still be changed, and a Delivery how
the bytes are to be sent: honestly, unless a fault has changed it.
"""

from __future__ import annotations

import datetime
import json
import uuid
from dataclasses import dataclass, field
from email.utils import format_datetime

GRAPH_JSON = ("application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
DIAGNOSTIC = ('{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","ScaleUnit":"000",'
              '"RoleInstance":"EMULATOR"}}')


@dataclass
class Page:
    """The members of a list answer as JSON text, in the order in which they are written."""
    context: bytes
    rows: list[bytes]
    count: bytes | None = None
    next_link: bytes | None = None
    next_link_last: bool = False
    value: bytes | None = None          # in place of the rows
    no_value: bool = False
    extra: dict[str, bytes] = field(default_factory=dict)

    def render(self) -> bytes:
        link = [] if self.next_link is None else [b'"@odata.nextLink":' + self.next_link]
        parts = [b'"@odata.context":' + self.context]
        if self.count is not None:
            parts.append(b'"@odata.count":' + self.count)
        parts += [] if self.next_link_last else link
        if not self.no_value:
            parts.append(b'"value":' + (self.value if self.value is not None else b"[" + b",".join(self.rows) + b"]"))
        parts += link if self.next_link_last else []
        parts += [json.dumps(name).encode() + b":" + text for name, text in self.extra.items()]
        return b"{" + b",".join(parts) + b"}"


@dataclass
class Delivery:
    """How a response is sent. The defaults send it as HTTP says; each other value is a fault."""
    delay: float = 0                    # seconds before the first byte
    silent: bool = False                # never send the first byte
    stall_after: int | None = None      # body bytes after which nothing comes any more
    stall_seconds: float | None = None  # how long; None: until the client goes away
    step: int = 65536                   # body bytes per write
    pause: float = 0                    # seconds after each write
    cut_after: int | None = None        # body bytes after which the connection is closed
    length_error: int = 0               # added to the Content-Length
    chunked: bool | None = None         # None: as the settings say
    compress: bool = True               # if the settings and the client agree
    raw: bytes | None = None            # sent in place of everything, then closed
    reset: bool = False                 # RST instead of an answer
    hang_up: bool = False               # close instead of an answer
    close_after: bool = False           # close after an answer that did not announce it


@dataclass
class Response:
    status: int
    body: bytes | Page = b""
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = field(default_factory=Delivery)

    def render(self) -> bytes:
        """The body as bytes, and from now on only that."""
        if isinstance(self.body, Page):
            self.body = self.body.render()
        return self.body


def json_response(status: int, document: object, content_type: str = "application/json; charset=utf-8") -> Response:
    return Response(status, json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"),
                    {"Content-Type": content_type})


def graph_response(body: bytes | Page, status: int = 200) -> Response:
    return Response(status, body, {"Content-Type": GRAPH_JSON})


def graph_error(request, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error as Graph shapes it; a validation failure has an empty code and empty details."""
    error: dict[str, object] = {"code": code, "message": message}
    if code == "":
        error["details"] = []
    error["innerError"] = {
        "date": utc_now().strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request.request_id,
        "client-request-id": request.client_request_id,
    }
    response = json_response(status, {"error": error}, "application/json")
    response.headers.update(headers or {})
    return response


def login_error(status: int, error: str, number: int, message: str, asked_as: str | None = None) -> Response:
    """An error as the login service shapes it: a description of several lines, with CRLF between them.

    It is filed under the id that the client gave its request, if it gave one.
    """
    trace, correlation = uuid.uuid4(), asked_as or uuid.uuid4()
    timestamp = utc_now().strftime("%Y-%m-%d %H:%M:%SZ")
    response = json_response(status, {
        "error": error,
        "error_description": f"AADSTS{number}: {message}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n"
                             f"Timestamp: {timestamp}",
        "error_codes": [number],
        "timestamp": timestamp,
        "trace_id": str(trace),
        "correlation_id": str(correlation),
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    })
    response.headers.update(NO_STORE)
    return response


NO_STORE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def http_date(seconds_ahead: float = 0) -> str:
    return format_datetime(utc_now() + datetime.timedelta(seconds=seconds_ahead), usegmt=True)
