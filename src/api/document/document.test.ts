import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as z from 'zod';
import { LIVE_EVENTS, methodOf, OPERATIONS } from '../../admin/index.ts';
import { createDocument } from './document.ts';

type Json = Readonly<Record<string, unknown>>;

const offered = Object.values(OPERATIONS).filter(({ socketOnly = false }) => !socketOnly);
let document: Json;
before(async () => {
  document = JSON.parse(
    JSON.stringify(
      await createDocument({
        version: '1.2.3',
        operations: offered,
        session: { input: z.object({ code: z.string() }), answer: z.object({}) },
        events: z.object({ kinds: z.string().optional().describe('Kinds.') }),
      }),
    ),
  ) as Json;
});

/** Every object in a value, with where it is. */
function* objectsIn(value: unknown, place = '#'): Generator<readonly [string, Json]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [place, value as Json];
  for (const [name, member] of Object.entries(value)) yield* objectsIn(member, `${place}/${name}`);
}

const at = (path: string): unknown =>
  path
    .slice(2)
    .split('/')
    .reduce<unknown>((value, step) => (value as Json | undefined)?.[step], document);

const methods = () =>
  Object.entries(document['paths'] as Record<string, Record<string, Json>>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );

describe('the OpenAPI document', () => {
  test('is of OpenAPI 3.1, with the version of the program', () => {
    assert.equal(document['openapi'], '3.1.0');
    assert.equal((document['info'] as Json)['version'], '1.2.3');
  });

  test('has each operation that the API offers, and none of the control socket alone', () => {
    const named = methods().map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    const wanted = offered.map((operation) => `${methodOf(operation)} /api/v1/${operation.name}`);
    const own = ['GET', 'POST', 'DELETE'].map((method) => `${method} /api/v1/session`);
    assert.deepEqual(named.toSorted(), [...wanted, ...own, 'GET /api/v1/events'].toSorted());
    assert.doesNotMatch(JSON.stringify(document['paths']), /\/api\/v1\/(?:console|backup)/);
  });

  test('says of each what it does, in a sentence without a full stop, and has an id of its own', () => {
    const ids = methods().map(({ operation }) => operation['operationId']);
    assert.equal(new Set(ids).size, ids.length);
    for (const { path, operation } of methods()) {
      assert.match(String(operation['summary']), /^[A-Z`].{5,100}[^.]$/, path);
    }
  });

  test('leads each reference somewhere', () => {
    let count = 0;
    for (const [place, { $ref }] of objectsIn(document)) {
      if (typeof $ref !== 'string') continue;
      count += 1;
      assert.notEqual(at($ref), undefined, `${place}: ${$ref}`);
    }
    assert.ok(count > 100);
  });

  test('has no schema that closes an answer, and no key of another dialect', () => {
    for (const [place, object] of objectsIn(document)) {
      assert.notEqual(object['additionalProperties'], false, place);
      for (const key of ['$schema', 'nullable', 'definitions']) assert.equal(Object.hasOwn(object, key), false, place);
    }
  });

  test('has for each a body or parameters, and each error that may come', () => {
    for (const { path, method, operation } of methods()) {
      const responses = operation['responses'] as Json;
      const always = ['200', '400', '401', '403', '405', '421', '429', '500', '503'];
      const ofBodies = ['408', '413', '415'];
      const wanted = method === 'post' ? [...always, ...ofBodies] : always;
      for (const status of wanted) assert.ok(responses[status] !== undefined, `${method} ${path}: ${status}`);
      assert.equal(operation['requestBody'] !== undefined, method === 'post', path);
      for (const parameter of (operation['parameters'] ?? []) as readonly Json[]) {
        const {
          name,
          schema,
          in: where,
        } = (typeof parameter['$ref'] === 'string' ? at(parameter['$ref']) : parameter) as Json;
        assert.ok(typeof name === 'string' && typeof schema === 'object', path);
        assert.ok(where === 'query' || where === 'header', path);
      }
    }
  });

  test('describes each kind of event', () => {
    for (const kind of Object.keys(LIVE_EVENTS)) {
      const schema = (document['components'] as { schemas: Record<string, Json> }).schemas[`event.${kind}`];
      assert.match(String(schema?.['description']), /\.$|`/, kind);
    }
  });
});
