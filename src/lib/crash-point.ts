/**
 * Where the process dies on purpose, so that a test can see what a power cut at that very line leaves behind.
 *
 * `ENTREPOT_CRASH_AT=commit.renamed` kills the process with SIGKILL the first time it passes that point,
 * `commit.renamed#3` the third time. Unset, which is always so outside tests, a point is one empty function call.
 */
export const crashPoint: (point: string) => void = crashPointOf(process.env['ENTREPOT_CRASH_AT']);

function crashPointOf(setting: string | undefined): (point: string) => void {
  if (setting === undefined || setting === '') return passBy;
  const [fatal, count] = setting.split('#');
  let left = Number(count ?? 1);
  return (point) => {
    // SIGKILL and not exit(): no handler, no flush and no finally block may tidy up behind it.
    if (point === fatal && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}

function passBy(): void {}
