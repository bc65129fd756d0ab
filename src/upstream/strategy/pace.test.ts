import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FORGOTTEN_AFTER_MS, Pace } from './pace.ts';

function stage() {
  const clock = { now: 1_000_000 };
  return { clock, pace: new Pace(() => clock.now) };
}

describe('Pace', () => {
  test('knows nothing before the first measurement', () => {
    assert.deepEqual(stage().pace.view('manifest'), {});
  });

  test('a mean moves a quarter of the way with each measurement in quick succession', () => {
    const { pace, clock } = stage();
    pace.answered('manifest', 100);
    clock.now += 10;
    pace.answered('manifest', 20);
    assert.deepEqual(pace.view('manifest'), { latencyMs: 80, measuredAt: clock.now });
  });

  test('after a long pause a measurement counts nearly alone', () => {
    const { pace, clock } = stage();
    pace.answered('manifest', 100);
    clock.now += 10 * 60_000;
    pace.answered('manifest', 20);
    assert.ok(Math.abs((pace.view('manifest').latencyMs ?? 0) - 20) < 0.1);
  });

  test('what was not measured for half an hour is forgotten', () => {
    const { pace, clock } = stage();
    pace.answered('manifest', 100);
    pace.sent(5000);
    clock.now += FORGOTTEN_AFTER_MS - 1;
    assert.equal(pace.view('manifest').latencyMs, 100);
    clock.now += 1;
    assert.deepEqual(pace.view('manifest'), {});
  });

  test('a clock that is set back forgets nothing and spoils no mean', () => {
    const { pace, clock } = stage();
    pace.answered('manifest', 100);
    clock.now -= 86_400_000;
    assert.equal(pace.view('manifest').latencyMs, 100);
    pace.answered('manifest', 20);
    assert.equal(pace.view('manifest').latencyMs, 80);
  });

  test('manifests stand in for blobs until one is measured, and never the other way round', () => {
    const { pace, clock } = stage();
    pace.answered('manifest', 100);
    assert.deepEqual(pace.view('blob'), { latencyMs: 100 });
    pace.answered('blob', 30);
    assert.deepEqual(pace.view('blob'), { latencyMs: 30, measuredAt: clock.now });
    const other = stage().pace;
    other.answered('blob', 30);
    assert.deepEqual(other.view('manifest'), {});
  });
});
