import {
  ANONYMOUS,
  CredentialError,
  type Guard,
  isAudited,
  nameOf,
  type Principal,
  TooManyGuessesError,
} from '../access/index.ts';
import { OciError, parseRegistryPath } from '../oci/index.ts';
import { type Catalogue, qualifyRepository, resolveName } from '../routing/index.ts';
import {
  audienceOf,
  BASIC,
  type Door,
  type OwnNames,
  type RequestContext,
  readBody,
  replyBytes,
} from '../server/index.ts';

interface TokenDoorOptions {
  readonly guard: Guard;
  readonly catalogue: Catalogue;
  readonly names: OwnNames;
  /** A repository that every token may pull, whatever the rules say. */
  readonly openRepository: string;
}

const PATHS: ReadonlySet<string> = new Set(['/token', '/auth/token']);
/** Bytes of a form. */
const MAX_FORM = 16 * 1024;
const MAX_SCOPES = 100;

/**
 * The token service (distribution-spec, token authentication; OAuth2 form): GET with a password or none, POST with a form. A
 * token names a principal and no rights, so that the rules of now decide at each use.
 *
 * It is lenient where clients differ: scopes are repeated or separated by blanks, and a POST without `grant_type` is anonymous.
 */
export function createTokenDoor(options: TokenDoorOptions): Door {
  return {
    open(context) {
      if (!PATHS.has(context.path)) return undefined;
      context.route = 'token';
      return {
        takesSlot: false,
        parse() {
          if (context.method !== 'POST' && !context.isReading) {
            throw new OciError('UNSUPPORTED', `${context.method} is not for tokens`, {
              headers: { allow: 'GET, HEAD, POST' },
            });
          }
          return { access: undefined, answer: () => answerToken(context, options) };
        },
      };
    },
  };
}

async function answerToken(context: RequestContext, options: TokenDoorOptions): Promise<void> {
  const { guard, names } = options;
  const audience = audienceOf(context, names);
  if (audience === undefined) throw new OciError('UNSUPPORTED', 'no tokens are made for this host', { status: 404 });
  const query = new URLSearchParams(context.query);
  const form = context.method === 'POST' ? await readForm(context) : undefined;
  let issued: Awaited<ReturnType<Guard['issue']>>;
  try {
    const principal = await identify(context, guard, form);
    // Refused here where the principal was removed between the two.
    issued = await guard.issue(principal, audience);
    if (principal.kind !== 'anonymous') context.user = nameOf(principal);
  } catch (error) {
    if (!(error instanceof TooManyGuessesError || error instanceof CredentialError)) throw error;
    // Docker sends the credentials of Docker Hub to its mirrors: they are not ours, and open images need none.
    if (!isOpen(scopesIn(form ?? query), context, { ...options, ns: query.get('ns') ?? undefined })) {
      if (error instanceof CredentialError) {
        throw new OciError('UNAUTHORIZED', error.message, { headers: { 'www-authenticate': BASIC } });
      }
      throw new OciError('TOOMANYREQUESTS', error.message, { retryAfter: error.retryAfter });
    }
    issued = await guard.issue(ANONYMOUS, audience);
  }
  const { token, expiresIn } = issued;
  const body = { token, access_token: token, expires_in: expiresIn, issued_at: new Date().toISOString() };
  replyBytes(context, 200, { 'content-type': 'application/json', 'cache-control': 'no-store' }, JSON.stringify(body));
}

/** @throws {CredentialError} {TooManyGuessesError} */
async function identify(context: RequestContext, guard: Guard, form: URLSearchParams | undefined): Promise<Principal> {
  const { authorization } = context.request.headers;
  const address = context.client;
  const password = form?.get('password');
  if (typeof password === 'string') return guard.logIn({ name: form?.get('username') ?? '', password, address });
  // Clients that have no user send what they have as a refresh token. None is given out, so one that is not ours is of another service.
  const refresh = form?.get('refresh_token');
  if (typeof refresh === 'string') return guard.redeem(refresh);
  return (await guard.identify({ authorization, address, audience: undefined })).principal;
}

async function readForm(context: RequestContext): Promise<URLSearchParams> {
  const body = await readBody(context, { limit: MAX_FORM, what: 'a form for a token' });
  return new URLSearchParams(body.toString('utf8'));
}

function scopesIn(parameters: URLSearchParams): readonly string[] {
  return parameters
    .getAll('scope')
    .flatMap((text) => text.split(' '))
    .filter((scope) => scope !== '');
}

/** Whether every client may pull all that is asked for. A login asks for nothing, and is not open. */
function isOpen(
  scopes: readonly string[],
  { host }: RequestContext,
  { guard, catalogue, openRepository, ns }: TokenDoorOptions & { readonly ns: string | undefined },
): boolean {
  if (scopes.length === 0 || scopes.length > MAX_SCOPES) return false;
  return scopes.every((scope) => {
    const [, name, actions] = /^repository(?:\([^)]*\))?:(.+):([a-z,*]*)$/.exec(scope) ?? [];
    if (name === undefined || actions !== 'pull') return false;
    try {
      const resolved = resolveName(catalogue, { host, ns, path: `/v2/${name}/tags/list` });
      const path = parseRegistryPath(resolved.path);
      if (path.kind !== 'tags') return false;
      const repository = qualifyRepository(resolved.registry, path.repository);
      if (repository === openRepository) return true;
      const asked = { registry: resolved.registry.name, repository };
      const decision = guard.authorize({ principal: ANONYMOUS, action: 'pull', repository: asked });
      // Audit mode lets no wrong credential through.
      return decision.allowed && !isAudited(decision);
    } catch (error) {
      if (error instanceof OciError) return false;
      throw error;
    }
  });
}
