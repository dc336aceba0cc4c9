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

CREATE FUNCTION graph_fdw_check(
  server text, OUT step text, OUT ok boolean, OUT detail text, OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

COMMENT ON FUNCTION graph_fdw_check(text)
IS 'what works of a server for the current role, and what to do about the rest';

CREATE FUNCTION graph_fdw_login(
  server text, OUT account text, OUT valid_until timestamptz,
  OUT renewable boolean)
RETURNS record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

COMMENT ON FUNCTION graph_fdw_login(text)
IS 'log in to a server as a person, by a code to enter in a browser, for this session';

CREATE FUNCTION graph_fdw_disconnect(server text)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_disconnect(text)
IS 'forget this session''s tokens for a server, and close the kept connections';

CREATE FUNCTION graph_fdw_disconnect()
RETURNS boolean
AS 'MODULE_PATHNAME', 'graph_fdw_disconnect_all'
LANGUAGE C STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_disconnect()
IS 'forget this session''s tokens for all servers, and close the kept connections';

CREATE FUNCTION graph_fdw_stats(
  OUT server_name text, OUT requests bigint, OUT retries bigint,
  OUT throttled bigint, OUT bytes bigint, OUT records bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_stats()
IS 'what this session has asked of each server';

CREATE FOREIGN DATA WRAPPER graph_fdw
  HANDLER graph_fdw_handler
  VALIDATOR graph_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER graph_fdw
IS 'Microsoft Graph security alerts';
