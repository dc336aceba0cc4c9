// A login server that owes nothing to us or to Microsoft: oidc-provider, behind TLS, at the paths of Entra.
//
//	node login_server.mjs CONFIGURATION
//
// prints one line, JSON with its url and a refresh_token for each client that has one, and serves until its standard input
// ends. The configuration is JSON: tenant, tls_cert and tls_key (files), secret, certificate (a file: the public half),
// token_file (which is written here: an assertion of somebody else's, a new one after each login), log (a file: one line of
// JSON for each request), device_seconds (until somebody signs in with the device code).
//
// Its clients are confidential (secret), certified (certificate), federated (token_file) and public (nothing).
// The Graph beside it has two alerts for whoever brings a token of this server for Graph.

import { createHash, X509Certificate } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import Provider from "oidc-provider";

const { tenant, tls_cert, tls_key, secret, certificate, token_file, log, device_seconds: deviceSeconds = 1 } =
	JSON.parse(process.argv[2]);
const graph = "https://graph.microsoft.com";
const scope = `${graph}/.default`;
const tokenPath = `/${tenant}/oauth2/v2.0/token`;
const devicePath = `/${tenant}/oauth2/v2.0/devicecode`;
const person = "adele@contoso.test";
const authority = new X509Certificate(readFileSync(certificate));
const thumbprint = createHash("sha256").update(authority.raw).digest("base64url");
const issuer = await generateKeyPair("ES256");
console.info = console.warn = console.error;
const note = (what) => appendFileSync(log, `${JSON.stringify(what)}\n`);

const server = createServer({ cert: readFileSync(tls_cert), key: readFileSync(tls_key) });
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `https://127.0.0.1:${server.address().port}`;

const grants = ["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
const client = (id, method, more) => ({
	client_id: id, token_endpoint_auth_method: method, grant_types: grants, redirect_uris: [], response_types: [],
	id_token_signed_response_alg: "ES256", ...more,
});
const signing = await generateKeyPair("ES256", { extractable: true });
const provider = new Provider(url, {
	clients: [
		client("confidential", "client_secret_post", { client_secret: secret }),
		client("certified", "private_key_jwt", {
			token_endpoint_auth_signing_alg: "PS256", jwks: { keys: [{ ...(await exportJWK(authority.publicKey)), alg: "PS256", use: "sig" }] },
		}),
		client("federated", "private_key_jwt", {
			token_endpoint_auth_signing_alg: "ES256", jwks: { keys: [{ ...(await exportJWK(issuer.publicKey)), alg: "ES256", use: "sig" }] },
		}),
		client("public", "none", { grant_types: grants.slice(1) }),
	],
	jwks: { keys: [{ ...(await exportJWK(signing.privateKey)), alg: "ES256", use: "sig" }] },
	cookies: { keys: ["of no use here"] },
	scopes: ["openid", "offline_access", "profile"],
	claims: { profile: ["name", "preferred_username"] },
	conformIdTokenClaims: false,
	findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, preferred_username: person, name: "Adele" }) }),
	ttl: { Grant: 3600, RefreshToken: 3600, AccessToken: 3600, ClientCredentials: 3600, DeviceCode: 600, IdToken: 3600 },
	rotateRefreshToken: true,
	issueRefreshToken: (_, issuedTo, source) => issuedTo.grantTypeAllowed("refresh_token") && source.scopes.has("offline_access"),
	clientBasedCORS: () => false,
	routes: { token: tokenPath, device_authorization: devicePath },
	assertJwtClientAuthClaimsAndHeader: (_, claims, header, { clientId }) => {
		if (clientId === "certified" && header["x5t#S256"] !== thumbprint)
			throw new Error("the header does not name the certificate");
		note({ assertion: clientId, alg: header.alg, aud: claims.aud, exp: claims.exp - claims.nbf });
	},
	features: {
		devInteractions: { enabled: false },
		clientCredentials: { enabled: true },
		deviceFlow: { enabled: true },
		resourceIndicators: {
			enabled: true,
			defaultResource: () => graph,
			useGrantedResource: () => true,
			getResourceServerInfo: () => ({ scope, audience: graph, accessTokenTTL: 3600, accessTokenFormat: "opaque" }),
		},
	},
	enabledJWA: { clientAuthSigningAlgValues: ["PS256", "ES256"] },
});

// What a person has allowed a client.
async function allow(clientId) {
	const grant = new provider.Grant({ accountId: person, clientId });
	grant.addOIDCScope("openid offline_access profile");
	grant.addResourceScope(graph, scope);
	return grant.save();
}

const granted = `openid offline_access profile ${scope}`;

// The refresh token of a person who has signed in elsewhere.
async function refreshToken(clientId) {
	return new provider.RefreshToken({
		client: await provider.Client.find(clientId), accountId: person, grantId: await allow(clientId), scope: granted,
		gty: "authorization_code", resource: graph, authTime: Math.floor(Date.now() / 1000), rotations: 0,
	}).save();
}

// The person enters the code that a device shows.
async function signIn(userCode) {
	const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll("-", ""));
	Object.assign(code, { accountId: person, grantId: await allow(code.clientId), scope: granted, resource: graph, authTime: Math.floor(Date.now() / 1000) });
	await code.save();
}

// Somebody else keeps a fresh assertion in the file.
async function writeAssertion() {
	writeFileSync(token_file, await new SignJWT({}).setProtectedHeader({ alg: "ES256" }).setIssuer("federated").setSubject("federated")
		.setAudience(url).setIssuedAt().setExpirationTime("5m").setJti(`${Math.random()}`).sign(issuer.privateKey));
}
await writeAssertion();

provider.use(async (ctx, next) => {
	await next();
	const { oidc: { client: caller, params } = {}, body, status } = ctx;
	note({
		path: ctx.path, status, client: caller?.clientId, grant: params?.grant_type, error: body?.error, description: body?.error_description,
		id: ctx.get("client-request-id"), capability: ctx.get("x-ms-lib-capability"),
	});
	if (ctx.path === devicePath && status === 200)
		setTimeout(() => signIn(body.user_code), deviceSeconds * 1000);
	if (caller?.clientId === "federated")
		await writeAssertion();
});

// Alerts for a token of ours that is for Graph.
async function alerts(request, response) {
	const value = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
	const token = (await provider.ClientCredentials.find(value)) ?? (await provider.AccessToken.find(value));
	const good = token !== undefined && token.aud === graph && token.scope === scope;
	note({ path: "alerts", status: good ? 200 : 401, client: token?.clientId, person: token?.accountId });
	response.writeHead(good ? 200 : 401, { "content-type": "application/json" });
	response.end(JSON.stringify(good ?
		{ "@odata.count": 2, value: [1, 2].map((n) => ({ id: `a${n}`, title: `Alert ${n}`, createdDateTime: `2026-07-0${3 - n}T10:00:00Z` })) } :
		{ error: { code: "InvalidAuthenticationToken", message: "It is not a token for Graph." } }));
}

const logIn = provider.callback();
server.on("request", (request, response) => (request.url.startsWith("/v1.0/security/alerts_v2") ? alerts : logIn)(request, response));
console.log(JSON.stringify({
	url, refresh_token: { confidential: await refreshToken("confidential"), certified: await refreshToken("certified"), public: await refreshToken("public") },
}));
process.stdin.resume().on("end", () => process.exit(0));
