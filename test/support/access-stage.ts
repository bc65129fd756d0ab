import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { callControl, controlSocketPath, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import { type RunningEntrepot, startEntrepot } from './app.ts';
import { buildImage } from './image.ts';
import { type RunResult, Workspace } from './processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';

/** The password of every user. */
export const PASSWORD = 'correct horse';
/** The one that no user has; any other is right, or a token. */
export const WRONG = 'wrong';

/** A server with `public/` for every client, and `private/` for alice, carol and the token ci; bob is another user. Each has the image `app:latest`. */
export interface AccessStage extends AsyncDisposable {
  readonly workspace: Workspace;
  readonly upstream: ScriptedUpstream;
  readonly entrepot: RunningEntrepot;
  /** Replaces the users. They have changed when the server has looked at the file: within a second. */
  readonly setUsers: (...names: readonly string[]) => Promise<void>;
}

export async function startAccessStage(): Promise<AccessStage> {
  const workspace = await Workspace.open();
  const htpasswd = workspace.path('htpasswd');
  const setUsers = (...names: readonly string[]): Promise<void> =>
    writeFile(htpasswd, names.map((name) => `${name}:${bcrypt.hashSync(PASSWORD, 4)}\n`).join(''));
  await setUsers('alice', 'bob');
  const upstream = await startScriptedUpstream();
  workspace.defer(() => upstream.stop());
  const image = buildImage({ seed: 'access-e2e' });
  for (const name of ['public/app', 'private/app']) upstream.add(image, name, ['latest']);
  const entrepot = await startEntrepot(workspace, {
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    access: {
      htpasswd,
      rules: [
        { who: 'anonymous', may: ['pull'], on: ['plain/public/**'] },
        { who: ['alice', 'carol', 'token:ci'], may: ['pull'], on: ['plain/private/**'] },
      ],
    },
  });
  return { workspace, upstream, entrepot, setUsers, [Symbol.asyncDispose]: () => workspace.close() };
}

/** What a client does to log in and to pull; the results have everything that it said. */
export interface AccessClient {
  login(user: string, password: string): Promise<RunResult>;
  logout(): Promise<unknown>;
  /** @param name `HOST/private/app:latest` */
  pull(name: string): Promise<RunResult>;
}

/** What a client says where it is refused. docs/access.md quotes it. */
export interface Says {
  readonly wrongPassword: RegExp;
  /** A removed user, in the middle. @default as a wrong password */
  readonly removed?: RegExp;
  readonly anonymous: RegExp;
  readonly refused: RegExp;
}

/** Everything that a client said. */
export function said({ stdout, stderr }: RunResult): string {
  return `${stdout}${stderr}`;
}

/**
 * The course of one client: without a login, with a wrong one, with one, as another user, with a token that is revoked and as a stored
 * user who is disabled in the middle, and removed in the middle.
 *
 * @param what the repository behind `public/` and `private/`
 */
export function course(
  stage: () => AccessStage,
  client: () => AccessClient,
  says: Says,
  { what = 'app:latest' }: { readonly what?: string } = {},
): void {
  const nameOf = (where: 'public' | 'private'): string => `${stage().entrepot.host}/${where}/${what}`;
  async function succeeds(result: Promise<RunResult>): Promise<void> {
    const given = await result;
    assert.equal(given.code, 0, said(given));
  }
  async function fails(result: Promise<RunResult>, expected: RegExp): Promise<void> {
    const given = await result;
    assert.notEqual(given.code, 0, said(given));
    assert.match(said(given), expected);
  }

  test('pulls without a login what is public, and nothing else', async () => {
    await succeeds(client().pull(nameOf('public')));
    await fails(client().pull(nameOf('private')), says.anonymous);
  });

  test('is told that a password is wrong', async () => {
    await fails(client().login('alice', WRONG), says.wrongPassword);
  });

  test('pulls with a login what its user may', async () => {
    await succeeds(client().login('alice', PASSWORD));
    await succeeds(client().pull(nameOf('private')));
    await succeeds(client().pull(nameOf('public')));
    await client().logout();
    await succeeds(client().login('bob', PASSWORD));
    await fails(client().pull(nameOf('private')), says.refused);
    await client().logout();
  });

  const operate = <Input, Answer>(operation: Operation<Input, Answer, never>, input: object): Promise<Answer> =>
    callControl(controlSocketPath(stage().entrepot.dir), operation as unknown as Operation<object, Answer, never>, {
      input,
    });

  test('pulls with a token as the password, until it is revoked', async () => {
    const { token } = await operate(OPERATIONS.tokenCreate, { name: 'ci', may: ['pull'], on: [] });
    try {
      await succeeds(client().login('ci', token));
      await succeeds(client().pull(nameOf('private')));
    } finally {
      await operate(OPERATIONS.tokenRevoke, { name: 'ci' });
    }
    await fails(client().pull(nameOf('private')), says.removed ?? says.wrongPassword);
    await client().logout();
  });

  test('pulls as a stored user, until the user is disabled', async () => {
    await operate(OPERATIONS.userAdd, { name: 'carol', password: PASSWORD });
    try {
      await succeeds(client().login('carol', PASSWORD));
      await succeeds(client().pull(nameOf('private')));
      await operate(OPERATIONS.userDisable, { name: 'carol' });
      await fails(client().pull(nameOf('private')), says.removed ?? says.wrongPassword);
    } finally {
      await operate(OPERATIONS.userRemove, { name: 'carol' });
      await client().logout();
    }
  });

  test('is refused when its user is removed', async () => {
    const { entrepot, setUsers } = stage();
    await succeeds(client().login('alice', PASSWORD));
    await setUsers('bob');
    try {
      // The file is looked at once a second.
      let last: RunResult;
      do last = await client().pull(nameOf('private'));
      while (last.code === 0);
      // It may have had its token before: the next one asks for it in vain.
      last = await client().pull(nameOf('private'));
      assert.match(said(last), says.removed ?? says.wrongPassword);
    } finally {
      await setUsers('alice', 'bob');
      await client().logout();
      const authorization = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`;
      while ((await fetch(`${entrepot.url}/v2/`, { headers: { authorization } })).status !== 200);
    }
  });
}
