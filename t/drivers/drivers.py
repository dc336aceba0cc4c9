#!/usr/bin/env python3
"""What drivers for Python do: psycopg 2 and 3, SQLAlchemy, and pyodbc with psqlODBC, those of them that are installed.

    python3 drivers.py '{"host": …, "port": …, "emulator": "http://127.0.0.1:…"}'

A line of JSON for each step: its driver and name, what it gave, and the targets of the requests that it made. A driver
that is not there has the step "missing".
"""

from __future__ import annotations

import importlib
import json
import sys
import urllib.request
from datetime import datetime, timezone

GIVEN = json.loads(sys.argv[1])
REQUESTS = GIVEN["emulator"] + "/_emulator/requests"
SINCE = datetime(2026, 7, 30, 12, tzinfo=timezone.utc)
COUNT = "SELECT count(*) FROM alerts WHERE severity = %s AND created_date_time >= %s"


def step(driver, name, answer):
    with urllib.request.urlopen(REQUESTS) as response:
        targets = [request["target"] for request in json.load(response) if "oauth2" not in request["target"]]
    urllib.request.urlopen(urllib.request.Request(REQUESTS, method="DELETE")).close()
    print(json.dumps({"driver": driver, "step": name, "answer": answer, "requests": targets}, default=str), flush=True)


def settings():
    return {"host": GIVEN["host"], "port": GIVEN["port"], "user": "postgres", "dbname": "postgres",
            "options": "-c search_path=live -c timezone=UTC"}


def common(driver, execute):
    """What both versions of psycopg are asked."""
    step(driver, "values", execute(COUNT, ("high", SINCE)))
    step(driver, "id", execute("SELECT title FROM alerts WHERE id = %s", ("a0007",)))
    step(driver, "ids", execute("SELECT count(*) FROM alerts WHERE id = ANY (%s)", (["a0007", "a0008", "a0007"],)))
    step(driver, "members", execute("SELECT count(*) FROM alerts WHERE severity = ANY (%s) AND status = %s", (["high", "low"], "new")))
    step(driver, "latest", execute("SELECT count(*), min(id) FROM (SELECT id FROM alerts ORDER BY created_date_time DESC LIMIT %s) AS a", (10,)))
    step(driver, "optional", execute("SELECT count(*) FROM alerts WHERE (%s::text IS NULL OR severity = %s) AND created_date_time >= %s",
                                     (None, None, SINCE)))


def psycopg2(module):
    connection = module.connect(**settings())
    cursor = connection.cursor()

    def execute(sql, values):
        cursor.execute(sql, values)
        return cursor.fetchall()

    execute("SELECT 1", None)
    common("psycopg2", execute)
    cursor.execute("SELECT id FROM alerts WHERE severity IN %s AND created_date_time >= %s", (("high", "low"), SINCE))
    step("psycopg2", "tuple", cursor.rowcount)

    with connection.cursor("named") as named:
        named.itersize = 100
        named.execute("SELECT id, title FROM alerts")
        step("psycopg2", "cursor", len(named.fetchmany(300)))
        step("psycopg2", "the rest", len(named.fetchall()))
    with connection.cursor("half") as named:
        named.execute("SELECT id, title FROM alerts")
        named.fetchmany(5)
    connection.commit()
    step("psycopg2", "half of a cursor", 0)
    held = connection.cursor("held", withhold=True)
    held.execute("SELECT id, title FROM alerts")
    held.fetchmany(5)
    step("psycopg2", "with hold", 5)
    connection.commit()
    step("psycopg2", "with hold, after the commit", len(held.fetchall()))
    held.close()
    connection.rollback()


def psycopg(module):
    with module.connect(**settings(), autocommit=True) as connection:
        common("psycopg", lambda sql, values: connection.execute(sql, values).fetchall())
        counts = [connection.execute(COUNT, ("high", SINCE), prepare=True).fetchone()[0] for _ in range(12)]
        step("psycopg", "prepared", [len(counts), *sorted(set(counts))])
        with connection.transaction(), connection.cursor("named") as named:
            named.execute("SELECT id, title FROM alerts WHERE severity = %s", ("high",))
            step("psycopg", "cursor", len(named.fetchmany(100)))
        with connection.cursor().copy("COPY (SELECT id FROM alerts WHERE severity = 'high' AND status = 'new') TO STDOUT") as copy:
            rows = sum(1 for _ in copy.rows())
        step("psycopg", "copy", rows)
        with connection.pipeline():
            cursors = [connection.execute(COUNT, (severity, SINCE)) for severity in ("high", "low")]
        step("psycopg", "pipeline", [cursor.fetchone()[0] for cursor in cursors])
        try:
            connection.execute("SELECT 1 / 0 FROM alerts WHERE id = 'a0007'")
        except module.Error as error:
            step("psycopg", "error", error.sqlstate)


def sqlalchemy(module):
    engine = module.create_engine(f"postgresql+psycopg2://postgres@/postgres?host={GIVEN['host']}&port={GIVEN['port']}")
    inspector = module.inspect(engine)
    for schema in ("live", "seen", "kept"):
        step("sqlalchemy", f"names in {schema}", [len(inspector.get_table_names(schema)), len(inspector.get_view_names(schema))])
        types = {column["name"]: str(column["type"]) for column in inspector.get_columns("alerts", schema)}
        step("sqlalchemy", f"columns in {schema}", [types[name] for name in ("id", "created_date_time", "categories", "raw")])
    alerts = module.Table("alerts", module.MetaData(), schema="live", autoload_with=engine)
    day = module.func.date_trunc("day", alerts.c.created_date_time)
    query = (module.select(day, module.func.count()).where(alerts.c.created_date_time >= SINCE, alerts.c.severity.in_(["high", "low"]))
             .group_by(day))
    with engine.connect() as connection:
        step("sqlalchemy", "a chart", [row[1] for row in connection.execute(query)])
        result = connection.execution_options(stream_results=True, max_row_buffer=100).execute(module.select(alerts.c.id))
        step("sqlalchemy", "a stream", len(result.fetchmany(100)))


def pyodbc(module):
    for name, setting in (("all rows", ""), ("portions", "UseDeclareFetch=1;Fetch=100;")):
        connection = module.connect(f"Driver={{PostgreSQL Unicode}};Server={GIVEN['host']};Port={GIVEN['port']};"
                                    f"Database=postgres;Uid=postgres;{setting}", autocommit=True)
        cursor = connection.cursor()
        cursor.execute("SET search_path = live")
        step("pyodbc", f"the type of a foreign table, {name}", [row.table_type for row in cursor.tables(schema="live", table="alerts")])
        cursor.execute(COUNT.replace("%s", "?"), "high", SINCE.replace(tzinfo=None).isoformat(" ") + "Z")
        step("pyodbc", "values", cursor.fetchone()[0])
        cursor.execute("SELECT id, title FROM alerts")
        step("pyodbc", name, len(cursor.fetchmany(10)))
        connection.close()


def found_module(name):
    module = importlib.import_module(name)
    if name == "pyodbc" and "PostgreSQL Unicode" not in module.drivers():
        raise ImportError("psqlODBC is not installed")
    return module


for name, run in (("psycopg2", psycopg2), ("psycopg", psycopg), ("sqlalchemy", sqlalchemy), ("pyodbc", pyodbc)):
    try:
        found = found_module(name)
    except ImportError:
        step(name, "missing", None)
    else:
        run(found)
