// What node-postgres does: a line of JSON for each step, with what it gave and
// the targets of the requests that it made.
//
//	node drivers.mjs '{"host": …, "port": …, "emulator": …}'

import pg from 'pg';
import Cursor from 'pg-cursor';

const given = JSON.parse(process.argv[2]);
const requests = `${given.emulator}/_emulator/requests`;
const since = new Date('2026-07-30T12:00:00Z');

async function step(name, answer)
{
	const targets = (await (await fetch(requests)).json()).map((request) => request.target);

	await fetch(requests, { method: 'DELETE' });
	console.log(JSON.stringify({ driver: 'node-postgres', step: name, answer, requests: targets }));
}

const client = new pg.Client({ host: given.host, port: given.port, user: 'postgres', database: 'postgres', options: '-c search_path=live' });
const first = async (...query) => Object.values((await client.query(...query)).rows[0])[0];

await client.connect();
await step('values', await first('SELECT count(*) FROM alerts WHERE severity = $1 AND created_date_time >= $2', ['high', since]));
await step('id', await first('SELECT title FROM alerts WHERE id = $1', ['a0007']));
await step('ids', await first('SELECT count(*) FROM alerts WHERE id = ANY ($1)', [['a0007', 'a0008']]));
await step('latest', await first('SELECT min(id) FROM (SELECT id FROM alerts ORDER BY created_date_time DESC LIMIT $1) AS a', [10]));

const answers = new Set();
for (let run = 0; run < 12; run++)
	answers.add(await first({ name: 'count', text: 'SELECT count(*) FROM alerts WHERE severity = ANY ($1) AND status = $2', values: [['high', 'low'], 'new'] }));
await step('members', [...answers].join());

const cursor = client.query(new Cursor('SELECT id, title FROM alerts WHERE created_date_time < $1', [new Date('2026-08-01T00:00:00Z')]));
await step('cursor', (await cursor.read(300)).length);
await cursor.close();
await step('cursor, closed', 0);

const { rows: [alert] } = await client.query("SELECT created_date_time, evidence FROM alerts WHERE id = 'a0007'");
await step('types', `${alert.created_date_time.toISOString()} ${alert.evidence.length}`);
await client.query("SELECT 1 / 0 FROM alerts WHERE id = 'a0007'").catch((error) => step('error', error.code));
await client.end();
