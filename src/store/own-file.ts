import { constants, type FileHandle, open, stat } from 'node:fs/promises';

/** Only the user of the server reads what no upstream has. */
export const OWN_FILE_MODE = 0o600;

/** A command that root runs (`sudo entrepot users add`): the server, which runs as the owner of the directory, must be able to open the file. */
export async function giveToOwner(file: FileHandle, directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(directory);
  if (uid !== 0) await file.chown(uid, gid);
}

/** Not through a link: root would change the mode of any file that the owner of the directory points it to. */
export async function closeToOthers(file: string): Promise<void> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await handle.chmod(OWN_FILE_MODE);
  } finally {
    await handle.close();
  }
}
