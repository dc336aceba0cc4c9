#!/bin/sh
echo "STOP: the time for helpers is over. Run nothing any more; commit what you have (git checkout scripts/mutate.sh first) and send your last message now."
exit 1
