import {
  type ClientInstructions,
  type ClientSetup,
  clientSetups,
  type Language,
  MERGE_NOTES,
  type ServerAddress,
} from '../src/clients/index.ts';

const FORWARD = { credential: false, mitm: true };
const PLAIN: ServerAddress = {
  host: 'mirror.example.com:5000',
  url: 'http://mirror.example.com:5000',
  defaultRegistry: 'docker.io',
  forward: FORWARD,
};
const SECURE: ServerAddress = { ...PLAIN, host: 'mirror.example.com', url: 'https://mirror.example.com' };

interface PageWords {
  readonly opening: string;
  readonly plain: string;
  readonly secure: string;
  readonly colon: string;
  /** Between two sentences. */
  readonly space: string;
  readonly where: (text: string) => string;
  readonly restart: (command: string) => string;
  readonly verify: (command: string) => string;
}

const GENERATED = '<!-- Generated from src/clients by `npm run generate`, not by hand. -->';

const WORDS: Readonly<Record<Language, PageWords>> = {
  en: {
    opening: `${GENERATED}
# Pointing clients at the server

[中文](zh-CN/clients.md)

The examples have two servers: \`${PLAIN.url}\` without TLS, and \`${SECURE.url}\` with it.
\`/help\` of a running server shows the same for its own address. [naming.md](naming.md) says which registry a request
means. The last sections are for a [forward proxy](forward-proxy.md).

To verify, run the command under *Verify*, or pull an image that the client does not have yet. The server's log then has a
line \`request\` with the client's address for each manifest and blob. Without these lines, the client has pulled from the
registry itself.
`,
    plain: 'Without TLS:',
    secure: 'With TLS:',
    colon: ':',
    space: ' ',
    where: (text) => ` (${text})`,
    restart: (command) => `Then run ${command}.`,
    verify: (command) => `Verify: ${command}`,
  },
  zh: {
    opening: `${GENERATED}
# 让客户端指向本服务

[English](../clients.md)

例子中有两个服务：\`${PLAIN.url}\` 没有 TLS，\`${SECURE.url}\` 有 TLS。正在运行的服务，其 \`/help\` 按它自己的地址显示同样的内容。请求表示哪一个镜像仓库，见[镜像的写法](naming.md)。最后几节用于[正向代理](../forward-proxy.md)。

要确认是否生效，运行*验证*后面的命令，或者拉取一个客户端还没有的镜像。此后服务的日志中，每个清单和 blob 都有一行 \`request\`，带有客户端的地址。如果没有这些行，说明客户端是直接从镜像仓库拉取的。
`,
    plain: '没有 TLS：',
    secure: '有 TLS：',
    colon: '：',
    space: '',
    where: (text) => `（${text}）`,
    restart: (command) => `然后运行 ${command}。`,
    verify: (command) => `*验证*：${command}`,
  },
};

/** The page docs/clients.md, or its Chinese twin. */
export function clientsPage(language: Language): string {
  const secure = clientSetups(SECURE);
  const sections = clientSetups(PLAIN).map((setup, index) => {
    const { instructions } = secure[index] as ClientSetup;
    return sectionOf(setup, instructions, language);
  });
  return [WORDS[language].opening, ...sections].join('\n');
}

function sectionOf(
  { title, instructions: plain }: ClientSetup,
  secure: ClientInstructions,
  language: Language,
): string {
  const words = WORDS[language];
  const [open, encrypted] = [blocksOf(plain, language), blocksOf(secure, language)];
  const blocks = open === encrypted ? open : `${words.plain}\n\n${open}\n${words.secure}\n\n${encrypted}`;
  const { restart, verify, files = [], notes } = plain;
  const facts = [
    ...[...new Set(files.map(({ merge }) => MERGE_NOTES[merge]))].flatMap((note) => note?.[language] ?? []),
    ...(restart === undefined ? [] : [words.restart(`\`${restart}\``)]),
    ...(verify === undefined ? [] : [words.verify(`\`${verify}\``)]),
  ];
  const rest = facts.length === 0 ? '' : `\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`;
  return `## ${title[language]}\n\n${notes.map((note) => note[language]).join(words.space)}\n\n${blocks}${rest}`;
}

function blocksOf({ files = [], commands = [] }: ClientInstructions, language: Language): string {
  const words = WORDS[language];
  const shell = commands.length === 0 ? [] : [fence('sh', commands.join('\n'))];
  const written = files.map(({ path, where, format, content }) => {
    const of = where === undefined ? '' : words.where(where[language]);
    return `\`${path}\`${of}${words.colon}\n\n${fence(format, content)}`;
  });
  return [...written, ...shell].join('\n');
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}
