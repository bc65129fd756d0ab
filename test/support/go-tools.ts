import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isInstalled, run } from './processes.ts';

/*
 * Programs written in Go which no package of Debian has. `bin/pinned-node scripts/go-tools.ts` builds them through the module
 * proxy into a folder outside the repository, which takes minutes the first time and nothing later. Tests only use what is there.
 */

interface GoTool {
  readonly package: string;
  /** As the module proxy has it. */
  readonly version: string;
  /** `go install` refuses the go.mod of its module, for what that excludes: it is built from a module that requires its own. */
  readonly excludes?: true;
  /**
   * The package is a test: it is built by `go test -c`, from a module that requires its module. These are the lines of
   * that module's go.sum which the public checksum database does not have.
   */
  readonly testSums?: readonly string[];
}

const CONFORMANCE = 'github.com/opencontainers/distribution-spec/conformance';

export const GO_TOOLS = {
  crane: { package: 'github.com/google/go-containerregistry/cmd/crane', version: 'v0.22.1' },
  oras: { package: 'oras.land/oras/cmd/oras', version: 'v1.3.6' },
  regctl: { package: 'github.com/regclient/regclient/cmd/regctl', version: 'v0.11.7' },
  helm: { package: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0' },
  /** Asks a container runtime for what the kubelet asks it for. */
  crictl: { package: 'sigs.k8s.io/cri-tools/cmd/crictl', version: 'v1.37.0' },
  /** Fetches parts of a layer at once, which the containerd of Debian cannot. */
  containerd: { package: 'github.com/containerd/containerd/v2/cmd/containerd', version: 'v2.3.7' },
  ctr: { package: 'github.com/containerd/containerd/v2/cmd/ctr', version: 'v2.3.7' },
  buildkitd: { package: 'github.com/moby/buildkit/cmd/buildkitd', version: 'v0.34.2', excludes: true },
  buildctl: { package: 'github.com/moby/buildkit/cmd/buildctl', version: 'v0.34.2', excludes: true },
  /** The ACME server that Let's Encrypt tests clients with: small, strict, and it rejects some requests at random. */
  pebble: { package: 'github.com/letsencrypt/pebble/v2/cmd/pebble', version: 'v2.10.3' },
  /** The registry of CNCF, version 3, for the bench. */
  distribution: { package: 'github.com/distribution/distribution/v3/cmd/registry', version: 'v3.1.1' },
  /** The conformance suite of distribution-spec 1.1.1, by the commit of that tag: its module has no tags of its own. */
  'conformance-1.1.1': {
    package: CONFORMANCE,
    version: 'v0.0.0-20250123160558-a139cc423184',
    testSums: [
      'v0.0.0-20250123160558-a139cc423184 h1:7bNCAFy3pSZzsM+xTEhbhSKzYcVMVf/g8lT71MMlkjU=',
      'v0.0.0-20250123160558-a139cc423184/go.mod h1:DOO4RzIigGVoAksLURsDbKHpJ8zX5eEQfsmkqY39yyE=',
    ],
  },
  /** The suite as it was rewritten after 1.1.1. */
  conformance: { package: CONFORMANCE, version: 'v0.0.0-20260831232431-97274622c111' },
} as const satisfies Record<string, GoTool>;

export type GoToolName = keyof typeof GO_TOOLS;

/** Where the built programs lie: `TEST_TOOLS`, or a folder of the user's cache. */
function toolsFolder(): string {
  return process.env['TEST_TOOLS'] ?? join(homedir(), '.cache', 'entrepot-tools');
}

/** The path of a tool, built or not. Another version is another file. */
export function goTool(name: GoToolName): string {
  return join(toolsFolder(), `${name}-${GO_TOOLS[name].version}`);
}

export function isBuilt(name: GoToolName): boolean {
  try {
    accessSync(goTool(name), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Options for a test that needs these tools: it is skipped where one was not built, and says how to build it. With `CI` in
 * the environment and `go` installed, this throws instead, unless `TEST_WITHOUT` names `go`, since they could not be built.
 */
export function needsGoTools(...names: readonly GoToolName[]): { skip?: string } {
  const missing = names.filter((name) => !isBuilt(name));
  if (missing.length === 0) return {};
  const hasGo = isInstalled('go');
  const build = `bin/pinned-node scripts/go-tools.ts ${missing.join(' ')}`;
  const reason = `needs ${missing.join(', ')}: ${hasGo ? '' : 'install Go 1.26 or newer (https://go.dev/dl), then '}${build}`;
  const without = (process.env['TEST_WITHOUT'] ?? '').split(',');
  if (process.env['CI'] && hasGo && !without.includes('go'))
    throw new Error(`In CI every test runs, but one ${reason}`);
  return { skip: reason };
}

/** Builds a tool. Throws with the output of `go` where that fails. */
export async function buildGoTool(name: GoToolName): Promise<void> {
  const tool: GoTool = GO_TOOLS[name];
  await mkdir(toolsFolder(), { recursive: true });
  // In the same folder, so that the finished program is renamed to its place whole.
  const draft = await mkdtemp(join(toolsFolder(), `.${name}-`));
  try {
    const inModule = tool.testSums !== undefined || tool.excludes === true;
    const built = inModule ? await buildInModule(tool, draft) : await install(tool, draft);
    await rename(built, goTool(name));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function install(tool: GoTool, draft: string): Promise<string> {
  await go(['install', '-trimpath', `${tool.package}@${tool.version}`], { GOBIN: draft });
  return join(draft, tool.package.split('/').at(-1) as string);
}

/** In a module that requires the module of the tool, which is the first part of its package that has this version. */
async function buildInModule({ package: path, version, testSums }: GoTool, draft: string): Promise<string> {
  const module = testSums === undefined ? path.split('/').slice(0, 3).join('/') : path;
  await writeFile(join(draft, 'go.mod'), `module tools\n\ngo 1.22\n\nrequire ${module} ${version}\n`);
  await writeFile(join(draft, 'go.sum'), (testSums ?? []).map((sum) => `${path} ${sum}\n`).join(''));
  const built = join(draft, 'built');
  const command = testSums === undefined ? ['build'] : ['test', '-c'];
  await go(['-C', draft, ...command, '-trimpath', '-o', built, path], {
    GOFLAGS: '-mod=mod',
    ...(testSums !== undefined && { GONOSUMDB: path }),
  });
  return built;
}

async function go(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { code, stdout, stderr } = await run(['go', ...args], {
    env: { ...process.env, ...env },
    timeout: 30 * 60_000,
  });
  if (code !== 0) throw new Error(`go ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
}
