#!/usr/bin/env python3
"""How is a Microsoft Graph on loopback started, and what is it made of?

    python3 graph_emulator.py --alerts 2000 --port 0

prints the port on one line and serves until it is told to stop. README.md has the credentials and the control protocol.
"""

from __future__ import annotations

import argparse
import errno
import gc
import signal
import sys
import threading
from pathlib import Path

import control
import discovery
import jsontext
import login
import timestamps
import ugly
from alerts import AlertStore
from faults import BadFault, FaultBook, answered
from incidents import IncidentStore
from metadata import Metadata
from reply import Response, json_response
from server import Server, tls_context
from service import GraphService
from settings import STRICT, Settings, from_text
from synthetic import Generator

SAMPLE = Path(__file__).resolve().parent / "data" / "sample-alert.json"


class Emulator:
    """Everything but the connections: it turns a request into an answer."""

    def __init__(self, texts: list[bytes], schema: Metadata, switches: dict, clock: timestamps.Clock):
        self._switches = switches
        self.settings = Settings()
        self.settings.change(switches)
        self.clock = clock
        self.store = AlertStore(schema, texts)
        self.incidents = IncidentStore(schema, self.store, self.settings)
        self.logins = login.Login(self.settings)
        self.service = GraphService(self.settings, self.store, self.incidents, schema, self.logins, clock)
        self.faults = FaultBook()
        self.recorder = control.Recorder()

    def reset(self) -> None:
        """Everything as it was at the start."""
        self.settings.change({**Settings().values(), **self._switches})
        self.clock.reset()
        self.store.reset()
        self.incidents.reset()
        self.logins.reset()
        self.service.throttle.reset()
        self.faults.clear()
        self.recorder.clear()

    def answer(self, request) -> Response:
        if request.segments[:1] == ["_emulator"]:
            return control.answer(self, request)
        record, response = self.recorder.arrived(request), None
        try:
            rules = self.faults.firing(request)
            record["faults"] = [rule.kind for rule in rules]
            response = answered(rules, request, self, lambda: self._serve(request))
        except BadFault as error:
            response = json_response(400, {"error": str(error)})
        finally:
            self.recorder.answered(record, response)
        return response

    def _serve(self, request) -> Response:
        segments = request.segments
        if segments[1:] in (["oauth2", "v2.0", "token"], ["oauth2", "v2.0", "devicecode"]):
            if request.method != "POST":
                return json_response(405, {"error": "invalid_request"})
            return self.logins.answer(request, segments[0], segments[3])
        if segments == ["metadata", "identity", "oauth2", "token"]:
            return login.managed_identity(self.logins, request)
        found = discovery.answer(request)
        if found is not None:
            return found
        return self.service.answer(request)


# ---------------------------------------------------------------------------------------------------------------------
# The command line

def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A Microsoft Graph for security alerts on loopback.")
    data = parser.add_argument_group("data")
    data.add_argument("--alerts", type=int, default=2000, metavar="N", help="synthetic alerts (default 2000)")
    data.add_argument("--seed", type=int, default=1, help="another seed makes other alerts")
    data.add_argument("--now", type=timestamps.to_ticks, metavar="TIME",
                      help="the time that the alerts lead up to, as 2026-11-01T00:00:00Z (default: the time of the start)")
    data.add_argument("--data", action="append", metavar="FILE", default=[],
                      help="alerts from a JSON file in place of the synthetic ones; may be repeated")
    data.add_argument("--no-sample", action="store_true", help="leave out the sample alert")
    data.add_argument("--ugly", action="store_true", help="add the alerts of ugly.py")
    serving = parser.add_argument_group("serving")
    serving.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default 0: any free one)")
    serving.add_argument("--tls-cert", metavar="FILE", help="serve https with this certificate chain (PEM)")
    serving.add_argument("--tls-key", metavar="FILE", help="its key, if it is in another file")
    serving.add_argument("--until-stdin-closes", action="store_true", help="stop at the end of standard input, too")
    serving.add_argument("--verbose", action="store_true", help="errors on standard error")
    switches = parser.add_argument_group("switches")
    switches.add_argument("--strict", action="store_true", help="only what the documentation of the list page names")
    switches.add_argument("--rate-limit", type=int, metavar="N", help="Graph requests per minute")
    switches.add_argument("--token-lifetime", type=int, metavar="S", help="seconds")
    switches.add_argument("--set", action="append", default=[], type=from_text, metavar="NAME=VALUE",
                          help="any setting; may be repeated")
    return parser.parse_args(arguments)


def switches_of(options: argparse.Namespace) -> dict:
    switches = dict(STRICT) if options.strict else {}
    for name in ("rate_limit", "token_lifetime"):
        if getattr(options, name) is not None:
            switches[name] = getattr(options, name)
    for assignment in options.set:
        switches.update(assignment)
    return switches


def alert_texts(options: argparse.Namespace, schema: Metadata, clock: timestamps.Clock) -> list[bytes]:
    texts = [] if options.no_sample else [SAMPLE.read_bytes().strip()]
    if options.ugly:
        texts += ugly.ALERTS.values()
    for name in options.data:
        texts += jsontext.alerts_in(Path(name).read_bytes())
    if not options.data:
        texts += Generator(schema, options.seed, clock.start).alerts(options.alerts)
    return texts


def build(options: argparse.Namespace) -> tuple[Emulator, Server]:
    schema, clock = Metadata(), timestamps.Clock(options.now)
    gc.disable()                    # many small objects are made that all stay
    emulator = Emulator(alert_texts(options, schema, clock), schema, switches_of(options), clock)
    gc.freeze()
    gc.enable()
    tls = tls_context(options.tls_cert, options.tls_key) if options.tls_cert else None
    return emulator, Server(options.port, emulator.answer, emulator.settings, tls, options.verbose)


def main() -> int:
    options = parse_arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        _, server = build(options)
    except OSError as error:
        where = f"port {options.port} of 127.0.0.1 is taken: " if error.errno == errno.EADDRINUSE else ""
        print(f"graph_emulator: {where}{error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"graph_emulator: {error}", file=sys.stderr)
        return 1
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    if options.until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    print(server.port, flush=True)
    stop.wait()
    server.stop()
    return 0


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while sys.stdin.buffer.raw.read(4096):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
