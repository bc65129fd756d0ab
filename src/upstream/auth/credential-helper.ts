import { spawn } from 'node:child_process';
import { parseBoundedJson } from '../../lib/index.ts';
import { type Credential, CredentialError } from './credential.ts';

const TIMEOUT_MS = 10_000;
const MAX_OUTPUT = 64 * 1024;
const HELPER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

// The output of every helper of docker-credential-helpers for an unknown server; docker then goes on without a credential.
const NOT_FOUND = 'credentials not found in native keychain';

/**
 * Runs `docker-credential-<helper> get` for the credential of a server: the server on standard input, JSON on standard
 * output.
 *
 * Its output is never shown: it is a secret, and even an error may hold one.
 *
 * @param server the name that `docker login` stores: a host, or Docker Hub's `https://index.docker.io/v1/`
 * @returns undefined where the helper has none
 * @throws {CredentialError} where it cannot be run, fails, takes more than 10 s or prints no usable JSON
 */
export async function runCredentialHelper(helper: string, server: string): Promise<Credential | undefined> {
  if (!HELPER_NAME.test(helper))
    throw new CredentialError(`${JSON.stringify(helper)} is no name of a credential helper`);
  const program = `docker-credential-${helper}`;
  const { code, output } = await run(program, server);
  if (code !== 0) {
    if (output.toString('utf8').trim() === NOT_FOUND) return undefined;
    throw new CredentialError(`${program} failed with exit code ${code}; run it by hand to see why`);
  }
  return parseOutput(output, program);
}

function parseOutput(output: Buffer, program: string): Credential {
  let value: unknown;
  try {
    value = parseBoundedJson(output);
  } catch {
    // The cause would quote the output.
    throw new CredentialError(`${program} did not answer with JSON`);
  }
  const { Username: username, Secret: password } = (value ?? {}) as { Username?: unknown; Secret?: unknown };
  if (typeof username !== 'string' || typeof password !== 'string') {
    throw new CredentialError(`${program} answered without Username and Secret`);
  }
  for (const [name, text] of Object.entries({ Username: username, Secret: password })) {
    if (text === '') throw new CredentialError(`${program} answered with an empty ${name}`);
  }
  return { username, password };
}

function run(program: string, input: string): Promise<{ code: number; output: Buffer }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    const chunks: Buffer[] = [];
    let length = 0;
    const fail = (message: string, cause?: unknown): void => {
      child.kill('SIGKILL');
      // A grandchild may hold the pipe open.
      child.stdout.destroy();
      reject(new CredentialError(message, { cause }));
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      fail(
        error.code === 'ENOENT' ? `${program} is not on the PATH` : `${program} cannot be run (${error.code})`,
        error,
      );
    });
    child.stdin.on('error', () => undefined);
    child.stdout.on('error', () => undefined);
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_OUTPUT) fail(`${program} answered more than ${MAX_OUTPUT} bytes`);
      else chunks.push(chunk);
    });
    child.on('exit', (_code, signal) => {
      if (signal !== null) fail(`${program} was ended by ${signal}, after ${TIMEOUT_MS / 1000} s at most`);
    });
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks) }));
    child.stdin.end(`${input}\n`);
  });
}
