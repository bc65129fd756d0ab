import { check, freePort } from '../../test/support/processes.ts';
import { Connections } from './connections.ts';
import { checkManifest } from './origin.ts';
import { cpuSeconds, untilIdle } from './process-cpu.ts';
import { Samples, type Stage } from './stage.ts';
import { BIN, type EntrepotOptions, entrepotCommand, startEntrepot } from './subjects.ts';

/** Requests before anything is measured: until its code is compiled for good, a server costs twice as much. */
const WARMING = 40_000;
/** Requests of a turn: a second or two, as the kernel counts CPU in hundredths. */
const ASKED_IN_TURN = 60_000;
/** Pairs of turns for each run. */
const PAIRS_IN_RUN = 3;

/** Two configurations of one server that differ in what a reload can change. */
export interface Turns {
  /** Names the directory of its cache. */
  readonly name: string;
  readonly without: Omit<EntrepotOptions, 'upstream'>;
  readonly within: Omit<EntrepotOptions, 'upstream'>;
  /** Connections that ask, each for one manifest at a time. */
  readonly connections: number;
}

export interface TurnCosts {
  /** Bytes of the manifest. */
  readonly size: number;
  /** Microseconds of CPU for a request, one for each turn, in pairs. */
  readonly without: readonly number[];
  readonly within: readonly number[];
  /** Those of one pair: within / without. */
  readonly ratios: readonly number[];
}

/**
 * What an option costs: CPU per warm manifest with it and without.
 *
 * One server takes turns, with a reload between them: two processes of one program differ by up to a quarter, which is far more than what
 * is measured.
 */
export async function costOfOption(
  { settings, origin, progress, ...place }: Stage,
  { name, without, within, connections }: Turns,
): Promise<TurnCosts> {
  const { image, path } = await origin.addImage();
  const common = { upstream: origin.url, port: await freePort(), dir: place.workspace.path(name) };
  const server = await startEntrepot(place, { ...common, ...without });
  await checkManifest(server.url + path, image);
  const load = new Connections({ url: server.url + path, accept: image.index.mediaType, connections });
  const apply = async (isWithin: boolean): Promise<void> => {
    // Writes the configuration, which has its place by the port.
    await entrepotCommand(place.workspace, { ...common, ...(isWithin ? within : without) });
    await check(['sh', BIN, 'reload', '--cache-dir', common.dir]);
  };
  /** With what is written from time to time. */
  const turn = async (isWithin: boolean): Promise<number> => {
    await apply(isWithin);
    await load.ask(ASKED_IN_TURN / 10);
    await untilIdle(server.process.pid);
    const before = await cpuSeconds(server.process.pid);
    await load.ask(ASKED_IN_TURN);
    await untilIdle(server.process.pid);
    return (((await cpuSeconds(server.process.pid)) - before) / ASKED_IN_TURN) * 1e6;
  };
  progress('warming');
  for (const isWithin of [false, true]) {
    await apply(isWithin);
    await load.ask(WARMING);
  }
  const costs = new Samples();
  const pairs = settings.runs * PAIRS_IN_RUN;
  for (let number = 1; number <= pairs; number++) {
    progress(`pair ${number} of ${pairs}`);
    // Each pair begins with the other one.
    for (const isWithin of number % 2 === 0 ? [true, false] : [false, true]) {
      costs.add(isWithin ? 'within' : 'without', await turn(isWithin));
    }
  }
  load.close();
  await server.process.stop();
  const [cheap, dear] = [costs.of('without'), costs.of('within')];
  return {
    size: image.index.size,
    without: cheap,
    within: dear,
    ratios: dear.map((value, at) => value / (cheap[at] ?? Number.NaN)),
  };
}
