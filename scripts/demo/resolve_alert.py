"""Resolve an alert through the Graph API, as an analyst's portal does.

    resolve_alert.py ROOT TENANT_ID CLIENT_ID CLIENT_SECRET ALERT_ID
"""

import json
import sys
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen


def send(request: Request) -> dict:
    with urlopen(request, timeout=10) as response:
        return json.load(response)


def main() -> None:
    root, tenant_id, client_id, client_secret, alert_id = sys.argv[1:]
    token = send(Request(f"{root}/{tenant_id}/oauth2/v2.0/token", urlencode({
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "scope": "https://graph.microsoft.com/.default",
    }).encode()))
    send(Request(
        f"{root}/v1.0/security/alerts_v2/{quote(alert_id)}", b'{"status": "resolved"}', method="PATCH",
        headers={"Authorization": f"Bearer {token['access_token']}", "Content-Type": "application/json"}))


main()
