import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from './load.ts';
import { locateProblems } from './locate.ts';

describe('locateProblems()', () => {
  const text = 'registries:\n  ghcr.io:\n    aliases: [gh]\n  apps:\n    upstreams:\n      - http://localhost:5001\n';
  const rows: readonly [problem: string, line: string][] = [
    ['registries["ghcr.io"].aliases: "gh" is taken', 'ENTREPOT_CONFIG  registries["ghcr.io"].aliases: "gh" is taken'],
    ['registries.ghcr.io.aliases: "gh" is taken', 'ENTREPOT_CONFIG  registries.ghcr.io.aliases: "gh" is taken'],
    [
      'registries.apps.upstreams[0].name: "x" is taken',
      'ENTREPOT_CONFIG  registries.apps.upstreams[0].name: "x" is taken',
    ],
    // A name that is none may be the very problem.
    ['registries.apps!.b c: expected a name', 'ENTREPOT_CONFIG  registries.apps!.b c: expected a name'],
    ['registries.apps.b c: expected an address', 'ENTREPOT_CONFIG  registries.apps.b c: expected an address'],
    ['default_registry: there is no "x"', 'default_registry: there is no "x"'],
    ['nothing in particular', 'nothing in particular'],
  ];
  for (const [problem, line] of rows) {
    test(problem, async () => {
      const loaded = await loadConfig({ env: { ENTREPOT_CONFIG: text } });
      assert.equal(
        locateProblems(loaded, [problem]).message.replace(/ENTREPOT_CONFIG(?::\d+:\d+)?/, 'ENTREPOT_CONFIG'),
        line,
      );
    });
  }
});
