/*-------------------------------------------------------------------------
 *
 * floor.c
 *		What does it cost to read alerts with libcurl and jansson, and no
 *		database?
 *
 *		floor download URL	receive the pages, look at no byte of them
 *		floor list URL		parse each page, read five members of each alert
 *		floor keys URL FILE	get one alert for each id in the file, and the same
 *
 * This is the straightforward program: an easy handle whose connection is kept,
 * a page in memory, a tree of it.  It prints the seconds that this took, after
 * everything was initialized, and the number of alerts and of members that
 * were not null.  With keys, one request is made before the clock runs.
 *
 * For "download", the URL ends in the number of the page, which counts down
 * to 1, since nothing is read that would have a link in it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <jansson.h>

#define MAX_URL 4096

typedef struct Body
{
	char	   *data;
	size_t		len;
	size_t		space;
} Body;

static const char *const members[] = {
	"id", "title", "severity", "status", "createdDateTime"
};

static CURL *curl;
static Body body;
static long alerts;
static long present;
static size_t bytes;

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "floor: %s: %s\n", what, why);
	exit(1);
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static size_t
keep_bytes(char *data, size_t size, size_t count, void *arg)
{
	size_t		len = size * count;

	(void) arg;
	if (body.len + len > body.space)
	{
		body.space = (body.len + len) * 2;
		body.data = realloc(body.data, body.space);
		if (body.data == NULL)
			return 0;
	}
	memcpy(body.data + body.len, data, len);
	body.len += len;
	return len;
}

static size_t
drop_bytes(char *data, size_t size, size_t count, void *arg)
{
	(void) data;
	(void) arg;
	bytes += size * count;
	return size * count;
}

static void
get(const char *url)
{
	CURLcode	code;
	long		status = 0;

	body.len = 0;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		fail(url, curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		fail(url, "the status is not 200");
}

static json_t *
get_json(const char *url)
{
	json_error_t error;
	json_t	   *root;

	get(url);
	root = json_loadb(body.data, body.len, 0, &error);
	if (root == NULL)
		fail(url, error.text);
	return root;
}

static void
read_alert(const json_t *alert)
{
	alerts++;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		present += json_string_value(json_object_get(alert, members[i])) != NULL;
}

static void
download(const char *first)
{
	char		url[MAX_URL];
	const char *number = strrchr(first, '=') + 1;

	for (int page = atoi(number); page > 0; page--)
	{
		snprintf(url, sizeof(url), "%.*s%d", (int) (number - first), first, page);
		get(url);
	}
}

static void
list(const char *first)
{
	char		url[MAX_URL];
	bool		more;

	snprintf(url, sizeof(url), "%s", first);
	do
	{
		json_t	   *root = get_json(url);
		const char *link = json_string_value(json_object_get(root, "@odata.nextLink"));
		json_t	   *alert;
		size_t		i;

		json_array_foreach(json_object_get(root, "value"), i, alert)
			read_alert(alert);
		more = link != NULL;
		if (more)
			snprintf(url, sizeof(url), "%s", link);
		json_decref(root);
	} while (more);
}

static double
keys(const char *base, const char *file_name)
{
	FILE	   *file = fopen(file_name, "r");
	char		url[MAX_URL];
	char		id[256];
	double		start = 0;

	if (file == NULL)
		fail(file_name, "could not be opened");
	while (fscanf(file, "%255s", id) == 1)
	{
		json_t	   *root;

		snprintf(url, sizeof(url), "%s/%s", base, id);
		if (start == 0)
		{
			get(url);
			start = now();
		}
		root = get_json(url);
		read_alert(root);
		json_decref(root);
	}
	fclose(file);
	return start;
}

int
main(int argc, char **argv)
{
	struct curl_slist *headers = NULL;
	double		start;
	bool		is_download;

	if (argc < 3 || (strcmp(argv[1], "keys") == 0) != (argc == 4))
		fail("usage", "floor download URL | list URL | keys URL FILE");
	is_download = strcmp(argv[1], "download") == 0;

	curl_global_init(CURL_GLOBAL_ALL);
	curl = curl_easy_init();
	headers = curl_slist_append(headers, "Authorization: Bearer floor");
	headers = curl_slist_append(headers, "Accept: application/json");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION,
					 is_download ? drop_bytes : keep_bytes);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");

	start = now();
	if (is_download)
		download(argv[2]);
	else if (strcmp(argv[1], "list") == 0)
		list(argv[2]);
	else
		start = keys(argv[2], argv[3]);
	printf("%.6f %ld %ld\n", now() - start, alerts, present);

	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(body.data);
	return 0;
}
