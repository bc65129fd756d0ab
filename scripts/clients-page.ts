import { CLIENTS, type ServerAddress } from '../src/clients/index.ts';

const FORWARD = { credential: false, mitm: true };
const PLAIN: ServerAddress = {
  host: 'mirror.example.com:5000',
  url: 'http://mirror.example.com:5000',
  defaultRegistry: 'docker.io',
  forward: FORWARD,
};
const SECURE: ServerAddress = { ...PLAIN, host: 'mirror.example.com', url: 'https://mirror.example.com' };

const OPENING = `<!-- Generated from src/clients by \`npm run generate\`, not by hand. -->
# Pointing clients at the server

[中文](zh-CN/clients.md)

The examples have two servers: \`${PLAIN.url}\` without TLS, and \`${SECURE.url}\` with it.
\`/help\` of a running server shows the same for its own address. [naming.md](naming.md) says which registry a request
means. The last sections are for a [forward proxy](forward-proxy.md).

To verify, run the command under *Verify*, or pull an image that the client does not have yet. The server's log then has a
line \`request\` with the client's address for each manifest and blob. Without these lines, the client has pulled from the
registry itself.
`;

type Definition = (typeof CLIENTS)[number];
type Instructions = NonNullable<ReturnType<Definition['instructions']>>;

const MERGES: Readonly<Record<NonNullable<Instructions['files']>[number]['merge'], string>> = {
  json: 'In an existing file, set these keys and keep the others.',
  'toml-tables': 'In an existing file, add these tables and keep the others.',
  'drop-in': 'A file of its own: the client reads it beside the others.',
};

/** The page docs/clients.md. */
export function clientsPage(): string {
  return [OPENING, ...CLIENTS.map(sectionOf)].join('\n');
}

function sectionOf({ name, instructions }: Definition): string {
  const plain = instructions(PLAIN);
  const secure = instructions(SECURE);
  if (plain === undefined || secure === undefined) throw new Error(`${name} has no instructions for the examples`);
  const [open, encrypted] = [blocksOf(plain), blocksOf(secure)];
  const blocks = open === encrypted ? open : `Without TLS:\n\n${open}\nWith TLS:\n\n${encrypted}`;
  const { restart, verify, files = [] } = plain;
  const facts = [
    ...files.map(({ merge }) => MERGES[merge]),
    ...(restart === undefined ? [] : [`Then run \`${restart}\`.`]),
    ...(verify === undefined ? [] : [`Verify: \`${verify}\``]),
  ];
  const rest = facts.length === 0 ? '' : `\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`;
  return `## ${name}\n\n${plain.notes.join(' ')}\n\n${blocks}${rest}`;
}

function blocksOf({ files = [], commands = [] }: Instructions): string {
  const shell = commands.length === 0 ? [] : [fence('sh', commands.join('\n'))];
  return [...files.map(({ path, format, content }) => `\`${path}\`:\n\n${fence(format, content)}`), ...shell].join(
    '\n',
  );
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}
