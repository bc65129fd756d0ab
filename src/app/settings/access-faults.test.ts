import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../config/index.ts';
import { accessFaultsOf } from './access-faults.ts';

async function configOf(text: string) {
  const { config } = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });
  return config;
}

describe('a rule for what other programs call every client', () => {
  const known = { users: ['alice', 'any'], tokens: [], isComplete: true };
  for (const name of ['all', 'Everyone', '*']) {
    test(`${name} is a fault, unless a user is called so`, async () => {
      const config = await configOf(`access: {rules: [{who: "${name}", may: [status]}]}`);
      const fault = `access.rules[0].who: ${name} would be the name of a user; did you mean anonymous, which stands for every client?`;
      for (const isComplete of [true, false]) {
        assert.ok(accessFaultsOf(config, { ...known, isComplete }).includes(fault));
      }
      assert.ok(!accessFaultsOf(config, { ...known, users: [name] }).includes(fault));
    });
  }
});

describe('a pattern that an earlier rule covers is a fault', () => {
  const OPEN = '{who: anonymous, may: [pull], on: ["**"]}';
  const OPEN_TO_ALL = '{who: anonymous, may: [pull], on: ["**"], private: true}';
  const rows: readonly (readonly [why: string, first: string, second: string, isFault: boolean])[] = [
    ['for every client, and then for every client', OPEN, '{who: anonymous, may: [pull], on: [a/**]}', true],
    [
      'for what is public, and then what is private',
      OPEN,
      '{who: anonymous, may: [pull], on: [a/**], private: true}',
      false,
    ],
    ['for what is public, and then for a user', OPEN, '{who: alice, may: [pull], on: [a/**]}', false],
    ['for what is private too, and then for a user', OPEN_TO_ALL, '{who: alice, may: [pull], on: [a/**]}', true],
    [
      'for a user, and then for the user',
      '{who: alice, may: [pull], on: [a/**]}',
      '{who: alice, may: [pull], on: [a/b]}',
      true,
    ],
    [
      'for a user, and then for another',
      '{who: alice, may: [pull], on: [a/**]}',
      '{who: bob, may: [pull], on: [a/b]}',
      false,
    ],
    ['for less than the later one', OPEN_TO_ALL, '{who: anonymous, may: [pull, catalog], on: [a/**]}', false],
  ];
  for (const [why, first, second, isFault] of rows) {
    test(`${why}: ${isFault}`, async () => {
      const config = await configOf(`access: {rules: [${first}, ${second}]}`);
      const faults = accessFaultsOf(config, { users: ['alice', 'bob'], tokens: [], isComplete: true }).filter((fault) =>
        fault.includes('already'),
      );
      assert.equal(faults.length, isFault ? 1 : 0, faults.join('\n'));
    });
  }
});
