import { arch } from 'node:os';
import type { ServerStatus } from '../../../admin/index.ts';
import { ClientPool, catalogueOf, checkTargetsOf, isHostedHere } from '../../../app/index.ts';
import { type CheckTarget, checkUpstreams } from '../../../check/index.ts';
import type { LoadedConfig } from '../../../config/index.ts';
import {
  clockFinding,
  type Finding,
  failed,
  imageFindings,
  type NamedImage,
  ok,
  type ServerClient,
  servedFinding,
  upstreamFindings,
} from '../../../doctor/index.ts';
import { OciError } from '../../../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../../../routing/index.ts';
import type { Telemetry } from '../../../telemetry/index.ts';

interface Examined {
  readonly image: string | undefined;
  readonly status: ServerStatus | undefined;
  /** Undefined where no server answers. */
  readonly server: ServerClient | undefined;
  /** The upstreams are those of a server elsewhere. */
  readonly isRemote: boolean;
}

interface Way {
  /** Milliseconds for each upstream. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

/** The upstreams that matter, the clock by their answers, and the image, if one is given. */
export async function upstreamsAndImage(
  { config }: LoadedConfig,
  { image, status, server, isRemote }: Examined,
  { timeout, signal, progress }: Way,
): Promise<readonly Finding[]> {
  const catalogue = await catalogueOf(config);
  const named = image === undefined ? undefined : nameImage(catalogue, image);
  if (named !== undefined && 'finding' in named) return [named.finding];
  const { targets: own = [] } = named ?? {};
  const findings: Finding[] = named === undefined ? [] : [named.understood];
  if (named !== undefined && server !== undefined) {
    progress(`asking the server for ${image}`);
    findings.push(await servedFinding(server, named.image));
  }
  // What is hosted is with the server alone.
  if (isRemote || named?.isHosted === true) return findings;
  const recent = (status?.upstreams ?? []).map(({ registry }) => registry);
  const targets = named === undefined ? targetsOf(config, catalogue, recent) : own;
  const options = { openTransport: (telemetry: Telemetry) => new ClientPool(telemetry), timeout, signal };
  let done = 0;
  const reports = await checkUpstreams(targets, {
    ...options,
    onReport: () => progress(`${(done += 1)} of ${targets.length} upstreams checked`),
  });
  findings.push(...reports.flatMap(upstreamFindings), clockFinding(reports));
  if (named === undefined) return findings;
  progress(`pulling the manifest of ${image}`);
  const reachable = targets.filter((_, index) => reports[index]?.reachable === true);
  findings.push(...(await imageFindings(reachable, named.image, options)));
  return findings;
}

/** The configured upstreams and those asked lately; without any, those of the default registry. */
function targetsOf(
  config: LoadedConfig['config'],
  catalogue: Catalogue,
  recent: readonly string[],
): readonly CheckTarget[] {
  const { targets, onlyKnown } = checkTargetsOf(config, catalogue);
  const configured = onlyKnown ? [] : targets;
  const names = [...new Set(recent)].filter((name) => !configured.some((target) => target.name === name));
  const known = names.filter((name) => catalogue.byName(name) !== undefined);
  const asked = known.length === 0 ? [] : checkTargetsOf(config, catalogue, { names: known }).targets;
  const all = [...configured, ...asked];
  return all.length > 0 ? all : checkTargetsOf(config, catalogue, { names: [catalogue.default.name] }).targets;
}

type Named =
  | { readonly finding: Finding }
  | {
      readonly image: NamedImage;
      readonly understood: Finding;
      readonly targets: readonly CheckTarget[];
      /** Whether it is pushed to the server, and fetched from no upstream. */
      readonly isHosted: boolean;
    };

/** Reads the name as a pull does. */
function nameImage(catalogue: Catalogue, text: string): Named {
  const about = { id: 'image.name', what: text } as const;
  try {
    const { repository = '', tag = 'latest', digest, text: shown } = parseImagePattern(catalogue, text);
    const slash = repository.indexOf('/');
    if (slash < 1 || /[*?]/.test(shown)) {
      const found = 'is a pattern, or names no repository';
      return { finding: failed({ ...about, found }, 'Name one image, such as nginx:1.27 or ghcr.io/owner/app.') };
    }
    const name = repository.slice(0, slash);
    const registry = catalogue.byName(name);
    if (registry === undefined) {
      const found = `this server knows no registry ${name}`;
      return {
        finding: failed(
          { ...about, found },
          'Correct the name, or add the registry under `registries`; /help lists those known.',
        ),
      };
    }
    const targets = registry.upstreams.map((spec) => ({ kind: 'registry', name, spec, path: '/v2/' }) as const);
    const image = {
      registry: name,
      repository: repository.slice(slash + 1),
      reference: digest ?? tag,
      platform: platformHere(),
    };
    const isHosted = isHostedHere(catalogue, image);
    const order = targets.map(({ spec }) => spec.name).join(', then ');
    const from = isHosted ? 'hosted by this server' : `fetched from ${order}`;
    const found = `is ${repository}${digest === undefined ? `:${tag}` : `@${digest}`}, ${from}`;
    return { image, understood: ok({ ...about, found }), targets, isHosted };
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return {
      finding: failed({ ...about, found: error.message }, 'Name one image, such as nginx:1.27 or ghcr.io/owner/app.'),
    };
  }
}

/** Node's names of architectures that Go, and so images, name otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mipsel: 'mipsle',
};

/** The platform of images for this machine. */
function platformHere(): NamedImage['platform'] {
  const name = arch();
  return { os: 'linux', architecture: ARCHITECTURES[name] ?? name };
}
