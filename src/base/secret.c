/*-------------------------------------------------------------------------
 *
 * secret.c
 *		Where is a secret kept, and how is it overwritten afterwards?
 *
 * Two kinds of memory hold secrets.  What is palloc'd here comes from
 * graph_secret_alloc(): it is overwritten when its memory context goes,
 * whether the end was good or an error.  What libcurl allocates for itself
 * comes from graph_wipe_malloc() and its like, which overwrite whatever is
 * given back; libcurl would not.  Answers (src/net/buffer.c) and the documents
 * in them (src/json/document.c) are in memory of their own, which is
 * overwritten there if a secret may be in it.  Files of the server's host are
 * read into memory of the first kind.
 *
 * What this file refuses to know: which secret it is, and whose.
 *
 * IDENTIFICATION
 *		src/base/secret.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#if defined(__APPLE__)
#include <malloc/malloc.h>
#define malloc_usable_size(pointer)	malloc_size(pointer)
#elif defined(__FreeBSD__)
#include <malloc_np.h>
#else
#include <malloc.h>
#endif

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#include "base/graph_base.h"

/* What stands before the bytes that are overwritten. */
typedef struct Secret
{
	MemoryContextCallback callback;
	size_t		size;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} Secret;

/*
 * wipe_secret
 *		Reset callback.
 */
static void
wipe_secret(void *arg)
{
	Secret	   *secret = arg;

	explicit_bzero(secret->bytes, secret->size);
}

/*
 * graph_wipe_text
 *		Overwrite a text, or none (NULL), with zeros.
 */
void
graph_wipe_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
}

/*
 * graph_free_text
 *		Overwrite and free a palloc'd text, or none (NULL).
 */
void
graph_free_text(char *text)
{
	graph_wipe_text(text);
	if (text)
		pfree(text);
}

/*
 * graph_secret_alloc
 *		Memory of the current context that is overwritten when that is reset or
 *		deleted.  It cannot be freed before.
 */
char *
graph_secret_alloc(size_t size)
{
	Secret	   *secret = palloc(offsetof(Secret, bytes) + size);

	secret->size = size;
	secret->callback.func = wipe_secret;
	secret->callback.arg = secret;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &secret->callback);
	return secret->bytes;
}

/*
 * graph_secret_copy
 *		A copy of the first bytes of a text in such memory.
 */
char *
graph_secret_copy(const char *text, size_t len)
{
	char	   *copy = graph_secret_alloc(len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/*
 * graph_secret_join
 *		Two texts, one after the other, in such memory.
 */
char *
graph_secret_join(const char *before, const char *secret)
{
	size_t		before_len = strlen(before);
	size_t		len = before_len + strlen(secret);
	char	   *text = graph_secret_alloc(len + 1);

	memcpy(text, before, before_len);
	strcpy(text + before_len, secret);
	return text;
}

/*
 * check_key_permissions
 *		A private key that others can read is none; the rule is that for the
 *		server's own ssl_key_file.
 */
static void
check_key_permissions(const char *path, const struct stat *status)
{
	if (status->st_uid != geteuid() && status->st_uid != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("private key file \"%s\" must be owned by the database user or root",
						path)));
	if (status->st_mode & (status->st_uid == geteuid() ? S_IRWXG | S_IRWXO :
						   S_IWGRP | S_IXGRP | S_IRWXO))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("private key file \"%s\" has group or world access",
						path),
				 errdetail("File must have permissions u=rw (0600) or less if owned by the database user, or permissions u=rw,g=r (0640) or less if owned by root.")));
}

/*
 * graph_file_hint
 *		What to do about a file that cannot be read.
 */
const char *
graph_file_hint(const char *path)
{
	return is_absolute_path(path) ?
		"The file is read by the operating system user of the PostgreSQL server, on its host." :
		"The server looks for a relative path in its data directory: use an absolute path.";
}

/*
 * graph_read_file
 *		The text of a small file, in memory that is overwritten when its context
 *		goes.
 *
 * what is what messages call it; none repeats any of the content.  Only a
 * regular file is read, as anything else might never end.
 */
char *
graph_read_file(const char *what, const char *path, bool private_key)
{
	int			fd;
	struct stat status;
	char	   *text;
	size_t		len = 0;
	ssize_t		got = 1;

	fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0 || fstat(fd, &status) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open %s \"%s\": %m", what, path),
				 errhint("%s", graph_file_hint(path))));
	if (!S_ISREG(status.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s \"%s\" is not a regular file", what, path)));
	if (private_key)
		check_key_permissions(path, &status);

	text = graph_secret_alloc(GRAPH_MAX_DOCUMENT + 1);
	while (got > 0 && len < GRAPH_MAX_DOCUMENT)
	{
		got = read(fd, text + len, GRAPH_MAX_DOCUMENT - len);
		len += Max(got, 0);
	}
	text[len] = '\0';
	if (got != 0)
		explicit_bzero(text, len);
	if (got < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read %s \"%s\": %m", what, path)));
	if (got > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s \"%s\" is larger than %d bytes", what, path,
						GRAPH_MAX_DOCUMENT)));
	CloseTransientFile(fd);
	return text;
}

/*-------------------------------------------------------------------------
 * The allocators that libcurl is given: none of them may throw.
 *
 * libcurl does not always say that an allocation failed: a header line that is
 * too long ends with the same code.  So those that fail are counted.  libcurl
 * calls these from its own threads, too.
 *-------------------------------------------------------------------------
 */

static volatile uint32 failures = 0;

static void *
note_allocation(void *memory)
{
	if (memory == NULL)
		failures++;
	return memory;
}

/*
 * graph_wipe_failures
 *		How many allocations have failed here?
 */
uint32
graph_wipe_failures(void)
{
	return failures;
}

void *
graph_wipe_malloc(size_t size)
{
	return note_allocation(malloc(size));
}

void
graph_wipe_free(void *pointer)
{
	if (pointer)
		explicit_bzero(pointer, malloc_usable_size(pointer));
	free(pointer);
}

/*
 * graph_wipe_realloc
 *		realloc() would leave a copy behind where it moves.
 */
void *
graph_wipe_realloc(void *pointer, size_t size)
{
	size_t		had = pointer ? malloc_usable_size(pointer) : 0;
	void	   *moved;

	if (pointer && size <= had && size >= had / 2)
		return pointer;
	moved = note_allocation(malloc(size));
	if (moved == NULL)
		return NULL;
	if (pointer)
		memcpy(moved, pointer, Min(had, size));
	graph_wipe_free(pointer);
	return moved;
}

void *
graph_wipe_calloc(size_t count, size_t size)
{
	return note_allocation(calloc(count, size));
}

char *
graph_wipe_strdup(const char *text)
{
	return note_allocation(strdup(text));
}
