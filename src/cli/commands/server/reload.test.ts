import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReloadAnswer } from '../../../admin/index.ts';
import { formatReload } from './reload.ts';

const none: ReloadAnswer = {
  outcome: 'unchanged',
  source: 'entrepot.yaml',
  changed: [],
  registries: { added: [], removed: [], changed: [] },
  restart: [],
  problems: [],
};

describe('formatReload', () => {
  for (const [name, answer, expected] of [
    ['nothing', none, 'Read entrepot.yaml: nothing changed.\n'],
    [
      'what takes a restart alone',
      { ...none, restart: ['listen'] },
      'Read entrepot.yaml: nothing changed.\n  waiting for a restart: listen\n',
    ],
    [
      'changes',
      {
        ...none,
        outcome: 'changed',
        changed: ['cache.max_size', 'registries.apps'],
        registries: { added: ['apps'], removed: ['old'], changed: [] },
        restart: ['cache.dir', 'listen'],
      },
      'Applied entrepot.yaml.\n  changed: cache.max_size, registries.apps\n  registries added: apps\n  registries removed: old\n  waiting for a restart: cache.dir, listen\n',
    ],
    [
      'a refusal',
      { ...none, outcome: 'refused', problems: ['entrepot.yaml:3:5  log.level: found "loud"'] },
      'The server refused entrepot.yaml and keeps its configuration:\n  entrepot.yaml:3:5  log.level: found "loud"\n',
    ],
  ] as const satisfies readonly (readonly [string, ReloadAnswer, string])[]) {
    test(name, () => assert.equal(formatReload(answer), expected));
  }
});
