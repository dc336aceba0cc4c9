"""How does a test steer the emulator, and what can it learn from it?

The paths below /_emulator/, each a row of CONTROLS, and the record of the requests that were not control requests.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Callable
from urllib.parse import parse_qsl

import jsontext
import ugly
from faults import FAULTS, BadFault, rules_of
from incidents import incidents_in
from reply import Response, json_response

_RECORDED_HEADERS = ("accept", "accept-encoding", "client-request-id", "content-length", "content-type", "host",
                     "metadata", "prefer", "user-agent", "x-ms-lib-capability")


class Recorder:
    """The requests in the order of their arrival, without secrets."""

    def __init__(self):
        self._lock = threading.Lock()
        self._records: list[dict] = []
        self._in_flight = 0
        self._start = time.monotonic()

    def arrived(self, request) -> dict:
        with self._lock:
            self._in_flight += 1
            record = {
                "method": request.method,
                "path": request.path,
                "target": request.target,
                "query": request.query,
                "params": dict(parse_qsl(request.query, keep_blank_values=True)),
                "prefix": request.prefix,
                "headers": _headers(request),
                "body_fields": _body_fields(request),
                "body": _body(request),
                "connection": request.connection,
                "proxied": request.proxied,
                "in_flight": self._in_flight,
                "seconds": round(time.monotonic() - self._start, 6),
                "faults": [],
                "status": None,
            }
            self._records.append(record)
        return record

    def answered(self, record: dict, response: Response | None) -> None:
        with self._lock:
            self._in_flight -= 1
            record["status"] = response.status if response else None

    def records(self, contains: str = "") -> list[dict]:
        with self._lock:
            return [dict(record) for record in self._records if contains in record["target"]]

    def clear(self) -> None:
        with self._lock:
            self._records.clear()


def _headers(request) -> dict[str, str]:
    headers = {name: request.headers[name] for name in _RECORDED_HEADERS if name in request.headers}
    if "authorization" in request.headers:
        scheme, _, credentials = request.headers["authorization"].partition(" ")
        digest = hashlib.sha256(credentials.encode("utf-8", "replace")).hexdigest()
        headers["authorization"] = f"{scheme} sha256:{digest[:12]}"
    return headers


def _body(request) -> str | None:
    """What Graph is sent, which is never a secret; None for anything else."""
    if "/security/" not in request.path or not request.body:
        return None
    return request.body.decode("utf-8", "replace")


def _body_fields(request) -> list[str]:
    """The names in a form or in a JSON object, never the values."""
    text = request.body.decode("utf-8", "replace")
    if "json" in request.headers.get("content-type", ""):
        try:
            document = json.loads(text)
        except ValueError:
            return []
        return list(document) if isinstance(document, dict) else []
    return [name for name, _ in parse_qsl(text, keep_blank_values=True)]


# ---------------------------------------------------------------------------------------------------------------------
# The paths. Each function gets the emulator, the request and its parameters, and returns a document or a Response.

def index(emulator, request, params):
    return {"paths": [f"{method} /_emulator/{path}" for method, path in CONTROLS],
            "faults": {name: kind.parameters() for name, kind in FAULTS.items()},
            "alerts": len(emulator.store.all()), "incidents": len(emulator.incidents.records().all())}


def get_requests(emulator, request, params):
    return emulator.recorder.records(params.get("contains", ""))


def count_requests(emulator, request, params):
    return {"count": len(emulator.recorder.records(params.get("contains", "")))}


def clear_requests(emulator, request, params):
    emulator.recorder.clear()


def get_faults(emulator, request, params):
    return emulator.faults.described()


def add_faults(emulator, request, params):
    rules = rules_of(_document(request))
    emulator.faults.add(rules)
    return {"added": len(rules)}


def clear_faults(emulator, request, params):
    emulator.faults.clear()


def get_settings(emulator, request, params):
    return emulator.settings.values()


def change_settings(emulator, request, params):
    emulator.settings.change(_document(request))
    return emulator.settings.values()


def get_alerts(emulator, request, params):
    """All alerts as JSON lines, byte for byte as they are stored, newest first."""
    lines = b"".join(alert.text.replace(b"\n", b" ") + b"\n" for alert in emulator.store.all())
    return Response(200, lines, {"Content-Type": "application/x-ndjson"})


def add_alerts(emulator, request, params):
    return {"added": emulator.store.put(jsontext.alerts_in(request.body), params.get("replace") == "true")}


def remove_alerts(emulator, request, params):
    return {"removed": emulator.store.remove(params.get("id"))}


def get_incidents(emulator, request, params):
    """The same of the incidents."""
    lines = b"".join(incident.text.replace(b"\n", b" ") + b"\n" for incident in emulator.incidents.records().all())
    return Response(200, lines, {"Content-Type": "application/x-ndjson"})


def add_incidents(emulator, request, params):
    return {"added": emulator.incidents.put(incidents_in(request.body))}


def add_ugly_alerts(emulator, request, params):
    wanted = _document(request) if request.body else {}
    names = wanted.get("names", list(ugly.ALERTS))
    unknown = set(names) - set(ugly.ALERTS)
    if unknown:
        raise ValueError(f"no ugly alert is named {', '.join(sorted(unknown))}")
    return {"added": emulator.store.put([ugly.ALERTS[name] for name in names]), "names": names}


def expire_tokens(emulator, request, params):
    static_too = bool(request.body) and bool(_document(request).get("static"))
    return {"expired": emulator.logins.expire_all(static_too)}


def add_certificate(emulator, request, params):
    document = _document(request)
    emulator.logins.register(document["client_id"], document["certificate"])


def reset(emulator, request, params):
    emulator.reset()


CONTROLS: dict[tuple[str, str], Callable] = {
    ("GET", ""): index,
    ("GET", "requests"): get_requests,
    ("GET", "requests/count"): count_requests,
    ("DELETE", "requests"): clear_requests,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): add_faults,
    ("DELETE", "faults"): clear_faults,
    ("GET", "settings"): get_settings,
    ("POST", "settings"): change_settings,
    ("GET", "alerts"): get_alerts,
    ("POST", "alerts"): add_alerts,
    ("DELETE", "alerts"): remove_alerts,
    ("GET", "incidents"): get_incidents,
    ("POST", "incidents"): add_incidents,
    ("POST", "ugly"): add_ugly_alerts,
    ("POST", "tokens/expire"): expire_tokens,
    ("POST", "certificates"): add_certificate,
    ("POST", "reset"): reset,
}


def answer(emulator, request) -> Response:
    control = CONTROLS.get((request.method, "/".join(request.segments[1:])))
    if control is None:
        return json_response(404, {"error": "no such control; GET /_emulator/ lists them"})
    try:
        result = control(emulator, request, dict(parse_qsl(request.query, keep_blank_values=True)))
    except (BadFault, KeyError, ValueError, TypeError) as error:
        return json_response(400, {"error": str(error)})
    return result if isinstance(result, Response) else json_response(200, {"ok": True} if result is None else result)


def _document(request):
    return json.loads(request.body)
