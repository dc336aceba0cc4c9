#!/usr/bin/env python3
"""A second opinion: lists of alerts and incidents behind OData whose filters are evaluated by SQLite.

    python3 odata_sqlite.py ALERTS.jsonl [INCIDENTS.jsonl]    # prints its port, serves until its standard input closes

It shares nothing with the emulator. A $filter becomes SQL, so that the meaning of and, or, not, null and the order of
times are SQLite's: comparisons are written as OData 4.01 defines them (eq and ne know null, the others are false for
it), strings differ by case, times are texts of seven fractional digits. Pages follow each other by $skip. What the
extension has no business to send (other functions, other properties, lambdas other than evidence/any) is a 400.

Of incidents, members of enums are the same in any case, and $top above 50 is a 400. An incident's alerts, by their
incidentId, are a list of their own.

Below /tenant/ID there is what has this tenantId, and nothing else.

GET /requests lists the targets asked for, one on a line, and forgets them.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

ROOT = "/v1.0/security"
TIMES = ("createdDateTime", "lastUpdateDateTime")
OPTIONS = {"$filter", "$top", "$skip", "$orderby", "$select", "$count"}
TOKEN = re.compile(r"""\s*(?:
    (?P<string>'(?:[^']|'')*') | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?Z)
  | (?P<word>[A-Za-z_][A-Za-z0-9_./]*) | (?P<mark>[():,]) )""", re.X)
ORDERS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


class Refused(Exception):
    """Answered with 400."""


class EntitySet(NamedTuple):
    """What there is below ROOT: the words by which it is filtered, those of them that are the same in any case, and
    the largest page."""
    name: str
    words: tuple
    folded: tuple
    largest: int
    has_evidence: bool


ALERTS = EntitySet("alerts_v2", ("assignedTo", "classification", "determination", "severity", "serviceSource", "status"),
                   (), 1000, True)
INCIDENTS = EntitySet("incidents", ("assignedTo", "classification", "determination", "severity", "status"),
                      ("classification", "determination", "severity", "status"), 50, False)


def instant(text):
    """A time as a text that sorts: all have Z, so that only the fraction differs in length."""
    clock, _, fraction = text.rstrip("Z").partition(".")
    if clock.count(":") == 1:
        clock += ":00"
    return f"{clock}.{fraction:0<7}"


# ---------------------------------------------------------------------------------------------------------------------
# $filter to SQL

class Translation:
    """One $filter as the condition of a WHERE clause, in .sql, and its values, in .values."""

    def __init__(self, text, kind):
        self.kind = kind
        self.tokens, at = [], 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if not match:
                raise Refused(f"unexpected character at {at}: {text}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self.values = []
        self.sql = self.any_of()
        if self.tokens:
            raise Refused(f"unexpected {self.tokens[0][1]}: {text}")

    def next(self):
        return self.tokens[0] if self.tokens else ("end", "")

    def take(self, text=None):
        kind, found = self.next()
        if kind == "end" or (text is not None and found != text):
            raise Refused(f"expected {text or 'more'}, found {found or 'the end'}")
        return self.tokens.pop(0)

    def any_of(self):
        sql = self.all_of()
        while self.next() == ("word", "or"):
            self.take()
            sql = f"({sql} OR {self.all_of()})"
        return sql

    def all_of(self):
        sql = self.one()
        while self.next() == ("word", "and"):
            self.take()
            sql = f"({sql} AND {self.one()})"
        return sql

    def one(self):
        kind, text = self.take()
        if (kind, text) == ("word", "not"):
            if self.next() != ("mark", "("):
                raise Refused("not binds tighter than a comparison")
            return f"(NOT {self.one()})"
        if (kind, text) == ("mark", "("):
            sql = self.any_of()
            self.take(")")
            return f"({sql})"
        if text == "evidence/any" and self.kind.has_evidence:
            return self.some_evidence()
        if kind != "word" or text not in self.kind.words + TIMES:
            raise Refused(f"not a property to filter by: {text}")
        return self.comparison(f"a.{text}" + (" COLLATE NOCASE" if text in self.kind.folded else ""), text in TIMES)

    def comparison(self, left, is_time):
        operator, (kind, text) = self.take()[1], self.take()
        if (kind, text) == ("word", "null"):
            value = None
        elif kind != ("time" if is_time else "string"):
            raise Refused(f"not a literal of the type of {left}: {text}")
        else:
            value = instant(text) if is_time else text[1:-1].replace("''", "'")
        self.values.append(value)
        if operator in ("eq", "ne"):
            return f"({left} IS {'NOT ' if operator == 'ne' else ''}?)"
        if operator not in ORDERS or not is_time:
            raise Refused(f"not an operator for {left}: {operator}")
        return f"COALESCE({left} {ORDERS[operator]} ?, FALSE)"

    def some_evidence(self):
        """evidence/any(e: e/microsoft.graph.security.TYPE/PATH eq 'TEXT')"""
        self.take("(")
        variable = self.take()[1]
        self.take(":")
        path = self.take()[1]
        match = re.fullmatch(re.escape(variable) + r"/(microsoft\.graph\.security\.\w+)/([\w/]+)", path)
        if not match:
            raise Refused(f"not a path of {variable}: {path}")
        self.values += ["#" + match[1], "$." + match[2].replace("/", ".")]
        sql = self.comparison("json_extract(e.value, ?)", False)
        self.take(")")
        return ("EXISTS (SELECT 1 FROM json_each(a.json, '$.evidence') AS e "
                f"WHERE json_extract(e.value, '$.\"@odata.type\"') = ? AND {sql})")


# ---------------------------------------------------------------------------------------------------------------------
# The service

class Store:
    def __init__(self, files):
        self.lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.kinds = (ALERTS, INCIDENTS)[:len(files)]
        for kind, name in zip(self.kinds, files):
            with open(name, encoding="utf-8", newline="\n") as file:
                self.load(kind, file)

    def load(self, kind, file):
        names = ("id", "incidentId", "tenantId", *kind.words, *TIMES)
        self.database.execute(f"CREATE TABLE {kind.name} (json TEXT, {', '.join(f'{name} TEXT' for name in names)})")
        for line in file:
            record = json.loads(line)
            values = [record.get(name) for name in names]
            values = [instant(value) if name in TIMES and value else value for name, value in zip(names, values)]
            self.database.execute(f"INSERT INTO {kind.name} VALUES ({', '.join('?' * (len(names) + 1))})",
                                  [line.rstrip("\n"), *values])

    def record(self, kind, only):
        condition, values = restricted("TRUE", [], only)
        return self.rows(f"SELECT json FROM {kind.name} a WHERE {condition}", values)

    def rows(self, sql, values):
        with self.lock:
            return self.database.execute(sql, values).fetchall()


def restricted(condition, values, only):
    """A condition for those of its rows whose columns have these values, too."""
    return " AND ".join([f"({condition})", *(f"a.{name} = ?" for name in only)]), [*values, *only.values()]


def listing(store, kind, url, options, only):
    """The page that the options ask for, of the list of what has these values."""
    if set(options) - OPTIONS:
        raise Refused(f"unknown options: {set(options) - OPTIONS}")
    where, order = Translation(options["$filter"], kind) if "$filter" in options else None, []
    condition, values = (where.sql, where.values) if where else ("TRUE", [])
    condition, values = restricted(condition, values, only)
    for part in filter(None, options.get("$orderby", "").split(",")):
        match = re.fullmatch(r"\s*(createdDateTime|lastUpdateDateTime)(?:\s+(asc|desc))?\s*", part)
        if not match:
            raise Refused(f"cannot sort by {part}")
        order.append(f"{match[1]} {match[2] or 'asc'}")
    top, skip = int(options.get("$top", 100)), int(options.get("$skip", 0))
    if "$top" not in options:
        top = min(top, kind.largest)
    if not 0 < top <= kind.largest:
        raise Refused(f"The limit of '{kind.largest}' for Top query has been exceeded. The value is '{top}'.")
    total = store.rows(f"SELECT count(*) FROM {kind.name} a WHERE {condition}", values)[0][0]
    found = store.rows(f"SELECT json FROM {kind.name} a WHERE {condition} ORDER BY {', '.join([*order, 'rowid'])} "
                       "LIMIT ? OFFSET ?", [*values, top, skip])
    page = {"@odata.count": total} if options.get("$count") == "true" else {}
    page["value"] = [chosen(json.loads(text), options.get("$select")) for text, in found]
    if skip + len(found) < total:
        options = {**options, "$skip": str(skip + len(found))}
        page["@odata.nextLink"] = f"{url}?" + "&".join(f"{name}={quote(value, safe='')}"
                                                              for name, value in options.items())
    return page


def chosen(alert, select):
    if not select:
        return alert
    names = {name.strip() for name in select.split(",")}
    return {name: value for name, value in alert.items() if name in names}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: Store
    asked: list[str] = []

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/requests":
            text, self.asked[:] = "".join(f"{target}\n" for target in self.asked), []
            return self.reply(200, text.encode(), "text/plain")
        self.asked.append(self.path)
        try:
            status, answer = self.answer(url)
        except Refused as refused:
            status, answer = 400, {"error": {"code": "BadRequest", "message": str(refused)}}
        return self.reply(status, json.dumps(answer).encode(), "application/json")

    def answer(self, url):
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            return 401, {"error": {"code": "InvalidAuthenticationToken", "message": "no token"}}
        kinds = {f"{ROOT}/{kind.name}": kind for kind in self.store.kinds}
        steps = [unquote(step) for step in url.path.split("/")]
        only = {"tenantId": steps[2]} if steps[1:2] == ["tenant"] else {}
        if only:
            del steps[1:3]
        path, rest = "/".join(steps[:4]), steps[4:]
        found = self.store.record(kinds[path], {**only, "id": rest[0]}) if path in kinds and rest else []
        if path in kinds and not rest:
            return 200, self.page(kinds[path], url, only)
        if found and len(rest) == 1:
            return 200, json.loads(found[0][0])
        if found and kinds[path] is INCIDENTS and rest[1:] == ["alerts"]:
            return 200, self.page(ALERTS, url, {**only, "incidentId": rest[0]})
        return 404, {"error": {"code": "ResourceNotFound", "message": "not here"}}

    def page(self, kind, url, only):
        options = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)) if url.query else {}
        return listing(self.store, kind, f"http://{self.headers['Host']}{url.path}", options, only)

    def reply(self, status, body, content_type):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def main():
    Handler.store = Store(sys.argv[1:])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
