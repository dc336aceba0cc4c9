/*-------------------------------------------------------------------------
 *
 * document.c
 *		What does a small document say: a token, a code, an error?
 *
 * Answers of the token endpoint, claims of tokens and descriptions of errors
 * are read as a whole, after somebody has seen to it that they are small.  This
 * is the only file that knows the library that reads them.
 *
 * A document belongs to a memory context before it exists, so that no error
 * can leak it, and all that the library allocates is overwritten when it gives
 * that back: a string may be a token, or an error that repeats one.  So are
 * the texts that are handed out, when their context goes; they are in the
 * database's encoding, with U+FFFD for what no text can hold.  A document that
 * is not what it should be is no error here: what it lacks is NULL, or the
 * caller is told by a constant text.
 *
 * Sources: RFC 6749 section 5 (tokens), RFC 8628 section 3.2 (device codes);
 * Microsoft Graph "error responses".
 *
 * What this file refuses to know: where the bytes came from, what follows from
 * an error.
 *
 * IDENTIFICATION
 *		src/json/document.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <time.h>

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/*
 * The library comes last and has one function less: json_object() is also a
 * function of the server.  Which of the two jansson itself calls at run time
 * is for its linking to say: it has to be built with -Bsymbolic-functions, as
 * its own build and the distributions' packages are.
 */
#define json_object jansson_json_object
#include <jansson.h>
#undef json_object

#include "json/json_int.h"

/*
 * What a token is good for if the answer does not say, in seconds.  RFC 6749
 * then leaves it to documentation, where Entra has an hour at least; being
 * wrong on the short side only costs a request.
 */
#define DEFAULT_TOKEN_LIFE 300

/* A token that claims to live longer is asked for again after a day. */
#define MAX_TOKEN_LIFE (24 * 60 * 60)

/* What takes the place of what cannot be shown, U+FFFD, in UTF-8. */
static const char replacement[] = "\xEF\xBF\xBD";

/* A document, owned by a memory context. */
typedef struct Document
{
	MemoryContext context;
	MemoryContextCallback callback;
	json_t	   *root;			/* or NULL */
} Document;

/*
 * The library's allocator while it reads: the document's context.  Lack of
 * memory is raised here, since the library is not up to it (version 2.14 writes
 * past the end of a string); all that it had goes with the context.  What it
 * frees is overwritten, as it may be a piece of a token.
 */
static MemoryContext reading;

typedef struct Piece
{
	size_t		size;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Piece;

#define PIECE_HEADER	MAXALIGN(offsetof(Piece, data))

/*
 * allocate, release
 *		The library's malloc() and free().
 */
static void *
allocate(size_t size)
{
	char	   *piece = MemoryContextAlloc(reading, PIECE_HEADER + size);

	((Piece *) piece)->size = size;
	return piece + PIECE_HEADER;
}

static void
release(void *memory)
{
	char	   *piece = (char *) memory - PIECE_HEADER;

	if (memory == NULL)
		return;
	explicit_bzero(memory, ((Piece *) piece)->size);
	pfree(piece);
}

/*
 * load
 *		Read a text with that allocator.
 *
 * It is everybody's in this process, so it is the library's for no longer
 * than that.
 */
static json_t *
load(MemoryContext context, GraphSlice text)
{
	json_t	   *volatile root = NULL;
	json_malloc_t old_malloc;
	json_free_t old_free;

	json_get_alloc_funcs(&old_malloc, &old_free);
	json_set_alloc_funcs(allocate, release);
	reading = context;
	PG_TRY();
	{
		root = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
	}
	PG_FINALLY();
	{
		json_set_alloc_funcs(old_malloc, old_free);
	}
	PG_END_TRY();
	return root;
}

/*
 * wipe_document
 *		Give a document back to the library, which overwrites all of it: one of
 *		its strings may be a token.
 */
static void
wipe_document(void *arg)
{
	Document   *document = arg;
	json_malloc_t old_malloc;
	json_free_t old_free;

	json_get_alloc_funcs(&old_malloc, &old_free);
	json_set_alloc_funcs(allocate, release);
	json_decref(document->root);
	json_set_alloc_funcs(old_malloc, old_free);
	document->root = NULL;
}

/*
 * open_document
 *		Read a document.
 *
 * Its owner is a context of its own below the current one, which is there
 * before the document is, so that no error can leak it.  A text that is not
 * JSON gives a document without a root.
 */
static Document *
open_document(const char *body, size_t len)
{
	MemoryContext context;
	Document   *document;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"graph_fdw document",
									ALLOCSET_SMALL_SIZES);
	document = MemoryContextAllocZero(context, sizeof(Document));
	document->context = context;
	document->callback.func = wipe_document;
	document->callback.arg = document;
	MemoryContextRegisterResetCallback(context, &document->callback);
	document->root = load(context, graph_json_skip_bom(body, len));
	return document;
}

/*
 * close_document
 *		Wipe and free a document.
 */
static void
close_document(Document *document)
{
	MemoryContextDelete(document->context);
}

/*
 * member_text
 *		The text of a member; NULL if it is absent or not a string.
 *
 * The library has checked that it is UTF-8, but lets zero bytes through.
 */
static char *
member_text(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);
	const char *p = json_string_value(member);
	size_t		len = json_string_length(member);
	char	   *text;
	char	   *result;
	size_t		used = 0;

	if (!json_is_string(member))
		return NULL;

	text = graph_secret_alloc(len * strlen(replacement) + 1);
	for (size_t i = 0; i < len; i++)
	{
		size_t		width = p[i] ? 1 : strlen(replacement);

		memcpy(text + used, p[i] ? p + i : replacement, width);
		used += width;
	}
	text[used] = '\0';
	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	result = graph_to_server_encoding(pnstrdup(text, used), 0, &used);
	text = graph_secret_copy(result, used);
	explicit_bzero(result, used);
	return text;
}

/*
 * graph_decode_graph_error
 *		What does the body of a failed request to Graph say?
 *
 * It may be anything, a gateway's HTML for one; then nothing is known.
 */
void
graph_decode_graph_error(const char *body, size_t len,
						 GraphRemoteError *error)
{
	Document   *document = open_document(body, len);
	json_t	   *outer = json_object_get(document->root, "error");
	json_t	   *inner = json_object_get(outer, "innerError");

	/* documented in lower case, sent as above */
	if (inner == NULL)
		inner = json_object_get(outer, "innererror");

	memset(error, 0, sizeof(GraphRemoteError));
	error->code = member_text(outer, "code");
	error->message = member_text(outer, "message");
	error->request_id = member_text(inner, "request-id");
	error->client_request_id = member_text(inner, "client-request-id");
	close_document(document);
}

/*
 * graph_decode_token_error
 *		What does the body of a failed request for a token say?
 */
void
graph_decode_token_error(const char *body, size_t len,
						 GraphRemoteError *error)
{
	Document   *document = open_document(body, len);
	json_t	   *root = document->root;
	json_t	   *codes = json_object_get(root, "error_codes");
	json_int_t	number = json_integer_value(json_array_get(codes, 0));

	memset(error, 0, sizeof(GraphRemoteError));
	error->code = member_text(root, "error");
	error->message = member_text(root, "error_description");
	error->request_id = member_text(root, "trace_id");
	error->client_request_id = member_text(root, "correlation_id");
	if (number > 0 && number <= PG_INT32_MAX)
		error->aadsts = (int) number;
	close_document(document);
}

/*
 * is_header_safe
 *		May this be put into a header as it is?
 */
static bool
is_header_safe(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	return true;
}

/*
 * lenient_number
 *		A number, or a string that holds one as managed identities answer;
 *		false if it is neither.
 */
static bool
lenient_number(const json_t *value, double *number)
{
	char	   *end;

	if (json_is_number(value))
	{
		*number = json_number_value(value);
		return true;
	}
	if (!json_is_string(value))
		return false;
	*number = strtod(json_string_value(value), &end);
	return end != json_string_value(value) && *end == '\0' && !isnan(*number);
}

/*
 * token_life
 *		Seconds that a token lives: expires_in, by RFC 6749.
 *
 * A managed identity of an App Service says expires_on instead, in seconds
 * since 1970.
 */
static int64
token_life(const json_t *root)
{
	double		seconds;

	if (!lenient_number(json_object_get(root, "expires_in"), &seconds))
	{
		if (!lenient_number(json_object_get(root, "expires_on"), &seconds))
			return DEFAULT_TOKEN_LIFE;
		seconds -= time(NULL);
	}
	return (int64) Max(0.0, Min(seconds, (double) MAX_TOKEN_LIFE));
}

/*
 * member_secret
 *		A member that is a secret text without blanks, palloc'd, or NULL.
 */
static char *
member_secret(const json_t *root, const char *name)
{
	const json_t *member = json_object_get(root, name);

	if (!json_is_string(member) || json_string_length(member) == 0 ||
		!is_header_safe(json_string_value(member), json_string_length(member)))
		return NULL;
	return graph_secret_copy(json_string_value(member),
							 json_string_length(member));
}

/*
 * check_token
 *		What is wrong with an answer that should have a token in it, or NULL?
 */
static const char *
check_token(const json_t *root)
{
	const json_t *token = json_object_get(root, "access_token");
	const json_t *type = json_object_get(root, "token_type");

	if (!json_is_object(root))
		return "the answer is not a JSON object";
	if (!json_is_string(token))
		return "access_token is missing";
	if (json_string_length(token) == 0)
		return "access_token is empty";
	if (!is_header_safe(json_string_value(token), json_string_length(token)))
		return "access_token has characters that a header cannot have";
	if (type != NULL &&
		(!json_is_string(type) ||
		 pg_strcasecmp(json_string_value(type), "Bearer") != 0))
		return "token_type is not Bearer";
	return NULL;
}

/*
 * graph_decode_token
 *		Take the token out of the answer to a request for one.
 *
 * Returns NULL, or what is wrong with the answer: a constant text.
 */
const char *
graph_decode_token(const char *body, size_t len, GraphTokenAnswer *answer)
{
	Document   *document = open_document(body, len);
	const char *problem = check_token(document->root);

	memset(answer, 0, sizeof(GraphTokenAnswer));
	if (problem == NULL)
	{
		answer->access_token = member_secret(document->root, "access_token");
		answer->refresh_token = member_secret(document->root, "refresh_token");
		answer->id_token = member_secret(document->root, "id_token");
		answer->expires_in = token_life(document->root);
	}
	close_document(document);
	return problem;
}

/*
 * member_seconds
 *		A whole number of seconds within limits, or the default value.
 */
static int
member_seconds(const json_t *root, const char *name, int default_value,
			   int most)
{
	double		seconds;

	if (!lenient_number(json_object_get(root, name), &seconds) || seconds < 1)
		return default_value;
	return (int) Min(seconds, most);
}

/*
 * graph_decode_device_code
 *		Read the answer that begins a login by device code (RFC 8628 section
 *		3.2).
 *
 * Returns NULL, or what is wrong with the answer: a constant text.
 */
const char *
graph_decode_device_code(const char *body, size_t len, GraphDeviceCode *code)
{
	Document   *document = open_document(body, len);
	json_t	   *root = document->root;

	memset(code, 0, sizeof(GraphDeviceCode));
	code->device_code = member_secret(root, "device_code");
	code->user_code = member_text(root, "user_code");
	code->verification_uri = member_text(root, "verification_uri");
	code->expires_in = member_seconds(root, "expires_in", 900, 3600);
	code->interval = member_seconds(root, "interval", 5, 300);
	close_document(document);

	if (code->device_code == NULL)
		return "device_code is missing";
	if (code->user_code == NULL || code->user_code[0] == '\0')
		return "user_code is missing";
	if (code->verification_uri == NULL || code->verification_uri[0] == '\0')
		return "verification_uri is missing";
	return NULL;
}

/*
 * graph_decode_account
 *		Whose account is it by the claims of an id token?  NULL if they do not
 *		say.
 */
char *
graph_decode_account(const char *claims, size_t len)
{
	static const char *const names[] = {"preferred_username", "upn", "email",
	"name", "sub"};
	Document   *document = open_document(claims, len);
	char	   *account = NULL;

	for (size_t i = 0; i < lengthof(names) && account == NULL; i++)
		account = member_text(document->root, names[i]);
	close_document(document);
	return account;
}

/*
 * add_words
 *		Append the words of a text to a list.
 */
static List *
add_words(List *list, char *text)
{
	char	   *next;

	for (char *word = strtok_r(text, " ", &next); word;
		 word = strtok_r(NULL, " ", &next))
		list = lappend(list, pstrdup(word));
	return list;
}

/*
 * graph_decode_permissions
 *		The permissions by the claims of an access token, a list of char *:
 *		"roles" are an application's, "scp" what a person has granted.  False if
 *		there is neither.
 */
bool
graph_decode_permissions(const char *claims, size_t len, List **permissions)
{
	Document   *document = open_document(claims, len);
	json_t	   *roles = json_object_get(document->root, "roles");
	char	   *granted = member_text(document->root, "scp");
	bool		result = json_is_array(roles) || granted;

	*permissions = granted ? add_words(NIL, granted) : NIL;
	for (size_t i = 0; i < json_array_size(roles); i++)
	{
		const char *role = json_string_value(json_array_get(roles, i));

		if (role)
			*permissions = lappend(*permissions, pstrdup(role));
	}
	close_document(document);
	return result;
}
