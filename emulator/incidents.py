"""Which incidents are there?

Those of the alerts: each id that alerts have as incidentId is an incident, and what it says follows from them, so that
both always agree. Some have taken in another one, which is redirected to them and has no alerts any more. Incidents that
were given as they are (POST /_emulator/incidents) stand in place of those and of what was merged into them, and an update stays until the next reset.
"""

from __future__ import annotations

import json
import threading
import zlib
from typing import Callable, Iterable

import jsontext
import timestamps
from alerts import Alert, AlertStore
from metadata import NAMESPACE, Metadata
from settings import Settings
from vocabulary import TENANT

_SEVERITIES = (None, "unknown", "informational", "low", "medium", "high")
_TAGS = ("Ransomware", "VIP", "Test, not real", "späť")
_DIGITS = (7, 7, 7, 7, 3, 2, 0)
_MEMBERS = ("status", "severity", "classification", "determination")


class IncidentStore:
    """The incidents as a store of records; it is made anew when the alerts have changed since."""

    def __init__(self, schema: Metadata, alerts: AlertStore, settings: Settings):
        self._schema = schema
        self._alerts = alerts
        self._settings = settings
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._given: dict[str, bytes] = {}
            self._edits: dict[str, dict[str, object]] = {}
            self._made_of: tuple | None = None

    def put(self, texts: Iterable[bytes]) -> int:
        """Add incidents, each in place of the one with its id."""
        fresh = {str(jsontext.member_value(text, "id")): text for text in texts}
        with self._lock:
            self._given.update(fresh)
            self._made_of = None
        return len(fresh)

    def change(self, incident_id: str, changes: dict[str, object]) -> Alert | None:
        """Change some members; None when there is no such incident."""
        with self._lock:
            if self.records().get(incident_id) is not None:
                self._edits.setdefault(incident_id, {}).update(changes)
                self._made_of = None
            return self.records().get(incident_id)

    def alerts_of(self, incident_id: str) -> list[Alert]:
        return [alert for alert in self._alerts.all() if alert.fields.get("incidentId") == incident_id]

    def records(self) -> AlertStore:
        with self._lock:
            state = (self._alerts.all(), self._settings.capital_members)
            if self._made_of is None or self._made_of[0] is not state[0] or self._made_of[1] != state[1]:
                self._records = AlertStore(self._schema, self._texts())
                self._made_of = state
            return self._records

    def _texts(self) -> list[bytes]:
        made: dict[str, bytes] = {}
        by_incident: dict[str, list[Alert]] = {}
        for alert in self._alerts.all():
            incident_id = alert.fields.get("incidentId")
            if incident_id:
                by_incident.setdefault(incident_id, []).append(alert)
        for incident_id, alerts in by_incident.items():
            if incident_id in self._given:
                continue
            incident = _incident(incident_id, alerts)
            for document in [incident] + _merged_into(incident):
                made[document["id"]] = jsontext.dump(_capitalized(document, self._settings.capital_members))
        made.update(self._given)
        for incident_id in made.keys() & self._edits.keys():
            for name, value in self._edits[incident_id].items():
                made[incident_id] = jsontext.with_member(made[incident_id], name, value)
        return list(made.values())


def _chance(incident_id: str, what: str) -> int:
    """A number that is always the same for an incident."""
    return zlib.crc32(f"{what} {incident_id}".encode())


def _one_of(incident_id: str, what: str, choices: tuple) -> object:
    return choices[_chance(incident_id, what) % len(choices)]


def _status(incident_id: str, alerts: list[Alert]) -> str:
    states = {alert.fields.get("status") for alert in alerts}
    if states == {"resolved"}:
        return "resolved"
    if _chance(incident_id, "waits") % 16 == 0:
        return "awaitingAction"
    return "inProgress" if "inProgress" in states else "active"


def _time(incident_id: str, ticks: list[int | None], choose: Callable) -> str | None:
    known = [tick for tick in ticks if tick is not None]
    if not known:
        return None
    return timestamps.to_text(choose(known), _one_of(incident_id, str(choose), _DIGITS) if choose is max else 7)


def _incident(incident_id: str, alerts: list[Alert]) -> dict[str, object]:
    """What some alerts, the newest first, make of their incident."""
    newest = alerts[0]
    status = _status(incident_id, alerts)
    title = jsontext.member_value(newest.text, "title")
    severities = [alert.fields.get("severity") for alert in alerts]
    incident: dict[str, object] = {
        "id": incident_id, "tenantId": TENANT, "status": status,
        "incidentWebUrl": f"https://security.microsoft.com/incidents/{incident_id}?tid={TENANT}",
        "redirectIncidentId": None,
        "displayName": f"{title} involving {len(alerts)} alerts" if isinstance(title, str) else None,
        "createdDateTime": _time(incident_id, [a.fields.get("createdDateTime") for a in alerts], min),
        "lastUpdateDateTime": _time(incident_id, [a.fields.get("lastUpdateDateTime") for a in alerts], max),
        "assignedTo": newest.fields.get("assignedTo"), "classification": newest.fields.get("classification"),
        "determination": newest.fields.get("determination"),
        "severity": max((s for s in severities if s in _SEVERITIES), key=_SEVERITIES.index, default=None) or "unknown",
        "customTags": list(_TAGS[:_chance(incident_id, "tags") % 5]),
        "systemTags": _one_of(incident_id, "system", ([], [], ["Defender Experts"])),
        "description": _one_of(incident_id, "description", (None, "Über mehrere \"Geräte\"\n", "")),
        "lastModifiedBy": _one_of(incident_id, "modified", (None, "Microsoft 365 Defender", "Adele Vance")),
        "resolvingComment": "Nothing to worry about" if status == "resolved" else None,
        "summary": _one_of(incident_id, "summary", (None, None, "<b>What happened</b>")),
        "comments": _comments(incident_id)}
    if _chance(incident_id, "older") % 8:        # priorityScore came later
        incident["priorityScore"] = _one_of(incident_id, "score", (None, 0, 17, 61, 100))
    return incident


def _comments(incident_id: str) -> list[dict]:
    return [{"@odata.type": f"#{NAMESPACE}alertComment", "comment": f"Comment {n} on {incident_id}: {text}",
             "createdByDisplayName": name, "createdDateTime": f"2026-07-{n + 1:02}T08:00:00.12{n}Z"}
            for n, (text, name) in enumerate((("öffnen", "Adele Vance"), ("it's over", "Alex Wilber"), ("", None)))
            ][:max(0, _chance(incident_id, "comments") % 6 - 2)]


def _merged_into(incident: dict) -> list[dict]:
    """The incident that one of twelve has taken in."""
    incident_id = str(incident["id"])
    if _chance(incident_id, "merged") % 12:
        return []
    return [{**incident, "id": f"9{incident_id}", "status": "redirected", "redirectIncidentId": incident_id,
             "displayName": "Merged", "comments": []}]


def _capitalized(document: dict, each: int) -> dict:
    """Each so many-th incident with its members as the examples of the documentation have them."""
    if not each or _chance(str(document["id"]), "case") % each:
        return document
    return {name: value[:1].upper() + value[1:] if name in _MEMBERS and isinstance(value, str) else value
            for name, value in document.items()}


def incidents_in(raw: bytes) -> list[bytes]:
    """The incidents of a document, each an object with an id."""
    texts = jsontext.alerts_in(raw)
    if any("id" not in json.loads(text) for text in texts):
        raise ValueError("an incident has an id")
    return texts
