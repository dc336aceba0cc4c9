// Do Microsoft's own clients, unchanged, take the emulator for the service?
//
//	node microsoft_clients.mjs CONFIGURATION
//
// runs each case and prints "ok NAME" or "not ok NAME: REASON". The configuration is JSON: url of an emulator with TLS,
// plain_url of one without, tenant, client_id, secret, certificate (a file with certificate and key), token_file.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import {
	ClientAssertionCredential, ClientCertificateCredential, ClientSecretCredential,
	DeviceCodeCredential, ManagedIdentityCredential, WorkloadIdentityCredential,
} from "@azure/identity";
import { ConfidentialClientApplication, PublicClientApplication } from "@azure/msal-node";
import { Client, PageIterator } from "@microsoft/microsoft-graph-client";
import {
	TokenCredentialAuthenticationProvider,
} from "@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js";

const { url, plain_url: plainUrl, tenant, client_id: clientId, secret, certificate, token_file: tokenFile } =
	JSON.parse(process.argv[2]);
const scope = "https://graph.microsoft.com/.default";
const options = { authorityHost: url, disableInstanceDiscovery: true };
const knownAuthorities = [new URL(url).host];

function check(condition, what) {
	if (!condition)
		throw new Error(what);
}

async function refused(promise, pattern) {
	try {
		await promise;
	} catch (error) {
		check(pattern.test(`${error.name} ${error.code} ${error.statusCode} ${error.message}`), `another error: ${error}`);
		return error;
	}
	throw new Error("it was not refused");
}

// A token of a credential, with which the service lets us read.
async function accepted(credential) {
	const token = await credential.getToken(scope);
	check(token.expiresOnTimestamp > Date.now(), "the token has expired");
	const answer = await fetch(`${url}/v1.0/security/alerts_v2?$top=1`, { headers: { authorization: `Bearer ${token.token}` } });
	check(answer.status === 200, `status ${answer.status}`);
	return token;
}

// A token of the machine's identity. A client finds out once what machine it is on, so each has a process of its own.
async function machine(environment, clientId) {
	const { stdout, stderr } = await promisify(execFile)(process.execPath, [process.argv[1], process.argv[2], clientId ?? ""],
		{ env: { ...process.env, ...environment } });
	check(stdout === "the machine\n", stderr);
}

if (process.argv.length > 3) {
	const { token } = await new ManagedIdentityCredential(process.argv[3] ? { clientId: process.argv[3] } : {}).getToken(scope);
	const answer = await fetch(`${plainUrl}/v1.0/security/alerts_v2?$top=1`, { headers: { authorization: `Bearer ${token}` } });
	check(answer.status === 200, `status ${answer.status}`);
	console.log("the machine");
process.exit(0);
}

const post = (path, document) => fetch(`${url}/_emulator/${path}`, { method: "POST", body: JSON.stringify(document) });

const credential = new ClientSecretCredential(tenant, clientId, secret, options);
const graph = Client.initWithMiddleware({
	baseUrl: `${url}/`,
	customHosts: new Set([new URL(url).hostname]),
	authProvider: new TokenCredentialAuthenticationProvider(credential, { scopes: [scope] }),
});
const list = () => graph.api("/security/alerts_v2");

const cases = {
	"secret": () => accepted(credential),
	"secret, tenant by its domain name": () => accepted(new ClientSecretCredential("contoso.test", clientId, secret, options)),
	"a wrong secret": () => refused(new ClientSecretCredential(tenant, clientId, "wrong", options).getToken(scope), /AADSTS7000215/),
	"a tenant that is not there": () =>
		refused(new ClientSecretCredential("fabrikam.test", clientId, secret, options).getToken(scope), /AADSTS90002|endpoints_resolution_error/),
	// its clocks are rounded differently, which shows in half of the assertions
	"certificate, again and again": async () => {
		for (let n = 0; n < 8; n++) {
			await accepted(new ClientCertificateCredential(tenant, clientId, certificate, options));
			await new Promise((resolve) => setTimeout(resolve, 130));
		}
	},
	"certificate, tenant by its domain name": () => accepted(new ClientCertificateCredential("contoso.test", clientId, certificate, options)),
	"workload identity": () => accepted(new WorkloadIdentityCredential({ tenantId: tenant, clientId, tokenFilePath: tokenFile, ...options })),
	"an assertion": () => accepted(new ClientAssertionCredential(tenant, clientId, async () => readFileSync(tokenFile, "utf8"), options)),
	"device code, and silently afterwards": async () => {
		let message;
		const person = new DeviceCodeCredential({ tenantId: tenant, clientId, userPromptCallback: (m) => { message = m; }, ...options });
		const first = await accepted(person);
		check(/devicelogin/.test(message.verificationUri), "no address");
		const account = await person.authenticate(scope).catch(() => null);
		check(account === null || account.username === "adele@contoso.test", "another person");
		check(first.token.length > 100, "no token");
	},
	"device code, declined": async () => {
		await post("settings", { device_code_outcome: "decline" });
		try {
			await refused(new DeviceCodeCredential({ tenantId: tenant, clientId, userPromptCallback() {}, ...options }).getToken(scope), /declined/i);
		} finally {
			await post("settings", { device_code_outcome: "approve" });
		}
	},
	"device code with a refresh token": async () => {
		const application = new PublicClientApplication({ auth: { clientId, authority: `${url}/organizations`, knownAuthorities } });
		const result = await application.acquireTokenByDeviceCode({ scopes: [scope], deviceCodeCallback() {} });
		check(result.account.username === "adele@contoso.test", "no account");
		check(result.account.tenantId === tenant, "another tenant");
		const again = await application.acquireTokenSilent({ scopes: [scope], account: result.account, forceRefresh: true });
		check(again.accessToken !== result.accessToken, "the token is not another");
	},
	"a refresh token and a secret": async () => {
		const application = new ConfidentialClientApplication({ auth: { clientId, clientSecret: secret, authority: `${url}/${tenant}`, knownAuthorities } });
		const result = await application.acquireTokenByRefreshToken({ refreshToken: "emulator-refresh-token", scopes: [scope] });
		check(result.accessToken.length > 100, "no token");
	},
	"managed identity of a virtual machine": () =>
		machine({ AZURE_POD_IDENTITY_AUTHORITY_HOST: plainUrl }),
	"managed identity of an App Service": async () => {
		await fetch(`${plainUrl}/_emulator/settings`, { method: "POST", body: JSON.stringify({ identity_host: "app_service" }) });
		await machine({ IDENTITY_ENDPOINT: `${plainUrl}/metadata/identity/oauth2/token`, IDENTITY_HEADER: "emulator-identity-header" }, clientId);
	},
	"the id of a login is in its error": async () => {
		const correlationId = "01234567-89ab-cdef-0123-456789abcdef";
		const application = new ConfidentialClientApplication({ auth: { clientId, clientSecret: "wrong", authority: `${url}/${tenant}`, knownAuthorities } });
		const error = await refused(application.acquireTokenByClientCredential({ scopes: [scope], correlationId }), /AADSTS7000215/);
		check(error.message.includes(`Correlation ID: ${correlationId}`), "another id");
	},

	"a list": async () => {
		const page = await list().top(5).get();
		check(page.value.length === 5 && page["@odata.nextLink"].startsWith(url), "not a page");
	},
	"a filter": async () => {
		const page = await list().filter("severity eq 'high'").select("id,severity").orderby("createdDateTime desc").count(true).get();
		check(page.value.length > 0 && page.value.every((alert) => alert.severity === "high"), "not filtered");
		check(page["@odata.count"] >= page.value.length, "not counted");
	},
	"every page": async () => {
		const ids = new Set();
		const iterator = new PageIterator(graph, await list().top(10).get(), (alert) => ids.add(alert.id) && true);
		await iterator.iterate();
		check(ids.size === 41, `${ids.size} alerts`);
	},
	"an alert that is not there": async () => {
		const error = await refused(graph.api("/security/alerts_v2/none").get(), /404/);
		check(error.code === "ResourceNotFound", `code ${error.code}`);
		check(error.requestId, "no request id");
	},
	"an update": async () => {
		const { id } = (await list().top(1).get()).value[0];
		const alert = await graph.api(`/security/alerts_v2/${id}`).patch({ status: "resolved", assignedTo: "adele@contoso.test" });
		check(alert.status === "resolved" && alert.assignedTo === "adele@contoso.test", "not updated");
	},
	"a comment": async () => {
		const { id } = (await list().top(1).get()).value[0];
		const comments = await graph.api(`/security/alerts_v2/${id}/comments`).post({ "@odata.type": "microsoft.graph.security.alertComment", comment: "seen" });
		check(comments.value.at(-1).comment === "seen", "not there");
	},
	"asked for patience": async () => {
		await post("faults", { times: 1, fault: { kind: "status", code: 429, retry_after: 1 } });
		check((await list().top(1).get()).value.length === 1, "no alert");
	},
};

const registered = await post("certificates", { client_id: clientId, certificate: readFileSync(certificate, "utf8") });
check(registered.status === 200, `the certificate was not registered: ${registered.status}`);
for (const [name, run] of Object.entries(cases)) {
	try {
		await run();
		console.log(`ok ${name}`);
	} catch (error) {
		console.log(`not ok ${name}: ${String(error.stack ?? error).replaceAll("\n", " ")}`);
	}
}
console.log("the end");
process.exit(0);
