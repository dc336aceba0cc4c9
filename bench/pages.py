"""Which bytes are served?

The alerts are those of the emulator, seeded, so that every run has the same. The shortest are left out until the rest
is as large on average as alerts of the service are, and what is left is repeated with an id of its own each time.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path
from typing import Iterator

sys.path.append(str(Path(__file__).resolve().parent.parent / "emulator"))

from metadata import Metadata               # noqa: E402
from synthetic import Generator             # noqa: E402
from timestamps import to_ticks             # noqa: E402

SEED = 1
NOW = "2026-08-01T00:00:00Z"
DISTINCT = 4000                             # alerts that are generated
MEAN_BYTES = 8050
PER_PAGE = 1000
PATH = "/v1.0/security/alerts_v2"
_ID = re.compile(rb'"id":"([^"]+)"')


def templates() -> list[bytes]:
    """Alerts as JSON, in no order that matters."""
    made = Generator(Metadata(), SEED, to_ticks(NOW)).alerts(DISTINCT)
    by_length = sorted(range(len(made)), key=lambda number: len(made[number]))
    total = sum(map(len, made))
    dropped = 0
    while dropped < len(made) - 1 and total < MEAN_BYTES * (len(made) - dropped):
        total -= len(made[by_length[dropped]])
        dropped += 1
    left_out = set(by_length[:dropped])
    return [text for number, text in enumerate(made) if number not in left_out]


def newest_first(texts: list[bytes]) -> list[tuple[int, bytes]]:
    """Alerts with the times of their creation, in the service's ticks of 100 ns."""
    timed = [(to_ticks(json.loads(text)["createdDateTime"]), text) for text in texts]
    return sorted(timed, key=lambda pair: pair[0], reverse=True)


def alert_id(text: bytes) -> str:
    """The id of an alert, whose first member it is (the second, if it has a type)."""
    found = _ID.search(text)
    assert found is not None
    return found[1].decode()


def _with_id(text: bytes, number: int) -> bytes:
    return text.replace(alert_id(text).encode(), b"da%018d_%d" % (637_000_000_000_000_000 + number, number))


def alerts(texts: list[bytes]) -> Iterator[bytes]:
    """The templates for ever, each time with another id."""
    for number, text in enumerate(itertools.cycle(texts)):
        yield _with_id(text, number)


def page(rows: list[bytes], next_link: str | None, count: int | None = None) -> bytes:
    """One page of a list, with a line's end, at which COPY tells pages apart."""
    head = "" if count is None else f'"@odata.count":{count},'
    if next_link:
        head += f'"@odata.nextLink":{json.dumps(next_link)},'
    return b'{"@odata.context":"$metadata#security/alerts_v2",%s"value":[%s]}\n' % (head.encode(), b",".join(rows))


def write(folder: Path, root: str, page_count: int, key_count: int) -> tuple[int, list[str]]:
    """Write pages that count down, so that a list of n pages begins with page n, and alerts of their own.

    Returns the size of all pages, and the ids.
    """
    ids: list[str] = []
    size = 0
    source = alerts(templates())
    (folder / "alerts").mkdir(parents=True)
    for number in range(page_count, 0, -1):
        rows = list(itertools.islice(source, PER_PAGE))
        link = f"{root}{PATH}?$top={PER_PAGE}&$skiptoken={number - 1}" if number > 1 else None
        text = page(rows, link)
        (folder / f"page-{number}.json").write_bytes(text)
        size += len(text)
        for row in rows[:max(0, key_count - len(ids))]:
            ids.append(alert_id(row))
            (folder / "alerts" / ids[-1]).write_bytes(document(row))
    return size, ids


def document(row: bytes) -> bytes:
    """An alert as the answer to the request for it."""
    return b'{"@odata.context":"$metadata#security/alerts_v2/$entity",' + row[1:]
