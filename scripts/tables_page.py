#!/usr/bin/env python3
"""Write what docs/tables.md says of each table: its columns and three queries.

    python3 scripts/tables_page.py            write the page
    python3 scripts/tables_page.py --check    exit 1 if it is out of date

Types, columns and their descriptions come from metadata/*.csv. What is above the line MARK in the page is written by
hand and stays; t/120_docs.pl runs the queries, and compares the columns with those of imported tables.
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "metadata"))
sys.dont_write_bytecode = True

import generate  # noqa: E402  (the module is found by the line above)

PAGE = TOP / "docs/tables.md"
MARK = "<!-- What follows is written by scripts/tables_page.py. -->\n"

# An enum with more members has them in a table of their own.
MOST_LISTED = 8

SQL_TYPES = {
    "GRAPH_EDM_STRING": "text",
    "GRAPH_EDM_ENUM": "text",
    "GRAPH_EDM_BOOLEAN": "boolean",
    "GRAPH_EDM_INT32": "integer",
    "GRAPH_EDM_INT64": "bigint",
    "GRAPH_EDM_DOUBLE": "double precision",
    "GRAPH_EDM_DATETIME": "timestamptz",
    "GRAPH_EDM_GUID": "uuid",
}

# What rows repeat of what they belong to: column, property of it, and name.
OF_ALERT = [("alert_title", "title"), ("alert_severity", "severity"), ("alert_status", "status"),
            ("alert_created_date_time", "createdDateTime"), ("alert_last_update_date_time", "lastUpdateDateTime"),
            ("alert_service_source", "serviceSource"), ("incident_id", "incidentId")]
OF_INCIDENT = [("incident_display_name", "displayName"), ("incident_severity", "severity"),
               ("incident_status", "status"), ("incident_created_date_time", "createdDateTime"),
               ("incident_last_update_date_time", "lastUpdateDateTime")]

SAMPLE_ALERT = "da637578995287051192_756343937"

# Names that people know things by, the best first.
KNOWN_BY = ["command_line$", "^device_dns_name", "^subject$", "^value$", "^domain_name$", "principal_name$", "file_name$", "display_name$", "account_name$", "^url$",
            "ip_address$", "primary_address$", "_address$", "^name$", "_name$", "registry_key$", "_id$"]

# Queries for the tables that people begin with; others get those of queries_of().
QUERIES = {
    "alerts": [
        ("The newest ones that nobody has resolved.", """\
SELECT id, created_date_time, severity, title, assigned_to
FROM defender.alerts
WHERE status <> 'resolved' AND created_date_time >= now() - interval '1 day'
ORDER BY created_date_time DESC LIMIT 20;"""),
        ("How many a day, by severity.", """\
SELECT created_date_time::date AS day, severity, count(*)
FROM defender.alerts
WHERE created_date_time >= now() - interval '7 days'
GROUP BY day, severity ORDER BY day, severity;"""),
        ("What was changed in the last hour.", """\
SELECT id, last_update_date_time, status, title
FROM defender.alerts WHERE last_update_date_time >= now() - interval '1 hour';"""),
    ],
    "alert_evidence": [
        ("Everything that an alert points at.", f"""\
SELECT ordinal, evidence_type, verdict, device_dns_name, file_name, ip_address, user_principal_name
FROM defender.alert_evidence WHERE alert_id = '{SAMPLE_ALERT}' ORDER BY ordinal;"""),
        ("Where a hash was seen, and in which role.", """\
SELECT alert_created_date_time, alert_title, evidence_type, file_path
FROM defender.alert_evidence
WHERE sha256 = '91d3b3b2a16bb1a5e1fd0f4ce2f0e0a3e33b5ae8e8d0f7d1f5e2c0b1a4b8c6d2'
  AND alert_created_date_time >= now() - interval '7 days';"""),
        ("How many of which type.", """\
SELECT evidence_type, count(*)
FROM defender.alert_evidence WHERE alert_created_date_time >= now() - interval '1 day'
GROUP BY evidence_type ORDER BY count(*) DESC;"""),
    ],
    "alert_comments": [
        ("What was said of an alert.", f"""\
SELECT created_date_time, created_by_display_name, comment
FROM defender.alert_comments WHERE alert_id = '{SAMPLE_ALERT}' ORDER BY ordinal;"""),
        ("Who has commented this week.", """\
SELECT created_by_display_name, count(*)
FROM defender.alert_comments WHERE alert_last_update_date_time >= now() - interval '7 days'
GROUP BY created_by_display_name;"""),
        ("Alerts of high severity that nobody has said anything about.", """\
SELECT a.id, a.title
FROM defender.alerts AS a
WHERE a.severity = 'high' AND a.created_date_time >= now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM defender.alert_comments AS c WHERE c.alert_id = a.id);"""),
    ],
    "incidents": [
        ("Which are open, newest first.", """\
SELECT id, created_date_time, severity, display_name, assigned_to
FROM defender.incidents WHERE status = 'active'
ORDER BY created_date_time DESC NULLS LAST LIMIT 20;"""),
        ("The alerts of one.", """\
SELECT id, created_date_time, severity, title
FROM defender.alerts WHERE incident_id = '28001' ORDER BY created_date_time;"""),
        ("How many of each severity were made this month.", """\
SELECT severity, count(*)
FROM defender.incidents WHERE created_date_time >= date_trunc('month', now()) GROUP BY severity;"""),
    ],
    "incident_comments": [
        ("What was said of an incident.", """\
SELECT created_date_time, created_by_display_name, comment
FROM defender.incident_comments WHERE incident_id = '28001' ORDER BY ordinal;"""),
        ("What is new in open incidents.", """\
SELECT incident_id, incident_display_name, created_by_display_name, comment
FROM defender.incident_comments
WHERE incident_status = 'active' AND incident_last_update_date_time >= now() - interval '1 day';"""),
        ("Where a word was said.", """\
SELECT incident_id, comment
FROM defender.incident_comments
WHERE comment ILIKE '%phish%' AND incident_last_update_date_time >= now() - interval '7 days';"""),
    ],
    "device_evidence": [
        ("Machines in this week's alerts of high severity.", """\
SELECT device_dns_name, count(DISTINCT alert_id) AS alerts, max(alert_created_date_time) AS latest
FROM defender.device_evidence
WHERE alert_severity = 'high' AND alert_created_date_time >= now() - interval '7 days'
GROUP BY device_dns_name ORDER BY alerts DESC;"""),
        ("Machines of an incident, and how they are.", """\
SELECT DISTINCT device_dns_name, os_platform, health_status, risk_score, onboarding_status
FROM defender.device_evidence WHERE incident_id = '28001';"""),
        ("Who was logged on.", f"""\
SELECT device_dns_name, u->>'accountName' AS account, u->>'domainName' AS domain
FROM defender.device_evidence, jsonb_array_elements(logged_on_users) AS u
WHERE alert_id = '{SAMPLE_ALERT}';"""),
    ],
}


class Metadata:
    """What generate.py reads, with the descriptions."""

    def __init__(self):
        self.types, self.derived = generate.read_types()
        self.enums = generate.read_enums(self.types)
        described = generate.read_descriptions()
        self.tables, self.columns = described["table"], described["column"]

    def describe(self, prop):
        """A property in a sentence, with the members of a short enum."""
        text = prop.description
        members = members_of(self.enums, prop.type_name)
        if not members:
            return text + "."
        if len(members) > MOST_LISTED:
            return f"{text}: a member of [{prop.type_name}](#members-of-long-enums)."
        return f"{text}: " + ", ".join(f"`{m}`" for m in members) + "."

    def property_columns(self, name, own_only=False):
        """The columns that a type's properties become: name, SQL type, description."""
        props = self.types[name] if own_only else generate.all_properties(self.types, self.derived, name)
        for prop in props:
            column = generate.snake_case(prop.name)
            yield column, sql_type(prop), self.describe(prop)
            if prop.flattens():
                for inner in generate.all_properties(self.types, self.derived, prop.type_name):
                        yield (f"{column}_{generate.snake_case(inner.name)}", sql_type(inner),
                           f"{prop.description}: {self.describe(inner)}")

    def join_columns(self):
        """Those by which evidence of any type is joined, with the types that have them."""
        source = (TOP / "src/catalog/column.c").read_text(encoding="utf-8")
        table = re.search(r"join_columns\[\] = \{\n(.*?)\n\};", source, re.S).group(1)
        for column, kind in re.findall(r'\{"(\w+)",\s*"(\w+)",', table):
            yield column, kind, self.columns[column] + "."

    def of_parent(self, record, columns):
        """What a row repeats of its alert or incident."""
        for column, name in columns:
            prop = generate.walk(self.types, self.derived, record, name)
            yield column, sql_type(prop), f"The {record}'s `{generate.snake_case(name)}`."


def members_of(enums, name):
    """The members of an enum that mean something; none if there is no such enum."""
    return [member for member, _ in enums.get(name, []) if member != "unknownFutureValue"]


def sql_type(prop):
    base = SQL_TYPES.get(prop.kind, "jsonb")
    return base + "[]" if prop.collection and base != "jsonb" else base


def column_table(columns):
    lines = ["| column | type | |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {text.replace('|', chr(92) + '|')} |" for name, kind, text in columns]
    return lines


def told_by(columns):
    """The columns of a type of evidence that people know a piece by, at most three."""
    plain = [name for name, kind, _ in columns if kind != "jsonb" and not kind.endswith("[]")]

    def rank(name):
        return next((i for i, word in enumerate(KNOWN_BY) if re.search(word, name)), len(KNOWN_BY))

    return sorted(plain, key=rank)[:3]


def queries_of(table, columns):
    """Three queries for a table of evidence: the newest, those of an incident, what is in the most alerts."""
    shown = told_by(columns)
    key = shown[0] if shown else "verdict"
    return [
        ("The newest.", f"""\
SELECT {', '.join(['alert_created_date_time', 'alert_severity', 'alert_title'] + shown)}
FROM defender.{table} WHERE alert_created_date_time >= now() - interval '1 day'
ORDER BY alert_created_date_time DESC LIMIT 20;"""),
        ("Those of an incident.", f"""\
SELECT {', '.join(['alert_id', 'ordinal', 'verdict'] + shown)}
FROM defender.{table} WHERE incident_id = '28001' ORDER BY alert_id, ordinal;"""),
        ("What is in the most alerts.", f"""\
SELECT {key}, count(DISTINCT alert_id) AS alerts
FROM defender.{table} WHERE alert_created_date_time >= now() - interval '7 days'
GROUP BY {key} ORDER BY alerts DESC LIMIT 10;"""),
    ]


def query_block(queries):
    lines = ["", "```sql"]
    for comment, query in queries:
        lines += ["-- " + comment[0].lower() + comment[1:].rstrip("."), query]
    return lines + ["```", ""]


def section(metadata, table, columns, own=None):
    """A table: what it holds, its columns, three queries."""
    lines = [f"### {table}", "", metadata.tables[table] + ".", ""]
    if columns:
        lines += column_table(columns) + [""]
    return lines[:-1] + query_block(QUERIES.get(table) or queries_of(table, own if own is not None else columns))


def page():
    """What is below the mark."""
    m = Metadata()
    raw = ("raw", "jsonb", m.columns["raw"] + ".")
    ordinal = ("ordinal", "integer", m.columns["ordinal"] + ".")
    alert_id = ("alert_id", "text", "The alert's `id`.")
    of_alert = list(m.of_parent("alert", OF_ALERT))
    common = list(m.property_columns(generate.BASE))
    comment = list(m.property_columns("alertComment"))
    names = {generate.snake_case(t): t for t in m.derived}

    out = ["", "## Alerts, incidents and comments", ""]
    out += section(m, "alerts", list(m.property_columns("alert")) + [raw])
    out += section(m, "alert_comments", [alert_id, ordinal] + comment + of_alert + [raw])
    out += section(m, "incidents", list(m.property_columns("incident")) + [raw])
    out += section(m, "incident_comments",
                   [("incident_id", "text", "The incident's `id`."), ordinal] + comment
                   + list(m.of_parent("incident", OF_INCIDENT)) + [raw])
    out += ["## Evidence", "",
            "Every table of evidence has the columns of its type, which are listed with it, between these:", ""]
    out += column_table([alert_id, ordinal] + common + of_alert + [raw])
    out += [""]
    out += section(m, "alert_evidence",
                   [("evidence_type", "text", m.columns["evidence_type"] + ".")] + list(m.join_columns()))
    for table in names:
        own = list(m.property_columns(names[table], own_only=True))
        out += section(m, table, own, own)
    out += ["## Members of long enums", "", "| enum | members |", "|---|---|"]
    out += [f"| {name} | " + ", ".join(f"`{member}`" for member in members_of(m.enums, name)) + " |"
            for name in m.enums if len(members_of(m.enums, name)) > MOST_LISTED]
    return "\n".join(out) + "\n"


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit(__doc__)
    text = PAGE.read_text(encoding="utf-8")
    by_hand = text.partition(MARK)[0].rstrip("\n")
    new = f"{by_hand}\n\n{MARK}{page()}"
    if not sys.argv[1:]:
        PAGE.write_text(new, encoding="utf-8", newline="\n")
    elif new != text:
        raise SystemExit("docs/tables.md is out of date: run python3 scripts/tables_page.py")


if __name__ == "__main__":
    main()
