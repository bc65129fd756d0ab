import bcrypt from 'bcryptjs';
import { guessPasswords, latenciesOf, requestsPerSecond } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { PASSWORD, tokenOf } from './lib/login.ts';
import { checkManifest } from './lib/origin.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { startEntrepot } from './lib/subjects.ts';

const CONNECTIONS = 32;
const SECONDS = 2;
/** How often each server of a pair is asked, taking turns. */
const ROUNDS = 3;
/** As many clients as a rollout has at a time, so that the server is not full without the guesses. */
const PULLING = 4;
const GUESSES = 10_000;
const GUESSES_PER_SECOND = 500;
/** What `htpasswd -B` writes is 5; 10 is the usual advice. */
const COST = 10;

/**
 * What rules cost: CPU per warm manifest, with the token of a user and without `access:`. And what guesses of passwords cost
 * those who pull: latencies of warm manifests while 10,000 come in, beside those in the same time without.
 */
export const accessRules: Bench = {
  id: 'B11',
  title: 'rules, logins and guesses',
  async measure({ settings, origin, progress, ...place }) {
    const { image, path } = await origin.addImage();
    const htpasswd = await place.workspace.file('htpasswd', `alice:${bcrypt.hashSync(PASSWORD, COST)}\n`);
    const access = { htpasswd, rules: [{ who: 'alice', may: ['pull'], on: ['**'] }] };
    const accept = image.index.mediaType;
    const start = {
      open: () => startEntrepot(place, { upstream: origin.url, name: 'without access' }),
      ruled: () => startEntrepot(place, { upstream: origin.url, name: 'with access', config: { access } }),
    } as const;
    const costs = new Samples();
    // Two processes of one program differ: each run has a pair of its own, and begins with the other one.
    for (let run = 1; run <= settings.runs; run++) {
      const order = run % 2 === 1 ? (['open', 'ruled'] as const) : (['ruled', 'open'] as const);
      const subjects = [];
      for (const which of order) subjects.push({ which, subject: await start[which]() });
      const used = new Map<string, number>();
      for (let round = 0; round <= ROUNDS; round++) {
        for (const { which, subject } of subjects) {
          progress(`run ${run} of ${settings.runs}, ${subject.name}`);
          const authorization = which === 'open' ? undefined : await tokenOf(subject.url);
          if (round === 0) await checkManifest(subject.url + path, image, authorization);
          const load = { url: subject.url + path, accept, authorization, connections: CONNECTIONS, seconds: SECONDS };
          const { cpu, result: rate } = await cpuOf(subject.process.pid, () => requestsPerSecond(load));
          // The first round compiles the code.
          if (round > 0) used.set(which, (used.get(which) ?? 0) + (cpu / (rate * SECONDS)) * 1e6);
        }
      }
      for (const { which, subject } of subjects) {
        costs.add(subject.name, (used.get(which) ?? Number.NaN) / ROUNDS);
        await subject.process.stop();
      }
    }
    const ruled = await start.ruled();
    await checkManifest(ruled.url + path, image, await tokenOf(ruled.url));
    const latencies = new Samples();
    const throttled: number[] = [];
    const seconds = GUESSES / GUESSES_PER_SECOND;
    for (let run = 1; run <= settings.runs; run++) {
      for (const what of ['no guesses', 'guesses'] as const) {
        progress(`run ${run} of ${settings.runs}, pulls with ${what}`);
        const authorization = await tokenOf(ruled.url);
        const pulls = latenciesOf({
          url: ruled.url + path,
          headers: { accept, authorization },
          connections: PULLING,
          seconds,
        });
        const guessed =
          what === 'guesses'
            ? guessPasswords({
                url: `${ruled.url}/v2/`,
                user: 'alice',
                guesses: GUESSES,
                perSecond: GUESSES_PER_SECOND,
              })
            : undefined;
        latencies.add(what, (await pulls).p99);
        const report = await guessed;
        if (report !== undefined) throttled.push(((report['429'] ?? 0) / GUESSES) * 100);
      }
    }
    const [before, during] = [latencies.of('no guesses'), latencies.of('guesses')];
    const ratio = (of: readonly number[], to: readonly number[]): readonly number[] =>
      // Runs take turns, so those of the same number belong together.
      of.map((value, run) => value / (to[run] ?? Number.NaN));
    const common = { bench: 'B11' };
    const manifest = { ...common, work: `warm manifest, ${image.index.size} bytes, CPU` };
    const pull = { ...common, work: `warm manifest while ${GUESSES} passwords are guessed, p99` };
    return [
      { ...manifest, subject: 'without access', unit: 'µs', samples: costs.of('without access') },
      { ...manifest, subject: `${ruled.name}, by a token`, unit: 'µs', samples: costs.of(ruled.name) },
      {
        ...manifest,
        subject: `${ruled.name}, by a token`,
        unit: '× without',
        samples: ratio(costs.of(ruled.name), costs.of('without access')),
        goals: [{ bound: 'at most', value: 1.15 }],
      },
      { ...pull, subject: 'no guesses', unit: 'ms', samples: before },
      { ...pull, subject: `${GUESSES_PER_SECOND} guesses/s`, unit: 'ms', samples: during },
      {
        ...pull,
        subject: `${GUESSES_PER_SECOND} guesses/s`,
        unit: '× without',
        samples: ratio(during, before),
        goals: [{ bound: 'at most', value: 1.5 }],
      },
      {
        ...common,
        work: 'guesses refused before they are hashed',
        subject: `${GUESSES_PER_SECOND} guesses/s`,
        unit: '%',
        samples: throttled,
        goals: [{ bound: 'at least', value: 99 }],
      },
    ] satisfies readonly Figure[];
  },
};
