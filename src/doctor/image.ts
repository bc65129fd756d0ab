import { type CheckTarget, checkImage, type ImageQuestion, type ImageStep } from '../check/index.ts';
import { MANIFEST_ACCEPT } from '../oci/index.ts';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';
import type { ServerClient } from './server-client.ts';
import { nameOf } from './upstreams.ts';

/** An image, as the server understands its name. */
export interface NamedImage extends ImageQuestion {
  readonly registry: string;
}

/**
 * Asks the server for the manifest by HEAD, as a client would: whether it would serve the image, whether it is cached, and
 * when an upstream confirmed it.
 */
export async function servedFinding(server: ServerClient, image: NamedImage): Promise<Finding> {
  const { registry, repository, reference } = image;
  const what = textOf(image);
  const answer = await server.ask('HEAD', `/v2/${registry}/${repository}/manifests/${reference}`, MANIFEST_ACCEPT);
  const about = { id: 'image.server', what } as const;
  if (typeof answer === 'string') {
    return skipped({ ...about, found: `the server does not answer at ${server.url}: ${answer}` });
  }
  const { status, headers } = answer;
  const age = headers['age'] === undefined ? '' : `, confirmed ${headers['age']} s ago`;
  const how = `status ${status}, cache ${headers['x-cache'] ?? 'not asked'}${age}`;
  if (status === 200) {
    const stale = headers['warning'];
    const found = `${how}, ${headers['docker-content-digest'] ?? 'without a digest'}`;
    if (stale === undefined) return ok({ ...about, found });
    return warning(
      { ...about, found: `${found}; ${stale}` },
      'The cached image is served while its upstream cannot be asked: see the findings on the upstream.',
    );
  }
  return failed(
    { ...about, found: how },
    SERVED_REMEDIES[status] ?? 'See the findings below, and the log of the server.',
  );
}

const SERVED_REMEDIES: Readonly<Record<number, string>> = {
  401: 'Anonymous clients may not pull it: show a login with --user NAME --password-stdin, or let a rule of `access` allow it.',
  403: 'No rule lets this user pull it: `entrepot access explain USER pull IMAGE` shows what the rules say.',
  404: 'No upstream has it, or none shows it to the server: see the findings below. A tag that was just pushed: `entrepot refresh IMAGE`.',
  429: 'The upstream throttles, or this server limits its clients: wait; credentials of the upstream raise its limit (docs/limits.md).',
  503: 'The upstream cannot be reached, and the image is not cached: see the findings on the upstream.',
};

/** Tries a pull of the image at each of its upstreams, in their order. */
export async function imageFindings(
  targets: readonly CheckTarget[],
  image: NamedImage,
  options: Parameters<typeof checkImage>[2],
): Promise<readonly Finding[]> {
  const walks: { readonly target: CheckTarget; readonly steps: readonly ImageStep[] }[] = [];
  for (const target of targets) walks.push({ target, steps: await checkImage(target, image, options) });
  const isThere = walks.some(({ steps }) => steps.every(({ outcome }) => outcome === 'ok'));
  return walks.flatMap(({ target: { name, spec }, steps }) => {
    const what = `${textOf(image)} at ${nameOf({ name, upstream: spec.name, url: spec.url })}`;
    return steps.map((step) => stepFinding(what, step, isThere));
  });
}

/** What one upstream does not have another one gives: that is what several are for. */
function stepFinding(what: string, { step, outcome, summary, remedy }: ImageStep, isElsewhere: boolean): Finding {
  const about = { id: `image.${step}`, what, found: summary } as const;
  if (outcome === 'ok') return ok(about);
  const words = remedy ?? 'See the message.';
  if (!isElsewhere) return failed(about, words);
  return outcome === 'failed' ? warning(about, words) : ok({ ...about, found: `${summary}; another upstream has it` });
}

function textOf({ registry, repository, reference }: NamedImage): string {
  return `${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`;
}
