import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WebhookStatus } from '../../../admin/index.ts';
import { formatTests, formatWebhooks } from './webhooks.ts';

const at = (time: string): number => Date.parse(`2026-03-02T${time}Z`);

const working: WebhookStatus = {
  hook: 'ci',
  url: 'https://ci.example.com/hooks',
  events: ['push', 'tag'],
  on: [],
  state: 'working',
  queued: 0,
  delivered: 12,
  failed: 0,
  givenUp: 0,
  dropped: 0,
  lastSuccessAt: at('09:14:30'),
};

describe('the list of webhooks', () => {
  test('has state, queue, losses and the last success; failures have a line of their own', () => {
    const failing: WebhookStatus = {
      ...working,
      hook: 'b.example',
      url: 'http://b.example/',
      events: ['delete'],
      state: 'failing',
      queued: 3,
      delivered: 0,
      failed: 7,
      givenUp: 1,
      dropped: 2,
      lastSuccessAt: undefined,
      lastFailure: { at: at('10:00:00'), reason: 'it answered 500\u001b[2J' },
      nextAttemptAt: at('10:00:45'),
    };
    assert.deepEqual(formatWebhooks({ webhooks: [working, failing] }).split('\n'), [
      'NAME       STATE    QUEUED  DELIVERED  LOST  LAST SUCCESS         EVENTS     URL',
      'ci         working  0       12         0     2026-03-02 09:14:30  push, tag  https://ci.example.com/hooks',
      'b.example  failing  3       0          3     never                delete     http://b.example/',
      'b.example failed at 2026-03-02 10:00:00 UTC: it answered 500 [2J; the next attempt is at 2026-03-02 10:00:45 UTC',
      '',
    ]);
  });

  test('names no next attempt where the receiver is back', () => {
    const back = { ...working, lastFailure: { at: at('08:00:00'), reason: 'it answered 500' }, nextAttemptAt: 1 };
    assert.match(formatWebhooks({ webhooks: [back] }), /UTC: it answered 500\n$/);
  });

  test('says how to begin', () => assert.match(formatWebhooks({ webhooks: [] }), /docs\/webhooks\.md/));
});

describe('the result of a test', () => {
  const result = { hook: 'ci', url: 'https://ci.example.com/hooks', durationMs: 12 };

  test('shows what was answered, and nothing that a terminal would obey', () => {
    assert.equal(
      formatTests({
        results: [
          { ...result, isTaken: true, status: 202, answer: 'queued\u001b]0;x\u0007\n\u202eok' },
          { ...result, isTaken: true, status: 204 },
          { ...result, isTaken: false, status: 500, reason: 'it answered 500', answer: 'e'.repeat(1000) },
          { ...result, isTaken: false, reason: 'no answer within 10 s' },
        ],
      }),
      [
        'ci (https://ci.example.com/hooks): took the event: 202, after 12 ms',
        '  queued ]0;x ok',
        'ci (https://ci.example.com/hooks): took the event: 204, after 12 ms',
        'ci (https://ci.example.com/hooks): it answered 500, after 12 ms',
        `  ${'e'.repeat(300)}…`,
        'ci (https://ci.example.com/hooks): no answer within 10 s, after 12 ms',
        '',
      ].join('\n'),
    );
  });
});
