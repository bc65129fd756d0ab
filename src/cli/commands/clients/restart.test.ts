import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runRestart } from './restart.ts';

for (const [command, code, said] of [
  ['exit 0', 0, /^Running: exit 0\n$/],
  ['exit 3', 1, /`exit 3` ended with 3\. The files are written; run it again by hand\.\n$/],
  ['kill -9 $$', 1, /ended with SIGKILL/],
] as const) {
  test(`runRestart() of ${command} gives ${code}`, async () => {
    let err = '';
    const output = { out: () => assert.fail(), err: (text: string) => void (err += text) };
    assert.equal(await runRestart(command, output), code);
    assert.match(err, said);
  });
}
