import { cp, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { check, run, type Workspace } from './processes.ts';

/*
 * Base images for builds, where no public registry can be reached: made of programs of this machine and the libraries they
 * load. They hold less than the public ones they stand for, so that what builds and runs on them does so on those.
 */

/** A platform that images are built for. */
export type Architecture = 'amd64' | 'arm64';

/** Where Debian's packages for cross compilers have the libraries of arm64. */
const ARM64_LIBRARIES = '/usr/aarch64-linux-gnu/lib';

/** The folders that are links into /usr, as Debian has them. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

/** The file tree of an image, in a folder. */
export interface ImageRoot {
  readonly dir: string;
  /** Copies a file or folder of this machine there. */
  add(from: string, to: string): Promise<void>;
  /** Copies what a program of this machine loads, by its own path; `leave` names libraries that stay out. */
  addLibrariesOf(program: string, leave?: RegExp): Promise<void>;
}

/** Starts a tree with the folders every system has. */
export async function makeImageRoot(workspace: Workspace, name: string): Promise<ImageRoot> {
  const dir = workspace.path(name);
  for (const folder of ['etc', 'root', ...MERGED.map((each) => `usr/${each}`)]) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  await mkdir(join(dir, 'tmp'), { mode: 0o1777 });
  for (const folder of MERGED) await symlink(`usr/${folder}`, join(dir, folder));
  await writeFile(
    join(dir, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n',
  );
  const add = async (from: string, to: string): Promise<void> => {
    await mkdir(dirname(join(dir, to)), { recursive: true });
    await cp(from, join(dir, to), { recursive: true, dereference: true });
  };
  return {
    dir,
    add,
    async addLibrariesOf(program, leave) {
      const listed = await check(['ldd', program]);
      for (const [library] of listed.matchAll(/\/\S+(?= \()/g)) {
        if (leave?.test(library) !== true) await add(library, library.replace(/^\/(?=(?:lib|lib64)\/)/, '/usr/'));
      }
    },
  };
}

/** What a build of the Dockerfile needs of its first stage: a shell with a few tools, Node and npm. */
export async function makeNodeRoot(workspace: Workspace): Promise<ImageRoot> {
  const root = await makeImageRoot(workspace, 'node-root');
  for (const tool of ['sh', 'cat', 'cp', 'dirname', 'env', 'install', 'ls', 'mkdir', 'rm', 'uname']) {
    const program = await realpath((await check(['which', tool])).trim());
    await root.add(program, `/usr/bin/${tool}`);
    await root.addLibrariesOf(program);
  }
  await root.add(process.execPath, '/usr/bin/node');
  await root.addLibrariesOf(process.execPath);
  const npm = dirname(dirname(await realpath((await check(['which', 'npm'])).trim())));
  await root.add(npm, '/usr/lib/node_modules/npm');
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root.dir, 'usr/bin/npm'));
  return root;
}

/** What the program needs of its last stage, and no more: the C and C++ libraries. There is no shell. */
export async function makeRuntimeRoot(workspace: Workspace): Promise<ImageRoot> {
  const root = await makeImageRoot(workspace, 'runtime-root');
  await root.addLibrariesOf(process.execPath, /libatomic/);
  return root;
}

/** The same two for arm64. The first holds libraries alone, as nothing of it is run. */
export async function makeArm64Roots(workspace: Workspace): Promise<{ node: ImageRoot; runtime: ImageRoot }> {
  const library = (name: string): string => join(ARM64_LIBRARIES, name);
  const node = await makeImageRoot(workspace, 'node-root-arm64');
  await node.add(library('libatomic.so.1'), '/usr/lib/aarch64-linux-gnu/libatomic.so.1');
  const runtime = await makeImageRoot(workspace, 'runtime-root-arm64');
  for (const name of ['libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6', 'libpthread.so.0', 'libstdc++.so.6']) {
    await runtime.add(library(name), `/usr/lib/aarch64-linux-gnu/${name}`);
  }
  await runtime.add(library('ld-linux-aarch64.so.1'), '/usr/lib/ld-linux-aarch64.so.1');
  return { node, runtime };
}

/** buildah with storage of its own, which podman shares. */
export interface Buildah {
  buildah(...args: string[]): Promise<string>;
  /** Pushes trees as one image, by platform: `push(roots, '127.0.0.1:5000/library/node:26-slim')`. */
  push(roots: Partial<Record<Architecture, ImageRoot>>, name: string): Promise<void>;
}

/** @param registriesConf where images are pulled from */
export async function prepareBuildah(workspace: Workspace, registriesConf: string): Promise<Buildah> {
  const env = {
    ...process.env,
    CONTAINERS_REGISTRIES_CONF: await workspace.file('buildah-registries.conf', registriesConf),
    REGISTRY_AUTH_FILE: await workspace.file('buildah-auth.json', '{}'),
  };
  const command = ['buildah', `--root=${workspace.path('podman')}`, `--runroot=${workspace.path('podman-run')}`];
  // With the driver that the machine offers: vfs would copy the whole tree for every step.
  const buildah = (...args: string[]): Promise<string> => check([...command, ...args], { env, timeout: 400_000 });
  let pushed = 0;
  return {
    buildah,
    async push(roots, name) {
      const list = `base-${(pushed += 1)}`;
      const file = await workspace.file(
        'Dockerfile.base',
        'FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n',
      );
      for (const [architecture, { dir }] of Object.entries(roots)) {
        const platform = `--platform=linux/${architecture}`;
        await buildah('build', '--quiet', '--isolation=chroot', platform, `--manifest=${list}`, `--file=${file}`, dir);
      }
      await buildah('manifest', 'push', '--all', '--tls-verify=false', list, `docker://${name}`);
      await buildah('rmi', '--all', '--force');
    },
  };
}

/** The settings of npm on this machine, as one file for a build: where its packages are, and whom it trusts. */
export async function npmSettings(workspace: Workspace): Promise<{ readonly file: string; readonly cache: string }> {
  const setting = async (name: string): Promise<string> => {
    const { stdout } = await run(['npm', 'config', 'get', name]);
    return stdout.trim();
  };
  const [registry, cafile, cache] = await Promise.all(['registry', 'cafile', 'cache'].map(setting));
  const trusted = cafile === undefined || !cafile.startsWith('/') ? '' : 'cafile=/etc/npm-ca.pem\n';
  if (trusted !== '') await cp(cafile as string, workspace.path('npm-ca.pem'));
  else await workspace.file('npm-ca.pem', '');
  const text = `registry=${registry}\n${trusted}prefer-offline=true\nupdate-notifier=false\n`;
  return { file: await workspace.file('npmrc', text), cache: cache ?? '' };
}
