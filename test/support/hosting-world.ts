import assert from 'node:assert/strict';
import { OPERATIONS } from '../../src/admin/index.ts';
import { type Action, type Client, isAllowed, loginOf, type Place, type World } from './access-rules.ts';
import { buildPool, HostedModel, type ModelManifest, type Pool } from './hosted-model.ts';
import { Chances } from './hostile.ts';
import {
  ACTIONS,
  configOf,
  drawRules,
  HERE,
  MIRRORED,
  PASSWORD,
  type Setting,
  TAGS,
  THROUGH,
  USERS,
  WARM,
} from './hosting-setting.ts';
import type { Content, TestImage } from './image.ts';
import { basic } from './logins.ts';
import { type Mirror, startMirror } from './mirror.ts';
import { ModelClients, operate } from './model-clients.ts';
import { pushBlob, pushManifest } from './push.ts';
import { type RawResponse, rawRequest } from './raw-request.ts';

interface Session {
  readonly repository: string;
  /** As {@link loginOf} has it. */
  readonly by: string;
  /** As the server gave it, with its query. */
  readonly location: string;
  bytes: Buffer;
  isOver: boolean;
  /** What it became. */
  digest?: string;
}

interface Asked {
  readonly client: Client;
  readonly shown: Record<string, string> | undefined;
  readonly method: string;
  readonly repository: string;
  /** Behind the name of the repository. */
  readonly rest: string;
  readonly action: Action;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

/** One server with rules, hosted repositories beside others, and the model of what it has to answer. */
export class HostingWorld implements AsyncDisposable {
  readonly #setting: Setting;
  readonly #random: Chances;
  readonly #pool: Pool;
  readonly #mirror: Mirror;
  readonly #world: World;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #hosted: ReadonlyMap<string, HostedModel>;
  readonly #clients: ModelClients;
  readonly #sessions: Session[] = [];

  private constructor(
    setting: Setting,
    { mirror, random, world }: { mirror: Mirror; random: Chances; world: Pick<World, 'rules' | 'groups'> },
  ) {
    this.#setting = setting;
    this.#random = random;
    this.#mirror = mirror;
    this.#clients = new ModelClients(mirror, random);
    this.#world = { ...world, disabled: this.#clients.disabled };
    const layerOf = ({ blobs }: TestImage): Content => blobs.at(-1) as Content;
    this.#pool = buildPool([layerOf(setting.open), layerOf(setting.closed)]);
    this.#places = new Map(
      [...HERE, ...THROUGH, ...MIRRORED].map((name) => [
        name,
        { name, visibility: name === 'ghcr.io/acme/open' ? 'public' : 'refused' },
      ]),
    );
    this.#hosted = new Map(
      HERE.map((name) => [name, new HostedModel((tag) => name.startsWith('apps/') && tag.startsWith('v'))]),
    );
  }

  static async start(setting: Setting): Promise<HostingWorld> {
    const random = new Chances(setting.seed + 1000);
    const { mirrored, passed } = setting;
    passed.seen.length = 0;
    for (const all of [passed.blobs, passed.manifests, passed.tags]) all.clear();
    mirrored.setVisibility('acme/closed', 'public');
    const mirror = await startMirror(configOf(setting, [{ who: [WARM], may: [...ACTIONS], on: ['**'] }]));
    try {
      for (const name of [...USERS, WARM]) await operate(mirror, OPERATIONS.userAdd, { name, password: PASSWORD });
      for (const name of ['open', 'closed'] as const) {
        const { manifests, blobs } = setting[name];
        const paths = [
          'manifests/latest',
          ...manifests.map(({ digest }) => `manifests/${digest}`),
          ...blobs.map(({ digest }) => `blobs/${digest}`),
        ];
        for (const path of paths) {
          const { status } = await mirror.get(`/v2/ghcr.io/acme/${name}/${path}`, basic(WARM, PASSWORD));
          assert.equal(status, 200, path);
        }
      }
      mirrored.setVisibility('acme/closed', 'refused');
      const drawn = drawRules(random);
      const world = new HostingWorld(setting, { mirror, random, world: drawn });
      await world.#begin();
      const { outcome, problems } = await mirror.reload(configOf(setting, drawn.rules, drawn.groups));
      assert.notEqual(outcome, 'refused', problems.join('\n'));
      return world;
    } catch (error) {
      await mirror.stop();
      throw error;
    }
  }

  /** What repositories have before the first request. */
  async #begin(): Promise<void> {
    const { host } = this.#mirror;
    const headers = basic(WARM, PASSWORD);
    for (const repository of [...HERE.slice(0, -1), ...THROUGH.slice(1)]) {
      const model = this.#hosted.get(repository);
      const push = async (manifest: ModelManifest, tag?: string): Promise<void> => {
        for (const blob of this.#pool.blobs.filter(({ digest }) => manifest.blobs.includes(digest))) {
          assert.equal((await pushBlob({ host, repository, headers }, blob)).status, 201);
          model?.blobs.add(blob.digest);
        }
        for (const child of this.#pool.manifests.filter(({ digest }) => manifest.children.includes(digest))) {
          await push(child);
        }
        const { status } = await pushManifest({ host, repository, headers }, manifest, tag ?? manifest.digest);
        assert.equal(status, 201);
        model?.put(manifest, tag === undefined ? [] : [tag]);
      };
      const manifests = model === undefined ? this.#pool.manifests.slice(0, 1) : this.#pool.manifests;
      for (const tag of TAGS) {
        if (this.#random.below(3) > 0) await push(this.#random.of(manifests), tag);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mirror.stop();
  }

  /** One request, and what another client sees after it. */
  async step(): Promise<void> {
    const random = this.#random;
    if (random.below(20) === 0) await this.#clients.change();
    const kind = random.below(100);
    if (kind < 25) return this.#read(random.of([...HERE, ...HERE, ...THROUGH, ...MIRRORED]));
    const repository = random.of([...HERE, ...HERE, ...THROUGH, random.of(MIRRORED)]);
    if (kind < 31) await this.#startUpload(repository);
    else if (kind < 49) await this.#useSession();
    else if (kind < 59) await this.#pushWhole(repository);
    else if (kind < 70) await this.#mount(repository);
    else if (kind < 88) await this.#putManifest(repository);
    else await this.#delete(repository);
    if (random.below(2) === 0) await this.#read(repository);
  }

  /** Everything that the hosted repositories have, and that nothing else has come to be. */
  async compareAll(): Promise<void> {
    const all = [{ who: [WARM], may: [...ACTIONS, 'status'], on: ['**'] }];
    const { outcome, problems } = await this.#mirror.reload(configOf(this.#setting, all));
    assert.notEqual(outcome, 'refused', problems.join('\n'));
    const get = (path: string) => this.#mirror.get(path, basic(WARM, PASSWORD));
    for (const [name, model] of this.#hosted) {
      const base = `/v2/${name}`;
      const tags = await get(`${base}/tags/list`);
      const found = tags.status === 200 ? (JSON.parse(tags.body.toString()) as { tags: string[] }).tags : [];
      assert.deepEqual(found, [...model.tags.keys()].toSorted(), `a wrong change: the tags of ${name}`);
      for (const [tag, digest] of model.tags) {
        const { headers } = await get(`${base}/manifests/${tag}`);
        assert.equal(headers['docker-content-digest'], digest, `a wrong change: ${name}:${tag}`);
      }
      for (const { digest } of this.#pool.manifests) {
        const { status } = await get(`${base}/manifests/${digest}`);
        assert.equal(status, model.manifests.has(digest) ? 200 : 404, `a wrong change: ${name}@${digest}`);
      }
      for (const { digest } of this.#pool.blobs) {
        const { status } = await get(`${base}/blobs/${digest}`);
        assert.equal(status, model.blobs.has(digest) ? 200 : 404, `a wrong change: the blob ${digest} of ${name}`);
      }
    }
    const { body } = await get('/metrics');
    const openUploads = /^entrepot_uploads_open(?:\{[^}]*\})? (\d+)$/m.exec(body.toString())?.[1];
    const expected = this.#sessions.filter(({ isOver, repository }) => !isOver && this.#hosted.has(repository));
    assert.equal(Number(openUploads), expected.length, 'a wrong change: open uploads');
  }

  async #anyone(client = this.#clients.draw()): Promise<Pick<Asked, 'client' | 'shown'>> {
    const shown = await this.#clients.credentialOf(client, this.#random.below(12));
    return { client: this.#clients.effective(client), shown };
  }

  /** The client that has the upload, mostly. */
  async #holderOf({ by }: Session): Promise<Pick<Asked, 'client' | 'shown'>> {
    if (this.#random.below(3) === 0) return this.#anyone();
    const token = this.#clients.tokens.get(by.slice('token:'.length));
    if (by.startsWith('token:')) return this.#anyone(token && { kind: 'token', token });
    return this.#anyone({ kind: 'user', name: by });
  }

  #may({ client, action, repository }: Pick<Asked, 'client' | 'action' | 'repository'>): boolean {
    return isAllowed(this.#world, client, action, this.#places.get(repository));
  }

  #describe({ client, shown, method, repository, rest }: Asked): string {
    return `${method} ${repository}/${rest} as ${JSON.stringify(client)} with ${JSON.stringify(shown)} under ${JSON.stringify(this.#world.rules)}`;
  }

  /** Sends it, and judges the answer if it has to be a refusal; undefined then. */
  async #ask(asked: Asked): Promise<RawResponse | undefined> {
    const { client, shown, method, repository, rest, headers, body } = asked;
    const [registry = '', ...name] = repository.split('/');
    const isNamed = !rest.includes('&from=') && this.#random.below(4) === 0;
    const path = isNamed
      ? `/v2/${name.join('/')}/${rest}${rest.includes('?') ? '&' : '?'}ns=${registry}`
      : `/v2/${repository}/${rest}`;
    const writes = this.#writes();
    const length = body === undefined && method !== 'POST' ? {} : { 'content-length': String(body?.length ?? 0) };
    const response = await rawRequest(this.#mirror.host, {
      method,
      path,
      headers: { ...length, ...headers, ...shown },
      ...(body === undefined ? {} : { body }),
    });
    const text = `${response.status} ${response.body.toString().slice(0, 300)} for ${this.#describe(asked)}`;
    assert.ok(response.status < 500, text);
    if (MIRRORED.includes(repository) && asked.action !== 'pull') {
      assert.equal(response.status, 405, `a wrong change: ${text}`);
      return undefined;
    }
    if (this.#may(asked)) {
      assert.ok(response.status !== 401 && response.status !== 403, `a wrong refusal: ${text}`);
      return response;
    }
    const login = loginOf(client);
    assert.equal(response.status, login === undefined ? 401 : 403, `a leak: ${text}`);
    assert.equal(this.#writes(), writes, `a wrong change: ${text}`);
    if (method === 'HEAD') return undefined;
    // The same words whatever is there.
    const verb = { pull: 'pull', push: 'push to', delete: 'delete from' }[asked.action as 'pull' | 'push' | 'delete'];
    const reason = `${login ?? 'anonymous'} may not ${verb} ${repository}${login === undefined ? '; log in' : ''}`;
    assert.deepEqual(
      (JSON.parse(response.body.toString()) as { errors: { message: string }[] }).errors.map(({ message }) => message),
      [client.kind === 'invalid' ? 'the user, password or token is not valid; log in again' : reason],
      `a leak: ${text}`,
    );
    return undefined;
  }

  /** Requests that could change something at the upstream of what is pushed through; uploads that fail are ended behind the answer. */
  #writes(): number {
    const isWrite = ({ method, url }: { readonly method: string; readonly url: string }): boolean =>
      ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) && !(method === 'DELETE' && url.includes('/uploads/'));
    return this.#setting.passed.seen.filter(isWrite).length;
  }

  #expect(response: RawResponse, statuses: readonly number[], asked: Asked): void {
    const said = `${response.status} ${response.body.toString().slice(0, 300)}`;
    assert.ok(
      statuses.includes(response.status),
      `a wrong change: ${said}, not ${statuses.join(' or ')}, for ${this.#describe(asked)}`,
    );
  }

  async #startUpload(repository: string): Promise<void> {
    const asked: Asked = {
      ...(await this.#anyone()),
      method: 'POST',
      repository,
      rest: 'blobs/uploads/',
      action: 'push',
    };
    const response = await this.#ask(asked);
    if (response === undefined) return;
    this.#expect(response, [202], asked);
    this.#addSession(asked, response);
  }

  #addSession({ client, repository }: Asked, { headers }: RawResponse): void {
    const location = headers['location'] ?? '';
    this.#sessions.push({ repository, by: loginOf(client) ?? '', location, bytes: Buffer.alloc(0), isOver: false });
  }

  /** A request for an upload, by its owner or another client, at its repository or another. */
  async #useSession(): Promise<void> {
    const random = this.#random;
    if (this.#sessions.length === 0) return;
    const session = random.of(this.#sessions.slice(-8));
    const who = await this.#holderOf(session);
    const repository = random.below(5) === 0 ? random.of([...HERE, ...THROUGH]) : session.repository;
    const isOurs = loginOf(who.client) === session.by && repository === session.repository;
    const rest = session.location.slice(session.location.indexOf('/blobs/uploads/') + 1).replace(/[?&]ns=[^&]*/, '');
    const method = random.of(['PATCH', 'PUT', 'PUT', 'GET', 'DELETE']);
    const isThrough = THROUGH.includes(repository);
    const content = random.of(this.#pool.blobs);
    const base = { ...who, repository, action: 'push', method } as const;
    const isLive = isOurs && !session.isOver;
    if (method === 'PATCH') {
      const body = session.bytes.length === 0 ? content.bytes : Buffer.from('more');
      const asked: Asked = { ...base, rest, body };
      const response = await this.#ask(asked);
      if (response === undefined) return;
      this.#expect(response, isLive ? [202] : [404], asked);
      if (isLive) session.bytes = Buffer.concat([session.bytes, body]);
      return;
    }
    if (method === 'PUT') {
      const isEmpty = session.bytes.length === 0;
      const body = isEmpty ? content.bytes : Buffer.alloc(0);
      const held = this.#pool.blobs.find(({ bytes }) => bytes.equals(isEmpty ? body : session.bytes));
      const digest = (random.below(4) === 0 ? undefined : held?.digest) ?? content.digest;
      const isRight = held?.digest === digest;
      const asked: Asked = { ...base, rest: `${rest}${rest.includes('?') ? '&' : '?'}digest=${digest}`, body };
      const response = await this.#ask(asked);
      if (response === undefined) return;
      const model = this.#hosted.get(repository);
      if (!isLive) {
        // Its last answer again, for the client that lost it.
        const isAgain = isOurs && session.digest === digest && model?.blobs.has(digest) === true;
        return this.#expect(response, isAgain ? [201] : [404], asked);
      }
      this.#expect(response, isRight ? [201] : [400], asked);
      session.isOver = true;
      if (isRight) {
        session.digest = digest;
        model?.blobs.add(digest);
        if (isThrough) this.#expectPassed(repository, digest);
      }
      return;
    }
    const asked: Asked = { ...base, rest };
    const response = await this.#ask(asked);
    if (response === undefined) return;
    this.#expect(response, isLive ? [204] : [404], asked);
    if (isLive && method === 'DELETE') session.isOver = true;
  }

  #expectPassed(repository: string, digest: string): void {
    const key = `${repository.slice('passed/'.length)} ${digest}`;
    assert.ok(this.#setting.passed.blobs.has(key), `a wrong change: ${key} is not at the upstream`);
  }

  async #pushWhole(repository: string): Promise<void> {
    const random = this.#random;
    const { digest, bytes: body } = random.of(this.#pool.blobs);
    const isWrong = body.length > 0 && random.below(6) === 0;
    const asked: Asked = {
      ...(await this.#anyone()),
      method: 'POST',
      repository,
      rest: `blobs/uploads/?digest=${digest}`,
      action: 'push',
      body: isWrong ? Buffer.concat([body, Buffer.from('more')]) : body,
    };
    const response = await this.#ask(asked);
    if (response === undefined) return;
    // Without bytes it is the start of an upload.
    if (body.length === 0) {
      this.#expect(response, [202], asked);
      return this.#addSession(asked, response);
    }
    this.#expect(response, isWrong ? [400] : [201], asked);
    if (isWrong) return;
    this.#hosted.get(repository)?.blobs.add(digest);
    if (THROUGH.includes(repository)) this.#expectPassed(repository, digest);
  }

  async #mount(repository: string): Promise<void> {
    const random = this.#random;
    const { open, closed } = this.#setting;
    const from = random.below(4) === 0 ? undefined : random.of([...HERE, ...THROUGH, ...MIRRORED]);
    const { digest } = this.#rather(
      [...this.#pool.blobs, ...open.blobs, ...closed.blobs],
      (blob) => from !== undefined && this.#has(from, blob.digest),
    );
    const rest = `blobs/uploads/?mount=${digest}${from === undefined ? '' : `&from=${from}`}`;
    const asked: Asked = { ...(await this.#anyone()), method: 'POST', repository, rest, action: 'push' };
    const sources = from === undefined ? HERE : [from];
    const { client } = asked;
    const has = sources.filter(
      (source) => this.#may({ client, action: 'pull', repository: source }) && this.#has(source, digest),
    );
    // What passed is in the cache, unless it came in another way than through this server.
    const isCertain = !THROUGH.includes(from ?? '') || THROUGH.includes(repository);
    const isSameKind = THROUGH.includes(repository) ? from !== undefined && from.startsWith('passed/') : true;
    const response = await this.#ask(asked);
    if (response === undefined) return;
    const isMounted = has.length > 0 && isSameKind;
    this.#expect(response, isMounted ? (isCertain ? [201] : [201, 202]) : [202], asked);
    if (response.status === 202) return this.#addSession(asked, response);
    this.#hosted.get(repository)?.blobs.add(digest);
  }

  /** Whether a repository has a blob, for those who may see it and for others. */
  #has(repository: string, digest: string): boolean {
    const { open, closed, passed } = this.#setting;
    const model = this.#hosted.get(repository);
    if (model !== undefined) return model.blobs.has(digest);
    if (repository === 'ghcr.io/acme/open') return open.blobs.some((blob) => blob.digest === digest);
    if (repository === 'ghcr.io/acme/closed') return closed.blobs.some((blob) => blob.digest === digest);
    return passed.blobs.has(`${repository.slice('passed/'.length)} ${digest}`);
  }

  async #putManifest(repository: string): Promise<void> {
    const random = this.#random;
    const manifest = random.of(this.#pool.manifests);
    const model = this.#hosted.get(repository);
    if (model !== undefined && random.below(2) === 0) await this.#provide(repository, manifest);
    const more = TAGS.filter(() => random.below(4) === 0);
    const isByTag = random.below(2) === 0;
    const tag = random.of(TAGS);
    const isThrough = THROUGH.includes(repository);
    const named = isByTag && isThrough ? [] : more;
    const tags = [...new Set([...(isByTag ? [tag] : []), ...named])];
    const query = named.map((each) => `tag=${each}`).join('&');
    const asked: Asked = {
      ...(await this.#anyone()),
      method: 'PUT',
      repository,
      rest: `manifests/${isByTag ? tag : manifest.digest}${query === '' ? '' : `?${query}`}`,
      action: 'push',
      headers: { 'content-type': manifest.mediaType },
      body: manifest.bytes,
    };
    const response = await this.#ask(asked);
    if (response === undefined) return;
    if (model === undefined) {
      this.#expect(response, [201, 400, 404], asked);
      if (response.status !== 201) return;
      const name = repository.slice('passed/'.length);
      for (const each of tags) assert.equal(this.#setting.passed.tags.get(`${name} ${each}`), manifest.digest);
      return;
    }
    const faults = model.faultsOf(manifest, tags);
    this.#expect(
      response,
      faults.length === 0 ? [201] : [...new Set(faults)].map((fault) => (fault === 'missing' ? 400 : 409)),
      asked,
    );
    if (faults.length > 0) return;
    model.put(manifest, tags);
    assert.equal(response.headers['oci-subject'], manifest.subject, this.#describe(asked));
  }

  /** Pushes what a manifest names, as a client that may. */
  async #provide(repository: string, manifest: ModelManifest): Promise<void> {
    const name = USERS.find((each) =>
      this.#may({ client: this.#clients.effective({ kind: 'user', name: each }), action: 'push', repository }),
    );
    if (name === undefined) return;
    const model = this.#hosted.get(repository);
    const who = { client: { kind: 'user', name } as const, shown: basic(name, PASSWORD) };
    const base = { ...who, repository, action: 'push' } as const;
    for (const child of manifest.children) {
      const found = this.#pool.manifests.find(({ digest }) => digest === child);
      if (found === undefined) continue;
      await this.#provide(repository, found);
      const headers = { 'content-type': found.mediaType };
      const asked: Asked = { ...base, method: 'PUT', rest: `manifests/${child}`, headers, body: found.bytes };
      const response = await this.#ask(asked);
      assert.equal(response?.status, 201);
      model?.put(found, []);
    }
    for (const digest of manifest.blobs) {
      const body = this.#pool.blobs.find((blob) => blob.digest === digest)?.bytes ?? Buffer.alloc(0);
      const response = await this.#ask({ ...base, method: 'POST', rest: `blobs/uploads/?digest=${digest}`, body });
      assert.equal(response?.status, 201, `a wrong refusal: ${response?.body.toString()}`);
      model?.blobs.add(digest);
    }
  }

  async #delete(repository: string): Promise<void> {
    const random = this.#random;
    const model = this.#hosted.get(repository);
    const tag = this.#rather(TAGS, (each) => model?.tags.has(each) === true);
    const manifest = this.#rather(this.#pool.manifests, (each) => model?.manifests.has(each.digest) === true).digest;
    const blob = this.#rather(this.#pool.blobs, (each) => this.#has(repository, each.digest)).digest;
    const [rest, effect] = random.of([
      [`manifests/${tag}`, () => model?.deleteTag(tag)],
      [`manifests/${manifest}`, () => model?.deleteManifest(manifest)],
      [`blobs/${blob}`, () => model?.deleteBlob(blob)],
    ] as const);
    const asked: Asked = { ...(await this.#anyone()), method: 'DELETE', repository, rest, action: 'delete' };
    const response = await this.#ask(asked);
    if (response === undefined) return;
    const expected = effect();
    this.#expect(response, expected === undefined ? [202, 404] : [expected], asked);
  }

  /** One of a list, and rather one that is there. */
  #rather<T>(list: readonly T[], isThere: (one: T) => boolean): T {
    const there = list.filter(isThere);
    return this.#random.of(there.length > 0 && this.#random.below(3) > 0 ? there : list);
  }

  /** One look at what a repository has, or at the list of a registry. */
  async #read(repository: string): Promise<void> {
    const random = this.#random;
    const kind = random.below(6);
    const who = await this.#anyone();
    if (kind === 0) return this.#readCatalogue(repository.split('/')[0] ?? '', who);
    const model = this.#hosted.get(repository);
    const tag = this.#rather(TAGS, (each) => model?.tags.has(each) === true);
    const manifest = this.#rather(this.#pool.manifests, ({ digest }) => model?.manifests.has(digest) === true);
    const blobs = [...this.#pool.blobs, ...this.#setting.closed.blobs];
    const blob = this.#rather(blobs, ({ digest }) => this.#has(repository, digest));
    const method = random.of(['GET', 'GET', 'HEAD']);
    const base = { ...who, repository, action: 'pull', method } as const;
    const look = async (
      rest: string,
      present: boolean | undefined,
      bytes?: Buffer,
    ): Promise<RawResponse | undefined> => {
      const asked: Asked = { ...base, rest };
      const response = await this.#ask(asked);
      if (response === undefined) return undefined;
      this.#expect(response, present === undefined ? [200, 404] : [present ? 200 : 404], asked);
      if (bytes !== undefined && response.status === 200 && method === 'GET') assert.deepEqual(response.body, bytes);
      return response;
    };
    if (kind === 1) {
      const digest = model?.tags.get(tag);
      const response = await look(`manifests/${tag}`, model && digest !== undefined);
      if (digest !== undefined && response) assert.equal(response.headers['docker-content-digest'], digest);
    } else if (kind === 2) {
      await look(`manifests/${manifest.digest}`, model?.manifests.has(manifest.digest), manifest.bytes);
    } else if (kind === 3) {
      await look(`blobs/${blob.digest}`, model === undefined ? undefined : model.blobs.has(blob.digest), blob.bytes);
    } else if (model !== undefined) {
      const subject = manifest.digest;
      const rest = kind === 4 ? 'tags/list' : `referrers/${subject}`;
      const response = await look(rest, kind === 4 && model.tags.size === 0 ? undefined : true);
      if (response?.status !== 200 || method === 'HEAD') return;
      const list = JSON.parse(response.body.toString()) as { tags: string[]; manifests: { digest: string }[] };
      if (kind === 4) assert.deepEqual(list.tags, [...model.tags.keys()].toSorted());
      else assert.deepEqual(list.manifests.map(({ digest }) => digest).toSorted(), model.referrersOf(subject));
    }
  }

  async #readCatalogue(registry: string, { client, shown }: Pick<Asked, 'client' | 'shown'>): Promise<void> {
    if (registry === 'passed') return;
    const response = await this.#mirror.get(`/v2/${registry}/_catalog`, shown);
    const text = `${response.status} ${response.body.toString()} for ${registry} as ${JSON.stringify(client)} under ${JSON.stringify(this.#world.rules)}`;
    const visible = [...this.#places.keys()].filter(
      (name) => name.startsWith(`${registry}/`) && this.#may({ client, action: 'catalog', repository: name }),
    );
    if (response.status !== 200) {
      const expected = loginOf(client) === undefined ? 401 : 403;
      assert.deepEqual([response.status, visible], [expected, []], `a wrong refusal: ${text}`);
      return;
    }
    const { repositories } = JSON.parse(response.body.toString()) as { repositories: string[] };
    const names = repositories.map((name) => `${registry}/${name}`);
    assert.deepEqual(
      names.filter((name) => !visible.includes(name)),
      [],
      `a leak: ${text}`,
    );
    const certain = visible.filter((name) => (this.#hosted.get(name)?.manifests.size ?? 0) > 0);
    assert.deepEqual(
      certain.filter((name) => !names.includes(name)),
      [],
      `a wrong refusal: ${text}`,
    );
  }
}
