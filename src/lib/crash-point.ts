/**
 * A point where a test can kill the process, to see what a power cut at that line leaves on the disk.
 *
 * `ENTREPOT_CRASH_AT=commit.renamed` kills the process with SIGKILL the first time it passes that point,
 * `commit.renamed#3` the third time. Without the variable, as outside tests, a point is one empty function call.
 */
export const crashPoint: (point: string) => void = crashPointOf(process.env['ENTREPOT_CRASH_AT']);

function crashPointOf(setting: string | undefined): (point: string) => void {
  if (setting === undefined || setting === '') return () => {};
  const [fatal, count] = setting.split('#');
  let left = Number(count ?? 1);
  return (point) => {
    // SIGKILL and not exit(): no handler, flush or finally block may run.
    if (point === fatal && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
