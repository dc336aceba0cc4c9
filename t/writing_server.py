#!/usr/bin/env python3
"""A service with alerts and incidents that are written to, made without anything of graph_fdw or its emulator.

It prints its port and serves until its standard input ends. The first part of a path names a world: its own alerts,
incidents, log and switches, so that several tests run at once, each with http://127.0.0.1:PORT/WORLD as its service root.

    GET    /WORLD/_/state      {"alerts": {id: alert}, "incidents": {id: incident}}
    POST   /WORLD/_/state      the same as lists, in place of what there is
    POST   /WORLD/_/restore    what the last of these said
    GET    /WORLD/_/held       the state, only of what writes change; of comments their texts
    GET    /WORLD/_/log        what was asked, in order (see Log); DELETE forgets it
    POST   /WORLD/_/switches   what differs from SWITCHES, until the next POST; its rules start anew

Tokens are names of TOKENS, or come from /TENANT/oauth2/v2.0/token, where client_id is such a name and the secret is
"secret of " and that name.

A rule of "rules" is {"method", "on", "when", "times", "do"}: which requests (on "new" or "kept" connections; both if it is
not there), whether each, "first" (the first try of each write) or the n-th of those that match, how often in all, and what
happens: {"status", "retry_after"} refuses, {"lose": how, "taken": whether} closes the connection, before or after it was
taken, {"revoke"} makes the issued tokens invalid. How: "close", "reset", "head" (after half of the answer's head) or "body".
"""

import gzip
import json
import re
import socket
import struct
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

SWITCHES = {
    "rules": [],
    "latency": 0,                   # seconds for a write
    "read_latency": 0,
    "missing": [],                  # ids whose writes are answered with 404
    "ignore": [],                   # properties whose change is not taken
    "alter": {},                    # values that are stored in place of those that were sent
    "answer": 200,                  # or 204, of PATCH
    "answer_without": [],           # members that the answer of PATCH lacks
    "comments_answer": "all",       # or "none", of POST
    "order": "createdDateTime",     # of a list, newest first
    "links": "skiptoken",           # or "skip"
    "gzip": False,
    "chunked": False,
    "close_idle": False,            # kept connections are closed after the answer, without a word
}
EVERYTHING = {"SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All", "SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"}
TOKENS = {
    "writer": EVERYTHING,
    "reader": {"SecurityAlert.Read.All", "SecurityIncident.Read.All"},
    "alerts-writer": {"SecurityAlert.ReadWrite.All", "SecurityIncident.Read.All"},
    "second-writer": EVERYTHING,
    "nobody": set(),
}
CLASSIFICATIONS = ("unknown", "falsePositive", "truePositive", "informationalExpectedActivity")
DETERMINATIONS = (
    "unknown", "apt", "malware", "securityPersonnel", "securityTesting", "unwantedSoftware", "other", "multiStagedAttack",
    "compromisedAccount", "phishing", "maliciousUserActivity", "notMalicious", "notEnoughDataToValidate", "confirmedActivity",
    "lineOfBusinessApplication")
SEVERITIES = ("unknown", "informational", "low", "medium", "high")


def text_or_null(value):
    return value is None or isinstance(value, str)


def one_of(members, null=False):
    return lambda value: value in members if isinstance(value, str) else null and value is None


KINDS = {
    "alerts": {
        "path": "/v1.0/security/alerts_v2",
        "largest": 1000,
        "refuse_larger": False,
        "read": EVERYTHING,
        "write": "SecurityAlert.ReadWrite.All",
        "filter": ("assignedTo", "classification", "determination", "createdDateTime", "lastUpdateDateTime", "severity",
                   "serviceSource", "status"),
        "writable": {
            "status": one_of(("new", "inProgress", "resolved")),
            "classification": one_of(CLASSIFICATIONS, True),
            "determination": one_of(DETERMINATIONS, True),
            "assignedTo": text_or_null,
            "customDetails": lambda value: value is None or isinstance(value, dict),
        },
    },
    "incidents": {
        "path": "/v1.0/security/incidents",
        "largest": 50,
        "refuse_larger": True,
        "read": {"SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"},
        "write": "SecurityIncident.ReadWrite.All",
        "filter": ("assignedTo", "classification", "determination", "createdDateTime", "lastUpdateDateTime", "severity", "status"),
        "writable": {
            "status": one_of(("active", "inProgress", "resolved", "redirected", "awaitingAction")),
            "severity": one_of(SEVERITIES),
            "classification": one_of(CLASSIFICATIONS, True),
            "determination": one_of(DETERMINATIONS, True),
            "customTags": lambda value: isinstance(value, list) and all(isinstance(tag, str) for tag in value),
            **dict.fromkeys(("assignedTo", "description", "displayName", "summary", "resolvingComment"), text_or_null),
        },
    },
}
TIMES = ("createdDateTime", "lastUpdateDateTime")


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


# ---------------------------------------------------------------------------------------------------------------------
# Times, as numbers of 100 ns, and $filter

def instant(text):
    clock, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.strptime(clock, "%Y-%m-%dT%H:%M:%S" if clock.count(":") == 2 else "%Y-%m-%dT%H:%M")
    return int(moment.replace(tzinfo=timezone.utc).timestamp()) * 10_000_000 + int(f"{fraction:0<7}"[:7])


def time_text(number):
    seconds, fraction = divmod(number, 10_000_000)
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return (f"{text}.{fraction:07d}".rstrip("0") if fraction else text) + "Z"


class Filter:
    """A $filter as a function of a record: self(record)."""
    WORD = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d{4}-\d\d-\d\dT[\d:.]+Z)|([A-Za-z]\w*)|([()])|(,))")

    def __init__(self, text, properties):
        self.properties, self.words, at = properties, [], 0
        while text[at:].strip():
            found = self.WORD.match(text, at)
            if not found:
                raise Refused(400, "BadRequest", f"Syntax error at position {at} in '{text}'.")
            self.words.append(found.group().strip())
            at = found.end()
        self.test = self.either()
        if self.words:
            raise Refused(400, "BadRequest", f"Unexpected '{self.words[0]}' in '{text}'.")

    def __call__(self, record):
        return self.test(record)

    def take(self):
        if not self.words:
            raise Refused(400, "BadRequest", "The filter ends too early.")
        return self.words.pop(0)

    def either(self):
        tests = [self.both()]
        while self.words[:1] == ["or"]:
            self.take()
            tests.append(self.both())
        return lambda record: any(test(record) for test in tests)

    def both(self):
        tests = [self.one()]
        while self.words[:1] == ["and"]:
            self.take()
            tests.append(self.one())
        return lambda record: all(test(record) for test in tests)

    def one(self):
        word = self.take()
        if word == "(":
            test = self.either()
            if self.take() != ")":
                raise Refused(400, "BadRequest", "A parenthesis is not closed.")
            return test
        if word == "not":
            test = self.one()
            return lambda record: not test(record)
        if word not in self.properties:
            raise Refused(400, "BadRequest", f"'{word}' cannot be filtered by.")
        operator, name = self.take(), word
        if operator == "in":
            if self.take() != "(":
                raise Refused(400, "BadRequest", "A list is expected.")
            values = [self.value(name)]
            while (mark := self.take()) == ",":
                values.append(self.value(name))
            if mark != ")":
                raise Refused(400, "BadRequest", "A list is not closed.")
            return lambda record: own(record, name) in values
        value = self.value(name)
        if operator == "eq":
            return lambda record: own(record, name) == value
        if operator == "ne":
            return lambda record: own(record, name) != value
        if operator not in ("gt", "ge", "lt", "le") or name not in TIMES:
            raise Refused(400, "BadRequest", f"'{operator}' is not an operator for '{name}'.")
        compare = getattr(int, f"__{operator}__")
        return lambda record: compare(own(record, name), value)

    def value(self, name):
        word = self.take()
        if word == "null":
            return None
        if name in TIMES:
            return instant(word)
        if not word.startswith("'"):
            raise Refused(400, "BadRequest", f"{word} is not a literal for '{name}'.")
        return word[1:-1].replace("''", "'")


def own(record, name):
    return record["#"][name] if name in TIMES else record.get(name)


# ---------------------------------------------------------------------------------------------------------------------
# A world

class World:
    def __init__(self):
        self.lock = threading.RLock()
        self.records = {"alerts": {}, "incidents": {}}
        self.given = b"{}"
        self.log, self.number, self.under_way = [], 0, 0
        self.clock = instant("2026-11-20T10:00:00Z")
        self.set_switches({})

    def set_switches(self, switches):
        unknown = set(switches) - set(SWITCHES)
        if unknown:
            raise Refused(400, "switches", f"no such switch: {unknown}")
        self.switches = {**SWITCHES, **switches}
        self.rules = [{"left": rule.get("times", 1_000_000), "seen": 0, "tried": set(), **rule} for rule in self.switches["rules"]]

    def set_state(self, text):
        self.given = text
        for kind, records in json.loads(text).items():
            self.records[kind] = {record["id"]: self.with_times(record) for record in records}

    @staticmethod
    def with_times(record):
        record["#"] = {name: instant(record[name]) for name in TIMES}
        return record

    def rule(self, method, key, kept):
        """What the rules say of a request."""
        on = "kept" if kept else "new"
        matching = [rule for rule in self.rules if method in rule["method"].split() and rule.get("on", on) == on]
        for rule in matching:
            rule["seen"] += 1
        for rule in matching:
            when = rule.get("when", "each")
            if rule["left"] == 0:
                continue
            if when == "first":
                if key in rule["tried"]:
                    rule["tried"].discard(key)
                    continue
                rule["tried"].add(key)
            elif when != "each" and rule["seen"] != when:
                continue
            rule["left"] -= 1
            return rule["do"]
        return {}

    def touch(self, record):
        self.clock += 10_000_010
        record["lastUpdateDateTime"] = time_text(self.clock)
        self.with_times(record)
        return record["lastUpdateDateTime"]

    def find(self, kind, name):
        if name not in self.records[kind]:
            raise Refused(404, "ResourceNotFound", f"No record with the id '{name}'.")
        return self.records[kind][name]

    def patch(self, kind, name, body):
        writable = KINDS[kind]["writable"]
        if not isinstance(body, dict) or not body.keys() - {"@odata.type"}:
            raise Refused(400, "BadRequest", "A property to change is expected.")
        for member, value in body.items():
            if member == "@odata.type":
                continue
            if member not in writable:
                raise Refused(400, "BadRequest", f"The property '{member}' cannot be changed.")
            if not writable[member](value):
                raise Refused(400, "BadRequest", f"Not a value of '{member}'.")
        record = self.find(kind, name)
        for member, value in body.items():
            if member not in self.switches["ignore"] and member != "@odata.type":
                record[member] = self.switches["alter"].get(member, value)
        record["lastModifiedBy"] = "API-App"
        moment = self.touch(record)
        if kind == "alerts" and "status" in body:
            record["resolvedDateTime"] = moment if record["status"] == "resolved" else None
        return record

    def comment(self, kind, name, body, who):
        if not isinstance(body, dict) or body.get("@odata.type") not in ("microsoft.graph.security.alertComment", "#microsoft.graph.security.alertComment"):
            raise Refused(400, "BadRequest", "A comment of the type microsoft.graph.security.alertComment is expected.")
        if set(body) != {"@odata.type", "comment"} or not isinstance(body["comment"], str) or not body["comment"]:
            raise Refused(400, "BadRequest", "The comment has to be a text, and nothing else is given.")
        record = self.find(kind, name)
        text = body["comment"]
        if "comment" not in self.switches["ignore"]:
            record.setdefault("comments", []).append({
                "comment": self.switches["alter"].get("comment", text), "createdByDisplayName": f"App {who}", "createdDateTime": self.touch(record)})
        return record["comments"]

    def page(self, kind, query, root, holder=None):
        options = dict(parse_qsl(query, keep_blank_values=True))
        unknown = set(options) - {"$filter", "$top", "$skip", "$skiptoken", "$count", "$orderby", "$select"}
        if unknown:
            raise Refused(400, "BadRequest", f"No such query option: {sorted(unknown)}.")
        top = int(options.get("$top", 50))
        if top > KINDS[kind]["largest"] and KINDS[kind]["refuse_larger"]:
            raise Refused(400, "", f"The limit of '{KINDS[kind]['largest']}' for Top query has been exceeded. The value from the incoming request is '{top}'.")
        top = min(top, KINDS[kind]["largest"])
        found = list(self.records[kind].values())
        if holder is not None:
            found = [record for record in found if record.get("incidentId") == holder]
        if "$filter" in options:
            found = list(filter(Filter(options["$filter"], KINDS[kind]["filter"]), found))
        name, _, direction = options.get("$orderby", self.switches["order"] + " desc").partition(" ")
        if name not in TIMES:
            raise Refused(400, "BadRequest", f"'{name}' cannot be sorted by.")
        found.sort(key=lambda record: (record["#"][name], record["id"]), reverse=direction == "desc")
        skip = int(options.get("$skip") or options.get("$skiptoken", "")[4:] or 0)
        answer = {"@odata.context": f"{root}/v1.0/$metadata#security/{kind}"}
        if options.get("$count") == "true":
            answer["@odata.count"] = len(found)
        if skip + top < len(found):
            rest = [(key, value) for key, value in options.items() if key not in ("$skip", "$skiptoken")]
            rest.append(("$skip", skip + top) if self.switches["links"] == "skip" else ("$skiptoken", f"tok-{skip + top}"))
            path = KINDS[kind]["path"] if holder is None else f"{KINDS['incidents']['path']}/{quote(holder, safe='')}/alerts"
            answer["@odata.nextLink"] = f"{root}{path}?" + "&".join(f"{key}={quote(str(value), safe='')}" for key, value in rest)
        chosen = options["$select"].split(",") if "$select" in options else None
        answer["value"] = [shown(record, chosen) for record in found[skip:skip + top]]
        return answer


def held(kind, record):
    names = (*KINDS[kind]["writable"], "lastUpdateDateTime", "resolvedDateTime", "lastModifiedBy")
    return {**{name: record.get(name) for name in names}, "comments": [comment["comment"] for comment in record["comments"]]}


def shown(record, chosen=None, without=()):
    return {key: value for key, value in record.items() if key != "#" and key not in without and (chosen is None or key in chosen or key == "id")}


# ---------------------------------------------------------------------------------------------------------------------
# HTTP

class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    worlds, issued, lock, connections = {}, {}, threading.Lock(), 0

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            Connection.connections += 1
            self.name = Connection.connections
        self.served = 0

    def log_message(self, *arguments):
        pass

    def serve(self):
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length) if length else b""
        if len(text) < length:
            self.close_connection = True
            return
        path = parts.path.split("/", 2)
        if parts.path.endswith("/oauth2/v2.0/token"):
            self.token(parse_qs(text.decode()))
            return
        with self.lock:
            world = self.worlds.setdefault(path[1], World())
        if path[2].startswith("_/"):
            self.control(world, path[2][2:], text)
            return
        self.graph(world, f"http://127.0.0.1:{self.server.server_address[1]}/{path[1]}", "/" + path[2], parts.query, text)
        self.served += 1

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = serve

    def token(self, form):
        client = form.get("client_id", [""])[0]
        if client not in TOKENS or form.get("client_secret") != [f"secret of {client}"]:
            self.answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
            return
        with self.lock:
            token = f"issued-{len(self.issued) + 1}-to-{client}"
            self.issued[token] = client
        self.answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def control(self, world, what, text):
        with world.lock:
            try:
                answer = {}
                if (self.command, what) == ("GET", "state"):
                    answer = {kind: {name: shown(record) for name, record in records.items()} for kind, records in world.records.items()}
                elif (self.command, what) == ("POST", "state"):
                    world.set_state(text)
                elif (self.command, what) == ("POST", "restore"):
                    world.set_state(world.given)
                elif (self.command, what) == ("GET", "held"):
                    answer = {kind: {name: held(kind, record) for name, record in records.items()} for kind, records in world.records.items()}
                elif (self.command, what) == ("GET", "log"):
                    answer = world.log
                elif (self.command, what) == ("DELETE", "log"):
                    world.log = []
                elif (self.command, what) == ("POST", "switches"):
                    world.set_switches(json.loads(text))
                else:
                    raise Refused(404, "control", what)
                status = 200
            except Refused as refused:
                status, answer = refused.status, {"error": str(refused)}
            body = json.dumps(answer).encode()
        self.answer(status, body)

    def graph(self, world, root, path, query, text):
        """One request of the service, and its line in the log."""
        with world.lock:
            world.number += 1
            world.under_way += 1
            note = {"number": world.number, "start": time.time(), "method": self.command, "path": path, "query": query,
                    "body": text.decode(), "connection": self.name, "kept": self.served > 0, "at_once": world.under_way,
                    "client_request_id": self.headers.get("client-request-id"), "user_agent": self.headers.get("User-Agent"),
                    "taken": False, "status": 0}
            world.log.append(note)
            switches = world.switches
            do = world.rule(self.command, (self.command, path, text), self.served > 0)
        try:
            try:
                self.headers_after = {}
                who = self.who(do)
                latency = switches["read_latency" if self.command == "GET" else "latency"]
                if latency:
                    time.sleep(latency)
                if "status" in do:
                    if "retry_after" in do:
                        self.headers_after["Retry-After"] = str(do["retry_after"])
                    raise Refused(do["status"], {429: "TooManyRequests", 503: "ServiceUnavailable"}.get(do["status"], "InternalServerError"), "A switch says so.")
                if do.get("lose") and not do.get("taken", True):
                    self.lose(do["lose"], 0, b"")
                    return
                with world.lock:
                    status, body = self.route(world, root, path, query, text, who)
                    note["taken"] = self.command != "GET"
            except Refused as refused:
                status = refused.status
                body = json.dumps({"error": {"code": refused.code, "message": str(refused), "innerError": {
                    "date": "2026-11-20T10:00:00", "request-id": f"request-{note['number']}", "client-request-id": note["client_request_id"]}}}).encode()
            if do.get("lose"):
                self.lose(do["lose"], status, body)
                return
            note["status"] = status
            self.answer(status, body, switches)
        finally:
            with world.lock:
                world.under_way -= 1
                note["end"] = time.time()

    def who(self, do):
        kind, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if do.get("revoke"):
            with self.lock:
                self.issued.clear()
                self.issued["revoked"] = None
        client = token if token in TOKENS else self.issued.get(token)
        if kind != "Bearer" or client not in TOKENS:
            raise Refused(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        return client

    def route(self, world, root, path, query, text, who):
        for kind, facts in KINDS.items():
            if path == facts["path"]:
                names = []
            elif path.startswith(facts["path"] + "/"):
                names = [unquote(part) for part in path[len(facts["path"]) + 1:].split("/")]
            else:
                continue
            reads = self.command == "GET"
            if not TOKENS[who] & (facts["read"] if reads else {facts["write"]}):
                wanted = ",".join(sorted(facts["read"])) if reads else facts["write"]
                raise Refused(403, "Forbidden", f"Missing application roles. API required roles: {wanted}, application roles: {','.join(sorted(TOKENS[who]))}.")
            return self.record(world, root, kind, names, query, text, who)
        raise Refused(400, "BadRequest", f"Resource not found for the segment '{path}'.")

    def record(self, world, root, kind, names, query, text, who):
        call = (self.command, len(names), *names[1:])
        if call == ("GET", 0):
            return 200, encoded(world.page(kind, query, root))
        if call == ("GET", 1):
            chosen = dict(parse_qsl(query)).get("$select")
            return 200, encoded(shown(world.find(kind, names[0]), chosen and chosen.split(",")))
        if call == ("GET", 2, "alerts") and kind == "incidents":
            world.find(kind, names[0])
            return 200, encoded(world.page("alerts", query, root, names[0]))
        if call not in (("PATCH", 1), ("POST", 2, "comments")):
            raise Refused(405, "MethodNotAllowed", f"{self.command} is not allowed here.")
        if self.headers.get_content_type() != "application/json":
            raise Refused(400, "BadRequest", "Content-Type: application/json is expected.")
        if names[0] in world.switches["missing"]:
            raise Refused(404, "ResourceNotFound", f"No record with the id '{names[0]}'.")
        try:
            body = json.loads(text)
        except ValueError:
            raise Refused(400, "BadRequest", "The body is not JSON.") from None
        if self.command == "PATCH":
            record = world.patch(kind, names[0], body)
            if world.switches["answer"] == 204:
                return 204, b""
            return 200, encoded({"@odata.context": f"{root}/v1.0/$metadata#security/{kind}/$entity", **shown(record, None, world.switches["answer_without"])})
        comments = world.comment(kind, names[0], body, who)
        if world.switches["comments_answer"] == "none":
            return 204, b""
        return 200, encoded({"@odata.context": f"{root}/v1.0/$metadata#security/{kind}('{names[0]}')/comments", "value": comments})

    def head(self, status, body, switches):
        self.send_response_only(status)
        for name, value in self.headers_after.items():
            self.send_header(name, value)
        self.send_header("request-id", f"answer-{self.name}-{self.served}")
        if status != 204:
            self.send_header("Content-Type", "application/json;odata.metadata=minimal;charset=utf-8")
            if switches["gzip"] and "gzip" in (self.headers.get("Accept-Encoding") or ""):
                body = gzip.compress(body, 1)
                self.send_header("Content-Encoding", "gzip")
            if switches["chunked"]:
                self.send_header("Transfer-Encoding", "chunked")
                half = len(body) // 2
                body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part) + b"0\r\n\r\n"
            else:
                self.send_header("Content-Length", str(len(body)))
        return body

    headers_after = {}

    def answer(self, status, body, switches=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        body = self.head(status, body, switches or SWITCHES)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if switches and switches["close_idle"]:
            self.close_connection = True

    def lose(self, how, status, body):
        """End the connection in place of an answer, or in the middle of one."""
        if how in ("head", "body") and status:
            body = self.head(status, body, SWITCHES)
            buffered = b"".join(self._headers_buffer) + b"\r\n"
            self._headers_buffer = []
            self.wfile.write(buffered[:len(buffered) // 2] if how == "head" else buffered + body[:len(body) // 2])
            self.wfile.flush()
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.wfile.close()
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def encoded(document):
    return json.dumps(document, ensure_ascii=False).encode()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ValueError)):
            super().handle_error(request, client_address)

    def shutdown_request(self, request):
        try:
            super().shutdown_request(request)
        except OSError:
            pass


def main():
    server = Server(("127.0.0.1", 0), Connection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
