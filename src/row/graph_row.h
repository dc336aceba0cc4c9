/*-------------------------------------------------------------------------
 *
 * graph_row.h
 *		What is a record as Datums, and in which order do rows come?
 *
 * What this layer refuses to know: requests, the order of records.
 *
 * IDENTIFICATION
 *		src/row/graph_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_ROW_H
#define GRAPH_ROW_H

#include "nodes/execnodes.h"

#include "catalog/graph_catalog.h"
#include "json/graph_json.h"

/* Each is private to the file that makes it. */
typedef struct GraphDecoder GraphDecoder;
typedef struct GraphJsonbBuilder GraphJsonbBuilder;
typedef struct GraphRowReader GraphRowReader;
typedef struct GraphSort GraphSort;

/* in row.c */
extern GraphRowReader *graph_row_reader_create(Relation relation,
											   List *attnums,
											   const GraphOptions *options,
											   GraphProjection *projection);
extern GraphRowReader *graph_row_reader_create_joined(Relation relation, List *attnums,
													  List *indexes, int natts,
													  const GraphOptions *options,
													  GraphProjection *projection);
extern void graph_row_start(GraphRowReader *reader,
							const GraphRecord *record);
extern void graph_row_stop(GraphRowReader *reader);
extern bool graph_row_next(GraphRowReader *reader, Datum *values,
						   bool *isnull);

/* in sort.c */
extern GraphSort *graph_sort_create(TupleTableSlot *sorted, AttrNumber attnum,
									bool descending, bool nulls_first);
extern void graph_sort_add(GraphSort *sort, TupleTableSlot *slot);
extern void graph_sort_next(GraphSort *sort, TupleTableSlot *slot);
extern void graph_sort_end(GraphSort *sort);

/* in jsonb.c */
extern GraphJsonbBuilder *graph_jsonb_builder_create(void);
extern Datum graph_jsonb_build(GraphJsonbBuilder *builder, GraphSlice value);

/* in decode.c */
extern GraphDecoder *graph_decoder_create(Oid type, int32 typmod);
extern Datum graph_decode(GraphDecoder *decoder, GraphSlice value,
						  bool *isnull);

#endif							/* GRAPH_ROW_H */
