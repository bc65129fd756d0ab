import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Telemetry } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';
import type { RequestKind } from '../upstream-request.ts';
import { Health, type HealthPermit } from './health.ts';
import type { HealthSignal } from './signal.ts';

const START = Date.UTC(2026, 0, 1, 12, 0, 0);
const ANSWERED: HealthSignal = { kind: 'answered' };
const NOTHING: HealthSignal = { kind: 'nothing' };

function failed(
  everywhere: boolean,
  options: { kind?: 'unavailable' | 'throttled'; retryAfter?: number } = {},
): HealthSignal {
  const { kind = 'unavailable', retryAfter } = options;
  return { kind: 'failed', failure: { kind, opens: 'at-once', reason: 'it is so', retryAfter }, everywhere };
}

function stage() {
  const clock = { now: START };
  const telemetry = new Telemetry();
  const events: string[] = [];
  telemetry.on('upstream.health', ({ registry, upstream, scope, state, reason, retryAfterMs }) =>
    events.push(`${registry}/${upstream} ${scope} ${state} (${reason}) ${retryAfterMs}`),
  );
  const health = new Health({
    registry: 'docker.io',
    upstream: 'hub',
    telemetry,
    now: () => clock.now,
    random: () => 0,
  });
  const admit = (kind: RequestKind): HealthPermit => health.admit(kind);
  const elsewhere = (): Pick<HealthPermit, 'settle'> => health.admitElsewhere('blob');
  const settle = (kind: RequestKind, verdict: HealthSignal): void => admit(kind).settle(verdict);
  return { clock, health, events, admit, elsewhere, settle };
}

function refusalOf(action: () => unknown): UpstreamError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof UpstreamError, String(error));
    return error;
  }
  return assert.fail('it should have been refused');
}

describe('Health', () => {
  test('is well, and says nothing of it', () => {
    const { health, events, settle } = stage();
    for (const kind of ['pull', 'check', 'list', 'blob'] as const) settle(kind, ANSWERED);
    assert.deepEqual(health.view(), { state: 'closed', scope: 'all' });
    assert.deepEqual(events, []);
  });

  test('who is not there is not there for any question; the refusal says since when, why and how long', () => {
    const { clock, health, events, admit, settle } = stage();
    settle('check', failed(true));
    clock.now += 300;
    for (const kind of ['pull', 'check', 'list', 'blob'] as const) {
      const error = refusalOf(() => admit(kind));
      assert.deepEqual([error.kind, error.upstream, error.retryAfter], ['unavailable', 'hub', 1]);
      assert.equal(
        error.message,
        'hub is not asked for another 1 s, as it is failing since 2026-01-01T12:00:00Z: it is so',
      );
    }
    assert.deepEqual(health.view(), {
      state: 'open',
      scope: 'all',
      openUntil: START + 1000,
      since: START,
      reason: 'it is so',
    });
    assert.deepEqual(events, ['docker.io/hub all open (it is so) 1000']);
  });

  test('who gives no more pulls still answers whether tags moved, and sends layers', () => {
    const { health, events, admit, settle } = stage();
    settle('pull', failed(false, { kind: 'throttled', retryAfter: 40 }));
    const error = refusalOf(() => admit('pull'));
    assert.deepEqual([error.kind, error.retryAfter], ['throttled', 40]);
    assert.match(error.message, /^hub is not asked for manifests for another 40 s/);
    for (const kind of ['check', 'list', 'blob'] as const) settle(kind, ANSWERED);
    assert.equal(health.view().scope, 'pull');
    assert.deepEqual(events, ['docker.io/hub pull open (it is so) 40000']);
  });

  test('a storage that is down closes nothing but blobs, and shows that the registry is there', () => {
    const { clock, events, admit, settle } = stage();
    settle('blob', failed(true));
    clock.now += 1000;
    settle('blob', failed(false));
    assert.match(refusalOf(() => admit('blob')).message, /for blobs/);
    settle('pull', ANSWERED);
    assert.deepEqual(
      events.map((each) => each.split(' ').slice(1, 3).join(' ')),
      ['all open', 'all half-open', 'all closed', 'blob open'],
    );
  });

  test('the first question after that is the probe; the others are told so', () => {
    const { clock, health, events, admit, settle } = stage();
    settle('pull', failed(true));
    clock.now += 1000;
    const probe = admit('pull');
    const refusals = Array.from({ length: 99 }, () => refusalOf(() => admit('blob')));
    assert.match(refusals[0]?.message ?? '', /^hub is not asked while one request tries whether it is back/);
    assert.equal(refusals[0]?.retryAfter, 1);
    probe.settle(ANSWERED);
    settle('blob', ANSWERED);
    assert.equal(health.view().state, 'closed');
    assert.deepEqual(
      events.map((each) => each.split(' ')[2]),
      ['open', 'half-open', 'closed'],
    );
  });

  test('a probe is not spent on what the other circuit refuses', () => {
    const { clock, admit, settle } = stage();
    settle('pull', failed(false, { kind: 'throttled', retryAfter: 40 }));
    settle('check', failed(true));
    clock.now += 1000;
    assert.equal(refusalOf(() => admit('pull')).kind, 'throttled');
    settle('check', ANSWERED);
  });

  test('one that was reached is there, whatever becomes of the rest', () => {
    const { clock, health, admit, settle } = stage();
    settle('blob', failed(true));
    clock.now += 1000;
    const pass = admit('blob');
    pass.reached();
    settle('pull', ANSWERED);
    pass.settle(failed(false));
    assert.deepEqual([health.view().scope, health.view().state], ['blob', 'open']);
  });

  test('what teaches nothing gives the probe back, of both circuits', () => {
    const { clock, admit, settle, health } = stage();
    settle('blob', failed(false));
    clock.now += 1000;
    admit('blob').settle(NOTHING);
    settle('blob', failed(true));
    clock.now += 1000;
    admit('blob').settle(NOTHING);
    settle('blob', ANSWERED);
    assert.equal(health.view().state, 'closed');
  });

  test('what became of a question is heard once', () => {
    const { health, admit } = stage();
    const pass = admit('pull');
    pass.settle(ANSWERED);
    pass.settle(failed(true));
    pass.reached();
    assert.equal(health.view().state, 'closed');
  });
});

describe('a storage in the place of an upstream', () => {
  test('is asked while the upstream is down, and says nothing about it', () => {
    const { health, elsewhere, settle } = stage();
    settle('check', failed(true));
    const { state, scope } = health.view();
    for (const verdict of [ANSWERED, NOTHING, failed(false), failed(true)]) elsewhere().settle(verdict);
    assert.deepEqual({ state: health.view().state, scope: health.view().scope }, { state, scope });
  });

  test('that fails is no failure of the upstream, and one that answers ends no row of such', () => {
    const { health, elsewhere, settle } = stage();
    const bad: HealthSignal = {
      kind: 'failed',
      failure: { kind: 'unavailable', opens: 'in-a-row', reason: 'it is so', retryAfter: undefined },
      everywhere: false,
    };
    for (let at = 0; at < 5; at += 1) elsewhere().settle(bad);
    assert.equal(health.view().state, 'closed');
    settle('blob', bad);
    settle('blob', bad);
    elsewhere().settle(ANSWERED);
    settle('blob', bad);
    assert.deepEqual(health.view().scope, 'blob');
  });

  test('that throttles is not asked until it may be, by whatever way, and then one request tries', () => {
    const { clock, health, events, admit, elsewhere } = stage();
    elsewhere().settle(failed(false, { kind: 'throttled', retryAfter: 5 }));
    assert.equal(refusalOf(elsewhere).kind, 'throttled');
    assert.equal(refusalOf(() => admit('blob')).kind, 'throttled');
    admit('pull').settle(ANSWERED);
    clock.now += 5000;
    const probe = elsewhere();
    refusalOf(elsewhere);
    probe.settle(ANSWERED);
    elsewhere().settle(NOTHING);
    assert.equal(health.view().state, 'closed');
    assert.deepEqual(
      events.map((event) => event.split(' ').slice(1, 3).join(' ')),
      ['blob open', 'blob half-open', 'blob closed'],
    );
  });
});
