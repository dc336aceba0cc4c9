"""What did the client ask for, and at which of the service's roots?

The root may have a path in front: /fault/{base64url of JSON}/ names faults for whatever is asked below it, /at/{label}/
is nothing but a label, so that one server serves many tests at once and each finds its own requests again.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_ABSOLUTE = re.compile(r"(https?://[^/?#]+)(.*)\Z", re.IGNORECASE | re.DOTALL)


@dataclass
class Request:
    method: str
    target: str                     # the path and query as they came
    headers: dict[str, str]         # names in lower case
    body: bytes
    connection: int                 # the number of the connection it came on
    own_origins: tuple[str, ...]    # the names under which the service knows itself, the first one preferred
    version: str = "HTTP/1.1"

    def __post_init__(self):
        self.request_id = str(uuid.uuid4())
        self.client_request_id = self.headers.get("client-request-id", self.request_id)
        absolute = _ABSOLUTE.match(self.target)
        self.proxied = absolute is not None
        self.origin = absolute.group(1) if absolute else self._origin_by_host()
        path, _, self.query = (absolute.group(2) if absolute else self.target).partition("?")
        segments = without_dot_segments(path)
        self.prefix = ""
        self.fault_text: str | None = None
        while len(segments) > 1 and segments[0] in ("fault", "at"):
            if segments[0] == "fault":
                self.fault_text = segments[1]
            self.prefix += f"/{segments[0]}/{segments[1]}"
            segments = segments[2:]
        self.raw_segments = segments
        self.segments = [unquote(segment, errors="replace") for segment in segments]
        self.path = "/" + "/".join(segments)

    def _origin_by_host(self) -> str:
        scheme = self.own_origins[0].partition(":")[0]
        host = self.headers.get("host", "")
        return f"{scheme}://{host}" if _HOST.fullmatch(host) else self.own_origins[0]

    @property
    def root(self) -> str:
        """The service root at which this client has arrived, without a version."""
        return self.origin + self.prefix

    @property
    def is_list(self) -> bool:
        path = self.segments[1:]
        return self.method == "GET" and (path in (["security", "alerts_v2"], ["security", "incidents"])
                                         or len(path) == 4 and path[:2] + path[3:] == ["security", "incidents", "alerts"])

    def accepts_gzip(self) -> bool:
        codings = [c.strip().lower() for c in self.headers.get("accept-encoding", "").split(",")]
        return any(c.partition(";")[0] in ("gzip", "*") and not re.search(r";\s*q=0(\.0*)?$", c) for c in codings)

    def includes_unknown_members(self) -> bool:
        preferences = [p.strip().lower() for p in self.headers.get("prefer", "").split(",")]
        return "include-unknown-enum-members" in preferences


def without_dot_segments(path: str) -> list[str]:
    """The segments of a path as a front end passes them on: "." and ".." applied, encoded or not, empty ones dropped.

    Nothing else is decoded, so a %2F stays part of its segment.
    """
    kept: list[str] = []
    for segment in path.split("/"):
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots not in ("", "."):
            kept.append(segment)
    return kept
