"""What does Microsoft Graph answer to this request?

Checks come in the order of the real front ends: the URL, the token, the throttle, the roles, then the resource.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass
from typing import Callable
from urllib.parse import quote, unquote_plus

import jsontext
import login
import odata
import timestamps
from alerts import Alert, AlertStore
from incidents import IncidentStore
from metadata import Metadata
from odata import BadQuery
from reply import Page, Response, graph_error, graph_response, http_date, json_response
from settings import Settings

CHALLENGE = ('Bearer realm="", authorization_uri="{authority}/common/oauth2/authorize", '
             'client_id="00000003-0000-0000-c000-000000000000"')
_CLASSIFICATIONS = ("unknown", "falsePositive", "truePositive", "informationalExpectedActivity")


@dataclass(frozen=True)
class Kind:
    """An entity set: its path, the type of its records, and what of them can be set to what."""
    segment: str
    type_name: str
    updatable: dict[str, object]    # a tuple of values; else "member" of the property's enum, "text", "texts", "object"


ALERTS = Kind("alerts_v2", "alert", {
    "status": ("new", "inProgress", "resolved"), "classification": _CLASSIFICATIONS, "determination": "member",
    "assignedTo": "text", "customDetails": "object",
})
INCIDENTS = Kind("incidents", "incident", {
    "status": ("active", "inProgress", "resolved", "redirected"), "classification": _CLASSIFICATIONS,
    "determination": "member", "severity": "member", "assignedTo": "text", "customTags": "texts", "description": "text",
    "displayName": "text", "resolvingComment": "text", "summary": "text",
})


class Problem(Exception):
    """The request ends here; carries the error answer."""

    def __init__(self, request, status: int, code: str, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.response = graph_error(request, status, code, message, headers)


@dataclass
class Call:
    """A request that has been let in: its token, what it asks for, the id in its path."""
    request: object
    token: login.Token
    kind: Kind = ALERTS
    record_id: str = ""

    @property
    def service(self) -> str:
        return f"{self.request.root}/{self.request.segments[0]}"

    def context(self, fragment: str) -> bytes:
        return jsontext.dump(f"{self.service}/$metadata#{fragment}")


class Throttle:
    """Requests in a sliding window; those refused count too, as the service's do."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._arrivals: deque[float] = deque()
        self._lock = threading.Lock()

    def reset(self) -> None:
        with self._lock:
            self._arrivals.clear()

    def wait_after_arrival(self) -> float:
        """Count a request; the seconds after which one would be let in again, 0 if this one is."""
        limit, window = self._settings.rate_limit, self._settings.rate_limit_window
        if not limit:
            return 0
        now = time.monotonic()
        with self._lock:
            while self._arrivals and self._arrivals[0] <= now - window:
                self._arrivals.popleft()
            self._arrivals.append(now)
            excess = len(self._arrivals) - limit
            return self._arrivals[excess] + window - now if excess > 0 else 0


class GraphService:
    def __init__(self, settings: Settings, store: AlertStore, incidents: IncidentStore, schema: Metadata,
                 logins: login.Login, clock: timestamps.Clock):
        self.settings = settings
        self.store = store
        self.incidents = incidents
        self.schema = schema
        self.logins = logins
        self.clock = clock
        self.throttle = Throttle(settings)

    def answer(self, request) -> Response:
        try:
            response = self._answer(request)
        except Problem as problem:
            response = problem.response
        except BadQuery as bad:
            response = graph_error(request, 400, bad.code, bad.message)
        return response

    def _answer(self, request) -> Response:
        if len(request.target) > self.settings.max_url:
            raise Problem(request, 414, "RequestUriTooLong", "The request URI is too long.")
        if not request.target.isascii():
            raise Problem(request, 400, "BadRequest", "The request URI is not percent-encoded.")
        if request.segments[:1] not in (["v1.0"], ["beta"]):
            raise Problem(request, 400, "BadRequest", f"Invalid version: {''.join(request.segments[:1])}")
        call = Call(request, self._token(request))
        self._throttle(request)
        route, call.record_id = self._route(request)
        call.kind = route.kind
        self._authorize(request, call.token, route.roles)
        return route.handler(self, call)

    # Admission

    def _token(self, request) -> login.Token:
        authorization = request.headers.get("authorization", "")
        token = self.logins.bearer(authorization)
        if not authorization:
            reason = "Access token is empty."
        elif token is None:
            reason = "CompactToken parsing failed with error code: 80049217"
        elif token.expired():
            reason = "Lifetime validation failed, the token is expired."
        else:
            return token
        raise Problem(request, 401, "InvalidAuthenticationToken", reason,
                      {"WWW-Authenticate": CHALLENGE.format(authority=request.origin)})

    def _throttle(self, request) -> None:
        wait = self.throttle.wait_after_arrival()
        if wait > 0:
            seconds = int(wait) + 1
            form = self.settings.rate_limit_header
            headers = {"seconds": {"Retry-After": str(seconds)}, "date": {"Retry-After": http_date(seconds)}, "none": {}}
            raise Problem(request, 429, "TooManyRequests", "Please retry again later.", headers[form])

    def _authorize(self, request, token: login.Token, roles: tuple[str, ...]) -> None:
        if roles and not set(roles) & set(token.app.roles):
            raise Problem(request, 403, "Forbidden",
                          f"Missing application roles. API required roles: {','.join(roles)}, application roles: "
                          f"{','.join(token.app.roles)}.")

    def _route(self, request) -> tuple["Route", str]:
        segments = request.segments[1:]
        matching = [route for route in ROUTES if route.matches(segments)]
        for route in matching:
            if route.method == request.method:
                return route, segments[2] if "{id}" in route.path else ""
        if matching:
            raise Problem(request, 405, "MethodNotAllowed", f"The method {request.method} is not allowed.",
                          {"Allow": ", ".join(route.method for route in matching)})
        raise Problem(request, 404, "BadRequest",
                      f"Resource not found for the segment '{self._unknown_segment(segments)}'.")

    @staticmethod
    def _unknown_segment(segments: list[str]) -> str:
        paths = [route.path for route in ROUTES]
        for length in range(1, len(segments) + 1):
            if not any(_fits(path[:length], segments[:length]) for path in paths):
                return segments[length - 1]
        return ""

    # GET /security/alerts_v2 and /security/incidents

    def _records(self, kind: Kind) -> AlertStore:
        return self.store if kind is ALERTS else self.incidents.records()

    def list_records(self, call: Call) -> Response:
        options = odata.parse_options(call.request.query)
        names = self._selected(call.kind, options)
        found = self._found(call, options, self._order(options))
        return self._listed(call, options, found, self._page_size(call.kind, options),
                            f"security/{call.kind.segment}{_selection_suffix(options, names)}", names)

    def list_alerts_of_incident(self, call: Call) -> Response:
        """A list with links; nothing says which options it takes beside those of its links."""
        if self.settings.incident_alerts == "unknown":
            raise Problem(call.request, 404, "BadRequest", "Resource not found for the segment 'alerts'.")
        links = ("$skiptoken", "$skip") if self.settings.next_link_by == "skip" else ("$skiptoken",)
        options = odata.parse_options(call.request.query, links)
        self._existing(call, self.incidents.records().get(call.record_id))
        return self._listed(call, options, self.incidents.alerts_of(call.record_id), self.settings.page_size,
                            f"security/incidents('{quote(call.record_id, safe='')}')/alerts")

    def _listed(self, call: Call, options: dict[str, str], found: list[Alert], size: int, context: str,
                names: frozenset[str] | None = None) -> Response:
        """The page of a list that a request asks for."""
        start, page_number = self._start(call.kind, options)
        shown = self._shown(call)
        page = Page(call.context(context), [record.shown(shown, names) for record in found[start:start + size]],
                    next_link_last=self.settings.next_link_after_value)
        if self._treated("$count", options) and odata.truth("$count", options["$count"]):
            page.count = str(len(found)).encode()
        more = start + size < len(found)
        if more and not (self.settings.max_pages and page_number >= self.settings.max_pages):
            page.next_link = jsontext.dump(self._next_link(call.request, start + size, page_number + 1))
        response = graph_response(page)
        if call.request.includes_unknown_members():
            response.headers["Preference-Applied"] = "include-unknown-enum-members"
        return response

    def count_records(self, call: Call) -> Response:
        if not self.settings.count_segment:
            raise Problem(call.request, 404, "BadRequest", "Resource not found for the segment '$count'.")
        options = odata.parse_options(call.request.query, ("$filter",))
        found = self._found(call, options, [])
        return Response(200, str(len(found)).encode(), {"Content-Type": "text/plain"})

    def _shown(self, call: Call) -> bool:
        return call.request.includes_unknown_members() or not self.settings.hide_gated

    def _treated(self, option: str, options: dict[str, str]) -> bool:
        """Whether to obey an option: not if it is absent or ignored; an error if it is refused."""
        treatment = getattr(self.settings, option[1:])
        if option in options and treatment == "refuse":
            raise odata.invalid(f"The query parameter '{option}' is not supported.")
        return option in options and treatment == "honour"

    def _selected(self, kind: Kind, options: dict[str, str]) -> frozenset[str] | None:
        if not self._treated("$select", options):
            return None
        known = frozenset(prop.name for prop in getattr(self.schema, kind.type_name))
        return odata.parse_select(options["$select"], known, kind.type_name)

    def _order(self, options: dict[str, str]) -> list[tuple[str, bool]]:
        return odata.parse_orderby(options["$orderby"]) if self._treated("$orderby", options) else []

    def _found(self, call: Call, options: dict[str, str], order: list[tuple[str, bool]]) -> list[Alert]:
        settings = self.settings
        rules = odata.FilterRules(
            settings.filter_in, settings.filter_any, settings.fold_case,
            settings.gated_literals or call.request.includes_unknown_members(), settings.filter_max_nodes)
        predicate, text = None, ""
        if self._treated("$filter", options):
            text = options["$filter"]
            predicate = odata.parse_filter(text, self.schema, rules, call.kind.type_name)
        found = self._records(call.kind).find((text, rules, tuple(order)), predicate, order)
        if settings.unsorted and not order:
            found = sorted(found, key=lambda alert: zlib.crc32(alert.text))
        if order:
            return found
        return self._misplaced(found if self.settings.listed == "newest" else found[::-1])

    def _misplaced(self, found: list[Alert]) -> list[Alert]:
        """The list with one alert where the settings say; the list's own order is nothing to rely on."""
        alert_id, _, place = self.settings.misplaced.partition(" ")
        moved = [alert for alert in found if alert.id == alert_id]
        if not moved:
            return found
        rest = [alert for alert in found if alert.id != alert_id]
        return rest[:int(place)] + moved + rest[int(place):]

    def _page_size(self, kind: Kind, options: dict[str, str]) -> int:
        limit = self.settings.top_max if kind is ALERTS else self.settings.incident_top_max
        if "$top" not in options:
            return min(self.settings.page_size, limit)
        top = odata.whole_number("$top", options["$top"], 1)
        if top > limit and (self.settings.top_over_max == "refuse" or kind is INCIDENTS):
            raise odata.invalid(f"The limit of '{limit}' for Top query has been exceeded. The value from the incoming "
                                f"request is '{top}'.")
        return min(top, limit)

    def _start(self, kind: Kind, options: dict[str, str]) -> tuple[int, int]:
        """The offset of the first row and the number of the page."""
        if "$skiptoken" in options:
            return read_skip_token(options["$skiptoken"])
        skip = odata.whole_number("$skip", options["$skip"], 0) if "$skip" in options else 0
        ceiling = self.settings.skip_ceiling
        if ceiling and skip > ceiling:
            raise odata.invalid(f"The limit of '{ceiling}' for Skip query has been exceeded. The value from the incoming "
                                f"request is '{skip}'.")
        return skip, 1 + skip // self._page_size(kind, options)

    def _next_link(self, request, start: int, page_number: int) -> str:
        """The absolute URL of the next page: the parameters of this one, and where to go on."""
        by_skip = self.settings.next_link_by == "skip"
        dropped = ("$skiptoken", "$skip") if by_skip else ("$skiptoken",)
        pairs = [pair.partition("=") for pair in request.query.split("&") if pair]
        decoded = [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]
        position = ("$skip", str(start)) if by_skip else ("$skiptoken", skip_token(start, page_number))
        kept = [(name, value) for name, value in decoded if name not in dropped] + [position]
        query = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in kept)
        return f"{request.origin}{request.prefix}{request.path}?{query}"

    # One alert or incident

    def get_record(self, call: Call) -> Response:
        options = odata.parse_options(call.request.query, ("$select",))
        names = self._selected(call.kind, options)
        record = self._existing(call, self._records(call.kind).get(call.record_id))
        text = record.shown(self._shown(call), names)
        return self._single(call, text, _selection_suffix(options, names))

    def update_incident(self, call: Call) -> Response:
        changes = self._changes(call)
        changes["lastUpdateDateTime"] = timestamps.to_text(self.clock.at_change())
        incident = self._existing(call, self.incidents.change(call.record_id, changes))
        return self._updated(call, incident.shown(self._shown(call)), changes)

    def update_alert(self, call: Call) -> Response:
        changes = self._changes(call)
        moment = timestamps.to_text(self.clock.at_change())
        changes["lastUpdateDateTime"] = moment
        if "status" in changes:
            changes["resolvedDateTime"] = moment if changes["status"] == "resolved" else None
        alert = self.store.change(call.record_id, lambda text: _edited(text, changes))
        text = self._existing(call, alert).shown(self._shown(call))
        if self.settings.update_answer != "whole":
            text = jsontext.with_member(text, "evidence", [])
        return self._updated(call, text, changes)

    def _updated(self, call: Call, text: bytes, changes: dict[str, object]) -> Response:
        if self.settings.update_answer == "empty":
            return Response(204)
        if self.settings.update_answer == "changes":
            shown = {name: jsontext.member_value(text, name) for name in ("id", *changes)}
            text = jsontext.dump(shown)
        return self._single(call, text)

    def list_comments(self, call: Call) -> Response:
        odata.parse_options(call.request.query, ())
        return self._comments(call, self._existing(call, self._records(call.kind).get(call.record_id)))

    def add_comment(self, call: Call) -> Response:
        document = _json_object(call.request)
        text = document.get("comment")
        unknown = set(document) - {"@odata.type", "comment"}
        if not isinstance(text, str) or not text or unknown:
            raise Problem(call.request, 400, "BadRequest", "Invalid comment.")
        moment = timestamps.to_text(self.clock.at_change())
        comment = {"@odata.type": "#microsoft.graph.security.alertComment", "comment": text,
                   "createdByDisplayName": call.token.app.name, "createdDateTime": moment}

        def edit(raw: bytes) -> bytes:
            comments = (jsontext.member_value(raw, "comments") or []) + [comment]
            return _edited(raw, {"comments": comments, "lastUpdateDateTime": moment})
        if call.kind is ALERTS:
            return self._comments(call, self._existing(call, self.store.change(call.record_id, edit)))
        edited = edit(self._existing(call, self.incidents.records().get(call.record_id)).text)
        changes = {name: jsontext.member_value(edited, name) for name in ("comments", "lastUpdateDateTime")}
        return self._comments(call, self._existing(call, self.incidents.change(call.record_id, changes)))

    def _existing(self, call: Call, alert: Alert | None) -> Alert:
        if alert is None:
            raise Problem(call.request, 404, "ResourceNotFound",
                          f"{call.kind.type_name.capitalize()} with id {call.record_id} not found.")
        return alert

    def _single(self, call: Call, text: bytes, suffix: str = "") -> Response:
        context = b'{"@odata.context":' + call.context(f"security/{call.kind.segment}{suffix}/$entity")
        rest = text.lstrip()[1:]
        return graph_response(context + (b"" if rest.lstrip().startswith(b"}") else b",") + rest)

    def _comments(self, call: Call, alert: Alert) -> Response:
        comments = jsontext.member_value(alert.text, "comments") or []
        context = call.context(f"security/{call.kind.segment}('{quote(call.record_id, safe='')}')/comments")
        return graph_response(Page(context, [jsontext.dump(comment) for comment in comments]))

    def _changes(self, call: Call) -> dict[str, object]:
        request = call.request
        changes = _json_object(request)
        changes.pop("@odata.type", None)
        if not changes:
            raise Problem(request, 400, "BadRequest", "The request body has no property to update.")
        for name, value in changes.items():
            if name not in call.kind.updatable:
                raise Problem(request, 400, "BadRequest", f"The property '{name}' cannot be updated.")
            if not self._is_updatable_to(call.kind, name, value):
                raise Problem(request, 400, "BadRequest", f"Invalid value for the property '{name}'.")
        return {name: value for name, value in changes.items() if name != self.settings.not_taken}

    def _is_updatable_to(self, kind: Kind, name: str, value: object) -> bool:
        allowed = kind.updatable[name]
        if allowed == "text":
            return value is None or isinstance(value, str)
        if allowed == "texts":
            return isinstance(value, list) and all(isinstance(text, str) for text in value)
        if allowed == "object":
            return value is None or isinstance(value, dict)
        if allowed == "member":
            enum = next(prop.type for prop in getattr(self.schema, kind.type_name) if prop.name == name)
            return value != odata.SENTINEL and value in self.schema.enums[enum]
        return value in allowed

    # What else there is: another shape, so that a client which lost its way notices

    def security(self, call: Call) -> Response:
        return json_response(200, {"@odata.context": f"{call.service}/$metadata#security", "id": "security",
                                   "providerStatus": None})

    def users(self, call: Call) -> Response:
        people = [{"id": "87d349ed-44d7-43e1-9a83-5f2406dee5bd", "displayName": "Adele Vance", "mail": None},
                  {"id": "5bde3e51-d13b-4db1-9948-fe4b109d11a7", "displayName": "Alex Wilber", "mail": None}]
        return json_response(200, {"@odata.context": f"{call.service}/$metadata#users", "value": people})


# ---------------------------------------------------------------------------------------------------------------------
# Routes

@dataclass(frozen=True)
class Route:
    method: str
    path: tuple[str, ...]           # below the version
    handler: Callable[[GraphService, Call], Response]
    roles: tuple[str, ...] = ()     # any one of them
    kind: Kind = ALERTS

    def matches(self, segments: list[str]) -> bool:
        return len(segments) == len(self.path) and _fits(self.path, segments)


def _fits(path: tuple[str, ...], segments: list[str]) -> bool:
    return len(path) == len(segments) and all(p in ("{id}", s) for p, s in zip(path, segments))


def _incidents(method: str, path: tuple[str, ...], handler: Callable[[GraphService, Call], Response]) -> Route:
    roles = login.READ_INCIDENT_ROLES if method == "GET" else login.WRITE_INCIDENT_ROLES
    return Route(method, ("security", "incidents", *path), handler, roles, INCIDENTS)


_ALERTS = ("security", "alerts_v2")
ROUTES = (
    Route("GET", ("security",), GraphService.security),
    Route("GET", ("users",), GraphService.users),
    Route("GET", _ALERTS, GraphService.list_records, login.READ_ROLES),
    Route("GET", (*_ALERTS, "$count"), GraphService.count_records, login.READ_ROLES),
    Route("GET", (*_ALERTS, "{id}"), GraphService.get_record, login.READ_ROLES),
    Route("PATCH", (*_ALERTS, "{id}"), GraphService.update_alert, login.WRITE_ROLES),
    Route("GET", (*_ALERTS, "{id}", "comments"), GraphService.list_comments, login.READ_ROLES),
    Route("POST", (*_ALERTS, "{id}", "comments"), GraphService.add_comment, login.WRITE_ROLES),
    _incidents("GET", (), GraphService.list_records),
    _incidents("GET", ("$count",), GraphService.count_records),
    _incidents("GET", ("{id}",), GraphService.get_record),
    _incidents("PATCH", ("{id}",), GraphService.update_incident),
    _incidents("GET", ("{id}", "alerts"), GraphService.list_alerts_of_incident),
    _incidents("POST", ("{id}", "comments"), GraphService.add_comment),
)


# ---------------------------------------------------------------------------------------------------------------------
# Small things

def skip_token(start: int, page_number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, page_number]).encode()).decode()


def read_skip_token(text: str) -> tuple[int, int]:
    try:
        start, page_number = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        return int(start), int(page_number)
    except (ValueError, TypeError):
        raise BadQuery("Skip token is not valid.", "BadRequest") from None


def _selection_suffix(options: dict[str, str], names: frozenset[str] | None) -> str:
    return "" if names is None else f"({re.sub(' ', '', options['$select'])})"


def _edited(text: bytes, changes: dict[str, object]) -> bytes:
    for name, value in changes.items():
        text = jsontext.with_member(text, name, value)
    return text


def _json_object(request) -> dict:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Problem(request, 415, "UnsupportedMediaType", "The request body must be application/json.")
    try:
        document = json.loads(request.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Problem(request, 400, "BadRequest", "Unable to read JSON request payload.")
    return document
