/*-------------------------------------------------------------------------
 *
 * client_assertion.c
 *		How is a client assertion made from a certificate and its key?
 *
 * A login by certificate sends no secret.  It sends an assertion, a JSON Web
 * Token that says who asks whom and when, signed with the private key whose
 * certificate the application's registration holds.  This file reads the two
 * PEM files, makes sure that they belong together and are good today, and
 * makes the assertion.  OpenSSL does all that is cryptographic.  The claims of
 * others' tokens, which have the same form, are found here, too.
 *
 * OpenSSL's objects hang on a memory context reset callback that is
 * registered before they are made.  Its callback for a key's password returns
 * and never throws; there is always one, so that OpenSSL does not ask the
 * terminal.  What it leaves in its error queue is taken or thrown away, since
 * the connection of the backend's own client uses the same queue.
 *
 * What this file refuses to know: HTTP, tokens, what happens to the assertion.
 *
 * Sources: RFC 7519 (JSON Web Token), RFC 7515 (signature), RFC 7518 section
 * 3.5 (PS256), RFC 7523 (as a client's proof); Entra, "Microsoft identity
 * platform application authentication certificate credentials".
 *
 * IDENTIFICATION
 *		src/auth/client_assertion.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <time.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "auth/graph_auth.h"

/*
 * The assertion is good for so many seconds before and after it is made: ten
 * minutes in all, of which the first is for a clock of ours that is ahead.
 */
#define GOOD_BEFORE		60
#define GOOD_AFTER		540

/*
 * Where it lacks memory OpenSSL may say that a file is wrong, or nothing.  So
 * a file that is said to be wrong is read once more, and then it is believed.
 */
#define ATTEMPTS	2

/* OpenSSL's objects, owned by a memory context. */
typedef struct Signer
{
	MemoryContextCallback callback;
	BIO		   *bio;
	X509	   *certificate;
	EVP_PKEY   *key;
	EVP_MD_CTX *digest;
	char	   *pem;			/* of the private key: overwritten */
} Signer;

/* What the password callback is asked and tells. */
typedef struct PasswordRequest
{
	const char *password;		/* or NULL: there is none */
	bool		asked;
} PasswordRequest;

/*
 * release_signer
 *		Reset callback: give OpenSSL's objects back; it overwrites keys itself.
 */
static void
release_signer(void *arg)
{
	Signer	   *signer = arg;

	EVP_MD_CTX_free(signer->digest);
	EVP_PKEY_free(signer->key);
	X509_free(signer->certificate);
	BIO_free(signer->bio);
	graph_wipe_text(signer->pem);
	ERR_clear_error();
}

/*
 * openssl_reason
 *		Why did the last call fail?  The queue is empty afterwards.
 *
 * If it was for lack of memory, which may have led to further complaints, that
 * is the error.
 */
static const char *
openssl_reason(void)
{
	unsigned long first = ERR_get_error();
	const char *reason = first ? ERR_reason_error_string(first) : NULL;
	bool		memory = false;

	for (unsigned long code = first; code != 0; code = ERR_get_error())
		memory = memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	if (memory)
		graph_report_out_of_memory();
	if (reason)
		return reason;
	return psprintf("OpenSSL error code %lu", first);
}

/*
 * report_openssl
 *		Raise the error for what should not fail, whatever the files hold.
 */
pg_noreturn static void
report_openssl(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("%s: %s", what, openssl_reason())));
}

/*
 * need
 *		What OpenSSL did not allocate is an error.
 */
static void *
need(void *object)
{
	if (object == NULL)
		graph_report_out_of_memory();
	return object;
}

/*
 * give_password
 *		OpenSSL's callback for the password of an encrypted key.
 */
static int
give_password(char *buffer, int size, int writing, void *arg)
{
	PasswordRequest *request = arg;
	size_t		len;

	request->asked = true;
	if (request->password == NULL)
		return -1;
	len = strlen(request->password);
	if (len > (size_t) size)
		return -1;
	memcpy(buffer, request->password, len);
	return (int) len;
}

/*
 * time_text
 *		A time of a certificate for a message.
 */
static char *
time_text(const ASN1_TIME *time)
{
	struct tm	tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return pstrdup("an unreadable time");
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year + 1900,
					tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
					tm.tm_sec);
}

/*
 * open_text
 *		Have OpenSSL read a text.
 */
static void
open_text(Signer *signer, char *text)
{
	BIO_free(signer->bio);
	signer->bio = NULL;
	signer->bio = need(BIO_new_mem_buf(text, -1));
}

/*
 * compare_to_now
 *		Negative if a time of a certificate has passed, else positive.
 */
static int
compare_to_now(const ASN1_TIME *time, const char *path)
{
	int			order = X509_cmp_current_time(time);

	if (order == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not read the times of the certificate in file \"%s\": %s",
						path, openssl_reason())));
	return order;
}

/*
 * load_certificate
 *		Read the certificate, and see whether it is good now.
 */
static void
load_certificate(Signer *signer, const char *path)
{
	char	   *pem = graph_read_file("certificate file", path, false);
	PasswordRequest none = {NULL, false};
	const char *reason = NULL;
	const ASN1_TIME *from;
	const ASN1_TIME *until;

	for (int i = 0; i < ATTEMPTS && signer->certificate == NULL; i++)
	{
		open_text(signer, pem);
		signer->certificate = PEM_read_bio_X509(signer->bio, NULL,
												give_password, &none);
		if (signer->certificate == NULL)
			reason = openssl_reason();
		else if (X509_get0_pubkey(signer->certificate) == NULL)
		{
			reason = openssl_reason();
			X509_free(signer->certificate);
			signer->certificate = NULL;
		}
	}
	if (signer->certificate == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not load certificate file \"%s\": %s", path,
						reason),
				 errhint("The file must hold the certificate in PEM format.")));

	from = X509_get0_notBefore(signer->certificate);
	until = X509_get0_notAfter(signer->certificate);
	if (compare_to_now(until, path) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the certificate in file \"%s\" has expired", path),
				 errdetail("It was valid until %s.", time_text(until)),
				 errhint("Make a new one, add it to the app registration, and put it in place of the old one.")));
	if (compare_to_now(from, path) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the certificate in file \"%s\" is not valid yet", path),
				 errdetail("It is valid from %s.", time_text(from)),
				 errhint("Check the clock of this machine.")));
}

/*
 * load_key
 *		Read the private key, and see whether it is the certificate's.
 */
static void
load_key(Signer *signer, const GraphOptions *options)
{
	const char *path = options->credentials.private_key_file;
	PasswordRequest request = {options->credentials.private_key_password, false};
	const char *reason = NULL;
	bool		match = false;

	signer->pem = graph_read_file("private key file", path, true);
	for (int i = 0; i < ATTEMPTS && signer->key == NULL; i++)
	{
		open_text(signer, signer->pem);
		signer->key = PEM_read_bio_PrivateKey(signer->bio, NULL,
											  give_password, &request);
		if (signer->key == NULL)
			reason = openssl_reason();
	}
	if (signer->key == NULL && request.asked)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("could not decrypt private key file \"%s\"", path),
				 request.password ?
				 errdetail("The option \"private_key_password\" of the user mapping is not the key's password.") :
				 errdetail("The key is encrypted, and the user mapping has no option \"private_key_password\".")));
	if (signer->key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not load private key file \"%s\": %s", path,
						reason),
				 errhint("The file must hold the private key in PEM format.")));

	if (EVP_PKEY_base_id(signer->key) != EVP_PKEY_RSA)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the private key in file \"%s\" is not an RSA key", path),
				 errhint("The service accepts assertions that are signed with RSA only.")));
	for (int i = 0; i < ATTEMPTS && !match; i++)
	{
		match = X509_check_private_key(signer->certificate, signer->key) == 1;
		if (!match)
			(void) openssl_reason();
	}
	if (!match)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the private key in file \"%s\" does not match the certificate in file \"%s\"",
						path, options->credentials.certificate_file)));
}

/*
 * append_base64url
 *		Base64 with the alphabet that needs no escapes, without padding
 *		(RFC 4648 section 5).
 */
static void
append_base64url(StringInfo buf, const void *data, size_t len)
{
	char	   *text = palloc(len / 3 * 4 + 5);
	int			text_len = EVP_EncodeBlock((unsigned char *) text, data,
										   (int) len);

	while (text_len > 0 && text[text_len - 1] == '=')
		text_len--;
	for (int i = 0; i < text_len; i++)
	{
		if (text[i] == '+')
			text[i] = '-';
		else if (text[i] == '/')
			text[i] = '_';
	}
	appendBinaryStringInfo(buf, text, text_len);
	pfree(text);
}

/*
 * base64url_decode
 *		The bytes of such a text, palloc'd and with a zero byte behind them;
 *		NULL if it is none.
 */
static char *
base64url_decode(const char *text, size_t len, size_t *result_len)
{
	size_t		padded = (len + 3) / 4 * 4;
	char	   *plain;
	char	   *result;
	int			decoded;

	if (len == 0 || len > GRAPH_MAX_DOCUMENT)
		return NULL;
	plain = palloc(padded + 1);
	result = palloc(padded + 1);
	memset(plain, '=', padded);
	for (size_t i = 0; i < len; i++)
		plain[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	decoded = EVP_DecodeBlock((unsigned char *) result,
							  (unsigned char *) plain, (int) padded);
	explicit_bzero(plain, padded);
	pfree(plain);
	ERR_clear_error();
	if (decoded < 0 || (size_t) decoded < padded - len)
		return NULL;
	*result_len = decoded - (padded - len);
	result[*result_len] = '\0';
	return result;
}

/*
 * graph_token_claims
 *		The claims that a token holds (RFC 7519, section 3), as JSON, palloc'd;
 *		NULL if it is no such token.
 *
 * Its signature is not looked at.  The claims are as secret as the token is:
 * the caller overwrites them.
 */
char *
graph_token_claims(const char *token, size_t *len)
{
	const char *claims = token ? strchr(token, '.') : NULL;
	const char *end = claims ? strchr(claims + 1, '.') : NULL;

	if (end == NULL)
		return NULL;
	return base64url_decode(claims + 1, end - claims - 1, len);
}

/*
 * append_header
 *		The first part of the token: how it is signed, and by whose key.
 */
static void
append_header(StringInfo jwt, const Signer *signer)
{
	unsigned char thumbprint[EVP_MAX_MD_SIZE];
	unsigned int len;
	StringInfoData header;

	if (X509_digest(signer->certificate, EVP_sha256(), thumbprint, &len) != 1)
		report_openssl("could not hash a certificate");

	initStringInfo(&header);
	appendStringInfoString(&header,
						   "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
	append_base64url(&header, thumbprint, len);
	appendStringInfoString(&header, "\"}");
	append_base64url(jwt, header.data, header.len);
}

/*
 * append_claims
 *		The second part: who asks whom, and when.
 */
static void
append_claims(StringInfo jwt, const char *client_id, const char *audience)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	int64		now = (int64) time(NULL);
	const char *client = pg_server_to_any(client_id, strlen(client_id), PG_UTF8);
	StringInfoData claims;

	initStringInfo(&claims);
	appendStringInfoString(&claims, "{\"aud\":");
	escape_json(&claims, pg_server_to_any(audience, strlen(audience), PG_UTF8));
	appendStringInfoString(&claims, ",\"iss\":");
	escape_json(&claims, client);
	appendStringInfoString(&claims, ",\"sub\":");
	escape_json(&claims, client);
	appendStringInfo(&claims, ",\"jti\":\"%s\"",
					 DatumGetCString(DirectFunctionCall1(uuid_out, uuid)));
	appendStringInfo(&claims, ",\"nbf\":" INT64_FORMAT ",\"iat\":" INT64_FORMAT
					 ",\"exp\":" INT64_FORMAT "}",
					 now - GOOD_BEFORE, now, now + GOOD_AFTER);
	append_base64url(jwt, claims.data, claims.len);
}

/*
 * append_signature
 *		The third part: PS256 over the first two, that is RSA-PSS with SHA-256
 *		and a salt as long as the hash.
 */
static void
append_signature(StringInfo jwt, Signer *signer)
{
	EVP_PKEY_CTX *parameters;	/* the digest context's */
	unsigned char *signature;
	size_t		len;

	signer->digest = need(EVP_MD_CTX_new());
	if (EVP_DigestSignInit(signer->digest, &parameters, EVP_sha256(), NULL,
						   signer->key) <= 0 ||
		EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) <= 0 ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) <= 0 ||
		EVP_DigestSign(signer->digest, NULL, &len,
					   (unsigned char *) jwt->data, jwt->len) <= 0)
		report_openssl("could not prepare a signature");

	signature = palloc(len);
	if (EVP_DigestSign(signer->digest, signature, &len,
					   (unsigned char *) jwt->data, jwt->len) <= 0)
		report_openssl("could not sign");

	appendStringInfoChar(jwt, '.');
	append_base64url(jwt, signature, len);
}

/*
 * graph_client_assertion_create
 *		An assertion for the token endpoint whose URL the audience is.
 *
 * The result is palloc'd, and good for a few minutes: the caller wipes it.
 */
char *
graph_client_assertion_create(const GraphOptions *options, const char *audience)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "graph_fdw assertion",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Signer	   *signer = palloc0(sizeof(Signer));
	StringInfoData jwt;
	char	   *result;

	Assert(options->credentials.certificate_file &&
		   options->credentials.private_key_file && options->credentials.client_id);
	signer->callback.func = release_signer;
	signer->callback.arg = signer;
	MemoryContextRegisterResetCallback(context, &signer->callback);
	ERR_clear_error();

	load_certificate(signer, options->credentials.certificate_file);
	load_key(signer, options);
	initStringInfo(&jwt);
	append_header(&jwt, signer);
	appendStringInfoChar(&jwt, '.');
	append_claims(&jwt, options->credentials.client_id, audience);
	append_signature(&jwt, signer);

	result = MemoryContextStrdup(outer, jwt.data);
	graph_wipe_text(jwt.data);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}
