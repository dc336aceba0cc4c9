/*-------------------------------------------------------------------------
 *
 * header.c
 *		What does the header of an answer say?
 *
 * It comes a line at a time, from a libcurl callback: nothing here throws,
 * pallocs or keeps more than fits into the fields.  Interim answers (1xx) come
 * before the one that counts and leave nothing behind; trailers come after it
 * and are not looked at.
 *
 * What this file refuses to know: transfers, bodies, what follows from a
 * status.
 *
 * Sources: RFC 9110 sections 5 (fields), 8.4 (content codings), 8.6 (length)
 * and 15.2 (interim answers); RFC 9112 section 6.3 (how long a body is).
 *
 * IDENTIFICATION
 *		src/net/header.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "net/net_int.h"

/*
 * field_value
 *		If the line is this field's, its value without blanks around it; false
 *		if it is not.
 */
static bool
field_value(GraphSlice line, const char *name, GraphSlice *value)
{
	size_t		name_len = strlen(name);

	if (line.len <= name_len || line.data[name_len] != ':' ||
		pg_strncasecmp(line.data, name, name_len) != 0)
		return false;
	value->data = line.data + name_len + 1;
	value->len = line.len - name_len - 1;
	while (value->len > 0 && strchr(" \t", value->data[0]))
		value->data++, value->len--;
	while (value->len > 0 && strchr(" \t\r\n", value->data[value->len - 1]))
		value->len--;
	return true;
}

/*
 * keep
 *		If the line is this field's, keep its value, cut to the size.
 */
static bool
keep(GraphSlice line, const char *name, char *field, size_t size)
{
	GraphSlice	value;

	if (!field_value(line, name, &value))
		return false;
	value.len = Min(value.len, size - 1);
	for (size_t i = 0; i < value.len; i++)
		field[i] = value.data[i] >= ' ' && value.data[i] < 0x7f ?
			value.data[i] : '?';
	field[value.len] = '\0';
	return true;
}

/*
 * begin
 *		A status line: forget what an interim answer said.
 *
 * From HTTP/2 on a body says itself where it ends.
 */
static void
begin(GraphHttpHeader *header, GraphSlice line)
{
	const char *status = memchr(line.data, ' ', line.len);

	memset(header, 0, sizeof(GraphHttpHeader));
	header->interim = status && status + 1 < line.data + line.len &&
		status[1] == '1';
	header->bounded = line.data[5] > '1';
}

/*
 * take_length
 *		Two lengths that differ are none (RFC 9110 section 8.6).
 */
static void
take_length(GraphHttpHeader *header, GraphSlice line)
{
	char		length[sizeof(header->length)];

	if (!keep(line, "content-length", length, sizeof(length)))
		return;
	if (header->length[0] && strcmp(header->length, length) != 0)
		header->two_lengths = true;
	strlcpy(header->length, length, sizeof(header->length));
	header->bounded = true;
}

/*
 * take_encoding
 *		Several content codings, whether in one line or in more, are one that
 *		nobody knows.
 */
static void
take_encoding(GraphHttpHeader *header, GraphSlice line)
{
	char		encoding[sizeof(header->encoding)];

	if (!keep(line, "content-encoding", encoding, sizeof(encoding)) ||
		encoding[0] == '\0' || pg_strcasecmp(encoding, "identity") == 0)
		return;
	strlcpy(header->encoding, header->encoding[0] ? "several" : encoding,
			sizeof(header->encoding));
}

/*
 * graph_header_line
 *		Take one line of a header.
 */
void
graph_header_line(GraphHttpHeader *header, const char *data, size_t len)
{
	GraphSlice	line = {data, len};
	GraphSlice	value;

	if (len > 5 && memcmp(data, "HTTP/", 5) == 0)
		begin(header, line);
	else if (header->ended)
		return;
	else if (len > 0 && (data[0] == '\r' || data[0] == '\n'))
		header->ended = !header->interim;

	take_length(header, line);
	take_encoding(header, line);
	if (field_value(line, "transfer-encoding", &value))
		header->bounded = true;
	(void) keep(line, "content-type",
				header->content_type, sizeof(header->content_type));
	(void) keep(line, "request-id",
				header->request_id, sizeof(header->request_id));
	(void) keep(line, "warning", header->warning, sizeof(header->warning));
	(void) keep(line, "www-authenticate",
				header->challenge, sizeof(header->challenge));
	(void) keep(line, "date", header->date, sizeof(header->date));
}

/*
 * graph_header_complete
 *		Add what libcurl makes of it: the status, and the seconds that the
 *		service asks to wait (0: it does not).
 */
void
graph_header_complete(GraphHttpHeader *header, long status,
					  curl_off_t retry_after)
{
	header->status = (int) status;
	header->retry_after = retry_after > 0 ?
		(int) Min(retry_after, INT_MAX) : -1;
	header->time = Max(0, curl_getdate(header->date, NULL));
}

/*
 * graph_header_is_gzip
 *		Is the body to be inflated?
 */
bool
graph_header_is_gzip(const GraphHttpHeader *header)
{
	return pg_strcasecmp(header->encoding, "gzip") == 0 ||
		pg_strcasecmp(header->encoding, "x-gzip") == 0;
}
