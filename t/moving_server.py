"""A list of alerts or incidents that moves while it is read.

It is no Microsoft Graph: it knows a list with $filter (comparisons joined by "and"), $orderby, $top, $skip and $count, and
its links are offsets, whatever they look like. The path says how the list moves; it begins anew with each query's first
request, and tells which alerts were in it from beginning to end.

    GET /{JSON, percent-encoded}/v1.0/security/alerts_v2?...
    GET /{JSON, percent-encoded}/v1.0/security/incidents?...     where a $top above 50 is a 400
    GET /{the same}/kept           the ids that were there all the time, and whether anything has moved, as JSON

The JSON is an object: "name" (sets a list apart), "alerts", "leave" and "arrive" (so many for each request), "from" (which leave:
"given", those on the pages that were served; "any"; or "rest", those that were not), "to" (where they arrive: "head" or "any"),
"how" ("delete", or "resolve": the status changes), "links" ("skip", "skiptoken"), "ties" (so many alerts at one time), "block"
(so many of one time after the first five), "leave_at" (one of these leaves after so many requests), "cut" (one answer in so
many is cut), "empty" (each list begins with a page without alerts), "seed".
"""

import datetime
import http.server
import json
import random
import re
import sys
import threading
from urllib.parse import parse_qsl, quote, unquote, urlsplit

START = datetime.datetime(2026, 7, 1, tzinfo=datetime.timezone.utc)


def time_text(tenths):
    """A time in units of 100 ns since START, with the digits that it needs."""
    seconds, fraction = divmod(tenths, 10_000_000)
    moment = (START + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{fraction:07d}".rstrip("0").rstrip(".") + "Z"


def time_number(text):
    moment, _, fraction = text.rstrip("Z").partition(".")
    seconds = (datetime.datetime.fromisoformat(moment + "+00:00") - START) // datetime.timedelta(seconds=1)
    return seconds * 10_000_000 + int(fraction.ljust(7, "0") or 0)


class MovingList:
    def __init__(self, options):
        self.options = {"alerts": 2000, "leave": 0, "arrive": 0, "from": "given", "to": "head", "how": "delete",
                        "links": "skiptoken", "ties": 1, "block": 0, "leave_at": 0, "cut": 0, "empty": 0, "seed": 1, **options}
        self.random = random.Random(self.options["seed"])
        self.number = self.requests = 0
        self.alerts, self.kept, self.served, self.gone = {}, set(), [], set()
        self.moved = 0
        count, ties = self.options["alerts"], self.options["ties"]
        for n in range(count):
            place = 5 if 5 <= n < 5 + self.options["block"] else n // ties
            self.add(10_000_000 * place * 7 + (place * 1_234_567) % 10_000_000)
        self.kept = set(self.alerts)

    def add(self, tenths):
        self.number += 1
        name = f"a{self.number:06d}"
        self.alerts[name] = {"id": name, "createdDateTime": tenths, "lastUpdateDateTime": tenths, "status": "new",
                             "severity": ("low", "high")[self.number % 2], "title": f"Title {self.number}"}
        return name

    def move(self):
        options = self.options
        here = [name for name in self.alerts if name not in self.gone]
        given = set(self.served)
        pool = {"given": [n for n in here if n in given], "rest": [n for n in here if n not in given], "any": here}[options["from"]]
        for name in self.random.sample(pool, min(options["leave"], len(pool))):
            self.kept.discard(name)
            self.moved += 1
            self.gone.add(name)
            if options["how"] == "delete":
                del self.alerts[name]
            else:
                self.alerts[name]["status"] = "resolved"
        if self.requests == options["leave_at"] and options["block"]:
            self.kept.discard("a000006")
            del self.alerts["a000006"]
        newest = max((a["createdDateTime"] for a in self.alerts.values()), default=0)
        for _ in range(options["arrive"]):
            self.moved += 1
            self.add(newest + 10_000_000 if options["to"] == "head" else self.random.randrange(newest + 1))

    def matches(self, alert, text):
        for condition in filter(None, text.split(" and ")):
            name, operator, value = re.fullmatch(r"(\w+) (eq|ne|gt|ge|lt) (.*)", condition).groups()
            own = alert[name]
            if value == "null":
                other = None
            elif value.startswith("'"):
                other = value[1:-1]
            else:
                other = time_number(value)
            if not {"eq": lambda: own == other, "ne": lambda: own != other, "gt": lambda: own > other, "ge": lambda: own >= other,
                    "lt": lambda: own < other}[operator]():
                return False
        return True

    def page(self, options, base):
        name, _, direction = options.get("$orderby", "createdDateTime desc").partition(" ")
        found = [a for a in self.alerts.values() if self.matches(a, options.get("$filter", ""))]
        found.sort(key=lambda a: (a[name], a["id"]), reverse=direction == "desc")
        skip = int(options.get("$skip") or options.get("$skiptoken", "").rpartition("-")[2] or 0)
        top = min(int(options.get("$top", 100)), 1000)
        if self.options["empty"] and not options.keys() & {"$skip", "$skiptoken"}:
            top = 0
        shown = found[skip:skip + top]
        self.served += [a["id"] for a in shown]
        document = {}
        if options.get("$count") == "true":
            document["@odata.count"] = len(found)
        if skip + top < len(found):
            rest = [(k, v) for k, v in options.items() if k not in ("$skip", "$skiptoken")]
            rest.append(("$skip", str(skip + top)) if self.options["links"] == "skip" else ("$skiptoken", f"x-{skip + top}"))
            document["@odata.nextLink"] = base + "?" + "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in rest)
        document["value"] = [{**a, "createdDateTime": time_text(a["createdDateTime"]),
                              "lastUpdateDateTime": time_text(a["lastUpdateDateTime"])} for a in shown]
        self.requests += 1
        self.move()
        return json.dumps(document).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lists, lock = {}, threading.Lock()

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        key, _, path = parts.path[1:].partition("/")
        options = dict(parse_qsl(parts.query))
        with self.lock:
            if key not in self.lists:
                self.lists[key] = MovingList(json.loads(unquote(key)))
            moving = self.lists[key]
            if path == "kept":
                body = json.dumps({"kept": sorted(moving.kept), "moved": moving.moved, "requests": moving.requests}).encode()
                cut = False
            elif path.endswith("/incidents") and int(options.get("$top", 1)) > 50:
                return self.send_error(400)
            else:
                body = moving.page(options, f"http://127.0.0.1:{self.server.server_port}{parts.path}")
                cut = moving.options["cut"] and moving.random.randrange(moving.options["cut"]) == 0
                place = moving.random.randrange(len(body)) if cut else 0
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cut:
            self.wfile.write(body[:place])
            self.close_connection = True
        else:
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
