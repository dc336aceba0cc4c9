/* graph_fdw--1.0--1.1.sql: what version 1.1 has beside that of 1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION graph_fdw UPDATE TO '1.1'" to load this file. \quit
