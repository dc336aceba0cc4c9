/* graph_fdw--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION graph_fdw" to load this file. \quit

CREATE FUNCTION graph_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

CREATE FUNCTION graph_fdw_validator(text[], oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

CREATE FUNCTION graph_fdw_version()
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION graph_fdw_version()
IS 'version of the graph_fdw library that is loaded';

CREATE FOREIGN DATA WRAPPER graph_fdw
  HANDLER graph_fdw_handler
  VALIDATOR graph_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER graph_fdw
IS 'Microsoft Graph security alerts';
