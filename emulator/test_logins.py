"""Are assertions, identities and refresh tokens judged as the README says?"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import quote, urlencode

import assertion
import login
from test_emulator import LIST, ServerTest

CLAIMS = {"aud": "here", "iss": "app", "sub": "app"}


@unittest.skipUnless(shutil.which("openssl"), "needs the openssl command, which signs")
class AssertionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.key = Path(cls.folder.name) / "key"
        pem = cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(cls.key), "-subj", "/CN=test")
        cls.certificate = assertion.Certificate.read(pem.decode())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def openssl(cls, *arguments: str, data: bytes = b"") -> bytes:
        return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout

    def made(self, salt: str = "32", **changes) -> str:
        now, number = changes.pop("now", int(time.time())), changes.pop("jti", str(time.monotonic_ns()))
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": self.certificate.thumbprint}
        claims = {**CLAIMS, "jti": number, "nbf": now, "iat": now, "exp": now + 600, **changes}
        text = ".".join(assertion.encode(json.dumps(part).encode()) for part in (header, claims))
        signature = self.openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}",
                                 "-sign", str(self.key), data=text.encode())
        return f"{text}.{assertion.encode(signature)}"

    def check(self, text: str, used: set | None = None) -> int:
        try:
            assertion.check(text, [self.certificate], "app", "here", set() if used is None else used)
        except assertion.BadAssertion as error:
            return error.number
        return 0

    def test_good(self):
        self.assertEqual(self.check(self.made()), 0)

    def test_signature(self):
        text = self.made()
        self.assertEqual(self.check(text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]), 700027)
        self.assertEqual(self.check(self.made(salt="20")), 700027)
        self.assertEqual(self.check("a.b"), 50027)

    def test_claims(self):
        now = int(time.time())
        self.assertEqual(self.check(self.made(aud="there")), 700023)
        self.assertEqual(self.check(self.made(iss="other")), 700021)
        self.assertEqual(self.check(self.made(now=now, exp=now + 601)), 700024)
        self.assertEqual(self.check(self.made(now=now, iat=now - 1)), 0)
        self.assertEqual(self.check(self.made(now=now, iat=now - 2)), 700024)
        self.assertEqual(self.check(self.made(nbf=now - 1200, iat=now - 1200, exp=now - 600)), 700024)
        used = set()
        self.assertEqual([self.check(text, used) for text in (self.made(jti="1"), self.made(jti="1"))], [0, 700028])


class GrantTest(ServerTest):
    def ask(self, **form) -> tuple[int, dict]:
        response = self.send("POST", f"/{login.TENANTS[0]}/oauth2/v2.0/token",
                             urlencode({"client_id": login.MAIN_APP.client_id, **form}), token="",
                             Content_Type="application/x-www-form-urlencoded")
        return response.status, json.loads(response.body)

    def test_rotation(self):
        self.emulator.settings.change({"rotate_refresh_tokens": True})
        first = {"grant_type": "refresh_token", "refresh_token": login.REFRESH_TOKEN}
        status, answer = self.ask(**first)
        self.assertEqual(status, 200)
        self.assertEqual(self.ask(**first)[1]["error"], "invalid_grant")
        self.assertEqual(self.ask(grant_type="refresh_token", refresh_token=answer["refresh_token"])[0], 200)

    def test_confidential(self):
        self.emulator.settings.change({"public_clients": False})
        form = {"grant_type": "refresh_token", "refresh_token": login.REFRESH_TOKEN}
        self.assertEqual(self.ask(**form)[1]["error_codes"], [7000218])
        self.assertEqual(self.ask(**form, client_secret="wrong")[1]["error_codes"], [7000215])
        self.assertEqual(self.ask(**form, client_secret=login.MAIN_APP.secret)[0], 200)

    def test_device_code_of_msal(self):
        self.emulator.settings.change({"device_code_polls": 0})
        response = self.send("POST", "/organizations/oauth2/v2.0/devicecode",
                             urlencode({"client_id": login.MAIN_APP.client_id, "scope": "openid offline_access"}), token="",
                             Content_Type="application/x-www-form-urlencoded")
        code = json.loads(response.body)["device_code"]
        status, answer = self.ask(grant_type="device_code", device_code=code, client_info="1")
        self.assertEqual((status, "id_token" in answer, "refresh_token" in answer), (200, True, True))
        info = json.loads(assertion.decode(answer["client_info"]))
        self.assertEqual(info, {"uid": login.PERSON["oid"], "utid": login.TENANTS[0]})

    def test_correlation(self):
        answer = self.ask(grant_type="none", **{"client-request-id": "11111111-0000-0000-0000-000000000000"})[1]
        self.assertEqual(answer["correlation_id"], "11111111-0000-0000-0000-000000000000")

    def test_any_tenant_is_for_people(self):
        for tenant, status in (("organizations", 400), (login.TENANTS[1], 200)):
            response = self.send("POST", f"/{tenant}/oauth2/v2.0/token",
                                 urlencode({"grant_type": "client_credentials", "client_id": login.MAIN_APP.client_id,
                                            "client_secret": login.MAIN_APP.secret,
                                            "scope": "https://graph.microsoft.com/.default"}), token="",
                                 Content_Type="application/x-www-form-urlencoded")
            self.assertEqual(response.status, status, tenant)

    def discover(self, path: str) -> tuple[int, dict]:
        response = self.send("GET", path, token="")
        return response.status, json.loads(response.body)

    def test_configuration(self):
        for tenant in login.TENANTS:
            status, found = self.discover(f"/{tenant}/v2.0/.well-known/openid-configuration")
            self.assertEqual(status, 200)
            self.assertTrue(found["token_endpoint"].endswith(f"/{login.TENANTS[0]}/oauth2/v2.0/token"), tenant)
        self.assertIn("{tenantid}", self.discover("/common/v2.0/.well-known/openid-configuration")[1]["issuer"])
        self.assertEqual(self.discover("/fabrikam.test/v2.0/.well-known/openid-configuration")[0], 400)

    def test_instance(self):
        own, path = f"http://127.0.0.1:{self.server.port}", "/common/discovery/instance?api-version=1.1&authorization_endpoint="
        status, found = self.discover(path + quote(f"{own}/{login.TENANTS[0]}/oauth2/v2.0/authorize", safe=""))
        self.assertEqual(status, 200)
        self.assertEqual(found["tenant_discovery_endpoint"], f"{own}/{login.TENANTS[0]}/v2.0/.well-known/openid-configuration")
        self.assertEqual(self.discover(path + "https%3A%2F%2Flogin.example%2Fx")[1]["error"], "invalid_instance")

    def identity(self, **headers):
        response = self.send("GET", "/metadata/identity/oauth2/token?api-version=2019-08-01&resource=x", token="", **headers)
        return response.status, json.loads(response.body), response.headers

    def test_app_service(self):
        self.emulator.settings.change({"identity_host": "app_service"})
        status, answer, _ = self.identity(X_IDENTITY_HEADER=login.IDENTITY_HEADER)
        self.assertEqual((status, "expires_in" in answer), (200, False))
        self.assertEqual(self.send("GET", LIST, token=answer["access_token"]).status, 200)
        self.assertEqual(self.identity(Metadata="true")[0], 401)

    def test_arc(self):
        self.emulator.settings.change({"identity_host": "arc", "identity_challenge": "/a/b.key"})
        status, _, headers = self.identity(Metadata="true")
        self.assertEqual((status, headers["WWW-Authenticate"]), (401, "Basic realm=/a/b.key"))
        self.assertEqual(self.identity(Metadata="true", Authorization="Basic wrong")[0], 401)
        self.assertEqual(self.identity(Metadata="true", Authorization=f"Basic {login.ARC_SECRET}")[0], 200)


if __name__ == "__main__":
    unittest.main()
