// `entrepot config default | head -1`: a reader that has seen enough is no failure of ours.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const { run } = await import('./cli/index.ts');
const code = await run(process.argv.slice(2));
// Keeps an exit code that a failed write has set.
process.exitCode ||= code;
