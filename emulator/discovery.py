"""Where are the endpoints of a tenant, and is this a login service at all?

What Microsoft's own libraries ask before they log in: the tenant's OpenID configuration, and which clouds there are. A
domain name in the first is answered with the tenant's GUID, so that what a library makes of it (the audience of its
assertions) has the GUID, too.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from login import ANY_TENANT, TENANTS
from reply import Response, json_response, login_error


def answer(request) -> Response | None:
    """The answer to a request that asks for such a document; None to any other."""
    if request.method != "GET":
        return None
    tenant, path = request.segments[:1], request.segments[1:]
    if path == ["v2.0", ".well-known", "openid-configuration"]:
        return configuration(request, tenant[0].lower())
    if path == ["discovery", "v2.0", "keys"]:
        return json_response(200, {"keys": []})
    if path == ["discovery", "instance"]:
        return instance(request)
    return None


def configuration(request, tenant: str) -> Response:
    if tenant not in (*TENANTS, *ANY_TENANT):
        return login_error(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
    own = tenant in TENANTS
    tenant = TENANTS[0] if own else tenant
    base = f"{request.root}/{tenant}"
    return json_response(200, {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{request.root}/{tenant if own else '{tenantid}'}/v2.0",
        "request_uri_parameter_supported": False,
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
        "tenant_region_scope": "EU",
        "cloud_instance_name": urlsplit(request.root).netloc,
        "msgraph_host": urlsplit(request.root).netloc,
    })


def instance(request) -> Response:
    """Is the host of the URL in authorization_endpoint one of ours?"""
    asked = urlsplit(dict(parse_qsl(request.query)).get("authorization_endpoint", ""))
    host = urlsplit(request.root).netloc
    if f"{asked.scheme}://{asked.netloc}" not in (*request.own_origins, request.origin):
        return login_error(400, "invalid_instance", 50049, "Unknown or invalid instance.")
    tenant = asked.path.split("/")[1] if "/" in asked.path else "common"
    return json_response(200, {
        "tenant_discovery_endpoint": f"{request.root}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
