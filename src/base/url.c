/*-------------------------------------------------------------------------
 *
 * url.c
 *		Where does a URL lead, and how is text written in one?
 *
 * libcurl's own parser takes URLs apart.  It decides where a request goes, so
 * there cannot be two opinions about what the host is.
 *
 * What this file refuses to know: requests, options, Graph.
 *
 * Sources: RFC 3986; libcurl's manual pages curl_url_set(3), curl_url_get(3),
 * curl_easy_escape(3).
 *
 * IDENTIFICATION
 *		src/base/url.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "mb/pg_wchar.h"

#include "base/graph_base.h"

/*
 * take_text
 *		A palloc'd copy of a string of libcurl's, which is freed, and overwritten
 *		before; NULL if there is none, or no memory.  It does not throw.
 */
static char *
take_text(char *text)
{
	char	   *copy;
	size_t		size;

	if (text == NULL)
		return NULL;
	size = strlen(text) + 1;
	copy = palloc_extended(size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (copy)
		memcpy(copy, text, size);
	explicit_bzero(text, size);
	curl_free(text);
	return copy;
}

/*
 * url_part
 *		One part of a parsed URL as a palloc'd string, or NULL if it has none.
 *
 * It does not throw, as the URL has no owner: what fails is noted in *code,
 * unless something did before.
 */
static char *
url_part(CURLU *url, CURLUPart what, unsigned int flags, CURLUcode *code)
{
	char	   *part = NULL;
	char	   *copy = NULL;
	CURLUcode	result = curl_url_get(url, what, &part, flags);
	bool		absent;

	if (result == CURLUE_OK)
	{
		copy = take_text(part);
		if (copy == NULL)
			result = CURLUE_OUT_OF_MEMORY;
	}
	absent = result >= CURLUE_NO_SCHEME && result <= CURLUE_NO_ZONEID;
	if (*code == CURLUE_OK && !absent)
		*code = result;
	return copy;
}

typedef struct UrlParts
{
	bool		valid;
	char	   *scheme;
	char	   *user;			/* or, without one, */
	char	   *password;
	char	   *host;
	char	   *port;			/* also where it is the scheme's default */
	char	   *path;
	char	   *query;
	char	   *fragment;
} UrlParts;

/*
 * split_url
 *		Take an absolute URL apart, as libcurl understands it.
 */
static UrlParts
split_url(const char *text, unsigned int flags)
{
	UrlParts	parts = {0};
	CURLU	   *url = curl_url();	/* nothing may throw: it has no owner */
	CURLUcode	code = url == NULL ? CURLUE_OUT_OF_MEMORY :
		curl_url_set(url, CURLUPART_URL, text, flags);

	if (code == CURLUE_OK)
	{
		parts.scheme = url_part(url, CURLUPART_SCHEME, 0, &code);
		parts.user = url_part(url, CURLUPART_USER, 0, &code);
		parts.password = url_part(url, CURLUPART_PASSWORD, 0, &code);
		parts.host = url_part(url, CURLUPART_HOST, 0, &code);
		parts.port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &code);
		parts.path = url_part(url, CURLUPART_PATH, 0, &code);
		parts.query = url_part(url, CURLUPART_QUERY, 0, &code);
		parts.fragment = url_part(url, CURLUPART_FRAGMENT, 0, &code);
	}
	curl_url_cleanup(url);
	if (code == CURLUE_OUT_OF_MEMORY)
		graph_report_out_of_memory();	/* which says nothing about the URL */
	parts.valid = code == CURLUE_OK && parts.scheme;
	if (parts.user == NULL)
		parts.user = parts.password;
	return parts;
}

/*
 * is_loopback
 *		Is this host the machine itself, without asking a resolver?
 */
static bool
is_loopback(const char *host)
{
	struct in_addr address;

	if (pg_strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 &&
		ntohl(address.s_addr) >> 24 == 127;
}

/*
 * is_link_local_v4
 *		Is an IPv4 address one of the local link?
 */
static bool
is_link_local_v4(const unsigned char *bytes)
{
	return bytes[0] == 169 && bytes[1] == 254;
}

/*
 * is_metadata_v4
 *		Does a cloud have a service at an IPv4 address that tells a machine what
 *		it is, and its secrets?  All have on the local link; the others are
 *		Azure's, Alibaba's and Oracle's.
 */
static bool
is_metadata_v4(const unsigned char *bytes)
{
	static const unsigned char services[][4] = {
		{168, 63, 129, 16}, {100, 100, 100, 200}, {192, 0, 0, 192}
	};

	for (size_t i = 0; i < lengthof(services); i++)
	{
		if (memcmp(bytes, services[i], 4) == 0)
			return true;
	}
	return is_link_local_v4(bytes);
}

/*
 * is_embedded
 *		Does an IPv6 address lead to such an IPv4 address?
 *
 * The ways are: mapped, compatible and translated (RFC 4291, 2765), NAT64
 * (RFC 6052, and the prefix for local use of RFC 8215, below which a network
 * chooses its own length), 6to4 (RFC 3056), Teredo with its server and its
 * client (RFC 4380), and ISATAP (RFC 5214).
 */
static bool
is_embedded(const unsigned char *bytes)
{
	static const unsigned char zero[16] = {0};
	static const unsigned char nat64[] = {0x00, 0x64, 0xff, 0x9b};
	static const unsigned char local_nat64[] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
	static const unsigned char isatap[] = {0x00, 0x5e, 0xfe};
	const unsigned char *last = bytes + 12;
	bool		is_local_nat64 = memcmp(bytes, local_nat64, 6) == 0;
	unsigned char parts[4];

	if (memcmp(bytes, zero, 8) == 0 &&
		(memcmp(bytes + 8, zero, 4) == 0 ||
		 memcmp(bytes + 8, "\0\0\xff\xff", 4) == 0 ||
		 memcmp(bytes + 8, "\xff\xff\0\0", 4) == 0))
		return is_metadata_v4(last);
	if (bytes[0] == 0x20 && bytes[1] == 0x02)
		return is_metadata_v4(bytes + 2);
	if (memcmp(bytes, "\x20\x01\0\0", 4) == 0)
	{
		for (int i = 0; i < 4; i++)
			parts[i] = last[i] ^ 0xff;
		return is_metadata_v4(bytes + 4) || is_metadata_v4(parts);
	}
	if (is_local_nat64)
	{
		/* prefixes of 48, 56 and 64 bits: around the byte that stays zero */
		for (int start = 6; start <= 8; start++)
		{
			for (int i = 0; i < 4; i++)
				parts[i] = bytes[start + i + (start + i >= 8 ? 1 : 0)];
			if (is_metadata_v4(parts))
				return true;
		}
	}
	if (is_local_nat64 ||
		(memcmp(bytes, nat64, 4) == 0 && memcmp(bytes + 4, zero, 8) == 0) ||
		((bytes[8] & ~0x02) == 0 && memcmp(bytes + 9, isatap, 3) == 0))
		return is_metadata_v4(last);
	return false;
}

/*
 * graph_address_is_metadata
 *		Is this address one where the metadata services of clouds are, among
 *		them all of the local link?  It calls nothing but the C library, as it is
 *		asked inside a libcurl callback.
 *
 * These are fe80::/10 and the addresses of two clouds in IPv6, and
 * 169.254.0.0/16 and its like in IPv4, or embedded in IPv6.
 */
bool
graph_address_is_metadata(const struct sockaddr *address)
{
	static const unsigned char amazon[] = {0xfd, 0x00, 0x0e, 0xc2};
	static const unsigned char google[16] = {0xfd, 0x20, 0x00, 0xce,
	[14] = 0x02,[15] = 0x54};
	const unsigned char *bytes;

	if (address->sa_family == AF_INET)
		return is_metadata_v4((const unsigned char *)
							  &((const struct sockaddr_in *) address)->sin_addr);
	if (address->sa_family != AF_INET6)
		return false;
	bytes = ((const struct sockaddr_in6 *) address)->sin6_addr.s6_addr;
	return (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
		memcmp(bytes, amazon, sizeof(amazon)) == 0 ||
		memcmp(bytes, google, sizeof(google)) == 0 ||
		is_embedded(bytes);
}

/*
 * host_is_metadata
 *		The same for the host of a URL.  A name is none: what it stands for is
 *		looked at when a socket is opened.
 */
static bool
host_is_metadata(const char *host)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	char		text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return graph_address_is_metadata((struct sockaddr *) &v4);
	if (host[0] != '[')
		return false;
	strlcpy(text, host + 1, sizeof(text));
	text[strcspn(text, "]%")] = '\0';
	return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 &&
		graph_address_is_metadata((struct sockaddr *) &v6);
}

/*
 * host_is_link_local
 *		Is the host of a URL surely next to this machine?
 */
static bool
host_is_link_local(const char *host)
{
	struct in_addr address;

	return (inet_pton(AF_INET, host, &address) == 1 &&
			is_link_local_v4((const unsigned char *) &address)) ||
		(host[0] == '[' && pg_strncasecmp(host + 1, "fe80:", 5) == 0);
}

/*
 * has_blank_or_control
 *		URLs that hold these are refused: they are typos or header injections.
 */
static bool
has_blank_or_control(const char *text)
{
	for (const unsigned char *p = (const unsigned char *) text; *p; p++)
	{
		if (*p <= ' ' || *p == 0x7f)
			return true;
	}
	return false;
}

/*
 * graph_url_problem
 *		What is wrong with a URL as the root of a service, as a sentence, or
 *		NULL if nothing is.
 */
const char *
graph_url_problem(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	if (!parts.valid || parts.host == NULL || has_blank_or_control(url))
		return "The value is not a URL such as \"https://graph.microsoft.com\".";
	if (parts.user)
		return "A URL must not contain a user name or password.";
	if (parts.query || parts.fragment || strpbrk(url, "?#"))
		return "A URL must not contain a query or fragment.";
	if (host_is_metadata(parts.host))
		return "The address is one of the local link, or another where the machine's metadata service is.";
	if (strcmp(parts.scheme, "https") == 0)
		return NULL;
	if (strcmp(parts.scheme, "http") != 0)
		return "The scheme must be \"https\".";
	if (!is_loopback(parts.host))
		return "The scheme must be \"https\"; \"http\" is accepted on a loopback address only.";
	return NULL;
}

/*
 * graph_url_path
 *		The path of a URL, "" if it has none or is no URL.
 */
char *
graph_url_path(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	return parts.valid && parts.path && strcmp(parts.path, "/") != 0 ?
		parts.path : pstrdup("");
}

/*
 * graph_proxy_problem
 *		The same for a proxy.
 */
const char *
graph_proxy_problem(const char *url)
{
	UrlParts	parts = split_url(url, CURLU_NON_SUPPORT_SCHEME);

	if (!parts.valid || parts.host == NULL || has_blank_or_control(url) ||
		(strcmp(parts.scheme, "http") != 0 &&
		 strcmp(parts.scheme, "https") != 0 &&
		 strcmp(parts.scheme, "socks5") != 0 &&
		 strcmp(parts.scheme, "socks5h") != 0))
		return "The value is not a proxy such as \"http://proxy.example:3128\".";
	if (parts.user)
		return "A proxy must not contain a user name or password, which anyone could read here.";
	if (parts.query || parts.fragment || strpbrk(url, "?#"))
		return "A proxy must not contain a query or fragment.";
	if (host_is_metadata(parts.host))
		return "The address is one of the local link, or another where the machine's metadata service is.";
	return NULL;
}

/*
 * graph_url_is_local
 *		Does a URL lead to this machine or its local link, as that of a service
 *		that tells the machine's identity must?
 */
bool
graph_url_is_local(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	return parts.valid && parts.host && parts.user == NULL &&
		!has_blank_or_control(url) &&
		(is_loopback(parts.host) || host_is_link_local(parts.host));
}

/*
 * graph_url_origin
 *		Scheme, host and port of an absolute URL, in a form that is equal for
 *		equal origins; NULL if the text is no URL that we would ask.
 */
char *
graph_url_origin(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	if (!parts.valid || parts.host == NULL || parts.port == NULL ||
		parts.user || has_blank_or_control(url))
		return NULL;
	for (char *p = parts.host; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return psprintf("%s://%s:%s", parts.scheme, parts.host, parts.port);
}

/*
 * graph_url_resolve
 *		Where a link leads that stands in the answer to a request for the base:
 *		NULL if it is no URL that we would ask.
 *
 * A link that names a scheme is taken as it is: it is the service's.
 */
char *
graph_url_resolve(const char *base, const char *link)
{
	CURLU	   *url;
	CURLUcode	code;
	char	   *result = NULL;

	if (link[0] == '\0' || has_blank_or_control(link))
		return NULL;
	if (split_url(link, 0).valid)
		return pstrdup(link);

	url = curl_url();			/* nothing may throw: it has no owner */
	code = url == NULL ? CURLUE_OUT_OF_MEMORY :
		curl_url_set(url, CURLUPART_URL, base, 0);
	if (code == CURLUE_OK)
		code = curl_url_set(url, CURLUPART_URL, link, 0);
	if (code == CURLUE_OK)
		result = url_part(url, CURLUPART_URL, 0, &code);
	curl_url_cleanup(url);
	if (code == CURLUE_OUT_OF_MEMORY)
		graph_report_out_of_memory();	/* which says nothing about the URL */
	return result;
}

/*
 * graph_url_escape
 *		Percent-encode text for a path segment, a query or a form.
 *
 * The text is in the database encoding and goes out as UTF-8 (RFC 3986: all
 * but letters, digits and "-._~" is encoded).  The result is palloc'd.
 */
char *
graph_url_escape(const char *text)
{
	size_t		len = strlen(text);
	char	   *utf8 = pg_server_to_any(text, len, PG_UTF8);
	char	   *escaped;

	if (utf8 != text)
		len = strlen(utf8);
	if (len == 0)
		return pstrdup("");		/* curl would measure it again */
	if (len > INT_MAX / 3)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("text is too long for a URL")));
	escaped = take_text(curl_easy_escape(NULL, utf8, (int) len));
	if (escaped == NULL)
		graph_report_out_of_memory();
	return escaped;
}

/*
 * graph_url_unescape
 *		What a percent-encoded text stands for, up to an encoded NUL; bytes, in
 *		no particular encoding.
 */
char *
graph_url_unescape(const char *text)
{
	char	   *plain = take_text(curl_easy_unescape(NULL, text, 0, NULL));

	if (plain == NULL)
		graph_report_out_of_memory();
	return plain;
}
