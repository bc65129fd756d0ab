import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { startEntrepot } from '../support/app.ts';
import { makeCertificate } from '../support/certificates.ts';
import { buildImage } from '../support/image.ts';
import { type Query, queries, RULES_FILE } from '../support/monitoring.ts';
import { freePort, needs, Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

/*
 * Prometheus itself scrapes a server with traffic, evaluates the alerts, and is asked every query of the dashboard.
 */

const image = buildImage({ seed: 'watched by prometheus', layers: [100_000], architectures: ['amd64'] });

/** Queries without a result while nothing goes wrong: counters begin with the first event. Alerts are quiet too. */
const QUIET = new Set([
  'Errors by kind A',
  'Errors by kind B',
  'Errors by kind C',
  'Errors by kind D',
  'Errors by kind E',
  'Requests in flight, waiting and refused D',
  'Transfers C',
  'Transfers D',
  'Blocked, suspended, passed over A',
  'Blocked, suspended, passed over B',
  'Blocked, suspended, passed over C',
  'Evicted A',
  'Corrupt blobs, backups A',
  'Corrupt blobs, backups B',
  'annotation Starts',
]);

const answerSchema = z.object({
  status: z.literal('success'),
  data: z.object({
    result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
  }),
});

const rulesAnswerSchema = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({ name: z.string(), health: z.string(), lastError: z.string().optional(), state: z.string() }),
        ),
      }),
    ),
  }),
});

describe('Prometheus', needs('prometheus', 'openssl'), () => {
  let workspace: Workspace;
  let url: string;
  let mirror: string;

  async function ask(expr: string) {
    const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expr }) });
    const text = await response.text();
    assert.equal(response.status, 200, `${expr}: ${text}`);
    return answerSchema.parse(JSON.parse(text)).data.result;
  }

  async function pull(): Promise<void> {
    for (const path of ['manifests/latest', ...image.blobs.map(({ digest }) => `blobs/${digest}`)]) {
      const response = await fetch(`${mirror}/v2/library/app/${path}`);
      assert.equal(response.status, 200, path);
      await response.arrayBuffer();
    }
  }

  before(async () => {
    workspace = await Workspace.open();
    const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    workspace.defer(() => upstream.stop());
    upstream.add(image, 'library/app', ['latest']);
    const { certFile, keyFile } = await makeCertificate(workspace, 'prometheus');
    const entrepot = await startEntrepot(workspace, {
      listen: ['127.0.0.1:0', { address: '127.0.0.1:0', tls: { cert_file: certFile, key_file: keyFile } }],
      cache: { max_size: '1GiB' },
      registries: { 'docker.io': { upstreams: [upstream.url] } },
    });
    mirror = entrepot.url;
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const config = await workspace.file(
      'prometheus.yml',
      JSON.stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        scrape_configs: [{ job_name: 'entrepot', static_configs: [{ targets: [entrepot.host] }] }],
        rule_files: [RULES_FILE],
      }),
    );
    const options = [`--storage.tsdb.path=${workspace.path('tsdb')}`, `--web.listen-address=127.0.0.1:${port}`];
    await pull();
    await workspace.start(['prometheus', `--config.file=${config}`, ...options], {
      ready: async () => (await fetch(`${url}/-/ready`)).ok,
    });
    // A rate takes two scrapes, and traffic between them.
    await until(async () => {
      await pull();
      const [hits] = await ask('sum(rate(entrepot_cache_requests_total{outcome="HIT"}[5m]))');
      return Number(hits?.value[1] ?? 0) > 0;
    });
  });
  after(() => workspace.close());

  for (const query of queries())
    test(`takes the query of ${query.where}`, async () => {
      const result = await ask(query.expr);
      if (!isQuiet(query)) assert.ok(result.length > 0, `no result: ${query.expr}`);
    });

  test('computes a hit ratio between 0 and 1', async () => {
    const query = queries().find(({ where }) => where === 'Hit ratio A');
    const [ratio] = await ask(query?.expr ?? '');
    const value = Number(ratio?.value[1]);
    assert.ok(value > 0 && value <= 1, `${value}`);
  });

  test('evaluates every rule; of a server that is well, only the certificate of two days is reported', async () => {
    const read = async () => {
      const response = await fetch(`${url}/api/v1/rules`);
      return rulesAnswerSchema.parse(await response.json()).data.groups.flatMap(({ rules }) => rules);
    };
    await until(async () => (await read()).every(({ health }) => health !== 'unknown'));
    const rules = await read();
    for (const { name, health, lastError } of rules) assert.equal(health, 'ok', `${name}: ${lastError}`);
    const firing = rules.filter(({ state }) => state === 'firing').map(({ name }) => name);
    assert.deepEqual(firing, ['EntrepotCertificateExpires']);
  });
});

/** An alert has a comparison in it, which holds for no series while all is well. */
function isQuiet({ where }: Query): boolean {
  return QUIET.has(where) || /^Entrepot[A-Z]/.test(where);
}

/** What Prometheus does comes with its next scrape or evaluation, a second apart here. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, 'Prometheus did not come to it within a minute');
    await sleep(250);
  }
}
