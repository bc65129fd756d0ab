import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OciError } from '../oci/index.ts';
import { HostedStoreError } from '../store/hosted/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { DiskFailures } from './disk-failures.ts';

const failing = (code: string): Error => Object.assign(new Error(`${code}: refused`), { code, syscall: 'open' });

function stage() {
  const telemetry = new Telemetry();
  const warnings: string[] = [];
  telemetry.on('warning', ({ message }) => warnings.push(message));
  return { disk: new DiskFailures(telemetry), warnings };
}

test('a disk that fails is 503, and the operator hears of it once', async () => {
  const { disk, warnings } = stage();
  for (const error of [
    failing('EROFS'),
    failing('EIO'),
    new HostedStoreError('hosted.db', { found: 'it is damaged' }),
  ]) {
    await assert.rejects(
      disk.answer(() => Promise.reject(error)),
      (answer) => answer instanceof OciError && answer.code === 'UNAVAILABLE' && answer.cause === error,
    );
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^Cannot use the disk of hosted repositories/);
});

test('what else goes wrong stays as it is', async () => {
  const { disk, warnings } = stage();
  for (const error of [failing('ECONNRESET'), new TypeError('a defect'), new OciError('DENIED', 'no')]) {
    await assert.rejects(
      disk.answer(() => {
        throw error;
      }),
      (found) => found === error,
    );
  }
  assert.equal(await disk.answer(() => 'done'), 'done');
  assert.deepEqual(warnings, []);
});
