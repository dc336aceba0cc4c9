/* graph_fdw--1.0--1.1.sql: what version 1.1 has beside that of 1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION graph_fdw UPDATE TO '1.1'" to load this file. \quit

/* Writes */

-- one more column: how many changes the service has taken
DROP FUNCTION graph_fdw_stats();

CREATE FUNCTION graph_fdw_stats(
  OUT server_name text, OUT requests bigint, OUT retries bigint,
  OUT throttled bigint, OUT bytes bigint, OUT records bigint,
  OUT writes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_stats()
IS 'what this session has asked of each server';
