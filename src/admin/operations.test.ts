import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as z from 'zod';
import { ANONYMOUS, openGate } from '../access/index.ts';
import { methodOf } from './operation.ts';
import { OPERATIONS } from './operations.ts';

const operations = Object.values(OPERATIONS);

describe('the operations', () => {
  test('are closed to anonymous clients where they change something', () => {
    for (const { name, action, changes } of operations) {
      assert.ok(action === 'admin' || (action === 'status' && !changes), name);
      const asked = { principal: ANONYMOUS, action, repository: undefined };
      assert.equal(openGate({ isReachable: false })(asked).allowed, action === 'status', name);
    }
  });

  test('have a method and name of their own', () => {
    const names = operations.map((operation) => `${methodOf(operation)} ${operation.name}`);
    assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
  });

  test('have a JSON Schema for input and answer', () => {
    for (const { input, answer } of operations) {
      for (const schema of [input, answer]) assert.doesNotThrow(() => z.toJSONSchema(schema));
    }
  });

  const inputs: readonly (readonly [keyof typeof OPERATIONS, unknown, unknown])[] = [
    ['status', {}, {}],
    ['gc', {}, { dryRun: false }],
    ['gc', { dryRun: true, maxSize: 5, added: 1 }, { dryRun: true, maxSize: 5 }],
    ['purge', { patterns: ['nginx'] }, { patterns: ['nginx'], dryRun: false }],
    ['scrub', {}, { stop: false }],
    ['userAdd', { name: 'alice', password: 'correct horse' }, { name: 'alice', password: 'correct horse' }],
    ['tokenCreate', { name: 'ci', may: ['pull'] }, { name: 'ci', may: ['pull'], on: [] }],
    ['userAdd', { name: 'alice' }, undefined],
    ['userAdd', { name: 'alice', password: ['x'] }, undefined],
    ['userAdd', { name: 'alice', password: 'x'.repeat(1025) }, undefined],
    ['tokenCreate', { name: 'ci', may: ['admin'] }, { name: 'ci', may: ['admin'], on: [] }],
    ['tokenCreate', { name: 'ci', may: ['connect'] }, undefined],
    ['tokenCreate', { name: 'ci', may: [] }, undefined],
    ['tokenCreate', { name: 'ci', may: ['pull'], on: Array(101).fill('**') }, undefined],
    ['tokenCreate', { name: 'ci', may: ['pull'], expiresAt: 'never' }, undefined],
    ['tokenRevoke', {}, undefined],
    ['gc', { dryRun: 'yes' }, undefined],
    ['gc', { maxSize: -1 }, undefined],
    ['gc', { maxSize: 0.5 }, undefined],
    ['purge', { patterns: [] }, undefined],
    ['purge', { patterns: 'nginx' }, undefined],
    ['refresh', { patterns: [1] }, undefined],
    ['refresh', { patterns: Array(101).fill('nginx') }, undefined],
    ['scrub', 'stop', undefined],
  ];
  for (const [name, input, expected] of inputs) {
    test(`${name} ${JSON.stringify(input).slice(0, 40)} is ${expected === undefined ? 'refused' : 'understood'}`, () => {
      assert.deepEqual(OPERATIONS[name].input.safeParse(input).data, expected);
    });
  }
});
