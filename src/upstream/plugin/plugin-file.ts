import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

const OTHERS_WRITE = 0o002;
const NOT_ONLY_OWNER_WRITES = 0o022;
const STICKY = 0o1000;

/**
 * What is wrong with the file of a plugin, with its remedy; undefined where it can be used. Its code runs with all rights of this
 * server, so only its owner may be able to write it.
 */
export async function faultOfPluginFile(path: string): Promise<string | undefined> {
  const file = resolve(path);
  try {
    const status = await stat(file);
    if (!status.isFile()) return `${file} is no file; name a module such as ./routing.mjs`;
    await access(file, constants.R_OK);
    // Elsewhere, a mode says nothing about who may write.
    if (process.platform === 'win32') return undefined;
    if ((status.mode & NOT_ONLY_OWNER_WRITES) !== 0 && !(await isOnReadOnly(file))) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      return `${file} can be written by others (its mode is ${mode}), and runs with all rights of this server. Run: chmod go-w ${file}`;
    }
    const real = await realpath(file);
    const directories = new Set([...directoriesAbove(file), ...directoriesAbove(real)]);
    for (const directory of directories) {
      if (!(await isOpenToOthers(directory))) continue;
      return `${file} is in ${directory}, where every user may put another file in its place. Run: chmod o-w ${directory}, or move the plugin`;
    }
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return `${file} does not exist; create it, or correct the path`;
    if (code === 'EACCES') return `${file} cannot be read by this user. Run: chmod a+r ${file}`;
    return `${file} cannot be read: ${message}`;
  }
}

/** In a sticky directory, such as /tmp, only the owner of a file can replace it. */
async function isOpenToOthers(directory: string): Promise<boolean> {
  const { mode } = await stat(directory);
  return (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0 && !(await isOnReadOnly(directory));
}

/** A mounted ConfigMap of Kubernetes, say: its modes allow what its file system does not. */
async function isOnReadOnly(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

function directoriesAbove(file: string): readonly string[] {
  const found: string[] = [];
  for (let at = dirname(file); found.at(-1) !== at; at = dirname(at)) found.push(at);
  return found;
}
