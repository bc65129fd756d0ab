import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startMirror } from '../support/mirror.ts';
import { metricsIn, queries, RULES_FILE, RULES_TEST_FILE, readDashboard, readRules } from '../support/monitoring.ts';
import { check, needs } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('the alerts and the dashboard', () => {
  test('name only metrics that a server has', async () => {
    const certificate = {
      cert_file: `${root}test/support/tls/server.pem`,
      key_file: `${root}test/support/tls/server-key.pem`,
    };
    await using mirror = await startMirror({ listen: ['127.0.0.1:0', { address: '127.0.0.1:0', tls: certificate }] });
    const scrape = await mirror.get('/metrics');
    const known = new Set(Array.from(scrape.body.toString().matchAll(/^# TYPE (\S+)/gm), ([, name]) => name));
    const all = queries();
    assert.ok(all.length > 60, `${all.length} queries`);
    for (const { where, expr } of all) {
      const names = metricsIn(expr);
      assert.ok(names.length > 0 || expr.includes('up{'), `${where} reads no metric: ${expr}`);
      for (const name of names) assert.ok(known.has(name), `${where} reads ${name}, which /metrics does not have`);
    }
  });

  test('say what to do, under a heading of the manual for each alert', () => {
    const headings = new Set(
      Array.from(readFileSync(`${root}docs/observing.md`, 'utf8').matchAll(/^### (\w+)$/gm), ([, name = '']) =>
        name.toLowerCase(),
      ),
    );
    const rules = readRules();
    assert.ok(rules.length > 20, `${rules.length} rules`);
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length, 'an alert is there twice');
    const named = new Set<string>();
    for (const { alert, annotations } of rules) {
      const [page, anchor = ''] = annotations.runbook.split('#');
      assert.equal(page, 'docs/observing.md', alert);
      assert.ok(headings.has(anchor), `${alert}: docs/observing.md has no heading for #${anchor}`);
      named.add(anchor);
    }
    const unused = [...headings].filter((heading) => heading.startsWith('entrepot') && !named.has(heading));
    assert.deepEqual(unused, [], 'headings without an alert');
  });

  test('are laid out: no panel lies on another, and each says what it shows', () => {
    const { panels, uid } = readDashboard();
    assert.equal(uid, 'entrepot');
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'an id is there twice');
    const taken = new Map<string, string>();
    for (const { title, type, description, gridPos, targets } of panels) {
      if (type !== 'row') {
        assert.ok(description !== undefined && description !== '', `${title} has no description`);
        assert.ok(targets.length > 0, `${title} shows nothing`);
      }
      assert.ok(gridPos.x + gridPos.w <= 24, `${title} is wider than the page`);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.equal(taken.get(`${x},${y}`), undefined, `${title} lies on ${taken.get(`${x},${y}`)}`);
          taken.set(`${x},${y}`, title);
        }
      }
    }
  });

  test('are rules that Prometheus takes, and that fire when they should', needs('promtool'), async () => {
    await check(['promtool', 'check', 'rules', RULES_FILE]);
    await check(['promtool', 'check', 'config', `${root}deploy/prometheus/prometheus.yml`]);
    await check(['promtool', 'test', 'rules', RULES_TEST_FILE]);
  });

  test('come from metrics that keep the rules of promtool', needs('promtool'), async () => {
    await using mirror = await startMirror();
    const scrape = await mirror.get('/metrics');
    await check(['promtool', 'check', 'metrics'], { input: scrape.body.toString() });
  });
});
