\echo
\echo :bold'1. Connect'    :plain' A server, a login and the tables.  (The emulator''s secret is public.)'
\echo
CREATE EXTENSION graph_fdw;
\echo

CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw
  OPTIONS (endpoint :'graph', authority :'graph');
\echo

CREATE USER MAPPING FOR CURRENT_USER SERVER graph
  OPTIONS (tenant_id :'tenant_id',
           client_id :'client_id',
           client_secret :'client_secret');
\echo

CREATE SCHEMA defender;
\echo

IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender;

\echo
\echo 'Views of what people look at first, alerts_summary and incidents_summary:'
\echo
SELECT graph_fdw_create_views('defender');

\echo 'Does it work?  Each step says what is wrong with it, and what to do:'
\echo
SELECT step, ok, hint FROM graph_fdw_check('graph');
