\echo
\echo :bold'10. One limit'  :plain' Sessions know together what the service takes, and take turns.'
\echo
\echo 'Microsoft takes about 150 requests a minute of an application, and refuses what is more (status 429).'
\echo 'The emulator now takes 24 in 3 seconds.  Smaller pages, so that a list is more requests:'
\echo
ALTER SERVER graph OPTIONS (ADD page_size '250');

\echo
\echo 'Four sessions read id and title of all alerts at the same time, for about ten seconds, each with several requests'
\echo 'at once.  After three seconds, a row for each session: requests that wait for their turn ("waits") or are under'
\echo 'way ("asks"), and for which page of their part of the list:'
\echo
