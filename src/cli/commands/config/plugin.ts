import { resolve } from 'node:path';
import { testPlugin } from '../../../app/index.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatTable } from '../../format.ts';
import type { Output } from '../../output.ts';

export interface PluginTestOptions {
  readonly file: string;
  /** Names of upstreams, separated by commas. */
  readonly upstreams?: string;
  readonly json?: boolean;
}

/** `entrepot plugin test`: what a routing plugin does in every situation, and what of it a server would not take. */
export async function testRoutingPlugin(
  { file, upstreams, json = false }: PluginTestOptions,
  output: Output,
): Promise<number> {
  const names = upstreams?.split(',').map((name) => name.trim());
  if (names !== undefined && (new Set(names).size !== names.length || names.length < 2 || names.includes(''))) {
    output.err(`--upstreams: found ${JSON.stringify(upstreams)}, expected two names or more, such as near,far\n`);
    return EXIT.usage;
  }
  const trials = await testPlugin(resolve(file), { ...(names !== undefined && { names }), prints: !json });
  const faults = trials.filter(({ outcome }) => outcome === 'fault').length;
  if (json) output.out(formatJson({ file: resolve(file), ok: faults === 0, trials }));
  else {
    const rows = trials.map(({ outcome, situation, said }) => [outcome, situation, said]);
    output.out(`${[...formatTable([['OUTCOME', 'SITUATION', 'ORDER'], ...rows]), ''].join('\n')}\n`);
    const verdict = faults === 0 ? 'keeps the contract.' : `breaks the contract in ${count(faults, 'situation')}.`;
    output.out(`${file} ${verdict}\n`);
  }
  return faults === 0 ? EXIT.ok : EXIT.failure;
}
