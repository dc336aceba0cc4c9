\echo
\echo :bold'1. Connect'    :plain' A server, a login and the tables.  The secret is the emulator''s, and public.'
\echo
CREATE EXTENSION graph_fdw;

CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw
  OPTIONS (endpoint :'graph', authority :'graph');

CREATE USER MAPPING FOR CURRENT_USER SERVER graph
  OPTIONS (tenant_id :'tenant_id', client_id :'client_id', client_secret :'client_secret');

CREATE SCHEMA defender;

IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender;
