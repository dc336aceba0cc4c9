"""Whose bearer token is this, and how does a client get one?

The token endpoint is two tables: GRANTS, by grant_type, and PROOFS, by the form field with which a client proves
who it is. A new login is a function and a row. What Microsoft's own libraries ask beside it is in discovery.py.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Callable
from urllib.parse import parse_qsl, unquote_plus

import assertion
from reply import NO_STORE, Response, http_date, json_response, login_error
from settings import Settings

TENANTS = ("11111111-2222-3333-4444-555555555555", "contoso.test")
ANY_TENANT = ("common", "organizations")        # that of the person who signs in
PERSON = {"oid": "87d349ed-44d7-43e1-9a83-5f2406dee5bd", "preferred_username": "adele@contoso.test",
          "name": "Adele Vance"}
STATIC_TOKEN = "emulator-access-token"
IDENTITY_HEADER = "emulator-identity-header"
ARC_SECRET = "emulator-arc-secret"
REFRESH_TOKEN = "emulator-refresh-token"
READ_ROLES = ("SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All", "SecurityIncident.Read.All",
              "SecurityIncident.ReadWrite.All")
WRITE_ROLES = ("SecurityAlert.ReadWrite.All",)
READ_INCIDENT_ROLES = ("SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All")
WRITE_INCIDENT_ROLES = ("SecurityIncident.ReadWrite.All",)
PUBLIC_GRAPH = "https://graph.microsoft.com"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class App:
    client_id: str
    name: str
    secret: str
    roles: tuple[str, ...]
    federated_token: str = ""


MAIN_APP = App("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "graph-emulator-app", "emulator-secret-~Q8+/=&%",
               ("SecurityAlert.ReadWrite.All", "SecurityIncident.ReadWrite.All"), "emulator-federated-token")
APPS = {app.client_id: app for app in (
    MAIN_APP,
    App("bbbbbbbb-cccc-dddd-eeee-ffffffffffff", "app-without-roles", "emulator-secret-no-roles", ()),
    App("cccccccc-dddd-eeee-ffff-000000000000", "app-that-reads", "emulator-secret-read-only",
        ("SecurityAlert.Read.All", "SecurityIncident.Read.All")),
    App("dddddddd-eeee-ffff-0000-111111111111", "app-that-reads-alerts", "emulator-secret-alerts-only",
        ("SecurityAlert.Read.All",)),
)}


@dataclass
class Token:
    app: App
    expires: float

    def expired(self) -> bool:
        return time.monotonic() >= self.expires


@dataclass
class DeviceSignIn:
    app: App
    expires: float
    scope: str
    polls: int = 0


class Refused(Exception):
    """The login does not succeed."""

    def __init__(self, status: int, error: str, number: int, message: str):
        super().__init__(message)
        self.parts = (status, error, number, message)


@dataclass
class Login:
    settings: Settings
    tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, App] = field(default_factory=dict)
    sign_ins: dict[str, DeviceSignIn] = field(default_factory=dict)
    certificates: dict[str, list[assertion.Certificate]] = field(default_factory=dict)
    used_assertions: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self):
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.tokens = {STATIC_TOKEN: Token(MAIN_APP, float("inf"))}
            self.refresh_tokens = {REFRESH_TOKEN: MAIN_APP}
            self.sign_ins = {}
            self.certificates = {}
            self.used_assertions = set()

    def register(self, client_id: str, pem: str) -> None:
        """Add a certificate to an app; ValueError when it is none."""
        if client_id not in APPS:
            raise ValueError(f"no app is {client_id!r}")
        certificate = assertion.Certificate.read(pem)
        with self.lock:
            self.certificates.setdefault(client_id, []).append(certificate)

    def bearer(self, authorization: str) -> Token | None:
        """The token of an Authorization header, expired or not; None when it was never issued."""
        scheme, _, value = authorization.partition(" ")
        return self.tokens.get(value.strip()) if scheme.lower() == "bearer" else None

    def expire_all(self, static_too: bool = False) -> int:
        """Let the issued tokens expire; the static one only on demand."""
        with self.lock:
            chosen = [token for text, token in self.tokens.items() if static_too or text != STATIC_TOKEN]
        for token in chosen:
            token.expires = 0
        return len(chosen)

    def expire(self, authorization: str) -> None:
        token = self.bearer(authorization)
        if token is not None and token.expires != float("inf"):
            token.expires = 0

    def issue(self, app: App, delegated: bool = False) -> str:
        text = secrets.token_urlsafe(1024)
        if self.settings.token_form == "odd":
            text = ".".join((_encoded({"alg": "RS256"}), assertion.encode(b'{"roles":["SecurityAl'), text))
        if self.settings.token_form == "jwt":
            granted = {"scp": " ".join(app.roles)} if delegated else {"roles": app.roles}
            text = ".".join((_encoded({"alg": "RS256", "typ": "JWT"}),
                             _encoded({"aud": PUBLIC_GRAPH, "appid": app.client_id, **granted}), text))
        with self.lock:
            self.tokens[text] = Token(app, time.monotonic() + self.settings.token_lifetime)
        return text

    # The endpoints

    def answer(self, request, tenant: str, endpoint: str) -> Response:
        """POST /{tenant}/oauth2/v2.0/{token,devicecode}"""
        form: dict[str, str] = {}
        try:
            form = read_form(request)
            check_tenant(tenant, () if form.get("grant_type") == "client_credentials" else ANY_TENANT)
            return device_code(self, request, form) if endpoint == "devicecode" else self.token(request, form)
        except Refused as refusal:
            asked_as = form.get("client-request-id") or request.headers.get("client-request-id")
            response = login_error(*refusal.parts, asked_as)
            if self.settings.clock_offset:
                response.headers["Date"] = http_date(self.settings.clock_offset)
            return response

    def token(self, request, form: dict[str, str]) -> Response:
        grant = GRANTS.get(needed(form, "grant_type"))
        if grant is None:
            raise Refused(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type "
                                                                f"'{form['grant_type']}'.")
        return grant(self, request, form)

    def token_answer(self, app: App, delegated: bool = False, **more: object) -> Response:
        lifetime = self.settings.token_lifetime
        response = json_response(200, {"token_type": "Bearer", **more, "expires_in": lifetime,
                                       "ext_expires_in": lifetime, "access_token": self.issue(app, delegated)})
        response.headers.update(NO_STORE)
        return response

    def delegated_answer(self, request, app: App, scope: str, form: dict[str, str]) -> Response:
        refresh = secrets.token_urlsafe(512)
        with self.lock:
            self.refresh_tokens[refresh] = app
        more = {"scope": scope, "refresh_token": refresh}
        if "openid" in scope.split():
            now = int(time.time())
            claims = {"aud": app.client_id, "iss": f"{request.root}/{TENANTS[0]}/v2.0", "iat": now, "nbf": now,
                      "exp": now + self.settings.token_lifetime, "sub": PERSON["oid"], "tid": TENANTS[0], "ver": "2.0",
                      **PERSON}
            more["id_token"] = ".".join((_encoded({"alg": "none", "typ": "JWT"}), _encoded(claims), ""))
        if form.get("client_info") == "1":
            more["client_info"] = _encoded({"uid": PERSON["oid"], "utid": TENANTS[0]})
        return self.token_answer(app, delegated=True, **more)


def _encoded(document: dict) -> str:
    return assertion.encode(json.dumps(document).encode())


# ---------------------------------------------------------------------------------------------------------------------
# Checks that the grants share

def check_tenant(tenant: str, besides: tuple[str, ...] = ()) -> None:
    if tenant.lower() not in (*TENANTS, *besides):
        raise Refused(400, "invalid_request", 90002,
                      f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing "
                      "into the correct cloud. Check with your subscription administrator, this may happen if there are "
                      "no active subscriptions for the tenant.")


def read_form(request) -> dict[str, str]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(400, "invalid_request", 900144, "The request body must be form data.")
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def needed(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise Refused(400, "invalid_request", 900144,
                      f"The request body must contain the following parameter: '{name}'.")
    return form[name]


def find_app(client_id: str) -> App:
    app = APPS.get(client_id.lower())
    if app is None:
        raise Refused(400, "unauthorized_client", 700016,
                      f"Application with identifier '{client_id}' was not found in the directory 'Contoso'. This can "
                      "happen if the application has not been installed by the administrator of the tenant or consented "
                      "to by any user in the tenant. You may have sent your authentication request to the wrong tenant.")
    return app


def check_default_scope(request, scope: str) -> None:
    """App-only tokens are for exactly one {root}/.default: that of this service, by any of its names, or Graph's."""
    root = scope[:-len("/.default")] if scope.endswith("/.default") else ""
    own = root == request.origin or root.startswith((request.origin + "/fault/", request.origin + "/at/"))
    if " " in scope or not (own or root in request.own_origins or root == PUBLIC_GRAPH):
        raise Refused(400, "invalid_scope", 70011,
                      "The provided request must include a 'scope' input parameter. The provided value for the input "
                      f"parameter 'scope' is not valid. The scope {scope} is not valid.")


def basic_credentials(request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(user), unquote_plus(password)


# ---------------------------------------------------------------------------------------------------------------------
# Proofs: how a client shows that it is the app it names

def prove_by_secret(login: Login, request, app: App, form: dict[str, str]) -> None:
    compare_secret(app, form["client_secret"])


def compare_secret(app: App, secret: str) -> None:
    if not secrets.compare_digest(secret.encode(), app.secret.encode()):
        raise Refused(401, "invalid_client", 7000215,
                      "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                      f"value, not the client secret ID, for a secret added to app '{app.client_id}'.")


def prove_by_assertion(login: Login, request, app: App, form: dict[str, str]) -> None:
    """A federated token is compared as text. What is signed is verified if the app has a certificate."""
    if form.get("client_assertion_type") != JWT_BEARER:
        raise Refused(400, "invalid_request", 900144,
                      "The request body must contain the following parameter: 'client_assertion_type'.")
    text, certificates = form["client_assertion"], login.certificates.get(app.client_id)
    if certificates and text.count(".") == 2:
        try:
            assertion.check(text, certificates, app.client_id, f"{request.origin}{request.prefix}{request.path}",
                            login.used_assertions, time.time() + login.settings.clock_offset)
        except assertion.BadAssertion as error:
            raise Refused(401, "invalid_client", error.number, str(error)) from None
    elif not app.federated_token or text != app.federated_token:
        raise Refused(400, "invalid_request", 70021,
                      "No matching federated identity record found for presented assertion.")


PROOFS: dict[str, Callable[[Login, object, App, dict[str, str]], None]] = {
    "client_secret": prove_by_secret,
    "client_assertion": prove_by_assertion,
}


def authenticate(login: Login, request, form: dict[str, str], public: bool = False) -> App:
    """The app after its proof, which a public client has not."""
    basic = basic_credentials(request)
    if basic is not None:
        app = find_app(basic[0])
        compare_secret(app, basic[1])
        return app
    app = find_app(needed(form, "client_id"))
    for field_name, prove in PROOFS.items():
        if field_name in form:
            prove(login, request, app, form)
            return app
    if public and login.settings.public_clients:
        return app
    raise Refused(401, "invalid_client", 7000218, "The request body must contain the following parameter: "
                                                  "'client_assertion' or 'client_secret'.")


# ---------------------------------------------------------------------------------------------------------------------
# Grants

def client_credentials(login: Login, request, form: dict[str, str]) -> Response:
    app = authenticate(login, request, form)
    check_default_scope(request, needed(form, "scope"))
    return login.token_answer(app)


def refresh_token(login: Login, request, form: dict[str, str]) -> Response:
    app = authenticate(login, request, form, public=True)
    if login.refresh_tokens.get(needed(form, "refresh_token")) is not app:
        raise Refused(400, "invalid_grant", 70000, "The provided value for the input parameter 'refresh_token' is not "
                                                   "valid. The refresh token has expired or was revoked.")
    if login.settings.rotate_refresh_tokens:
        del login.refresh_tokens[form["refresh_token"]]
    return login.delegated_answer(request, app, form.get("scope") or f"{request.origin}/.default", form)


def device_code_poll(login: Login, request, form: dict[str, str]) -> Response:
    app = authenticate(login, request, form, public=True)
    sign_in = login.sign_ins.get(needed(form, "device_code"))
    if sign_in is None or sign_in.app is not app:
        raise Refused(400, "bad_verification_code", 70000, "The provided device code is not valid.")
    sign_in.polls += 1
    if sign_in.polls <= login.settings.device_code_polls:
        raise Refused(400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. "
                                                           "Continue polling.")
    if sign_in.polls == login.settings.device_code_polls + 1 and login.settings.device_code_slow_down:
        raise Refused(400, "slow_down", 70016, "Continue polling less often.")
    outcome = login.settings.device_code_outcome
    if outcome == "decline":
        raise Refused(400, "authorization_declined", 70018, "The user declined the authorization.")
    if outcome == "expire" or time.monotonic() >= sign_in.expires:
        raise Refused(400, "expired_token", 70020, "The provided device code has expired.")
    del login.sign_ins[form["device_code"]]
    return login.delegated_answer(request, app, sign_in.scope, form)


GRANTS: dict[str, Callable[[Login, object, dict[str, str]], Response]] = {
    "client_credentials": client_credentials,
    "refresh_token": refresh_token,
    DEVICE_CODE: device_code_poll,
    "device_code": device_code_poll,            # what MSAL sends
}


def device_code(login: Login, request, form: dict[str, str]) -> Response:
    """POST /{tenant}/oauth2/v2.0/devicecode: where the device flow begins."""
    app = find_app(needed(form, "client_id"))
    scope = needed(form, "scope")
    code, user_code = secrets.token_urlsafe(96), secrets.token_hex(4).upper()
    with login.lock:
        login.sign_ins[code] = DeviceSignIn(app, time.monotonic() + 900, scope)
    where = f"{request.origin}/devicelogin"
    return json_response(200, {
        "user_code": user_code, "device_code": code, "verification_uri": where, "expires_in": 900,
        "interval": login.settings.device_code_interval,
        "message": f"To sign in, use a web browser to open the page {where} and enter the code {user_code} to "
                   "authenticate.",
    })


def managed_identity(login: Login, request) -> Response:
    """GET /metadata/identity/oauth2/token, as on the machine that the setting names. Its numbers are strings."""
    query = dict(parse_qsl(request.query))
    if request.proxied:
        return json_response(403, {"error": "forbidden", "error_description": "A proxy may not ask"})
    if login.settings.identity_host == "app_service":
        return app_service_identity(login, request, query)
    if login.settings.identity_host == "arc" and "authorization" not in request.headers:
        challenge = json_response(401, {"error": "unauthorized"})
        challenge.headers["WWW-Authenticate"] = f"Basic realm={login.settings.identity_challenge}"
        return challenge
    if login.settings.identity_host == "arc" and request.headers["authorization"] != f"Basic {ARC_SECRET}":
        return json_response(401, {"error": "unauthorized", "error_description": "The secret is wrong"})
    if request.headers.get("metadata") != "true":
        return json_response(400, {"error": "bad_request_102",
                                   "error_description": "Required metadata header not specified"})
    if "api-version" not in query or not query.get("resource"):
        return json_response(400, {"error": "invalid_request", "error_description": "Required parameters are missing"})
    app = APPS.get(query.get("client_id", MAIN_APP.client_id))
    if app is None:
        return json_response(400, {"error": "invalid_request", "error_description": "Identity not found"})
    lifetime, now = login.settings.token_lifetime, int(time.time())
    return json_response(200, {
        "access_token": login.issue(app), "refresh_token": "", "expires_in": str(lifetime),
        "expires_on": str(now + lifetime), "not_before": str(now), "resource": query["resource"],
        "token_type": "Bearer", "client_id": app.client_id, "ext_expires_in": str(lifetime),
    })


def app_service_identity(login: Login, request, query: dict[str, str]) -> Response:
    """The same of an App Service: another header, and when the token ends instead of how long it lives."""
    if request.headers.get("x-identity-header") != IDENTITY_HEADER:
        return json_response(401, {"error": "unauthorized", "error_description": "X-IDENTITY-HEADER is wrong"})
    app = APPS.get(query.get("client_id", MAIN_APP.client_id))
    if app is None or query.get("api-version") != "2019-08-01" or not query.get("resource"):
        return json_response(400, {"statusCode": 400, "message": "No Managed Identity found"})
    return json_response(200, {
        "access_token": login.issue(app), "expires_on": str(int(time.time()) + login.settings.token_lifetime),
        "resource": query["resource"], "token_type": "Bearer", "client_id": app.client_id,
    })
