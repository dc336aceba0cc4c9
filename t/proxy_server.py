#!/usr/bin/env python3
"""A small proxy: CONNECT of HTTP (by --tls over TLS), or SOCKS5 with --socks.

It prints its port and serves until its standard input ends. What arrives before the tunnel is open is written to --log, a
line for each request: its head, or "user:password host:port" of SOCKS5. With --user user:password it wants these.
A request that is no CONNECT is noted, which is what a test is for, and refused.
"""

import argparse
import base64
import json
import socket
import ssl
import sys
import threading
from socketserver import StreamRequestHandler, ThreadingTCPServer


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Handler(StreamRequestHandler):
    def note(self, text):
        with open(self.server.options.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(text) + "\n")

    def tunnel(self, host, port):
        origin = socket.create_connection((host, port))
        back = threading.Thread(target=pump, args=(origin, self.connection), daemon=True)
        back.start()
        pump(self.connection, origin)
        back.join()

    def handle(self):
        if self.server.options.socks:
            self.handle_socks()
            return
        user = self.server.options.user
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = self.rfile.read(1)
                if not byte:
                    return
                head += byte
            text = head.decode("latin-1")
            self.note(text)
            expected = user and "Proxy-Authorization: Basic " + base64.b64encode(user.encode()).decode()
            if expected and expected not in text.split("\r\n"):
                answer = b"407 Who are you\r\nProxy-Authenticate: Basic realm=\"here\"\r\nContent-Length: "
                body = b"you said " + head
                self.wfile.write(b"HTTP/1.1 " + answer + str(len(body)).encode() + b"\r\n\r\n" + body)
                continue
            if not text.startswith("CONNECT "):
                self.wfile.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
                continue
            host, port = text.split(" ")[1].rsplit(":", 1)
            self.wfile.write(b"HTTP/1.1 200 Go on\r\n\r\n")
            self.tunnel(host, int(port))
            return

    def handle_socks(self):
        count = self.rfile.read(2)[1]
        method = 2 if 2 in self.rfile.read(count) else 0
        if self.server.options.user and method == 0:
            method = 255
        self.wfile.write(bytes([5, method]))
        if method == 255:
            return
        said = ""
        if method == 2:
            user = self.rfile.read(self.rfile.read(2)[1])
            said = (user + b":" + self.rfile.read(self.rfile.read(1)[0])).decode()
            good = said == self.server.options.user
            self.wfile.write(bytes([1, 0 if good else 1]))
        kind = self.rfile.read(4)[3]
        if kind == 3:
            host = self.rfile.read(self.rfile.read(1)[0]).decode()
        else:
            host = socket.inet_ntoa(self.rfile.read(4))
        port = int.from_bytes(self.rfile.read(2), "big")
        self.note(f"{said} {host}:{port}")
        self.wfile.write(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        self.tunnel(host, port)


class Server(ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--user", help="user:password")
    parser.add_argument("--socks", action="store_true")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    server.options = options
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    open(options.log, "w", encoding="utf-8").close()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
