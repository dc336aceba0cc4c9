"""Which alerts would a client rather not meet?

Each is a row of ALERTS: a name and its exact bytes; its id is the name with "ugly-" in front, except where the id is the
point. They are older than any other alert, so a list ends with them. Some are not valid JSON, or not valid UTF-8.
"""

from __future__ import annotations

import json

_NAMESPACE = "#microsoft.graph.security."
_BASE = {"createdDateTime": "2020-01-01T00:00:00.5Z", "verdict": "unknown", "remediationStatus": "none",
         "remediationStatusDetails": None, "roles": [], "detailedRoles": [], "tags": []}


def _alert(name: str, day: int, **members: object) -> bytes:
    """A plain alert, created on a day of January 2020, with some members replaced or added."""
    document = {
        "id": f"ugly-{name}", "providerAlertId": f"ugly-{name}", "incidentId": "1", "status": "resolved",
        "severity": "informational", "classification": None, "determination": None,
        "serviceSource": "microsoftDefenderForEndpoint", "detectionSource": "antivirus", "title": f"Ugly: {name}",
        "description": None, "assignedTo": None, "createdDateTime": f"2020-01-{day:02}T00:00:00Z",
        "lastUpdateDateTime": f"2020-03-{day:02}T00:00:00Z", "comments": [], "evidence": [], **members}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _evidence(kind: str | None, **members: object) -> dict:
    return {**({"@odata.type": _NAMESPACE + kind} if kind else {}), **_BASE, **members}


def _without(raw: bytes, member: bytes) -> bytes:
    assert member in raw
    return raw.replace(member, b"")


def _with(raw: bytes, *members: bytes) -> bytes:
    """The alert with raw text as more members at its end."""
    return raw[:-1] + b"," + b",".join(members) + b"}"


def _nested(levels: int) -> object:
    value: object = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"level": value}
    return value


ALERTS: dict[str, bytes] = {
    # Strings that a database may not be able to hold
    "nul": _alert("nul", 1).replace(b"Ugly: nul", b"Ugly: n\\u0000l"),
    "lone-surrogate": _alert("lone-surrogate", 2).replace(b"Ugly: lone-surrogate", b"Ugly: \\ud83d high, \\ude00 low"),
    "reversed-surrogates": _alert("reversed-surrogates", 3).replace(b"Ugly: ", b"\\ude00\\ud83d "),
    "invalid-utf8": _alert("invalid-utf8", 4).replace(b"Ugly: ", b"Ugly \xff\xfe and \xc3( and \xed\xa0\xbd: "),
    "controls": _alert("controls", 5, title="tab\tline\nreturn\rbell\u0007escape\u001b[31mred\u007f\u0085\u2028\u202e"),
    "raw-control": _alert("raw-control", 6).replace(b"Ugly: ", b"Ugly:\t\x01\n"),
    "empty-strings": _alert("empty-strings", 7, title="", description="", assignedTo="", incidentId=""),
    "sql": _alert("sql", 8, title="'; DROP TABLE alerts; --", assignedTo="o'brien\\\"$1%s{}@contoso.test"),

    # Evidence that is not as the metadata has it
    "quantum": _alert("quantum", 9, evidence=[
        _evidence("quantumEvidence", qubits=[{"spin": "up"}, {"spin": None}], hostName="ws-0001"),
        _evidence("ipEvidence", ipAddress="192.0.2.17")]),
    "untyped-evidence": _alert("untyped-evidence", 10, evidence=[_evidence(None, ipAddress="192.0.2.18")]),
    "bare-evidence": _alert("bare-evidence", 11, evidence=[_evidence("alertEvidence")]),
    "type-without-hash": _alert("type-without-hash", 12, evidence=[
        {"@odata.type": "microsoft.graph.security.urlEvidence", "url": "https://example.test/"}]),
    "type-last": _alert("type-last", 13, evidence=[
        {**_BASE, "deviceDnsName": "ws-0001.contoso.test", "@odata.type": _NAMESPACE + "deviceEvidence"}]),
    "odd-elements": _alert("odd-elements", 14, evidence=[None, 17, "text", [], {}, _evidence("urlEvidence", url="x")]),
    "evidence-null": _alert("evidence-null", 15, evidence=None, comments=None),
    "evidence-missing": _without(_without(_alert("evidence-missing", 16), b',"evidence":[]'), b',"comments":[]'),
    "evidence-object": _alert("evidence-object", 17, evidence=_evidence("urlEvidence", url="https://example.test/")),

    # Values of another type, more members, fewer members
    "wrong-types": _alert("wrong-types", 18, title=17, description={"a": [1, None, True]}, severity=["high"],
                          incidentId=28282, systemTags="one", mitreTechniques={"0": "T1"}, customDetails=[1],
                          resolvedDateTime=0, assignedTo=True,
                          evidence=[_evidence("deviceEvidence", osBuild="22424", rbacGroupId=7.5, ipInterfaces="1.1.1.1",
                                              vmMetadata="none", loggedOnUsers={}, hostName=False)]),
    "bad-times": _alert("bad-times", 19, resolvedDateTime="yesterday", firstActivityDateTime="2021-02-30T25:61:61Z",
                        lastActivityDateTime="0001-01-01T00:00:00Z"),
    "far-times": _alert("far-times", 20, firstActivityDateTime="0001-01-01T00:00:00Z",
                        lastActivityDateTime="9999-12-31T23:59:59.9999999Z",
                        resolvedDateTime="2020-01-31T23:59:59.9999999+14:00"),
    "extra": _alert("extra", 21, newProperty={"nested": True}, **{"severity@odata.type": "#String", "": "empty name",
                                                                  "Title": "another case", "naïve ключ": "é"}),
    "bare": b'{"id":"ugly-bare","createdDateTime":"2020-01-22T00:00:00Z"}',
    "empty-arrays": _alert("empty-arrays", 23, systemTags=[], mitreTechniques=[], categories=[None, "", "A,B", '"', "{}"]),

    # Numbers
    "numbers": _with(_alert("numbers", 24), b'"additionalData":{"most":9223372036854775807,"least":-9223372036854775808,'
                     b'"over":9223372036854775808,"huge":1e400,"tiny":1e-400,"minusZero":-0,"minusZeroFloat":-0.0,'
                     b'"exact":0.1000000000000000055511151231257827,"exponent":1E+2,"beyondDouble":9007199254740993,'
                     b'"digits":' + b"7" * 400 + b"}"),
    "int64-as-text": _alert("int64-as-text", 25, evidence=[
        _evidence("processEvidence", processId="9223372036854775807", parentProcessId=-1)]),

    # Structure
    "duplicate-keys": _with(_alert("duplicate-keys", 26), b'"title":"the last title"', b'"severity":"low"'),
    "deep": _alert("deep", 27, additionalData=_nested(30)),
    "escaped-keys": _alert("escaped-keys", 28).replace(b'"id"', b'"\\u0069d"').replace(b'"title"', b'"t\\u0069tle"')
                    .replace(b'"evidence"', b'"\\u0065vidence"'),
    "whitespace": _alert("whitespace", 29).replace(b'":', b'" \t:\r\n ').replace(b',"', b' ,\n\n\t"'),
    "brackets-in-strings": _alert("brackets-in-strings", 30, title='}]},"value":[{"id":"no\\"', description="\\\\\"]}"),
    "odd-id": _alert("odd-id", 31, id="odd/../id with space+%2F?#&'é;\\"),
}
