/**
 * Loaded into a process before its program (`node --import`), this says what stays in its memory when everything that can go
 * has gone: at each SIGUSR2 it sweeps the heap and writes what is left, in bytes, to the file that `FAULTS_MEMORY` names.
 * What a process holds between two sweeps depends on how busy the machine is, and only what stays can grow for ever.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const file = process.env['FAULTS_MEMORY'];
if (file !== undefined) {
  setFlagsFromString('--expose-gc');
  const sweep = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    sweep();
    // The memory of buffers goes a turn after the buffers themselves.
    setTimeout(() => {
      sweep();
      const { heapUsed, external, rss } = process.memoryUsage();
      // Whole or not at all, for a reader at this moment.
      writeFileSync(`${file}.new`, JSON.stringify({ heap: heapUsed, live: heapUsed + external, resident: rss }));
      renameSync(`${file}.new`, file);
    }, 50).unref();
  });
}
