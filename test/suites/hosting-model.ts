import { after, before, describe, test } from 'node:test';
import { CREDENTIALS } from '../support/hosting-setting.ts';
import { HostingWorld } from '../support/hosting-world.ts';
import { buildImage } from '../support/image.ts';
import { PushUpstream } from '../support/push-upstream.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Who changes what, and who sees it, against a model that is written from the words of docs/access.md and docs/hosting.md: principals,
// rules, repositories and requests are drawn, and after each change others look. A fault is one of three: a leak, a wrong refusal, or a
// wrong change.

/** Requests to one server, under one set of rules. */
const PER_WORLD = 200;

/** Draws requests and compares each answer with the model. @param options.cases how many requests */
export function hostingModelSuite({ cases }: { readonly cases: number }): void {
  describe('a server that hosts, compared with a model', () => {
    let mirrored: ScriptedUpstream;
    let passed: PushUpstream;
    const open = buildImage({ seed: 'open', layers: [700], architectures: ['amd64'] });
    const closed = buildImage({ seed: 'closed', layers: [800], architectures: ['amd64'] });

    before(async () => {
      mirrored = await startScriptedUpstream({ personality: 'quay', credentials: CREDENTIALS, anonymous: true });
      mirrored.add(open, 'acme/open', ['latest']);
      mirrored.add(closed, 'acme/closed', ['latest']);
      passed = await PushUpstream.start({ credentials: CREDENTIALS });
    });
    after(async () => {
      await Promise.all([mirrored.stop(), passed.close()]);
    });

    for (let at = 0; at * PER_WORLD < cases; at += 1) {
      test(`requests ${at * PER_WORLD + 1} to ${Math.min(cases, (at + 1) * PER_WORLD)}`, async () => {
        await using world = await HostingWorld.start({ mirrored, passed, open, closed, seed: at });
        for (let n = 0; n < PER_WORLD; n += 1) await world.step();
        await world.compareAll();
      });
    }
  });
}
