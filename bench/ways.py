"""In which ways can columns of alerts be had, other than by graph_fdw?

A work is a list of columns. Each way is given the same and counts, column by column, the values that are not null, so
that all values are made, none is printed, and the answers can be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pages  # noqa: F401

from metadata import Metadata

if TYPE_CHECKING:
    from bench import Postgres


class Column(NamedTuple):
    name: str
    type: str                       # of the other ways; a list of texts is jsonb for them
    paths: tuple[str, ...]          # the first that is there counts


class Work(NamedTuple):
    name: str
    table: str                      # of graph_fdw: "alerts" or "alert_evidence"
    columns: list[Column]

    @property
    def of_evidence(self) -> bool:
        return self.table == "alert_evidence"


FIVE = Work("five", "alerts", [
    Column("id", "text", ("id",)),
    Column("title", "text", ("title",)),
    Column("severity", "text", ("severity",)),
    Column("status", "text", ("status",)),
    Column("created_date_time", "timestamptz", ("createdDateTime",)),
])

EVIDENCE = Work("evidence", "alert_evidence", [
    Column("alert_id", "text", ("../id",)),
    Column("evidence_type", "text", ("@odata.type",)),
    Column("verdict", "text", ("verdict",)),
    Column("remediation_status", "text", ("remediationStatus",)),
    Column("device_dns_name", "text", ("deviceDnsName", "host/deviceDnsName")),
    Column("host_name", "text", ("hostName", "host/hostName")),
    Column("file_name", "text", ("fileDetails/fileName", "imageFile/fileName")),
    Column("sha256", "text", ("fileDetails/sha256", "imageFile/sha256")),
    Column("process_command_line", "text", ("processCommandLine",)),
    Column("account_name", "text", ("userAccount/accountName", "account/userAccount/accountName")),
])

RAW = Column("raw", "jsonb", ())


def all_columns() -> Work:
    """Every column of the table of alerts that is a property."""
    types = {"Edm.DateTimeOffset": "timestamptz"}
    return Work("all", "alerts", [
        Column(_snake_case(prop.name), "jsonb" if prop.collection or prop.kind == "complex" else
               types.get(prop.type, "text"), (prop.name,))
        for prop in Metadata().alert])


def _snake_case(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def _counts(work: Work) -> str:
    return ", ".join(f"count({column.name})" for column in work.columns)


def graph_query(work: Work, table: str) -> str:
    return f"SELECT {_counts(work)} FROM {table}"


def _curl(urls: list[str], folder: Path, name: str) -> str:
    """A command that gets all pages over one connection."""
    config = folder / f"{name}.curl"
    config.write_text("".join(f'url = "{url}"\n' for url in urls), encoding="ascii")
    return f"curl -sS --noproxy '*' -K {config}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class FileFdw:
    """file_fdw runs curl and gives pages as jsonb, which operators take apart."""

    label = "file_fdw, PROGRAM 'curl', jsonb"

    def __init__(self, work: Work, urls: list[str], folder: Path):
        self._work = work
        self._command = _curl(urls, folder, f"file_{work.name}")

    def prepare(self) -> str:
        # one column to a line: neither character occurs in JSON
        return (f"CREATE FOREIGN TABLE file_{self._work.name} (page jsonb) SERVER files OPTIONS (program "
                f"{_quoted(self._command)}, format 'csv', delimiter E'\\x01', quote E'\\x02')")

    def measure(self, db: Postgres) -> tuple[float, str]:
        source = f"file_{self._work.name} f, jsonb_array_elements(f.page->'value') a"
        if self._work.of_evidence:
            source += ", jsonb_array_elements(a->'evidence') e"
        counts = ", ".join(f"count({self._expression(column)})" for column in self._work.columns)
        if self._work.name == "all":
            # so many members are faster to have at once
            record = ", ".join(f'"{column.paths[0]}" {column.type}' for column in self._work.columns)
            source += f", jsonb_to_record(a) r ({record})"
            counts = ", ".join(f'count(r."{column.paths[0]}")' for column in self._work.columns)
        return db.timed("SELECT 1", f"SELECT {counts} FROM {source}")

    def _expression(self, column: Column) -> str:
        parts = []
        for path in column.paths:
            row = "e" if self._work.of_evidence else "a"
            if path.startswith("../"):
                row, path = "a", path[3:]
            names = path.split("/")
            parts.append(f"{row}->>'{names[0]}'" if len(names) == 1 else f"{row}#>>'{{{','.join(names)}}}'")
        expression = parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"
        return expression if column.type == "text" else f"({expression})::{column.type}"


class CopyFromJq:
    """curl gets the pages, jq makes CSV, and COPY loads a table."""

    label = "curl | jq | COPY"

    def __init__(self, work: Work, urls: list[str], folder: Path):
        self._work = work
        self._program = folder / f"{work.name}.jq"
        self._program.write_text(self._jq(), encoding="ascii")
        self._command = f"{_curl(urls, folder, f'copy_{work.name}')} | jq -r -f {self._program}"

    def _jq(self) -> str:
        values = []
        for column in self._work.columns:
            value = " // ".join(self._path(path) for path in column.paths)
            values.append(f"({value} | json)" if column.type == "jsonb" else value)
        rows = ".value[] | . as $alert | .evidence[]" if self._work.of_evidence else ".value[]"
        return f"def json: if . == null then . else tojson end;\n{rows} | [{', '.join(values)}] | @csv\n"

    @staticmethod
    def _path(path: str) -> str:
        row = ""
        if path.startswith("../"):
            row, path = "$alert", path[3:]
        return row + "".join(f'["{name}"]' if row or number else f'.["{name}"]'
                             for number, name in enumerate(path.split("/")))

    def prepare(self) -> str:
        columns = ", ".join(f"{column.name} {column.type}" for column in self._work.columns)
        return f"CREATE UNLOGGED TABLE copy_{self._work.name} ({columns})"

    def measure(self, db: Postgres) -> tuple[float, str]:
        table = f"copy_{self._work.name}"
        seconds, _ = db.timed(f"TRUNCATE {table}", f"COPY {table} FROM PROGRAM {_quoted(self._command)} (FORMAT csv)")
        return seconds, db.run(f"SELECT {_counts(self._work)} FROM {table}")


class PlPython:
    """A function in PL/Python that returns rows: urllib and json."""

    label = "PL/Python, urllib + json"

    def __init__(self, work: Work, first: str):
        self._work, self._first = work, first

    def prepare(self) -> str:
        columns = ", ".join(f"{column.name} {column.type}" for column in self._work.columns)
        values = ", ".join(self._value(column) for column in self._work.columns)
        rows = "for row in alert['evidence']:" if self._work.of_evidence else "for row in (alert,):"
        return f"""
CREATE FUNCTION python_{self._work.name}(first text) RETURNS TABLE ({columns}) LANGUAGE plpython3u AS $python$
import json, urllib.request

def at(row, *names):
    for name in names:
        row = row.get(name)
        if row is None:
            return None
    return row

def text(value):
    return None if value is None else json.dumps(value)

opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
url = first
while url:
    with opener.open(url) as answer:
        page = json.load(answer)
    for alert in page['value']:
        {rows}
            yield ({values},)
    url = page.get('@odata.nextLink')
$python$"""

    @staticmethod
    def _value(column: Column) -> str:
        parts = []
        for path in column.paths:
            row = "row"
            if path.startswith("../"):
                row, path = "alert", path[3:]
            names = path.split("/")
            parts.append(f"{row}.get('{names[0]}')" if len(names) == 1 else
                         f"at({row}, {', '.join(repr(name) for name in names)})")
        value = " or ".join(parts)
        return f"text({value})" if column.type == "jsonb" else value

    def measure(self, db: Postgres) -> tuple[float, str]:
        name = f"python_{self._work.name}"
        # a first call would load the interpreter and the modules
        return db.timed("DO LANGUAGE plpython3u $$ import json, urllib.request $$",
                        f"SELECT {_counts(self._work)} FROM {name}({_quoted(self._first)})")
