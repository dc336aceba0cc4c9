"""A list of alerts that takes so many requests in a sliding window, and refuses the others.

It is no Microsoft Graph: it knows a list that comes newest first, with $top, $skip (the links are offsets), $filter by times
(as windows of time have it) and $count, and a lookup. It prints its port, and ends when its standard input does.

    GET /{name}/v1.0/security/alerts_v2?...      counted
    GET /{name}/v1.0/security/alerts_v2/a000001  counted
    GET /{name}/reset?requests=40&seconds=15&refused=1&retry_after=none&latency=50&alerts=500
    GET /{name}/fail?count=3&retry_after=1       the next three are refused
    GET /{name}/log                              [[time, path, refused], ...]

retry_after is "exact" (when there will be room, rounded up), "none" or a number. refused=1: requests that are refused count, too.
fixed=1: the window does not slide, but begins anew each so many seconds.
first=1: there is no window, but each path is refused once. never=a000007: this alert is always refused, with Retry-After 1
(never_after), after so many milliseconds more than the others take (never_latency). chance=0.05: such a part is refused by chance,
with Retry-After 1.
Everything is by name, and what the token says is not looked at.
"""

import datetime
import http.server
import json
import math
import random
import re
import sys
import threading
import time
from collections import deque
from urllib.parse import parse_qsl, unquote, urlsplit

START = datetime.datetime(2026, 7, 1, tzinfo=datetime.timezone.utc)


class Limit:
    def __init__(self, requests="40", seconds="15", refused="0", retry_after="exact", latency="50", alerts="500", first="0", never="",
                 fixed="0", never_after="1", never_latency="0", chance="0"):
        self.first, self.fixed, self.seen = first == "1", fixed == "1", set()
        self.requests, self.seconds = int(requests), float(seconds)
        self.refused_count, self.retry_after = refused == "1", retry_after
        self.latency, self.alerts = float(latency) / 1000, int(alerts)
        self.window, self.log, self.lock = deque(), [], threading.Lock()
        self.failures, self.failure, self.never = 0, "", never
        self.dice, self.chance = random.Random(7), float(chance)
        self.never_after, self.never_latency = never_after, float(never_latency) / 1000

    def is_never(self, path):
        return self.never != "" and path.split("?")[0].endswith(self.never)

    def arrive(self, path):
        """None if the request is let in; else what Retry-After says, "" for nothing."""
        with self.lock:
            now = time.monotonic()
            if self.failures > 0 or self.is_never(path):
                self.failures -= self.failures > 0
                self.log.append([now, path, True])
                after = self.never_after if self.is_never(path) else self.failure
                return "" if after == "none" else after
            if self.dice.random() < self.chance:
                self.log.append([now, path, True])
                return "1"
            begin = now - now % self.seconds if self.fixed else now - self.seconds
            while self.window and self.window[0] <= begin:
                self.window.popleft()
            refused = path not in self.seen if self.first else len(self.window) >= self.requests
            self.seen.add(path)
            self.log.append([now, path, refused])
            if not self.first and (not refused or self.refused_count):
                self.window.append(now)
            if not refused:
                return None
            if self.retry_after != "exact":
                return "" if self.retry_after == "none" else self.retry_after
            if self.fixed:
                return str(max(math.ceil(begin + self.seconds - now), 1))
            place = max(len(self.window) - self.requests - (1 if self.refused_count else 0), 0)
            return str(max(math.ceil(self.window[place] + self.seconds - now), 1))


def moment(number, alerts):
    return START + datetime.timedelta(minutes=alerts - number)


def alert(number, alerts):
    text = moment(number, alerts).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": f"a{number:06d}", "title": f"Title {number}", "severity": "low", "status": "new",
            "createdDateTime": text, "lastUpdateDateTime": text}


limits, lock = {}, threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        name, rest = url.path[1:].split("/", 1)
        if rest == "reset":
            with lock:
                limits[name] = Limit(**query)
            return self.answer(200, {})
        with lock:
            limit = limits.setdefault(name, Limit())
        if rest == "log":
            return self.answer(200, limit.log)
        if url.path.endswith("/fail"):
            limit.failures, limit.failure = int(query["count"]), query["retry_after"]
            return self.answer(200, {})
        told = limit.arrive(self.path)
        time.sleep(limit.latency + (limit.never_latency if limit.is_never(self.path) else 0))
        if told is not None:
            return self.answer(429, {"error": {"code": "TooManyRequests", "message": "Please retry again later."}},
                               [("Retry-After", told)] if told else [])
        key = re.fullmatch(r"v1\.0/security/alerts_v2/a(\d+)", rest)
        if key:
            return self.answer(200, alert(int(key[1]), limit.alerts))
        return self.answer(200, self.page(limit, name, query))

    def page(self, limit, name, query):
        numbers = range(limit.alerts)
        for word, text in re.findall(r"createdDateTime (ge|gt|le|lt) ([0-9TZ:.-]+)", query.get("$filter", "")):
            bound = datetime.datetime.fromisoformat(text.split(".")[0].rstrip("Z") + "+00:00")
            exact = not re.search(r"\.\d*[1-9]", text)
            # the times go down by a minute for each number
            place = limit.alerts - (bound - START) / datetime.timedelta(minutes=1)
            if word in ("ge", "gt"):
                last = math.floor(place) if (word == "ge" and exact) else math.ceil(place) - 1
                numbers = range(numbers.start, max(min(numbers.stop, last + 1), numbers.start))
            else:
                first = math.ceil(place) if (word == "le" or not exact) else math.floor(place) + 1
                numbers = range(min(max(numbers.start, first), numbers.stop), numbers.stop)
        top, skip = int(query.get("$top", 100)), int(query.get("$skip", 0))
        body = {"value": [alert(n, limit.alerts) for n in numbers[skip:skip + top]]}
        if query.get("$count") == "true":
            body["@odata.count"] = len(numbers)
        if skip + top < len(numbers):
            rest = "&".join(f"{k}={v}" for k, v in query.items() if k != "$skip").replace(" ", "%20")
            body["@odata.nextLink"] = f"http://127.0.0.1:{self.server.server_port}/{name}/v1.0/security/alerts_v2?{rest}&$skip={skip + top}"
        return body


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
