"""How fast is graph_fdw, beside a program without a database and beside what people use today?

Called by `run`, which has built everything and started PostgreSQL. This file starts the web servers, takes the ways to
do each work in turn, as often as there are rounds, and prints medians and their ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import pages
import ways

HERE = Path(__file__).resolve().parent
GROUPS = ("five", "all", "evidence", "keys", "any", "windows", "first", "memory", "growth", "instructions")
KEYS = 2000
SLOW_KEYS = 200
SLOW_PAGES = 50
SLOW_PAGE_SIZE = 20
LATENCY = 0.1
FLOOR = "libcurl + jansson, no database (the floor)"
OURS = "graph_fdw"


class Failure(Exception):
    """Something that ends the run, said in one sentence."""


class Goal(NamedTuple):
    """A limit for the ratio or, where there is none, for the value: not more than this."""

    must: float
    aim: float


class Row(NamedTuple):
    label: str
    value: float | None
    unit: str = "s"
    ratio: float | None = None
    goal: Goal | None = None
    note: str = ""

    def judged(self) -> float | None:
        """What the goal is about: the ratio, or else the value."""
        return self.value if self.ratio is None else self.ratio


class Table:
    """Rows in groups, printed as soon as a group is measured."""

    def __init__(self, file: Path):
        self._file = open(file, "w", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file)
        self._csv.writerow(("work", "way", "value", "unit", "ratio", "must", "aim", "note"))
        self.missed = 0

    def group(self, title: str, rows: list[Row]) -> None:
        print(f"\n{title:<64}{'median':>10}    {'ratio':>8}{'must':>7}{'aim':>7}")
        for row in rows:
            print(self._line(row).rstrip())
            self._csv.writerow((title, row.label, _number(row.value), row.unit, _number(row.ratio),
                                *map(_number, row.goal or (None, None)), row.note))
        self._file.flush()
        sys.stdout.flush()

    def _line(self, row: Row) -> str:
        digits = {"s": 3, "MB": 1}.get(row.unit, 0)
        value = "" if row.value is None else f"{row.value:,.{digits}f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        must, aim = (f"{number:.3g}" for number in row.goal) if row.goal else ("", "")
        numbers = f"{value:>10} {row.unit:<3}{ratio:>8}{must:>7}{aim:>7}"
        return f"  {row.label:<62}{numbers}  {self._verdict(row):<8}{row.note}"

    def _verdict(self, row: Row) -> str:
        judged = row.judged()
        if row.goal is None or judged is None:
            return ""
        if judged > row.goal.must:
            self.missed += 1
            return "MISSED"
        return "met" if judged > row.goal.aim else "aim met"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


# ---------------------------------------------------------------------------------------------------------------------
# Servers

class Nginx:
    """The pages and alerts as files."""

    def __init__(self, folder: Path, page_count: int, key_count: int):
        self.port = _free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self._folder, self._pages = folder, folder / "pages"
        self._process: subprocess.Popen | None = None
        self.total, self.ids = pages.write(self._pages, self.root, page_count, key_count)

    def __enter__(self) -> Nginx:
        text = (HERE / "nginx.conf").read_text(encoding="ascii")
        for name, value in (("folder", self._folder), ("pages", self._pages), ("port", self.port)):
            text = text.replace(f"@{name}@", str(value))
        conf = self._folder / "nginx.conf"
        conf.write_text(text, encoding="ascii")
        command = ["nginx", "-c", str(conf), "-e", str(self._folder / "nginx.log"), "-p", str(self._folder)]
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        self._process = subprocess.Popen(command, env={**os.environ, "PATH": path})
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            time.sleep(0.05)
        raise Failure("nginx did not start: " + (self._folder / "nginx.log").read_text(errors="replace"))

    def __exit__(self, *_: object) -> None:
        _stop(self._process)

    def first_page(self, page_count: int) -> str:
        return f"{self.root}{pages.PATH}?$top={pages.PER_PAGE}&$skiptoken={page_count}"

    def page_urls(self, page_count: int) -> list[str]:
        return [self.first_page(number) for number in range(page_count, 0, -1)]


class SlowServer:
    """The same alerts, far away; see slow_server.py."""

    def __init__(self, folder: Path):
        self._ids_file = folder / "slow-ids"

    def __enter__(self) -> SlowServer:
        command = [sys.executable, "-B", str(HERE / "slow_server.py"), "--ids", str(self._ids_file),
                   "--alerts", str(SLOW_PAGES * SLOW_PAGE_SIZE), "--latency", str(LATENCY)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            raise Failure("the slow server did not start")
        self.root = f"http://127.0.0.1:{port}"
        self.ids = self._ids_file.read_text(encoding="ascii").split()
        return self

    def __exit__(self, *_: object) -> None:
        _stop(self._process)

    def stats(self, forget: bool = False) -> dict[str, int]:
        request = urllib.request.Request(self.root + "/_stats", method="DELETE" if forget else "GET")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _stop(process: subprocess.Popen | None, number: signal.Signals = signal.SIGTERM) -> None:
    if process is None:
        return
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ---------------------------------------------------------------------------------------------------------------------
# PostgreSQL

class Postgres:
    def __init__(self, folder: Path, bindir: Path):
        self._folder, self._bindir = folder, bindir

    def run(self, sql: str) -> str:
        """Run statements in a session of their own; what they print."""
        command = [str(self._bindir / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        done = subprocess.run(command, input=sql, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{done.stderr.strip()}\n(of: {sql[:2000]})")
        return done.stdout.strip()

    def timed(self, before: str, query: str) -> tuple[float, str]:
        """The seconds that one statement takes in a session where another came before, and its answer."""
        printed = self.run(f"{before};\n\\echo ---\n\\timing on\n{query};\n").partition("---\n")[2]
        found = re.search(r"^Time: ([0-9.]+) ms", printed, re.MULTILINE)
        if not found:
            raise Failure(f"psql printed no time: {printed}")
        return float(found[1]) / 1000, printed[:found.start()].strip()

    def has(self, option: str, value: str, server: str) -> bool:
        """Set an option of a server, if there is one of that name."""
        try:
            self.run(f"ALTER SERVER {server} OPTIONS (ADD {option} '{value}')")
        except Failure as error:
            if "invalid option" in str(error):
                return False
            raise
        return True

    @contextlib.contextmanager
    def under_callgrind(self, within: str) -> Iterator[Callable[[str], Path]]:
        """Start the server anew, and count what its backends do in one function and below.

        What is given is a function that runs a query in a backend of its own and returns callgrind's file for it.
        Without JIT: callgrind could not name what it compiles.
        """
        data, logs = str(self._folder / "data"), self._folder / "tmp"
        subprocess.run([str(self._bindir / "pg_ctl"), "stop", "-s", "-m", "fast", "-D", data], check=True)
        command = ["valgrind", "--tool=callgrind", f"--toggle-collect={within}", f"--log-file={logs}/valgrind.%p",
                   f"--callgrind-out-file={logs}/callgrind.%p", str(self._bindir / "postgres"), "-D", data,
                   "-c", "jit=off", "-c", "autovacuum=off"]
        with open(logs / "valgrind.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._await(process)
            yield self._run_under_callgrind
        finally:
            _stop(process, signal.SIGINT)

    def _await(self, process: subprocess.Popen) -> None:
        for _ in range(300):
            with contextlib.suppress(Failure):
                self.run("SELECT 1")
                return
            if process.poll() is not None:
                break
            time.sleep(0.2)
        raise Failure("PostgreSQL did not start under valgrind")

    def _run_under_callgrind(self, query: str) -> Path:
        pid = self.run(f"SELECT pg_backend_pid();\n{query}").split()[0]
        file = self._folder / "tmp" / f"callgrind.{pid}"
        for _ in range(300):                    # the backend goes on after the client has its answer
            if file.exists() and not Path(f"/proc/{pid}").exists():
                return file
            time.sleep(0.1)
        raise Failure("callgrind wrote nothing about a backend")

    def add_server(self, name: str, endpoint: str, token: str, options: str = "") -> None:
        """A server of graph_fdw, its login, and its tables in a schema of the same name."""
        self.run(f"CREATE SERVER {name} FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '{endpoint}'{options});\n"
                 f"CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (access_token '{token}');\n"
                 f"CREATE SCHEMA {name};\n"
                 f"IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence) FROM SERVER {name} INTO {name};")


# ---------------------------------------------------------------------------------------------------------------------
# The measurements

class Bench:
    def __init__(self, arguments: argparse.Namespace):
        self.folder: Path = arguments.folder
        self.rounds: int = arguments.rounds
        self.only: set[str] = arguments.only
        self.profile: bool = arguments.profile
        self.pages = 2 if arguments.small else 20
        self.sizes = (1, 10) if arguments.small else (10, 100)      # pages of a short and a long list
        self.scans = (1, 2) if arguments.small else (1, 4)          # pages under callgrind
        self.db = Postgres(arguments.folder, arguments.pg_bin)
        self.data = self.folder / "tmp"
        self.table = Table(self.data / "result.csv")
        self.concurrency = False                # does graph_fdw have the option?

    def run(self) -> int:
        wants_growth = self.only & {"memory", "growth"}
        page_count = max(self.pages, self.sizes[1] if wants_growth else 0)
        print(f"\nWriting {page_count * pages.PER_PAGE:,} alerts ... ", end="", flush=True)
        nginx = Nginx(self.data, page_count, KEYS)
        self.mb = nginx.total / page_count * self.pages / 1e6
        print(f"{nginx.total / 1e6:,.0f} MB, {nginx.total / page_count / pages.PER_PAGE:,.0f} bytes each")
        with nginx, SlowServer(self.data) as slow:
            self.nginx, self.slow = nginx, slow
            self._prepare()
            self._describe()
            for name in GROUPS:
                if name in self.only:
                    getattr(self, name)()
        if self.table.missed:
            print(f"\n{self.table.missed} of the goals missed")
        return 0

    # Preparations

    def _prepare(self) -> None:
        self.db.run("CREATE EXTENSION graph_fdw; CREATE EXTENSION file_fdw; CREATE EXTENSION plpython3u;\n"
                    "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;")
        for count in sorted({1, self.pages, *self.sizes, *self.scans}):
            self.db.add_server(_server(count), self.nginx.root, f"pages-{count}")
            # windows need a service that knows $filter, which files do not
            self.concurrency = self.db.has("concurrency", "1", _server(count))
        for name, width in (("slow", 1), ("slow_4", 4), ("slow_8", 8)):
            self.db.add_server(name, self.slow.root, "slow", f", page_size '{SLOW_PAGE_SIZE}'")
            self.db.has("concurrency", str(width), name)
        self.db.add_server("large", self.slow.root + "/large", "large")
        for name, ids in (("keys", self.nginx.ids), ("slow_keys", self.slow.ids[:SLOW_KEYS])):
            lines = "\n".join(ids)
            self.db.run(f"CREATE TABLE {name} (id text);\nCOPY {name} FROM STDIN;\n{lines}\n\\.\nANALYZE {name};")
        (self.data / "keys").write_text("\n".join(self.nginx.ids), encoding="ascii")

    def _describe(self) -> None:
        memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
        models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        versions = [self.db.run("SHOW server_version").split()[0], self.db.run("SELECT graph_fdw_version()")]
        load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
        print(f"{datetime.date.today()}: {os.cpu_count()} processors ({models[0] if models else os.uname().machine}), "
              f"{int(memory.split()[1]) / 1024**2:.0f} GB, load {load}\n"
              f"PostgreSQL {versions[0]}, graph_fdw {versions[1]}, Linux {os.uname().release}; "
              f"medians of {self.rounds}")
        if not self.concurrency:
            print('graph_fdw has no option "concurrency": what depends on it is measured without.')
        if "JIT:" in self.db.run(f"EXPLAIN {ways.graph_query(ways.FIVE, _server(1) + '.alerts')}"):
            print("PostgreSQL compiles scans of graph_fdw (JIT), because they are planned as expensive; "
                  "that takes time and memory, too.")

    def _in_turn(self, contenders: dict[str, Callable[[], tuple[float, str]]], floor: str | None,
                 goals: dict[str, Goal]) -> tuple[list[Row], dict[str, float]]:
        """Measure each way once a round, and compare; ways that count something must count the same."""
        times: dict[str, list[float]] = {label: [] for label in contenders}
        answers: dict[str, str] = {}
        for _ in range(self.rounds):
            for label, measure in contenders.items():
                seconds, answer = measure()
                times[label].append(seconds)
                if answer:
                    answers[label] = answer
        if len(set(answers.values())) > 1:
            raise Failure("the ways do not agree:\n" + "\n".join(f"{answer}  {way}" for way, answer in answers.items()))
        medians = {label: statistics.median(found) for label, found in times.items()}
        rows = [Row(label, median, ratio=median / medians[floor] if floor else None, goal=goals.get(label),
                    note=f"{min(times[label]):.3f} to {max(times[label]):.3f}")
                for label, median in medians.items()]
        return rows, medians

    # Lists

    def _list(self, title: str, work: ways.Work, goal: Goal, more: dict[str, tuple[ways.Work, Goal]] | None = None,
              others: Goal | None = None) -> None:
        first = self.nginx.first_page(self.pages)
        urls = self.nginx.page_urls(self.pages)
        contenders: dict[str, Callable[[], tuple[float, str]]] = {
            "download only": lambda: self._floor("download", first),
            FLOOR: lambda: self._floor("list", first),
        }
        goals = {OURS: goal}

        def ours(wanted: ways.Work) -> Callable[[], tuple[float, str]]:
            schema = _server(self.pages)
            return lambda: self.db.timed(f"SELECT title FROM {schema}.alerts WHERE id = '{self.nginx.ids[0]}'",
                                         ways.graph_query(wanted, f"{schema}.{wanted.table}"))

        contenders[OURS] = ours(work)
        for label, (wanted, wanted_goal) in (more or {}).items():
            contenders[label] = ours(wanted)
            goals[label] = wanted_goal
        rivals = [ways.FileFdw(work, urls, self.data), ways.CopyFromJq(work, urls, self.data),
                  ways.PlPython(work, first)]
        for rival in rivals:
            self.db.run(rival.prepare())
            contenders[rival.label] = lambda rival=rival: rival.measure(self.db)     # type: ignore[misc]
        # what has more columns gives another answer
        unchecked = set(more or {})
        checked = {label: measure if label not in unchecked else (lambda measure=measure: (measure()[0], ""))
                   for label, measure in contenders.items()}
        rows, medians = self._in_turn(checked, FLOOR, goals)
        best = min(medians[rival.label] for rival in rivals)
        rows.append(Row("graph_fdw, as a part of the best other way's time", None, "", medians[OURS] / best, others))
        self.table.group(f"{title}, {self.pages * pages.PER_PAGE:,} alerts ({self.mb:.0f} MB)", rows)

    def _floor(self, *arguments: str) -> tuple[float, str]:
        done = subprocess.run([str(self.folder / "floor"), *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(done.stderr.strip())
        return float(done.stdout.split()[0]), ""

    def five(self) -> None:
        self._list("Five scalar columns", ways.FIVE, Goal(0.20, 0.12), others=Goal(0.333, 0.2))

    def all(self) -> None:
        columns = ways.all_columns()
        whole = ways.Work("all_raw", columns.table, [*columns.columns, ways.RAW])
        self._list("All columns of alerts", columns, Goal(1.0, 0.7),
                   {"graph_fdw, with the whole alert (raw) besides": (whole, Goal(1.0, 0.7))})

    def evidence(self) -> None:
        self._list("Evidence rows, ten text columns", ways.EVIDENCE, Goal(0.35, 0.20))

    # Lookups

    def keys(self) -> None:
        schema = _server(self.pages)
        query = self._lookups("keys")
        warm_up = f"SELECT title FROM {schema}.alerts WHERE id = '{self.nginx.ids[0]}'"
        loop = "a loop of libcurl + jansson"
        rows, _ = self._in_turn({
            loop: lambda: self._floor("keys", self.nginx.root + pages.PATH, str(self.data / "keys")),
            OURS: lambda: self.db.timed(warm_up, query),
        }, loop, {OURS: Goal(1.0, 0.8)})
        self.table.group(f"{KEYS:,} key lookups in one query", rows)

    def _lookups(self, keys: str) -> str:
        """A query that the planner cannot turn into one list: the alert of each key."""
        counts = ", ".join(f"count(a.{column.name})" for column in ways.FIVE.columns)
        return (f"SELECT {counts} FROM {keys} k, LATERAL "
                f"(SELECT * FROM {_server(self.pages)}.alerts a WHERE a.id = k.id OFFSET 0) a")

    def _far(self, server: str, condition: str, expected: int) -> tuple[float, dict[str, int]]:
        """A query to the slow server: its median, and the requests of the last time."""
        times = []
        query = f"SELECT count(id), count(title) FROM {server}.alerts a WHERE {condition}"
        for _ in range(self.rounds):
            self.db.run("SELECT 1")
            self.slow.stats(forget=True)
            seconds, answer = self.db.timed("SELECT graph_fdw_version()", query)
            if answer.split("|")[0] != str(expected):
                raise Failure(f"{answer} instead of {expected} alerts: {query}")
            times.append(seconds)
        return statistics.median(times), self.slow.stats()

    def any(self) -> None:
        literal = ",".join(self.slow.ids[:SLOW_KEYS])
        ideal = SLOW_KEYS / 8 * LATENCY
        median, stats = self._far("slow_8", f"id = ANY ('{{{literal}}}')", SLOW_KEYS)
        rows = [Row(f"ideal: {SLOW_KEYS} requests, 8 at a time", ideal, ratio=1.0),
                Row(f"graph_fdw{self._width(8)}", median, ratio=median / ideal, goal=Goal(1.3, 1.1),
                    note=_requests(stats))]
        self.table.group(f"id = ANY of {SLOW_KEYS} keys, {LATENCY * 1000:.0f} ms each", rows)

    def windows(self) -> None:
        condition = "created_date_time >= '2000-01-01' AND created_date_time < '2100-01-01'"
        expected = SLOW_PAGES * SLOW_PAGE_SIZE
        one, one_stats = self._far("slow", condition, expected)
        four, four_stats = self._far("slow_4", condition, expected)
        rows = [Row(f"graph_fdw{self._width(1)}", one, ratio=1.0, note=_requests(one_stats)),
                Row(f"graph_fdw{self._width(4)}", four, ratio=four / one, goal=Goal(1 / 2.5, 1 / 3.5),
                    note=_requests(four_stats))]
        self.table.group(f"A list of {SLOW_PAGES} pages, {LATENCY * 1000:.0f} ms each", rows)

    def _width(self, width: int) -> str:
        return f", concurrency {width}" + ("" if self.concurrency else " (no such option)")

    # Bytes and memory

    def first(self) -> None:
        size = len(urllib.request.urlopen(f"{self.slow.root}/large{pages.PATH}").read())
        limit, idle = [], []
        for _ in range(self.rounds):
            self.slow.stats(forget=True)
            self.db.run("SELECT id FROM large.alerts LIMIT 1")
            limit.append(self.slow.stats()["received"])
            self.slow.stats(forget=True)
            printed = self.db.run("BEGIN;\nDECLARE c CURSOR FOR SELECT id FROM large.alerts;\nFETCH 1 FROM c;\n"
                                  f"SELECT pg_sleep(1);\n\\! curl -s --noproxy '*' {self.slow.root}/_stats\n")
            idle.append(json.loads(printed[printed.index("{"):])["received"])
        rows = [Row("received by the kernel until LIMIT 1 was satisfied", statistics.median(limit) / 1024, "kB",
                    goal=Goal(512, 128), note=_span(limit)),
                Row("received while a cursor idles after its first row", statistics.median(idle) / 1024, "kB",
                    note=_span(idle))]
        self.table.group(f"The first row of a page of 1000 alerts ({size / 1e6:.1f} MB)", rows)

    def _peak(self, query: str) -> float:
        """The highest resident memory of a backend that ran a query, in MB."""
        printed = self.db.run(f"{query};\nSELECT 'peak ' || substring(pg_read_file('/proc/self/status') "
                              "FROM 'VmHWM:\\s+([0-9]+)');\n")
        return int(printed.rpartition("peak ")[2]) * 1024 / 1e6

    def memory(self) -> None:
        idle = self._peak("SELECT 1")
        rows = [Row("an idle backend", idle, "MB")]
        for work in (ways.FIVE, ways.all_columns()):
            for count in sorted({1, *self.sizes}):
                schema = _server(count)
                peaks = [self._peak(ways.graph_query(work, f"{schema}.alerts")) for _ in range(min(self.rounds, 3))]
                rows.append(Row(f"above it, {work.name} columns of {count * pages.PER_PAGE:,} alerts",
                                statistics.median(peaks) - idle, "MB",
                                goal=Goal(16, 8) if count == self.sizes[1] else None))
        query = ways.graph_query(ways.FIVE, f"{_server(self.sizes[1])}.alerts")
        rows.append(Row("the same without JIT, five columns", self._peak(f"SET jit = off;\n{query}") - idle, "MB"))
        self.table.group("Peak memory (VmHWM), with libraries", rows)

    def growth(self) -> None:
        few, many = self.sizes
        queries = {count: ways.graph_query(ways.FIVE, f"{_server(count)}.alerts") for count in self.sizes}
        rows, medians = self._in_turn({
            f"{count * pages.PER_PAGE:,} alerts": lambda count=count:                   # type: ignore[misc]
            (self.db.timed("SELECT graph_fdw_version()", queries[count])[0], "") for count in self.sizes}, None, {})
        rows.append(Row(f"time of {many // few} times as many alerts", None, "",
                        medians[rows[1].label] / medians[rows[0].label], Goal(11 / 10 * many / few, many / few)))
        self.table.group("Growth, five scalar columns", rows)

    # Instructions

    def instructions(self) -> None:
        """Instructions for one more alert, which no other load of the machine changes."""
        keys, more_keys = 100, 300
        urls = [self.nginx.first_page(count) for count in (1, 2)]   # the floor program takes long here
        floor = self._difference([self._floor_under_callgrind("list", url) for url in urls]) / pages.PER_PAGE
        key_files = [self.data / f"keys-{count}" for count in (keys, more_keys)]
        for file, count in zip(key_files, (keys, more_keys)):
            file.write_text("\n".join(self.nginx.ids[:count]), encoding="ascii")
        root = self.nginx.root + pages.PATH
        loop = self._difference([self._floor_under_callgrind("keys", root, str(file)) for file in key_files])
        rows = [Row(FLOOR, floor, "", 1.0)]
        with self.db.under_callgrind("ExecutorRun") as run:
            for work, label in ((ways.FIVE, "five scalar columns"), (ways.EVIDENCE, "evidence, ten text columns"),
                                (ways.all_columns(), "all columns of alerts")):
                files = [run(ways.graph_query(work, f"{_server(count)}.{work.table}")) for count in self.scans]
                value = self._difference(files) / pages.PER_PAGE / (self.scans[1] - self.scans[0])
                rows.append(Row(f"graph_fdw, {label}", value, "", value / floor))
                self._show_profile(label, files[1])
            files = [run(self._lookups(f"(SELECT id FROM keys LIMIT {count})")) for count in (keys, more_keys)]
        per_key = more_keys - keys
        lookup = self._difference(files) / per_key
        rows += [Row("a lookup: a loop of libcurl + jansson", loop / per_key, "", 1.0),
                 Row("a lookup: graph_fdw", lookup, "", lookup * per_key / loop)]
        self._show_profile("lookups", files[1])
        self.table.group("Instructions for each alert (callgrind; not those of the kernel)", rows)

    def _floor_under_callgrind(self, *arguments: str) -> Path:
        file = self.data / "callgrind.floor-{}".format(len(list(self.data.glob("callgrind.floor-*"))))
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"]
        command = [*valgrind, str(self.folder / "floor"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"callgrind of the floor program: {done.stderr[-2000:]}")
        return file

    @staticmethod
    def _difference(files: list[Path]) -> int:
        """How many instructions the second run took more than the first."""
        totals = []
        for file in files:
            found = re.search(r"^(?:summary|totals): ([0-9]+)", file.read_text(errors="replace"), re.MULTILINE)
            if not found:
                raise Failure(f"callgrind wrote no total in {file}")
            totals.append(int(found[1]))
        return totals[1] - totals[0]

    def _show_profile(self, name: str, file: Path) -> None:
        if not self.profile:
            return
        command = ["callgrind_annotate", "--auto=no", "--threshold=97", str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        lines = [line.strip() for line in done.stdout.splitlines() if re.match(r"\s*[0-9,]+ \(", line)]
        print(f"\nWhere instructions go: {name}")
        for line in lines[:35]:
            print("  " + re.sub(r"(\) +)\S*?([^/ ]+:\S+)(?: \[.*/(.*)\])?$", r"\1\2 [\3]", line))


def _server(page_count: int) -> str:
    return f"pages_{page_count}"


def _requests(stats: dict[str, int]) -> str:
    return f"{stats['requests']} requests, at most {stats['most']} at a time"


def _span(numbers: list[int]) -> str:
    return f"{min(numbers) / 1024:.0f} to {max(numbers) / 1024:.0f}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The measurements of bench/run.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pg-bin", type=Path, required=True)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default=",".join(GROUPS))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (2 if arguments.small else 5)
    arguments.only = set(arguments.only.split(","))
    if not arguments.only <= set(GROUPS):
        parser.error("--only knows: " + ", ".join(GROUPS))
    return arguments


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return Bench(parse_arguments()).run()
    except Failure as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
