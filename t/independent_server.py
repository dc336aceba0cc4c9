#!/usr/bin/env python3
"""An OAuth 2.0 token endpoint and two alerts, made without anything of graph_fdw or its emulator.

It prints its port and serves until its standard input ends. What arrives is written to --log, a JSON object per line:
also what a client sends that it should not.

Signatures are verified by the openssl command, with the public key of --certificate.
"""

import argparse
import base64
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

TOKEN = "independent-access-token-7f3a9c"
SECRET = "independent secret & more=%41"
ALERTS = [{"id": f"alert-{n}", "title": f"Alert {n}", "createdDateTime": "2026-01-01T00:00:00Z"} for n in (1, 2)]
used = set()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)


def refusal(form, url, options):
    """Why this login is refused, or None."""
    if form.get("grant_type") != "client_credentials":
        return "unsupported_grant_type", "no such grant"
    if "client_assertion" not in form:
        return None if form.get("client_secret") == SECRET else ("invalid_client", "wrong secret")
    if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
        return "invalid_request", "client_assertion_type"
    head, body, signature = form["client_assertion"].split(".")
    header, claims, now = json.loads(decode(head)), json.loads(decode(body)), time.time() + options.clock
    der = openssl("x509", "-in", options.certificate, "-outform", "DER").stdout
    if header != {"alg": "PS256", "typ": "JWT", "x5t#S256": base64.urlsafe_b64encode(
            hashlib.sha256(der).digest()).rstrip(b"=").decode()}:
        return "invalid_client", f"header {header}"
    with tempfile.TemporaryDirectory() as folder:
        key, sign = os.path.join(folder, "key"), os.path.join(folder, "signature")
        with open(key, "wb") as file:
            file.write(openssl("x509", "-in", options.certificate, "-noout", "-pubkey").stdout)
        with open(sign, "wb") as file:
            file.write(decode(signature))
        verified = openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32",
                           "-sigopt", "rsa_mgf1_md:sha256", "-verify", key, "-signature", sign,
                           data=f"{head}.{body}".encode())
    if verified.returncode != 0:
        return "invalid_client", "the signature is not the certificate's"
    if claims["aud"] != url or claims["iss"] != form["client_id"] or claims["sub"] != form["client_id"]:
        return "invalid_client", f"aud {claims['aud']}, expected {url}"
    if claims["exp"] - claims["nbf"] > 600 or claims["jti"] in used:
        return "invalid_client", "too long, or used before"
    if not claims["nbf"] - 60 <= now <= claims["exp"] + 60:
        return "invalid_client", "the assertion is not valid now"
    used.add(claims["jti"])
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, document, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(time.time() + self.server.options.clock))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def note(self, body=""):
        with open(self.server.options.log, "a", encoding="utf-8") as file:
            file.write(json.dumps({"line": self.requestline, "headers": str(self.headers), "body": body}) + "\n")

    def do_POST(self):
        options = self.server.options
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.note(text)
        if options.redirect_login:
            return self.answer(307, {}, Location=options.redirect_login + self.path)
        form = {name: values[0] for name, values in parse_qs(text).items()}
        error = refusal(form, self.server.root + self.path, options)
        if error:
            proof = form.get("client_assertion") or form.get("client_secret")
            return self.answer(401, {"error": error[0], "error_description": f"{error[1]}\r\nYou sent {text}, {proof}"})
        return self.answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN})

    def do_GET(self):
        options = self.server.options
        self.note()
        if options.redirect_graph:
            return self.answer(302, {}, Location=options.redirect_graph + self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": {"code": "InvalidAuthenticationToken",
                                               "message": f"Refused {self.headers.get('Authorization')}"}})
        page = {"value": ALERTS[:1] if options.next_link else ALERTS}
        if options.next_link:
            page["@odata.nextLink"] = options.next_link
        return self.answer(200, page)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--certificate", help="the client's")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--tls-1-1-only", action="store_true")
    parser.add_argument("--clock", type=int, default=0, help="seconds ahead")
    for name in ("--redirect-login", "--redirect-graph", "--next-link"):
        parser.add_argument(name, metavar="URL")
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    server.options = options
    server.root = f"{'https' if options.tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        if options.tls_1_1_only:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    open(options.log, "w", encoding="utf-8").close()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
