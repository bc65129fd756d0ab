import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { composeRegistries } from '../../../app/index.ts';
import { loadConfig } from '../../../config/index.ts';
import { createLog } from '../../../telemetry/index.ts';
import { checkAtStart } from './check-at-start.ts';

test('offline, no upstream is checked', async () => {
  const text = JSON.stringify({ offline: true, registries: { up: { upstreams: ['http://127.0.0.1:9'] } } });
  const { config } = await loadConfig({ flags: {}, env: { ENTREPOT_CONFIG: text }, cwd: tmpdir() });
  const lines: string[] = [];
  const log = createLog({ level: 'debug', stream: { write: (line: string) => void lines.push(line) } });
  const { signal } = new AbortController();
  assert.deepEqual(await checkAtStart(config, { catalogue: composeRegistries(config), log, signal }), []);
  assert.match(lines.join(''), /upstreams are not checked, as the server is offline/);
});
