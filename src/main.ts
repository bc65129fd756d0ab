// `entrepot config default | head -1`: a reader that has seen enough is no failure of ours.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const { run } = await import('./cli/program.ts');
process.exitCode = await run(process.argv.slice(2));
