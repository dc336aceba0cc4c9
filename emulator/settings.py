"""Which switches does the emulator have, and what do they stand at?

A setting is given at the start (--set name=value) or later (POST /_emulator/settings). Where the behaviour of the real
service is not known, the default is the stricter reading.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field


def switch(default, meaning: str, choices: tuple[str, ...] = ()):
    return field(default=default, metadata={"meaning": meaning, "choices": choices})


_TREATMENT = ("honour", "ignore", "refuse")


@dataclass
class Settings:
    page_size: int = switch(100, "rows of a page when $top is absent")
    top_max: int = switch(1000, "largest $top")
    top_over_max: str = switch("clamp", "what a larger $top does", ("clamp", "refuse"))
    incident_top_max: int = switch(50, "largest $top of incidents, beyond it 400")
    incident_alerts: str = switch("serve", "what incidents/{id}/alerts does", ("serve", "unknown"))
    capital_members: int = switch(0, "each so many-th incident has its enum members with a capital; 0: none")
    skip_ceiling: int = switch(0, "largest $skip, beyond it 400; 0: none")
    max_pages: int = switch(0, "pages of a scan after which links end although rows remain; 0: all")
    next_link_by: str = switch("skiptoken", "what a nextLink carries", ("skiptoken", "skip"))
    misplaced: str = switch("", "'ID PLACE': where an alert stands in the list, from 0, if no order is asked for")
    unsorted: bool = switch(False, "list the alerts in no order if none is asked for")
    listed: str = switch("newest", "which alert a list begins with if no order is asked for", ("newest", "oldest"))
    next_link_after_value: bool = switch(False, "place @odata.nextLink behind value")
    filter: str = switch("honour", "what $filter does", _TREATMENT)
    orderby: str = switch("honour", "what $orderby does", _TREATMENT)
    select: str = switch("honour", "what $select does", _TREATMENT)
    count: str = switch("honour", "what $count=true does", _TREATMENT)
    count_segment: bool = switch(True, "serve alerts_v2/$count; otherwise 404")
    filter_in: bool = switch(False, "accept in (...) in $filter")
    filter_any: bool = switch(True, "accept evidence/any(...) in $filter")
    filter_max_nodes: int = switch(0, "most comparisons of a $filter; 0: no limit")
    fold_case: bool = switch(True, "compare strings in $filter without case")
    gated_literals: bool = switch(False, "accept enum members behind the sentinel in $filter without the Prefer header")
    hide_gated: bool = switch(True, "show unknownFutureValue to requests without the Prefer header")
    update_answer: str = switch("record", "what the answer to PATCH has: the alert without evidence, with it, nothing, what changed",
                                ("record", "whole", "empty", "changes"))
    not_taken: str = switch("", "a property that PATCH seems to take but does not")
    max_url: int = switch(16384, "longest request target in bytes, beyond it 414")
    chunked: bool = switch(True, "Transfer-Encoding: chunked; otherwise Content-Length")
    gzip: bool = switch(True, "compress when the client accepts it")
    latency_ms: int = switch(0, "wait before each answer of Graph and of the login")
    bandwidth: int = switch(0, "bytes per second of a body; 0: no limit")
    token_lifetime: int = switch(3599, "expires_in of issued tokens, in seconds")
    token_form: str = switch("opaque", "what issued tokens look like: jwt names the app's roles, odd would", ("opaque", "jwt", "odd"))
    rate_limit: int = switch(0, "Graph requests per window, beyond it 429; 0: no limit")
    rate_limit_window: int = switch(60, "length of that window in seconds")
    rate_limit_header: str = switch("seconds", "form of Retry-After", ("seconds", "date", "none"))
    close_on_accept: int = switch(0, "so many next connections are closed as soon as they are accepted")
    requests_per_connection: int = switch(0, "answers after which a connection is closed unannounced; 0: no limit")
    device_code_polls: int = switch(2, "authorization_pending answers before the outcome")
    device_code_interval: int = switch(1, "seconds between polls that the answer asks for")
    device_code_slow_down: bool = switch(False, "after them, one slow_down")
    clock_offset: int = switch(0, "seconds by which the clock is ahead that judges assertions")
    public_clients: bool = switch(True, "an app needs no proof beside a refresh token or a device code")
    rotate_refresh_tokens: bool = switch(False, "a refresh token can be used once")
    identity_host: str = switch("vm", "the machine whose identity is asked for", ("vm", "app_service", "arc"))
    identity_challenge: str = switch("", "path of the file that Arc's challenge names")
    device_code_outcome: str = switch("approve", "how the sign-in ends", ("approve", "decline", "expire"))

    def change(self, values: dict) -> None:
        """Set several switches at once; ValueError, and nothing changed, when one is unknown or of the wrong kind."""
        fields = {f.name: f for f in dataclasses.fields(self)}
        checked = {}
        for name, value in values.items():
            if name not in fields:
                raise ValueError(f"no setting is named {name!r}")
            checked[name] = _checked(fields[name], value)
        for name, value in checked.items():
            setattr(self, name, value)

    def values(self) -> dict:
        return dataclasses.asdict(self)


# Only what the reference page of "list alerts_v2" documents, and its oldest known ceiling.
STRICT = {"orderby": "refuse", "select": "refuse", "count_segment": False, "filter_any": False, "skip_ceiling": 500}


def _checked(setting: dataclasses.Field, value):
    choices = setting.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{setting.name} is one of {', '.join(choices)}")
    if isinstance(setting.default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{setting.name} is true or false")
    elif isinstance(setting.default, int) and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{setting.name} is a number from 0")
    return value


def from_text(assignment: str) -> dict:
    """name=value of the command line as a change."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ValueError(f"a setting is given as name=value, not {assignment!r}")
    name = name.replace("-", "_")
    if text in ("true", "false"):
        return {name: text == "true"}
    return {name: int(text) if text.isdecimal() else text}
