/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *		What the fuzz targets share.
 *
 * IDENTIFICATION
 *		fuzz/fuzz.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

/* What a target promises.  The server's own fprintf is not there. */
#undef fprintf
#define CHECK(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n%s\n", __FILE__, __LINE__, \
					#condition, shim_subject ? shim_subject : ""); \
			abort(); \
		} \
	} while (0)

/* in shim_memory.c */
extern const char *shim_subject;	/* what is looked at, if it is a text */
extern void *shim_keep(void *pointer);
extern void shim_free_all(void);

#endif							/* FUZZ_H */
