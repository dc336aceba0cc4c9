/*-------------------------------------------------------------------------
 *
 * simd.h
 *		Which of the next bytes are a given character, or a control character?
 *
 * Most bytes of an answer are in strings, and most of those mean nothing but
 * themselves.  They are looked at one chunk at a time: 16 bytes where the
 * machine has SSE2, and 8 in a word where it has not.  A test sets the top bit
 * of each byte of which it is true and clears that of the others.  With "|" it
 * can be combined with another one, or with the chunk itself, whose top bits
 * say which bytes are not ASCII.
 *
 * GRAPH_NO_SIMD chooses words on any machine, for tests.
 *
 * What this file refuses to know: what the bytes are.
 *
 * Source: Henry S. Warren, Hacker's Delight, section 6-1 (zero bytes).
 *
 * IDENTIFICATION
 *		src/base/simd.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_SIMD_H
#define GRAPH_SIMD_H

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"

#if defined(__SSE2__) && !defined(GRAPH_NO_SIMD)

#include <emmintrin.h>

typedef __m128i GraphChunk;
typedef uint32 GraphChunkMask;	/* a bit for each byte, the first one lowest */

static inline GraphChunk
graph_chunk_load(const char *p)
{
	return _mm_loadu_si128((const __m128i *) p);
}

static inline GraphChunk
graph_chunk_equal(GraphChunk chunk, char c)
{
	return _mm_cmpeq_epi8(chunk, _mm_set1_epi8(c));
}

static inline GraphChunk
graph_chunk_is_control(GraphChunk chunk)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(chunk, _mm_set1_epi8(0x1F)), chunk);
}

/* The top bits of all bytes. */
static inline GraphChunkMask
graph_chunk_mask(GraphChunk chunk)
{
	return _mm_movemask_epi8(chunk);
}

/* The number of the first byte of which the bit is set; one is. */
static inline int
graph_chunk_first(GraphChunkMask mask)
{
	return pg_rightmost_one_pos32(mask);
}

#else

typedef uint64 GraphChunk;		/* the first byte is the lowest */
typedef uint64 GraphChunkMask;	/* the top bit of each byte */

#define GRAPH_EACH_BYTE UINT64CONST(0x0101010101010101)

static inline GraphChunk
graph_chunk_load(const char *p)
{
	uint64		word;

	memcpy(&word, p, sizeof(word));
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	return word;
}

/* Which bytes are zero?  No sum carries into the next byte. */
static inline GraphChunk
graph_chunk_is_zero(GraphChunk chunk)
{
	const uint64 low_bits = GRAPH_EACH_BYTE * 0x7F;

	return ~(((chunk & low_bits) + low_bits) | chunk | low_bits);
}

static inline GraphChunk
graph_chunk_equal(GraphChunk chunk, char c)
{
	return graph_chunk_is_zero(chunk ^ (GRAPH_EACH_BYTE * (unsigned char) c));
}

static inline GraphChunk
graph_chunk_is_control(GraphChunk chunk)
{
	return graph_chunk_is_zero(chunk & (GRAPH_EACH_BYTE * 0xE0));
}

static inline GraphChunkMask
graph_chunk_mask(GraphChunk chunk)
{
	return chunk & (GRAPH_EACH_BYTE * 0x80);
}

static inline int
graph_chunk_first(GraphChunkMask mask)
{
	return pg_rightmost_one_pos64(mask) / 8;
}

#endif

/* Is there a whole chunk at p? */
static inline bool
graph_chunk_fits(const char *p, const char *end)
{
	return end - p >= (ptrdiff_t) sizeof(GraphChunk);
}

#endif							/* GRAPH_SIMD_H */
