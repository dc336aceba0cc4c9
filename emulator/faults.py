"""What goes wrong with this answer?

Each fault is one function and its name is its kind. Its keyword arguments, with their defaults, are the parameters of the
fault. Those marked @instead answer without asking the service; those marked @upon change its answer; those marked
@on_page change the answers of the alert list and leave other requests alone.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import inspect
import json
import random
import threading
import zlib
from dataclasses import dataclass, field
from typing import Callable
from urllib.parse import parse_qsl, unquote

import jsontext
import timestamps
from reply import GRAPH_JSON, Page, Response, graph_error, graph_response, http_date, login_error
from service import CHALLENGE

DEFAULT_PATH = "/security/"
FAULTS: dict[str, "Kind"] = {}


@dataclass(frozen=True)
class Kind:
    apply: Callable
    stage: str                      # "instead", "upon" or "on_page"

    def parameters(self) -> dict[str, object]:
        signature = inspect.signature(self.apply)
        return {p.name: p.default for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}


@dataclass
class Hit:
    """One request that a fault befalls. `memory` lasts from hit to hit of the same rule."""
    request: object
    emulator: object
    response: Response | None
    memory: dict


def _register(stage: str) -> Callable:
    def register(function: Callable) -> Callable:
        FAULTS[function.__name__] = Kind(function, stage)
        return function
    return register


instead, upon, on_page = _register("instead"), _register("upon"), _register("on_page")


# ---------------------------------------------------------------------------------------------------------------------
# Rules: which requests a fault befalls

class BadFault(ValueError):
    """A fault that does not exist or is not written as the protocol has it."""


@dataclass
class Rule:
    kind: str
    parameters: dict
    path: str = DEFAULT_PATH
    method: str = ""
    nth: int = 1
    times: int = 1
    seen: int = 0
    fired: int = 0
    memory: dict = field(default_factory=dict)

    def concerns(self, request) -> bool:
        if FAULTS[self.kind].stage == "on_page" and not request.is_list:
            return False
        target = f"{request.path}?{request.query}"
        return self.method in ("", request.method) and (self.path in target or self.path in unquote(target))

    def fires(self) -> bool:
        """Count a request that the rule concerns; whether this is one of those to spoil."""
        self.seen += 1
        if self.seen < self.nth or 0 <= self.times <= self.fired:
            return False
        self.fired += 1
        return True

    def apply(self, request, emulator, response: Response | None) -> Response | None:
        hit = Hit(request, emulator, response, self.memory)
        return FAULTS[self.kind].apply(hit, **self.parameters) or hit.response

    def described(self) -> dict:
        return {"match": {"path": self.path, "method": self.method, "nth": self.nth}, "times": self.times,
                "fault": {"kind": self.kind, **self.parameters}, "seen": self.seen, "fired": self.fired}


def rules_of(document: object, times: int = 1) -> list[Rule]:
    """The rules that a JSON document describes: one, a list of them, or the bare fault of one."""
    if isinstance(document, list):
        return [rule for item in document for rule in rules_of(item, times)]
    if not isinstance(document, dict):
        raise BadFault("a fault is an object")
    if "kind" in document:
        document = {"fault": document}
    unknown = set(document) - {"match", "times", "fault", "name"}
    match = document.get("match", {})
    if unknown or not isinstance(match, dict) or set(match) - {"path", "method", "nth"}:
        raise BadFault("a rule has match (path, method, nth), times and fault")
    if not all(isinstance(n, int) for n in (match.get("nth", 1), document.get("times", times))):
        raise BadFault("nth and times are numbers")
    parameters = dict(document.get("fault") or {})
    kind = parameters.pop("kind", None)
    parameters.pop("name", None)
    if kind not in FAULTS:
        raise BadFault(f"no fault is named {kind!r}")
    wrong = set(parameters) - set(FAULTS[kind].parameters())
    if wrong:
        raise BadFault(f"the fault {kind} has no parameter {', '.join(sorted(wrong))}")
    return [Rule(kind, parameters, **match, times=document.get("times", times))]


class FaultBook:
    """The faults registered for everybody, and those that requests carry in their path."""

    def __init__(self):
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._rules: list[Rule] = []
            self._by_prefix: dict[str, list[Rule]] = {}

    def add(self, rules: list[Rule]) -> None:
        with self._lock:
            self._rules += rules

    def described(self) -> list[dict]:
        with self._lock:
            return [rule.described() for rule in self._rules + sum(self._by_prefix.values(), [])]

    def firing(self, request) -> list[Rule]:
        """The rules that spoil this request; asking counts it."""
        with self._lock:
            rules = self._rules + self._carried(request.fault_text)
            return [rule for rule in rules if rule.concerns(request) and rule.fires()]

    def _carried(self, text: str | None) -> list[Rule]:
        if text is None:
            return []
        if text not in self._by_prefix:
            self._by_prefix[text] = rules_of(_decoded(text), times=-1)
        return self._by_prefix[text]


def _decoded(text: str) -> object:
    text = unquote(text)
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError) as error:
        raise BadFault(f"the path prefix is not base64url of JSON: {error}") from None


def answered(rules: list[Rule], request, emulator, serve: Callable[[], Response]) -> Response:
    """The answer to a request on which these rules fire."""
    response = None
    for rule in rules:
        if FAULTS[rule.kind].stage == "instead" and response is None:
            response = rule.apply(request, emulator, None)
    response = serve() if response is None else response
    for rule in rules:
        stage = FAULTS[rule.kind].stage
        if stage == "upon" or (stage == "on_page" and isinstance(response.body, Page)):
            response = rule.apply(request, emulator, response)
    return response


# ---------------------------------------------------------------------------------------------------------------------
# Other answers than the service's

@instead
def status(hit, *, code=503, error="", message="The service is not available.", retry_after=None, body=True):
    """Any status; retry_after is seconds, "date:SECONDS", or any text to send as it is."""
    if "oauth2" in hit.request.segments:
        response = login_error(code, error or "temporarily_unavailable", 90033, message)
    else:
        response = graph_error(hit.request, code, error or _CODES.get(code, "UnknownError"), message)
    if retry_after is not None:
        response.headers["Retry-After"] = _retry_after(retry_after)
    if not body:
        response.body = b""
    return response


_CODES = {400: "BadRequest", 401: "InvalidAuthenticationToken", 403: "Forbidden", 404: "ResourceNotFound",
          429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}


def _retry_after(value: object) -> str:
    text = str(value)
    return http_date(float(text[len("date:"):])) if text.startswith("date:") else text


@instead
def html(hit, *, code=200):
    """A page of some gateway in front of the service."""
    page = b"<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Our services aren't available right " \
           b"now</h1><p>We're working to restore all services as soon as possible.</p></body></html>"
    return Response(code, page, {"Content-Type": "text/html; charset=utf-8"})


@instead
def redirect(hit, *, code=302, url="https://elsewhere.example/v1.0/security/alerts_v2"):
    """To another origin, where a bearer token must not go."""
    return Response(code, b"", {"Location": url})


@instead
def empty(hit, *, code=200):
    """A success without a body."""
    return graph_response(b"", code)


@instead
def expired_token(hit):
    """401 as for an expired token; an issued token really is expired from now on, the static one is not."""
    hit.emulator.logins.expire(hit.request.headers.get("authorization", ""))
    return graph_error(hit.request, 401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.",
                       {"WWW-Authenticate": CHALLENGE.format(authority=hit.request.origin)})


@instead
def close(hit):
    """The connection is closed without an answer."""
    response = Response(200)
    response.delivery.hang_up = True
    return response


@instead
def garbage(hit, *, text="SSH-2.0-OpenSSH_9.6\r\n\x00\x01\x02\r\n\r\n"):
    """Something that is not HTTP."""
    response = Response(200)
    response.delivery.raw = text.encode("latin-1", "replace")
    return response


@instead
def gzip_bomb(hit, *, mb=100):
    """A small body that unpacks to so many megabytes of one alert."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(b'{"value":[{"id":"bomb","title":"')]
    packed += [packer.compress(b"A" * 1_048_576) for _ in range(mb)]
    packed += [packer.compress(b'"}]}'), packer.flush()]
    return _packed(graph_response(b"".join(packed)))


@instead
def moving(hit, *, arrive=1, leave=1, mark="noise-"):
    """Alerts whose ids begin with a mark come and go, before the list is read."""
    if hit.request.is_list:
        with _MOVING:
            _come_and_go(hit.emulator.store, hit.memory, arrive, leave, mark)


_MOVING = threading.Lock()


def _come_and_go(store, memory: dict, arrive: int, leave: int, mark: str) -> None:
    chance = memory.setdefault("random", random.Random(mark))
    marked = [alert for alert in store.all() if (alert.id or "").startswith(mark)]
    if not marked:
        return
    for alert in chance.sample(marked, min(leave, len(marked) - 1)):
        store.remove(alert.id)
    for _ in range(arrive):
        memory["number"] = memory.get("number", 0) + 1
        text = jsontext.with_member(chance.choice(marked).text, "id", f"{mark}{id(memory)}-{memory['number']}")
        created = chance.choice(store.all()).fields.get("createdDateTime")
        if created is not None:
            text = jsontext.with_member(text, "createdDateTime", timestamps.to_text(created))
        store.put([text])


# ---------------------------------------------------------------------------------------------------------------------
# The service's answer, sent badly

@upon
def latency(hit, *, ms=1000):
    """Silence before the first byte, then the answer."""
    hit.response.delivery.delay = ms / 1000


@upon
def stall(hit, *, after=0, seconds=None, before_headers=False):
    """Silence after so many body bytes (0: after the headers), for some seconds or until the client goes away."""
    hit.response.delivery.silent = before_headers
    hit.response.delivery.stall_after = after
    hit.response.delivery.stall_seconds = seconds


@upon
def trickle(hit, *, ms=10, bytes=1):
    """The body in tiny pieces with a pause after each."""
    hit.response.delivery.step = bytes
    hit.response.delivery.pause = ms / 1000


@upon
def cut(hit, *, after=100, chunked=None):
    """The connection is closed after so many body bytes."""
    hit.response.delivery.cut_after = after
    hit.response.delivery.chunked = chunked


@upon
def reset(hit, *, after=None):
    """RST: instead of an answer, or after so many body bytes."""
    hit.response.delivery.reset = True
    hit.response.delivery.cut_after = after


@upon
def no_content(hit):
    """The service has done what it was asked; the answer is a 204 without a body."""
    hit.response.render()
    hit.response.status, hit.response.body = 204, b""


@upon
def lost(hit):
    """The service has done what it was asked; the connection is closed without an answer."""
    hit.response.delivery.hang_up = True


@upon
def close_after(hit):
    """A whole answer that promises keep-alive, then the connection is closed."""
    hit.response.delivery.close_after = True


@upon
def wrong_length(hit, *, delta=10):
    """Content-Length off by delta: too long if positive, too short if negative."""
    hit.response.delivery.length_error = delta
    hit.response.delivery.chunked = False


@upon
def bad_chunk(hit):
    """A chunk whose size is not a number."""
    hit.response.delivery.raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" \
                                b"c\r\n{\"value\":[\r\n\r\nnot-a-size\r\n"


@upon
def gzip_corrupt(hit, *, how="flip"):
    """Compressed, with damage: flip (a byte in the middle), truncate (no trailer), plain (not compressed at all)."""
    packed = gzip.compress(hit.response.render(), 1)
    middle = len(packed) // 2
    damaged = {"flip": packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1:],
               "truncate": packed[:-8], "plain": hit.response.body}
    hit.response.body = damaged[how]
    return _packed(hit.response)


def _packed(response: Response) -> Response:
    response.headers["Content-Encoding"] = "gzip"
    response.delivery.compress = False
    return response


# ---------------------------------------------------------------------------------------------------------------------
# The service's answer, with something wrong in it

@upon
def partial(hit, *, text='199 - "Microsoft/WindowsDefenderATP/504/10000"'):
    """206 with a Warning: a provider did not answer."""
    hit.response.status = 206
    hit.response.headers["Warning"] = text


@upon
def warning(hit, *, text='199 - "Microsoft/WindowsDefenderATP/504/10000"'):
    """A Warning on a 200."""
    hit.response.headers["Warning"] = text


@upon
def header(hit, *, name="X-Emulator", value="1"):
    """One more header, or another value of one."""
    hit.response.headers[name] = value


@upon
def huge_header(hit, *, kb=200):
    """A header of so many kilobytes."""
    hit.response.headers["X-Padding"] = "x" * kb * 1024


@upon
def malformed(hit, *, at="middle", text='",,}"'):
    """Text that breaks the JSON, inside a string or not, at start, middle, end or a byte offset."""
    body = hit.response.render()
    offset = {"start": 0, "middle": len(body) // 2, "end": len(body)}.get(at, at)
    hit.response.body = body[:offset] + text.encode() + body[offset:]


@upon
def truncated(hit, *, after=100):
    """JSON that ends early inside an HTTP message that is whole."""
    hit.response.body = hit.response.render()[:after]


@upon
def bom(hit):
    """A byte order mark before the JSON."""
    hit.response.body = b"\xef\xbb\xbf" + hit.response.render()


@upon
def error_in_200(hit, *, beside_value=False):
    """A 200 whose body is an error, or has one behind its value."""
    error = graph_error(hit.request, 200, "InternalServerError", "The server encountered an error.")
    if beside_value and isinstance(hit.response.body, Page):
        hit.response.body.extra["error"] = jsontext.dump(json.loads(error.body)["error"])
        return None
    error.headers["Content-Type"] = GRAPH_JSON
    return error


# ---------------------------------------------------------------------------------------------------------------------
# A page with something wrong in it

@on_page
def value_missing(hit):
    """No value member."""
    hit.response.body.no_value = True


@on_page
def value_null(hit):
    """"value": null."""
    hit.response.body.value = b"null"


@on_page
def value_not_array(hit, *, text='{"id":"1"}'):
    """Something else than an array as value."""
    hit.response.body.value = text.encode()


@on_page
def element(hit, *, at=0, text="17"):
    """An element that is not an object, or any JSON text, put before a row."""
    hit.response.body.rows.insert(at, text.encode("utf-8", "surrogatepass"))


@on_page
def alert_without_id(hit, *, at=0):
    """A row without its id."""
    rows = hit.response.body.rows
    rows[at:at + 1] = [jsontext.without_member(row, "id") for row in rows[at:at + 1]]


@on_page
def oversize(hit, *, mb=100, at=0):
    """An alert of so many megabytes put before a row."""
    hit.response.body.rows.insert(at, b'{"id":"oversize","description":"' + b"A" * (mb * 1_048_576) + b'"}')


@on_page
def deep(hit, *, levels=10000, at=0):
    """An alert nested so many levels deep put before a row."""
    nest = b'{"a":[' * (levels // 2) + b"1" + b"]}" * (levels // 2)
    hit.response.body.rows.insert(at, b'{"id":"deep","additionalData":' + nest + b"}")


@on_page
def out_of_order(hit):
    """The rows of the page from last to first."""
    hit.response.body.rows.reverse()


@on_page
def duplicate_rows(hit, *, rows=1):
    """The page begins with the last rows of the page before, if that is of the same list."""
    page, query = hit.response.body, hit.request.query
    last, before = hit.memory.setdefault("last", {}), hit.memory.setdefault("before", {})
    asked = tuple(sorted(pair for pair in parse_qsl(query) if pair[0] not in ("$skip", "$skiptoken", "again")))
    own = page.rows[-rows:]
    page.rows[:0] = before.setdefault(query, last.get(asked, []))   # a page asked for again is the same again
    last[asked] = own


@on_page
def repeat_first(hit):
    """The page ends with its first row again."""
    rows = hit.response.body.rows
    rows += rows[:1]


@on_page
def count(hit, *, text="0"):
    """Any JSON text, or (page) the rows of this page, as @odata.count, where it was asked for."""
    page = hit.response.body
    if page.count is not None:
        page.count = (str(len(page.rows)) if text == "page" else text).encode()


@on_page
def whitespace(hit):
    """Blanks, tabs and line ends between the rows and around the value."""
    page = hit.response.body
    page.value = b" \r\n\t[ " + b"\n , \t".join(page.rows) + b"\r\n ] \t"


@on_page
def missing_next_link(hit):
    """No nextLink although rows remain."""
    hit.response.body.next_link = None


@on_page
def next_link(hit, *, form="other_host", text=None):
    """A nextLink that must not be followed; or, with text, any JSON text as nextLink."""
    own = f"{hit.request.origin}{hit.request.prefix}{hit.request.path}?$skiptoken=WzEsMl0="
    scheme, _, rest = own.partition("://")
    host, _, path = rest.partition("/")
    forms = {
        "other_host": f"{scheme}://elsewhere.example/{path}",
        "other_port": f"{scheme}://{host.partition(':')[0]}:1/{path}",
        "other_scheme": f"{'http' if scheme == 'https' else 'https'}://{host}/{path}",
        "file": "file:///etc/passwd",
        "user_info": f"{scheme}://{host}@elsewhere.example/{path}",
        "suffix_host": f"{scheme}://{host.partition(':')[0]}.elsewhere.example/{path}",
        "other_path": f"{scheme}://{host}/v1.0/users",
        "relative": f"/{path}",
        "empty": "",
        "number": 17,
        "null": None,
        "object": {"href": own},
    }
    hit.response.body.next_link = jsontext.dump(forms[form]) if text is None else text.encode()


@on_page
def next_link_loop(hit, *, cycle=1):
    """A nextLink to this page again, or to its twin, which links back."""
    request = hit.request
    query = [pair for pair in request.query.split("&") if pair and pair != "twin=1"]
    if cycle > 1 and "twin=1" not in request.query.split("&"):
        query.append("twin=1")
    mark = "?" if query else ""
    link = f"{request.origin}{request.prefix}{request.path}{mark}{'&'.join(query)}"
    hit.response.body.next_link = jsontext.dump(link)


@on_page
def empty_page(hit):
    """A page without rows whose nextLink leads to the page that was asked for."""
    request = hit.request
    if "again=1" not in request.query.split("&"):
        mark = "&" if request.query else ""
        hit.response.body.rows.clear()
        hit.response.body.next_link = jsontext.dump(
            f"{request.origin}{request.prefix}{request.path}?{request.query}{mark}again=1")
