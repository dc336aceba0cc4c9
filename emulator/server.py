"""How do connections and requests come in, and who answers them?"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable

from delivery import Line
from reply import Response, json_response
from request import Request
from settings import Settings

_IDLE_SECONDS = 300
_LONGEST_BODY = 1 << 30


class BadBody(ValueError):
    """A request body that cannot be read."""


class Server(ThreadingHTTPServer):
    """A thread for each connection. `answer` is asked for the answer to each request."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, answer: Callable[[Request], Response], settings: Settings,
                 tls: ssl.SSLContext | None = None, verbose: bool = False):
        super().__init__(("127.0.0.1", port), Handler)
        self.answer = answer
        self.settings = settings
        self.verbose = verbose
        self.stopping = threading.Event()
        self._tls = tls
        self._connections = 0
        scheme = "https" if tls else "http"
        self.port = self.server_address[1]
        self.own_origins = (f"{scheme}://127.0.0.1:{self.port}", f"{scheme}://localhost:{self.port}")

    def get_request(self):
        connection, address = super().get_request()
        self._connections += 1
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, self._connections

    def verify_request(self, request, client_address) -> bool:
        if self.settings.close_on_accept > 0:
            self.settings.close_on_accept -= 1
            return False
        return True

    def handle_error(self, request, client_address) -> None:
        if self.verbose:
            traceback.print_exc()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection; `client_address` is its number."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    server: Server

    def setup(self) -> None:
        super().setup()
        self.answers = 0
        self.line = Line(self.connection, self.server.stopping)

    def handle(self) -> None:
        try:
            if isinstance(self.connection, ssl.SSLSocket):
                self.connection.do_handshake()
            super().handle()
        except (OSError, ssl.SSLError, BadBody) as error:
            self.log_message("connection %s: %s", self.client_address, error)

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            pass

    def answer(self) -> None:
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()},
                          self.read_body(), self.client_address, self.server.own_origins, self.request_version)
        try:
            response = self.server.answer(request)
        except Exception:       # a fault of the emulator itself: say so, instead of dropping the connection
            self.log_message("%s", traceback.format_exc())
            response = json_response(500, {"error": {"code": "EmulatorFailed", "message": traceback.format_exc()}})
        self.answers += 1
        may_stay = self.line.send(request, response, self.server.settings)
        limit = self.server.settings.requests_per_connection
        if not may_stay or (limit and self.answers >= limit):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self.read_chunks())
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 <= size <= _LONGEST_BODY:
            raise BadBody("unreasonable Content-Length")
        return self.rfile.read(size)

    def read_chunks(self):
        while size := int(self.rfile.readline(100).split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(65536).strip():
            pass

    def log_message(self, format: str, *args) -> None:
        if self.server.verbose:
            sys.stderr.write(format % args + "\n")


def tls_context(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
