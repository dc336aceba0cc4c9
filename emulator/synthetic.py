"""What would a tenant's alerts look like?

The generator builds alerts from the metadata: every evidence type, every property and every enum member turns up. The
same seed, number and time give the same bytes.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import Callable, Iterator

import timestamps
import vocabulary
from metadata import NAMESPACE, SENTINEL, Metadata, Property
from timestamps import TICKS_PER_DAY, TICKS_PER_SECOND

DAYS = 90
TODAYS_HIGH = 6                         # alerts of severity high that are created in the last hours of today
LONG_TEXT = 100_000
MANY_EVIDENCE = 50
_DEEPEST = 3                            # levels of complex values inside evidence
_NEWER_PROPERTIES = ("customDetails", "investigationState", "categories", "productName", "alertPolicyId", "systemTags")
_ODD_INTEGERS = (9007199254740993, 9223372036854775807, -9223372036854775808, 4294967296, 0)
_USUAL_EVIDENCE = (["deviceEvidence"] * 6 + ["processEvidence"] * 5 + ["fileEvidence"] * 5 + ["userEvidence"] * 5
                   + ["ipEvidence"] * 4 + ["urlEvidence"] * 2 + ["registryValueEvidence", "mailboxEvidence",
                                                                 "analyzedMessageEvidence", "cloudApplicationEvidence"])
_DEMONSTRATED_EVIDENCE = ("deviceEvidence", "deviceEvidence", "userEvidence", "processEvidence", "ipEvidence")
_WEIGHTS = {
    "severity": (("informational", 15), ("low", 30), ("medium", 35), ("high", 19), ("unknown", 1)),
    "status": (("new", 35), ("inProgress", 15), ("resolved", 50)),
    "serviceSource": (("microsoftDefenderForEndpoint", 40), ("microsoftDefenderForOffice365", 15),
                      ("microsoft365Defender", 10), ("microsoftDefenderForIdentity", 8), ("azureAdIdentityProtection", 6),
                      ("microsoftDefenderForCloudApps", 6), ("microsoftDefenderForCloud", 10), ("microsoftSentinel", 5)),
}

Maker = Callable[["Scene"], object]


class Scene:
    """What one alert is about: chance, a machine, a person, a file, and the time."""

    def __init__(self, rng: random.Random, created: int, full: bool):
        self.rng = rng
        self.created = created
        self.full = full                # every property present and not null
        self.depth = 0
        self.turn()

    def turn(self) -> None:
        """Speak of another machine, person and file."""
        self.device = self.rng.choice(vocabulary.DEVICES)
        self.person = self.rng.choice(vocabulary.PEOPLE)
        self.file = self.rng.choice(vocabulary.FILES)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def time(self, within_days: float = 2) -> str:
        """A time shortly before the alert, with any of the precisions that the service sends."""
        return self.written(self.created - int(self.rng.random() * within_days * TICKS_PER_DAY))

    def written(self, ticks: int) -> str:
        return timestamps.to_text(ticks, self.rng.choice((7, 7, 7, 7, 7, 6, 3, 3, 2, 0)))

    def address(self) -> str:
        number = self.rng.randrange(250)
        return self.rng.choice((f"203.0.113.{number}", f"10.0.{number}.7", f"2001:db8::{number:x}:1"))

    def word(self) -> str:
        return self.rng.choice(vocabulary.WORDS)


# ---------------------------------------------------------------------------------------------------------------------
# Texts, by the name of their property. What has no row here is a word with a number.

def _machine(name: str) -> Maker:
    return lambda scene: scene.device[name]


def _human(name: str) -> Maker:
    return lambda scene: scene.person[name]


def _one_of(choices) -> Maker:
    return lambda scene: scene.rng.choice(choices)


def _hex(digits: int) -> Maker:
    return lambda scene: vocabulary.hexadecimal(scene.rng, digits)


def _guid(scene: Scene) -> str:
    return vocabulary.guid(scene.rng)


def _address(scene: Scene) -> str:
    return scene.address()


def _mail(scene: Scene) -> str:
    return f"{scene.word()}.{scene.rng.randrange(100)}@{scene.rng.choice(vocabulary.HOSTS_OUTSIDE)}"


def _url(scene: Scene) -> str:
    host = scene.rng.choice(vocabulary.HOSTS_OUTSIDE)
    return f"https://{host}/{scene.word()}/{scene.rng.randrange(10**6)}?q=a%20b&x=1#é"


def _sentence(scene: Scene) -> str:
    return scene.rng.choice(vocabulary.SENTENCES)


def _plain(scene: Scene) -> str:
    return f"{scene.word()}-{scene.rng.randrange(1000)}"


_TEXTS: dict[str, Maker] = {
    **{name: _machine(name) for name in ("mdeDeviceId", "azureAdDeviceId", "deviceDnsName", "hostName", "ntDomain",
                                         "dnsDomain", "osPlatform", "version", "lastIpAddress", "lastExternalIpAddress")},
    **{name: _human(name) for name in ("accountName", "domainName", "userSid", "azureAdUserId", "userPrincipalName",
                                       "displayName", "tenantId")},
    "deviceName": _machine("deviceDnsName"), "ipInterfaces": _machine("lastIpAddress"),
    "upn": _human("userPrincipalName"), "primaryAddress": _human("userPrincipalName"),
    "mailboxPrimaryAddress": _human("userPrincipalName"), "recipientEmailAddress": _human("userPrincipalName"),
    "recipients": _human("userPrincipalName"), "recipient": _human("userPrincipalName"), "sid": _human("userSid"),
    "owners": _human("displayName"), "submitter": _human("userPrincipalName"),
    "fileName": lambda scene: scene.file[0], "filePath": lambda scene: scene.file[1],
    "filePublisher": _one_of(["Microsoft Corporation", "Contoso Ltd.", "株式会社コントソ"]),
    "sha1": _hex(40), "sha256": _hex(64), "md5": _hex(32), "sha256Ac": _hex(64), "value": _hex(64),
    "signatureHash": _hex(64),
    "registryHive": _one_of(["HKEY_LOCAL_MACHINE", "HKEY_USERS"]),
    "registryKey": _one_of(["SYSTEM\\CurrentControlSet\\Services\\Sense", "SOFTWARE\\Microsoft\\Windows\\Run\\Größe"]),
    "registryValueType": _one_of(["String", "ExpandString", "Dword"]), "processCommandLine": _one_of(vocabulary.COMMANDS),
    "macAddress": lambda scene: "-".join(f"{scene.rng.randrange(256):02X}" for _ in range(6)),
    "countryLetterCode": _one_of(["DE", "US", "JP", "BR", ""]), "countryName": _one_of(["Germany", "日本", "Brasil"]),
    "city": _one_of(["Köln", "東京", "São Paulo", "Redmond"]),
    "subject": _one_of(["Re: invoice", "Ihre Rechnung №7", "💰 hello"]),
    "distinguishedName": lambda scene: f"CN={scene.word()},OU=Groups,DC=contoso,DC=test",
    "internetMessageId": lambda scene: f"<{vocabulary.hexadecimal(scene.rng, 24)}@mail.example>",
    "resourceId": lambda scene: f"/subscriptions/{_guid(scene)}/resourceGroups/rg-{scene.word()}/providers/x",
    "url": _url, "urls": _url, "webUrl": _url, "baseUrl": _url, "devicePageLink": _url,
    "ipAddress": _address, "senderIp": _address, "senderIP": _address, "allowedIpAddresses": _address,
    "emailAddress": _mail, "email": _mail, "sender": _mail, "senderFromAddress": _mail, "suspiciousRecipients": _mail,
    "instructions": _sentence, "query": _sentence, "remediationStatusDetails": _sentence, "actorDisplayName": _plain,
    "comment": _one_of(vocabulary.COMMENTS), "createdByDisplayName": _human("displayName"),
    "threatFamilyName": _one_of(vocabulary.MALWARE), "threatDisplayName": _one_of(vocabulary.MALWARE),
    "category": _one_of(vocabulary.CATEGORIES), "categories": _one_of(vocabulary.CATEGORIES),
    "mitreTechniques": _one_of(vocabulary.TECHNIQUES), "productName": _one_of(vocabulary.PRODUCTS),
    "systemTags": _one_of(["Defender Experts", "Attack Disruption"]),
    "tags": _one_of(["Test Machine", "VIP", "production, critical", "späť"]),
    "detailedRoles": _one_of(["Main device", "Referred in command line", "Owner"]),
}


def _text(name: str) -> Maker:
    if name in _TEXTS:
        return _TEXTS[name]
    return _guid if name.endswith(("Id", "Ids")) else _plain


def _integer(scene: Scene) -> int:
    return scene.rng.choice(_ODD_INTEGERS) if scene.chance(0.04) else scene.rng.randrange(1 << scene.rng.randrange(1, 34))


def _latitude(scene: Scene) -> float:
    return scene.rng.choice((52.5, -0.1, 1e-7, 35.6895, scene.rng.uniform(-90, 90)))


def _dictionary(scene: Scene) -> dict:
    """An open complex value: any names, any values, and annotations among them."""
    found: dict[str, object] = {f"{scene.word()}-{n}": _plain(scene) for n in range(scene.rng.randrange(1, 4))}
    if scene.full or scene.chance(0.2):
        found.update({"@odata.type": f"#{NAMESPACE}dictionary", "Hops@odata.type": "#Int64", "Hops": _integer(scene),
                      "Nested": {"a": [1, 2.50, None, {"b": True}], "path": "C:\\x/y"}, "": "empty name",
                      "ключ": "значение"})
    return found


def _details(scene: Scene) -> dict:
    """customDetails: fields that users define, with texts as values."""
    return {"Account": scene.person["userPrincipalName"], "Host Name": scene.device["hostName"], "Größe": _plain(scene)}


_PRIMITIVES: dict[str, Maker] = {
    "Edm.DateTimeOffset": lambda scene: scene.time(),
    "Edm.Int64": _integer,
    "Edm.Int32": lambda scene: scene.rng.randrange(65536),
    "Edm.Boolean": lambda scene: scene.chance(0.5),
    "Edm.Double": _latitude,
    "Edm.Guid": _guid,
}


# ---------------------------------------------------------------------------------------------------------------------

class Generator:
    def __init__(self, schema: Metadata, seed: int, now: int):
        self._schema = schema
        self._seed = seed
        self._now = now
        self._members = {enum: itertools.cycle([m for m in members if m != SENTINEL])
                         for enum, members in schema.enums.items()}
        self._makers: dict[str, list[tuple[Property, Maker]]] = {}
        self._alert_makers = [(prop, self._maker(prop)) for prop in schema.alert]

    def alerts(self, count: int) -> list[bytes]:
        return [_written(self._alert(number, count), number) for number in range(count)]

    # Makers

    def _maker(self, prop: Property) -> Maker:
        """The function that makes a property's value; a collection is none to three of them."""
        if prop.kind == "enum":
            one = self._enum_maker(prop)
        elif prop.kind == "complex":
            one = self._complex_maker(prop.type)
        else:
            one = _text(prop.name) if prop.type == "Edm.String" else _PRIMITIVES[prop.type]
        if not prop.collection:
            return one
        return lambda scene: [one(scene) for _ in range(scene.rng.randrange(int(scene.full), 3))]

    def _enum_maker(self, prop: Property) -> Maker:
        cycle = self._members[prop.type]
        if prop.name == "verdict":      # the service has been seen to send numbers of members that it lacks
            return lambda scene: "5" if scene.chance(0.005) else next(cycle)
        if prop.name not in _WEIGHTS:
            return lambda scene: next(cycle)
        members, weights = zip(*_WEIGHTS[prop.name])
        return lambda scene: next(cycle) if scene.chance(0.1) else scene.rng.choices(members, weights)[0]

    def _complex_maker(self, type_name: str) -> Maker:
        if type_name == "dictionary":
            return _dictionary
        if type_name == "alertEvidence":
            clouds = ("azureResourceEvidence", "amazonResourceEvidence", "googleCloudResourceEvidence")
            return lambda scene: self._complex(scene, scene.rng.choice(clouds), named=True)
        return lambda scene: self._complex(scene, type_name)

    def _complex(self, scene: Scene, type_name: str, named: bool | None = None) -> dict:
        """A value of a complex or evidence type; deep inside, its own complex properties are null or empty."""
        if type_name not in self._makers:
            self._makers[type_name] = [(p, self._maker(p)) for p in self._schema.properties(type_name)]
        is_evidence = type_name in self._schema.evidence
        named = is_evidence and scene.chance(0.7) if named is None else named
        made: dict[str, object] = {"@odata.type": f"#{NAMESPACE}{type_name}"} if named else {}
        scene.depth += 1
        for prop, maker in self._makers[type_name]:
            if not self._is_left_out(scene, prop):
                made[prop.name] = self._value(scene, prop, maker)
        scene.depth -= 1
        return made

    @staticmethod
    def _is_left_out(scene: Scene, prop: Property) -> bool:
        return prop.nullable and not scene.full and scene.chance(0.04)

    @staticmethod
    def _value(scene: Scene, prop: Property, maker: Maker) -> object:
        if prop.kind == "complex" and scene.depth >= _DEEPEST:
            return [] if prop.collection else None
        if prop.nullable and not scene.full and scene.chance(0.25 if scene.depth < 2 else 0.5):
            return [] if prop.collection else None
        return maker(scene)

    # Evidence

    def _evidence(self, scene: Scene, type_name: str, full: bool = False) -> dict:
        usual, scene.full = scene.full, full
        scene.turn()
        made = self._complex(scene, type_name, named=True)
        if type_name == "deviceEvidence" and not scene.chance(0.1):
            made.update({**scene.device, "ipInterfaces": [scene.device["lastIpAddress"]]})
        scene.full = usual
        return made

    def _evidence_types(self, scene: Scene, number: int, count: int) -> list[tuple[str, bool]]:
        """The types of an alert's evidence, and whether each is complete. The first alerts share out all types."""
        types = self._schema.evidence_types
        complete = [(types[n], True) for n in range(number, len(types), count)]
        if number < TODAYS_HIGH:
            return complete + [(name, False) for name in _DEMONSTRATED_EVIDENCE]
        if number % 211 == 60:
            return complete + [(name, False) for name in scene.rng.choices(_USUAL_EVIDENCE, k=MANY_EVIDENCE)]
        if number % 20 == 19:
            return complete
        names = scene.rng.choices(_USUAL_EVIDENCE, k=scene.rng.choice((1, 2, 3, 3, 4, 4, 5, 6, 7, 9)))
        if scene.chance(0.5):
            names.append(scene.rng.choice(types))
        return complete + [(name, False) for name in names]

    # Alerts

    def _created(self, rng: random.Random, number: int) -> int:
        if number < TODAYS_HIGH:
            span = min(3 * 3600 * TICKS_PER_SECOND, self._now % TICKS_PER_DAY)
            return self._now - span * (number + 1) // (TODAYS_HIGH + 1)
        ticks = self._now - int(rng.random() * DAYS * TICKS_PER_DAY)
        if number % 40 == 11:           # midnight, where several meet
            return ticks - ticks % TICKS_PER_DAY
        if number % 97 == 0:            # the last 100 ns of an hour, which rounding moves into the next one
            return ticks - ticks % (3600 * TICKS_PER_SECOND) - 1
        return ticks

    def _alert(self, number: int, count: int) -> dict:
        rng = random.Random(f"{self._seed} {number}")
        created = self._created(rng, number)
        scene = Scene(rng, created, full=number % 16 == 7)
        made: dict[str, object] = {"@odata.type": f"#{NAMESPACE}alert"} if number % 20 == 3 else {}
        for prop, maker in self._alert_makers:
            if not (_is_older(number) and prop.name in _NEWER_PROPERTIES):
                made[prop.name] = self._value(scene, prop, maker)
        made.update(self._told(scene, number))
        made.update(self._dated(scene, str(made["status"])))
        made["comments"] = self._comments(scene)
        made["evidence"] = [self._evidence(scene, *kind) for kind in self._evidence_types(scene, number, count)]
        if number < TODAYS_HIGH:
            made.update({"severity": "high", "status": "new", "resolvedDateTime": None})
        if number in (count // 3, count // 2, count - 1) and count > 10:
            made["description"] = _long_text(rng)
        return made

    def _told(self, scene: Scene, number: int) -> dict:
        """Names and prose. An older alert says less."""
        rng, incident = scene.rng, str(28000 + number // 3)
        if number % 3:
            alert_id = provider_id = f"da{rng.randrange(10**17, 10**18)}_{rng.randrange(-2**31, 2**31)}"
        else:
            provider_id = f"{vocabulary.guid(rng)}_{number % 7 + 1}"
            alert_id = "da" + provider_id
        words = {"host": scene.device["hostName"], "login": scene.person["accountName"],
                 "malware": rng.choice(vocabulary.MALWARE)}
        told = {"id": alert_id, "providerAlertId": provider_id, "incidentId": incident, "tenantId": vocabulary.TENANT,
                "title": rng.choice(vocabulary.TITLES).format(**words), "description": rng.choice(vocabulary.SENTENCES),
                "assignedTo": self._owner(scene)}
        return told if _is_older(number) else {**told, **self._told_at_length(scene, words, alert_id, incident)}

    @staticmethod
    def _owner(scene: Scene) -> str | None:
        """Nobody, or an address, at times in another case."""
        address = scene.rng.choice(vocabulary.PEOPLE)["userPrincipalName"]
        return scene.rng.choice((None, None, None, address, address, address.title()))

    @staticmethod
    def _told_at_length(scene: Scene, words: dict, alert_id: str, incident: str) -> dict:
        actions = "\n".join(f"\ufffd\t{action.format(**words)}" for action in scene.rng.sample(vocabulary.ACTIONS, 5))
        return {
            "description": " ".join(scene.rng.sample(vocabulary.SENTENCES, 5)),
            "recommendedActions": f"Find out what happened\n{actions}\n\nContain it \n",
            "alertWebUrl": f"https://security.microsoft.com/alerts/{alert_id}?tid={vocabulary.TENANT}",
            "incidentWebUrl": f"https://security.microsoft.com/incidents/{incident}?tid={vocabulary.TENANT}",
            "customDetails": _details(scene) if scene.full or scene.chance(0.2) else None,
        }

    def _dated(self, scene: Scene, status: str) -> dict:
        """Times in an order that makes sense: activity, creation, update, resolution."""
        created = scene.created
        updated = min(created + int(scene.rng.random() ** 2 * 5 * TICKS_PER_DAY), self._now)
        return {
            "createdDateTime": scene.written(created) if created % TICKS_PER_SECOND != TICKS_PER_SECOND - 1
            else timestamps.to_text(created),
            "lastUpdateDateTime": scene.written(max(created, updated)),
            "firstActivityDateTime": scene.time(), "lastActivityDateTime": scene.written(created),
            "resolvedDateTime": scene.written(updated) if status == "resolved" else None,
        }

    def _comments(self, scene: Scene) -> list[dict]:
        count = scene.rng.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5))
        return [self._complex(scene, "alertComment") for _ in range(count)]


def _is_older(number: int) -> bool:
    """Whether an alert is of the time before the newer properties."""
    return number % 10 == 9


def _long_text(rng: random.Random) -> str:
    sentence = rng.choice(vocabulary.SENTENCES) + " 漢字 \U0001f6a8 \"quoted\" \\ \n"
    return sentence * (LONG_TEXT // len(sentence) + 1)


def _written(alert: dict, number: int) -> bytes:
    """The alert as JSON: mostly plain UTF-8, at times with everything escaped or with escaped slashes."""
    text = json.dumps(alert, ensure_ascii=number % 10 == 4, separators=(",", ":"))
    return (text.replace("/", "\\/") if number % 10 == 5 else text).encode()
