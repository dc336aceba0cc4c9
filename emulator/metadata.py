"""What do alerts, incidents and evidence look like, according to the metadata of the service?

Reads the CSV files of ../metadata, which the extension is built from as well.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

DIRECTORY = Path(__file__).resolve().parent.parent / "metadata"
NAMESPACE = "microsoft.graph.security."
SENTINEL = "unknownFutureValue"


class Property(NamedTuple):
    name: str
    type: str           # "Edm.String", or a name without the namespace
    kind: str           # "primitive", "enum" or "complex"
    nullable: bool
    collection: bool


def _short(name: str) -> str:
    return name[len(NAMESPACE):] if name.startswith(NAMESPACE) else name


def _property(row: dict[str, str]) -> Property:
    return Property(row["property"], _short(row["edmType"]), row["typeKind"],
                    row["nullable"] == "true", row["isCollection"] == "true")


class Metadata:
    def __init__(self, directory: Path = DIRECTORY):
        self._directory = directory
        self.alert = [_property(row) for row in self._rows("alert-properties.csv")]
        self.incident = [_property(row) for row in self._rows("incident-properties.csv")
                         if row["isNavigation"] != "true"]
        self.evidence = self._properties_by_type("evidence-types.csv")
        self.complex = self._properties_by_type("complex-types.csv")
        self.evidence_types = [name for name in self.evidence if name != "alertEvidence"]
        self.enums: dict[str, list[str]] = defaultdict(list)
        self.gated: dict[str, set[str]] = defaultdict(set)
        for row in self._rows("enums.csv"):
            enum = _short(row["enum"])
            self.enums[enum].append(row["member"])
            if row["afterSentinel_needsPreferHeader"] == "yes":
                self.gated[enum].add(row["member"])
        self._gated_member = self._gated_member_pattern()

    def _rows(self, name: str):
        with open(self._directory / name, newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)

    def _properties_by_type(self, name: str) -> dict[str, list[Property]]:
        types: dict[str, list[Property]] = defaultdict(list)
        for row in self._rows(name):
            properties = types[_short(row["type"])]
            if row["property"]:
                properties.append(_property(row))
        return dict(types)

    def properties(self, type_name: str) -> list[Property]:
        """All properties of a complex or evidence type, those of alertEvidence first."""
        if type_name in self.complex:
            return self.complex[type_name]
        base = [] if type_name == "alertEvidence" else self.evidence["alertEvidence"]
        return base + self.evidence[type_name]

    def find(self, type_name: str, path: list[str]) -> Property | None:
        """The property at the end of a path through single complex values."""
        for name in path[:-1]:
            step = self.find(type_name, [name])
            if step is None or step.kind != "complex" or step.collection:
                return None
            type_name = step.type
        if type_name not in self.complex and type_name not in self.evidence:
            return None
        return next((p for p in self.properties(type_name) if p.name == path[-1]), None)

    def without_gated_members(self, raw: bytes) -> bytes:
        """The alert as a client sees it that does not ask for members behind the sentinel."""
        return self._gated_member.sub(rb'\1"' + SENTINEL.encode() + b'"', raw)

    def _gated_member_pattern(self) -> re.Pattern[bytes]:
        alternatives = []
        for properties in [self.alert, self.incident, *self.evidence.values(), *self.complex.values()]:
            for prop in properties:
                if prop.kind == "enum" and self.gated.get(prop.type):
                    hidden = "|".join(sorted(self.gated[prop.type]))
                    alternatives.append(f'"{prop.name}"\\s*:\\s*(?="(?:{hidden})")')
        return re.compile(('(' + "|".join(alternatives) + ')"[A-Za-z0-9]+"').encode())
