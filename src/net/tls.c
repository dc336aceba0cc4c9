/*-------------------------------------------------------------------------
 *
 * tls.c
 *		What is asked of a TLS connection beside what libcurl asks?
 *
 * Two things.  The certificate has to name its host where names belong, in
 * the subjectAltName: where there is none libcurl takes the common name, which
 * certificate authorities have not vouched for since 2000 (RFC 2818), and
 * which a constraint on names need not cover.  And nobody writes down the keys
 * of a connection: an SSLKEYLOGFILE in the environment, which libcurl and some
 * builds of OpenSSL obey, would let whoever reads that file read every token.
 *
 * Both need OpenSSL below libcurl.  With another TLS library, libcurl's own
 * checks are all there is, and graph_tls_start() keeps the keys in.
 *
 * Nothing here may throw or palloc, as libcurl's frames are on the stack.
 *
 * What this file refuses to know: requests, files, Graph.
 *
 * Sources: RFC 6125 section 6.4.4; OpenSSL's manual pages
 * SSL_CTX_set_verify(3), SSL_CTX_set_keylog_callback(3); libcurl's
 * CURLOPT_SSL_CTX_FUNCTION(3).
 *
 * IDENTIFICATION
 *		src/net/tls.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/net_int.h"

/*
 * graph_tls_start
 *		Before libcurl is initialized: it reads the variable then.
 */
void
graph_tls_start(void)
{
	(void) unsetenv("SSLKEYLOGFILE");
}

/*
 * graph_tls_has_context
 *		Does libcurl use the OpenSSL that we use, so that what it hands to
 *		graph_tls_prepare() is an SSL_CTX of ours?
 */
bool
graph_tls_has_context(void)
{
	const char *version = curl_version_info(CURLVERSION_NOW)->ssl_version;

	return version && strncmp(version, "OpenSSL/", 8) == 0 &&
		(unsigned long) atoi(version + 8) == OpenSSL_version_num() >> 28;
}

/*
 * names_host
 *		Does a certificate have a subjectAltName that names hosts?  Whether it
 *		names ours, libcurl looks.
 */
static bool
names_host(const X509 *certificate)
{
	GENERAL_NAMES *names;
	bool		found = false;

	/* leave OpenSSL's error queue as it is: it is libcurl's, and others' */
	ERR_set_mark();
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	ERR_pop_to_mark();
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
	{
		int			type = sk_GENERAL_NAME_value(names, i)->type;

		if (type == GEN_DNS || type == GEN_IPADD)
			found = true;
	}
	GENERAL_NAMES_free(names);
	return found;
}

/*
 * verify
 *		OpenSSL's callback for each certificate of the chain: whether that is
 *		good otherwise was found out before.
 */
static int
verify(int good, X509_STORE_CTX *store)
{
	if (good && X509_STORE_CTX_get_error_depth(store) == 0 &&
		!names_host(X509_STORE_CTX_get_current_cert(store)))
	{
		X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
		return 0;
	}
	return good;
}

/*
 * graph_tls_prepare
 *		Complete what libcurl has set in an SSL_CTX, for the service or for a
 *		proxy that is asked by https.
 */
void
graph_tls_prepare(void *context)
{
	SSL_CTX_set_keylog_callback(context, NULL);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
}
