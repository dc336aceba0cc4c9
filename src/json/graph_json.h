/*-------------------------------------------------------------------------
 *
 * graph_json.h
 *		Where in these bytes is the member, and what does its value say?
 *
 * projection.c says which members are wanted, json.c locates them in a value,
 * and list.c in each record of a list, as it arrives.  text.c and escape.c
 * know what strings, numbers and times say.  document.c reads small documents
 * as a whole, with jansson.
 *
 * What this layer refuses to know: what was asked, columns and their types,
 * where the bytes come from.
 *
 * IDENTIFICATION
 *		src/json/graph_json.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_JSON_H
#define GRAPH_JSON_H

#include "datatype/timestamp.h"

#include "base/graph_base.h"

/* Which members of a record are wanted; each has a slot. */
typedef struct GraphProjection GraphProjection;

/* Reads one list document, in whatever pieces it comes. */
typedef struct GraphListReader GraphListReader;

typedef enum GraphJsonStatus
{
	GRAPH_JSON_OK,
	GRAPH_JSON_INCOMPLETE,		/* well-formed so far, but it ends too soon */
	GRAPH_JSON_MALFORMED,
} GraphJsonStatus;

/* What is malformed, and where; the text is constant, lower case. */
typedef struct GraphJsonError
{
	const char *problem;
	size_t		offset;			/* from the start of the given bytes */
} GraphJsonError;

typedef enum GraphListEvent
{
	GRAPH_LIST_MORE,			/* give me more bytes */
	GRAPH_LIST_RECORD,			/* here is the next element of "value" */
	GRAPH_LIST_END,				/* the document is complete */
	GRAPH_LIST_MALFORMED,
} GraphListEvent;

/* A record of a list, or an entity; good until the scan's next one. */
typedef struct GraphRecord
{
	GraphSlice	whole;
	GraphSlice	id;				/* a JSON string */
	GraphSlice *slots;			/* those of the scan's projection */
} GraphRecord;

/* The answer to a request for a token. */
typedef struct GraphTokenAnswer
{
	char	   *access_token;	/* the caller wipes it and the next two */
	char	   *refresh_token;	/* or NULL */
	char	   *id_token;		/* or NULL */
	int64		expires_in;		/* seconds; a day's worth at most */
} GraphTokenAnswer;

/* What a person needs to log in, and what asks whether they have. */
typedef struct GraphDeviceCode
{
	char	   *device_code;	/* the caller wipes it */
	char	   *user_code;
	char	   *verification_uri;
	int			expires_in;		/* seconds */
	int			interval;		/* seconds between two questions */
} GraphDeviceCode;

/* in projection.c */
extern GraphProjection *graph_projection_create(void);
extern int	graph_projection_add(GraphProjection *projection, const char *path);
extern int	graph_projection_size(const GraphProjection *projection);

/* in json.c */
extern GraphJsonStatus graph_json_locate(const char *data, size_t len,
										 const GraphProjection *projection,
										 GraphSlice *slots, size_t *end,
										 GraphJsonError *error);
extern bool graph_json_next_element(GraphSlice array, size_t *position,
									const GraphProjection *projection,
									GraphSlice *slots, GraphSlice *element);
extern GraphSlice graph_json_drop_context(char *data, size_t len);
extern size_t graph_json_skip_blanks(const char *data, size_t len);

/* in list.c */
extern GraphListReader *graph_list_reader_create(const GraphProjection *projection);
extern GraphListEvent graph_list_read(GraphListReader *reader,
									  const char *data, size_t len,
									  size_t *used,
									  GraphSlice *record, GraphSlice *slots,
									  GraphJsonError *error);
extern GraphSlice graph_list_next_link(const GraphListReader *reader);
extern GraphSlice graph_list_count(const GraphListReader *reader);
extern bool graph_list_has_value(const GraphListReader *reader);
extern bool graph_list_has_error(const GraphListReader *reader);

/* in text.c */
extern bool graph_slice_is_null(GraphSlice value);
extern bool graph_slice_is_string(GraphSlice value);
extern char *graph_clean_text(char *out, const char *p, const char *end);
extern char *graph_json_text(GraphSlice value, bool unescape, int reserve,
							 size_t *len);
extern char *graph_decode_string(GraphSlice value);
extern bool graph_decode_integer(GraphSlice value, int64 *result);
extern bool graph_decode_time(GraphSlice value, TimestampTz *result);

/* in document.c */
extern void graph_decode_graph_error(const char *body, size_t len,
									 GraphRemoteError *error);
extern void graph_decode_token_error(const char *body, size_t len,
									 GraphRemoteError *error);
extern const char *graph_decode_token(const char *body, size_t len,
									  GraphTokenAnswer *answer);
extern const char *graph_decode_device_code(const char *body, size_t len,
											GraphDeviceCode *code);
extern char *graph_decode_account(const char *claims, size_t len);
extern bool graph_decode_permissions(const char *claims, size_t len,
									 List **permissions);

#endif							/* GRAPH_JSON_H */
