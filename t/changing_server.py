"""A tenant whose alerts change between requests and while they are answered.

It is no Microsoft Graph and shares nothing with the emulator: it knows the list of alerts with $filter (comparisons of times,
"eq null", and, or, parentheses), $orderby, $top, $skip, $count, and an alert by its id. Links are offsets. Its clock stands in
the year of the second argument, or July 2026, and goes only when something changes, by a millisecond within a request and by
minutes between them. The Date of an answer shows it.

    GET  /x/v1.0/security/alerts_v2...
    POST /step        {"changes": 20, "during": 3, "faults": 0.1, ...}: what happens now, and what may with each request from now on
    GET  /alerts      all of them, as JSON

"during" is the most changes before a request is answered, "faults" how likely it is refused with 429, cut, or broken, "late" how
many minutes late an alert may become visible at most, "odd" how likely it has a time that cannot be; "date" how many minutes the
Date is ahead of the times of alerts.
"""

import http.server
import json
import random
import re
import sys
import threading
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote, unquote, urlsplit

START = datetime(int((sys.argv + ["2026"])[2]), 7, 1, tzinfo=timezone.utc)
TOKEN = re.compile(r"\s*([()]|[\w.:'+-]+)")


def time_text(ticks):
    """A time in units of 100 ns since START, with the digits that it needs."""
    if ticks is None:
        return None
    seconds, fraction = divmod(ticks, 10_000_000)
    return f"{START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:07d}".rstrip("0").rstrip(".") + "Z"


def time_ticks(text):
    moment, _, fraction = text.rstrip("Z").partition(".")
    seconds = (datetime.fromisoformat(moment + "+00:00") - START) // timedelta(seconds=1)
    return seconds * 10_000_000 + int((fraction + "0000000")[:7])


def settled(ticks):
    """Not half a microsecond: that is rounded down or up, as it happens."""
    return ticks + 1 if ticks % 10 == 5 else ticks


class Filter:
    """A $filter as a function of an alert."""

    def __init__(self, text):
        self.tokens = TOKEN.findall(text) + [None]
        self.test = self.any_of()
        if self.tokens != [None]:
            raise ValueError(text)

    def take(self):
        return self.tokens.pop(0)

    def any_of(self):
        tests = [self.all_of()]
        while self.tokens[0] == "or":
            self.take()
            tests.append(self.all_of())
        return lambda alert: any(test(alert) for test in tests)

    def all_of(self):
        tests = [self.one()]
        while self.tokens[0] == "and":
            self.take()
            tests.append(self.one())
        return lambda alert: all(test(alert) for test in tests)

    def one(self):
        if self.tokens[0] == "(":
            self.take()
            test = self.any_of()
            if self.take() != ")":
                raise ValueError("parenthesis")
            return test
        name, operator, value = self.take(), self.take(), self.take()
        other = None if value == "null" else time_ticks(value)
        compare = {"eq": lambda own: own == other, "ne": lambda own: own != other,
                   "ge": lambda own: own is not None and own >= other, "gt": lambda own: own is not None and own > other,
                   "le": lambda own: own is not None and own <= other, "lt": lambda own: own is not None and own < other}[operator]
        return lambda alert: compare(alert[name])


class Tenant:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.clock = 30 * 86400 * 10_000_000
        self.alerts, self.number, self.settings = {}, 0, {}
        self.lock = threading.Lock()

    def ago(self, minutes):
        return settled(self.clock - self.random.randrange(minutes * 600_000_000 + 1))

    def evidence(self):
        return [{"@odata.type": f"#microsoft.graph.security.{self.random.choice(['device', 'user', 'file'])}Evidence",
                 "createdDateTime": time_text(self.clock), "verdict": self.random.choice(["unknown", "malicious"]),
                 "deviceDnsName": f"ws-{self.random.randrange(50)}"} for _ in range(self.random.randrange(4))]

    def future(self):
        """A time that a service cannot know yet: soon, a little later, or far away. If the Date is ahead of the times of alerts by
        more than the overlap, nobody could tell what comes soon from what is now."""
        ahead = [50_000_000] if self.settings.get("date", 0) > 0 else [1, 59, 600, 50_000_000]
        return settled(self.clock + self.random.choice(ahead) * 600_000_000)

    def latest(self, name):
        """The latest time that there is, unless it is later than anything may become visible."""
        first = self.clock - self.settings.get("late", 0) * 600_000_000
        return max([alert[name] for alert in self.alerts.values() if first <= (alert[name] or 0) <= self.clock] or [self.clock])

    def change(self):
        self.clock += 10_000
        odd = self.random.random() < self.settings.get("odd", 0)
        late = self.settings.get("late", 0)
        if not self.alerts or self.random.random() < 0.35:
            self.number += 1
            # ids that are in no order of time; times that are the same
            name = f"{self.random.randrange(100)}-{self.number}"
            created = self.ago(late)
            if self.alerts and self.random.random() < 0.2:
                created = self.latest("createdDateTime")
            if odd and self.random.random() < 0.5:
                created = self.future()
            self.alerts[name] = {"id": name, "title": "A title", "severity": self.random.choice(["low", "high"]), "status": "new",
                                 "createdDateTime": created, "comments": [], "evidence": self.evidence(),
                                 "lastUpdateDateTime": None if self.random.random() < 0.05 else settled(created + self.random.randrange(10))}
            if odd:
                self.alerts[name]["lastUpdateDateTime"] = self.random.choice([None, created, self.future()])
            return
        alert = self.random.choice(list(self.alerts.values()))
        alert["lastUpdateDateTime"] = max(self.ago(late), alert["createdDateTime"])
        if odd:
            alert["lastUpdateDateTime"] = self.future()
        elif self.random.random() < 0.2:
            alert["lastUpdateDateTime"] = self.latest("lastUpdateDateTime")
        what = self.random.randrange(5)
        if what == 0:
            alert["status"] = self.random.choice(["new", "inProgress", "resolved"])
        elif what == 1:
            alert["evidence"] = alert["evidence"] + self.evidence()
        elif what == 2:
            alert["evidence"] = self.evidence()
        elif what == 3:
            alert["comments"] = alert["comments"] + [{"comment": f"at {self.clock}", "createdByDisplayName": "x"}]
        else:
            alert["title"] = f"Title {self.random.randrange(1000)}"

    def step(self, settings):
        self.settings = settings
        self.clock += self.random.randrange(1, 40) * 600_000_000
        for _ in range(settings.get("changes", 0)):
            self.change()
        return {}

    @staticmethod
    def shown(alert):
        return {**alert, "createdDateTime": time_text(alert["createdDateTime"]),
                "lastUpdateDateTime": time_text(alert["lastUpdateDateTime"])}

    def page(self, query, base):
        options = dict(parse_qsl(query))
        test = Filter(options["$filter"]).test if "$filter" in options else lambda alert: True
        for _ in range(self.random.randrange(self.settings.get("during", 0) + 1)):
            self.change()
        name, _, direction = options.get("$orderby", "createdDateTime desc").partition(" ")
        found = sorted((a for a in self.alerts.values() if test(a)), key=lambda a: (a[name] or 0, a["id"]), reverse=direction == "desc")
        if self.settings.get("reversed") and "$orderby" not in options:
            found.reverse()
        skip, top = int(options.get("$skip", 0)), min(int(options.get("$top", 100)), self.settings.get("page", 1000))
        document = {"value": [self.shown(a) for a in found[skip:skip + top]]}
        if options.get("$count") == "true":
            document["@odata.count"] = len(found)
        if skip + top < len(found):
            options["$skip"] = str(skip + top)
            document["@odata.nextLink"] = base + "?" + "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in options.items())
        return document


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def date_time_string(self, timestamp=None):
        seconds = tenant.clock // 10_000_000 + tenant.settings.get("date", 0) * 60
        return super().date_time_string((START + timedelta(seconds=seconds)).timestamp())

    def answer(self, document, status=200, cut=False, **headers):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:len(body) // 2] if cut else body)
        self.close_connection |= cut

    def do_POST(self):
        settings = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with tenant.lock:
            self.answer(tenant.step(settings))

    def do_GET(self):
        parts = urlsplit(self.path)
        with tenant.lock:
            if parts.path == "/alerts":
                return self.answer([tenant.shown(a) for a in tenant.alerts.values()])
            fault = tenant.random.random() < tenant.settings.get("faults", 0) and tenant.random.choice(["429", "503", "cut", "broken"])
            if fault in ("429", "503"):
                return self.answer({"error": {"code": "x", "message": "x"}}, int(fault), Retry_After="0")
            last = unquote(parts.path.rpartition("/")[2])
            if last == "alerts_v2":
                try:
                    document = tenant.page(parts.query, f"http://127.0.0.1:{self.server.server_port}{parts.path}")
                except (ValueError, KeyError) as error:
                    return self.answer({"error": {"code": "BadRequest", "message": str(error)}}, 400)
            elif last in tenant.alerts:
                document = tenant.shown(tenant.alerts[last])
            else:
                return self.answer({"error": {"code": "ResourceNotFound", "message": "x"}}, 404)
        if fault == "broken":
            document = {"value": document.get("value", []) + [17]}
        return self.answer(document, cut=fault == "cut")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


tenant = Tenant(int(sys.argv[1]))
server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
