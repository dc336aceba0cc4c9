"""Which alerts are there, in which order, and what do they look like to this request?

Incidents are kept in the same way: whatever is said of an alert here holds for them, too.
"""

from __future__ import annotations

import functools
import json
import threading
from collections import OrderedDict
from typing import Callable, Iterable

import jsontext
from metadata import Metadata
from odata import FILTERABLE, Predicate, ticks_or_none

_TIMES = ("createdDateTime", "lastUpdateDateTime")
_CACHED_RESULTS = 64


def _rank(value: object) -> tuple:
    """OData sorts null below every value (OData 4.01, part 2, $orderby)."""
    return (0, 0) if value is None else (1, value)


class Alert:
    """One alert: its text as given, its text without the gated enum members, and what a filter may look at."""

    __slots__ = ("id", "text", "gated_text", "fields", "_selection")

    def __init__(self, text: bytes, schema: Metadata):
        self.text = text
        gated = schema.without_gated_members(text)
        self.gated_text = text if gated == text else gated
        self.fields = _fields(text)
        self.id = self.fields.pop("id", None)
        self._selection: tuple | None = None

    def shown(self, include_gated: bool, names: frozenset[str] | None = None) -> bytes:
        """The text for a request with or without the Prefer header, whole or with the selected members only."""
        text = self.text if include_gated else self.gated_text
        if names is None:
            return text
        key = (include_gated, names)
        if self._selection is None or self._selection[0] != key:
            self._selection = (key, jsontext.only_members(text, names))
        return self._selection[1]

    def evidence(self) -> list:
        return _evidence(self.text)


@functools.lru_cache(maxsize=4096)
def _evidence(text: bytes) -> list:
    """Kept for some: one filter may ask twenty times for the same, and the next filter asks again."""
    found = jsontext.member_value(text, "evidence")
    return found if isinstance(found, list) else []


def _fields(text: bytes) -> dict[str, object]:
    """The ids and the filterable members, times as ticks; a value of another type than expected counts as null."""
    fields: dict[str, object] = {}
    for member in jsontext.members(text):
        if member.name in FILTERABLE or member.name in ("id", "incidentId"):
            value = _string(text[member.value:member.end])
            fields[member.name] = ticks_or_none(value) if member.name in _TIMES else value
    return fields


def _string(raw: bytes) -> str | None:
    if not raw.startswith(b'"'):
        return None
    if b"\\" not in raw and raw.isascii():
        return raw[1:-1].decode("ascii")
    return json.loads(raw.decode("utf-8", "replace"), strict=False)


class AlertStore:
    """All alerts, newest first. Results of queries are kept until an alert changes, so that a page costs a slice."""

    def __init__(self, schema: Metadata, texts: Iterable[bytes]):
        self._schema = schema
        self._lock = threading.RLock()
        self._initial = [Alert(text, schema) for text in texts]
        self._use(self._initial)

    def _use(self, alerts: list[Alert]) -> None:
        alerts = sorted(alerts, key=lambda alert: alert.id or "")
        alerts.sort(key=lambda alert: _rank(alert.fields.get("createdDateTime")), reverse=True)
        self._alerts = alerts           # only now: a list that is being sorted looks empty to other threads
        self._by_id = {alert.id: alert for alert in self._alerts if alert.id is not None}
        self._results: OrderedDict[tuple, list[Alert]] = OrderedDict()

    def reset(self) -> None:
        with self._lock:
            self._use(self._initial)

    def put(self, texts: Iterable[bytes], replace_all: bool = False) -> int:
        """Add alerts, each in place of the one with its id."""
        fresh = [Alert(text, self._schema) for text in texts]
        with self._lock:
            ids = {alert.id for alert in fresh if alert.id is not None}
            kept = [] if replace_all else [alert for alert in self._alerts if alert.id not in ids]
            self._use(kept + fresh)
        return len(fresh)

    def remove(self, alert_id: str | None) -> int:
        """Remove one alert, or all; the number removed."""
        with self._lock:
            before = len(self._alerts)
            self._use([] if alert_id is None else [a for a in self._alerts if a.id != alert_id])
            return before - len(self._alerts)

    def change(self, alert_id: str, edit: Callable[[bytes], bytes]) -> Alert | None:
        """Replace an alert by what `edit` makes of its text; None when there is no such alert."""
        with self._lock:
            alert = self._by_id.get(alert_id)
            if alert is not None:
                self.put([edit(alert.text)])
            return self._by_id.get(alert_id)

    def get(self, alert_id: str) -> Alert | None:
        return self._by_id.get(alert_id)

    def all(self) -> list[Alert]:
        return self._alerts

    def find(self, key: tuple, predicate: Predicate | None, order: list[tuple[str, bool]]) -> list[Alert]:
        """The alerts that the predicate keeps, in the order asked for; equal keys name equal questions."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
            alerts = self._alerts
        found = [alert for alert in alerts if predicate(alert)] if predicate else list(alerts)
        for name, descending in reversed(order):
            found.sort(key=lambda alert: _rank(alert.fields.get(name)), reverse=descending)
        with self._lock:
            if alerts is self._alerts:
                self._results[key] = found
                if len(self._results) > _CACHED_RESULTS:
                    self._results.popitem(last=False)
        return found
