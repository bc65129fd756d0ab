import {
  type ClientInstructions,
  type ClientSetup,
  clientSetups,
  LANGUAGES,
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

/** A page: one client, or several that belong together. */
interface ClientPage {
  /** The name of its file. */
  readonly slug: string;
  readonly title: string;
  readonly sections: readonly PageSection[];
}

interface PageSection {
  readonly plain: ClientSetup;
  readonly secure: ClientInstructions;
}

interface PageWords {
  readonly index: (rows: string) => string;
  readonly top: (page: ClientPage) => string;
  readonly setup: string;
  readonly byHand: string;
  readonly plain: string;
  readonly secure: string;
  readonly colon: string;
  readonly where: (text: string) => string;
  readonly restart: (command: string) => string;
  readonly verify: (command: string) => string;
}

const GENERATED = '<!-- Generated from src/clients by `npm run generate`, not by hand. -->';

const WORDS: Readonly<Record<Language, PageWords>> = {
  en: {
    index: (rows) => `${GENERATED}
# Pointing clients at the server

[中文](zh-CN/clients.md)

On a machine that has \`entrepot\`, one command shows what has to change, and another changes it:

\`\`\`sh
entrepot setup                                     # the clients of this machine, and which of them use the server
entrepot setup docker                              # the change as a diff; nothing is written
sudo entrepot setup docker --apply --restart       # write it, and make Docker read it
sudo entrepot setup docker --undo                  # what the files were before, byte for byte
\`\`\`

| client | command | |
|---|---|---|
${rows}

Each page has the files by hand too, for two servers: \`${PLAIN.url}\` without TLS, and \`${SECURE.url}\` with it.
\`/help\` of a running server shows the same for its own address. [naming.md](naming.md) says which registry a request
means.

## What setup does

**It changes as little as it can.** Comments, order, indentation, line ends and other mirrors stay; this server comes in
front of other mirrors. Where a client reads a directory, \`setup\` writes a file of its own there. A file that cannot be
parsed, or is written in an unusual way, is left alone: the message says what to add by hand, and the exit code is 1. If one
file of a client cannot be changed, none is.

**It can be undone.** Before \`--apply\` writes, it keeps the files as they are in \`/etc/entrepot/setup\` (with \`--user\`:
\`~/.config/entrepot/setup\`). \`--undo\` brings them back and removes what was created. If a file has been changed since,
it shows the difference and asks; without a terminal it stops, and \`--force\` goes on. A second \`--apply\` with another
\`--server\` takes the place of the first.

**It restarts nothing by itself.** It names the command, which \`--restart\` runs. Files that a client reads at each pull
need none.

| option | meaning |
|---|---|
| \`--server URL\` | the server as the client reaches it; without it, \`public_url\` of the configuration, else its first listener |
| \`--registries ghcr.io,quay.io\` | the registries that get a file or table of their own |
| \`--ca FILE\` | the certificate of a private authority, which the client then trusts for this server |
| \`--user\`, \`--system\` | the files of the current user (rootless), or of the machine; without root, podman means the user's |
| \`--root DIR\` | the files under this directory, for an image that is being built |
| \`--json\` | the plan, or what was done, for programs |

## Verifying

Run the command under *Verify* of the client's page, or pull an image that the client does not have yet. The server's log
then has a line \`request\` with the client's address for each manifest and blob. Without these lines, the client has pulled
from the registry itself.
`,
    top: ({ slug, title }) =>
      `${GENERATED}\n# ${title}\n\n[中文](../zh-CN/clients/${slug}.md) · [all clients, and \`entrepot setup\`](../clients.md)\n`,
    setup: 'Show the change, write it, take it back:',
    byHand: 'By hand',
    plain: 'Without TLS:',
    secure: 'With TLS:',
    colon: ':',
    where: (text) => ` (${text})`,
    restart: (command) => `Then run ${command}.`,
    verify: (command) => `Verify: ${command}`,
  },
  zh: {
    index: (rows) => `${GENERATED}
# 让客户端指向本服务

[English](../clients.md)

在装有 \`entrepot\` 的机器上，一条命令显示要改什么，另一条命令完成改动：

\`\`\`sh
entrepot setup                                     # 这台机器上的客户端，以及哪些在使用本服务
entrepot setup docker                              # 以 diff 显示改动，不写入任何文件
sudo entrepot setup docker --apply --restart       # 写入，并让 Docker 读取
sudo entrepot setup docker --undo                  # 逐字节恢复原来的文件
\`\`\`

| 客户端 | 命令 | |
|---|---|---|
${rows}

每一页也有手工操作的文件，例子中有两个服务：\`${PLAIN.url}\` 没有 TLS，\`${SECURE.url}\` 有 TLS。正在运行的服务，其 \`/help\` 按它自己的地址显示同样的内容。请求表示哪一个镜像仓库，见[镜像的写法](naming.md)。

## setup 做什么

**改动尽可能少。** 注释、顺序、缩进、换行符和其他镜像加速地址都保持不变；本服务排在其他镜像加速地址前面。客户端会读取整个目录时，\`setup\` 在其中写一个单独的文件。无法解析的文件，或写法少见的文件，保持原样：提示会说明手工要添加什么，退出码为 1。某个客户端的文件只要有一个不能改，就一个也不改。

**可以撤销。** \`--apply\` 写入之前，先把原来的文件保存在 \`/etc/entrepot/setup\`（加上 \`--user\` 时：\`~/.config/entrepot/setup\`）。\`--undo\` 恢复它们，并删除新建的文件。如果文件之后又被改过，它会显示差异并询问；没有终端时停止，加上 \`--force\` 则继续。用另一个 \`--server\` 再次 \`--apply\`，会取代前一次。

**不会自行重启任何服务。** 它给出命令，加上 \`--restart\` 才运行。客户端每次拉取都会读取的文件，不需要重启。

| 选项 | 含义 |
|---|---|
| \`--server URL\` | 客户端访问本服务所用的地址；没有写时，用配置中的 \`public_url\`，否则用第一个监听地址 |
| \`--registries ghcr.io,quay.io\` | 有单独文件或表的镜像仓库 |
| \`--ca FILE\` | 私有 CA 的证书，客户端此后信任它为本服务签发的证书 |
| \`--user\`、\`--system\` | 当前用户的文件（rootless），或整台机器的文件；没有 root 权限时，podman 使用用户的文件 |
| \`--root DIR\` | 这个目录下的文件，用于正在构建的镜像 |
| \`--json\` | 供程序使用的计划或结果 |

## 验证

运行客户端那一页*验证*后面的命令，或者拉取一个客户端还没有的镜像。此后服务的日志中，每个清单和 blob 都有一行 \`request\`，带有客户端的地址。如果没有这些行，说明客户端是直接从镜像仓库拉取的。
`,
    top: ({ slug, title }) =>
      `${GENERATED}\n# ${title}\n\n[English](../../clients/${slug}.md) · [所有客户端，以及 \`entrepot setup\`](../clients.md)\n`,
    setup: '显示改动，写入，撤销：',
    byHand: '手工操作',
    plain: '没有 TLS：',
    secure: '有 TLS：',
    colon: '：',
    where: (text) => `（${text}）`,
    restart: (command) => `然后运行 ${command}。`,
    verify: (command) => `*验证*：${command}`,
  },
};

/** A generated page, by its path from the root of the repository. */
export interface GeneratedPage {
  readonly path: string;
  readonly text: string;
}

/** docs/clients.md, a page for each client below it, and their Chinese twins. */
export function clientsPages(): readonly GeneratedPage[] {
  const pages = clientPages();
  return LANGUAGES.flatMap((language) => {
    const directory = language === 'en' ? 'docs' : 'docs/zh-CN';
    return [
      { path: `${directory}/clients.md`, text: indexPage(pages, language) },
      ...pages.map((page) => ({ path: `${directory}/clients/${page.slug}.md`, text: clientPage(page, language) })),
    ];
  });
}

const TITLES: Readonly<Record<string, string>> = {
  docker: 'Docker',
  kubernetes: 'Kubernetes',
  buildkit: 'BuildKit',
  'cri-o': 'CRI-O',
  'forward-proxy': 'HTTPS_PROXY',
};

function clientPages(): readonly ClientPage[] {
  const secure = clientSetups(SECURE);
  const sections = clientSetups(PLAIN).map((plain, index): PageSection => {
    return { plain, secure: secure[index]?.instructions ?? plain.instructions };
  });
  const grouped = Map.groupBy(sections, ({ plain }) => slugOf(plain));
  return [...grouped].map(([slug, own]) => ({ slug, title: TITLES[slug] ?? slug, sections: own }));
}

/** The two ways of Docker have one page, and so has everything about the forward proxy. */
function slugOf({ client, setup }: ClientSetup): string {
  if (client.startsWith('docker')) return 'docker';
  if (client.startsWith('trusting') || client === 'forward proxy') return 'forward-proxy';
  return setup ?? client;
}

function indexPage(pages: readonly ClientPage[], language: Language): string {
  const rows = pages.map(({ slug, title, sections }) => {
    const main = sections.find(({ plain }) => plain.setup !== undefined) ?? sections[0];
    const command = main?.plain.setup === undefined ? '' : `\`entrepot setup ${main.plain.setup}\``;
    return `| [${title}](clients/${slug}.md) | ${command} | ${main?.plain.instructions.notes[0]?.[language] ?? ''} |`;
  });
  return WORDS[language].index(rows.join('\n'));
}

function clientPage(page: ClientPage, language: Language): string {
  const parts = page.sections.map((section) => sectionOf(section, page.sections.length > 1, language));
  return [WORDS[language].top(page), ...parts].join('\n');
}

function sectionOf({ plain: setup, secure }: PageSection, hasTitle: boolean, language: Language): string {
  const words = WORDS[language];
  const plain = setup.instructions;
  const [open, encrypted] = [blocksOf(plain, language), blocksOf(secure, language)];
  const blocks = open === encrypted ? open : `${words.plain}\n\n${open}\n${words.secure}\n\n${encrypted}`;
  const { restart, verify, files = [] } = plain;
  const own = new Set(plain.notes.map(({ en }) => en));
  const notes = [...plain.notes, ...secure.notes.filter(({ en }) => !own.has(en))];
  const facts = [
    ...[...new Set(files.map(({ merge }) => MERGE_NOTES[merge]))].flatMap((note) => note?.[language] ?? []),
    ...(restart === undefined ? [] : [words.restart(`\`${restart}\``)]),
    ...(verify === undefined ? [] : [words.verify(`\`${verify}\``)]),
  ];
  const rest = facts.length === 0 ? '' : `\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`;
  const title = hasTitle ? `## ${setup.title[language]}\n\n` : '';
  const [first, ...others] = notes.map((note) => note[language]);
  const about = `${first}\n\n${others.length === 0 ? '' : `${others.map((note) => `- ${note}`).join('\n')}\n\n`}`;
  return `${title}${commandsOf(setup, { hasTitle, language })}${about}${blocks}${rest}`;
}

/** The commands come first; then the same by hand. */
function commandsOf(
  { setup }: ClientSetup,
  { hasTitle, language }: { readonly hasTitle: boolean; readonly language: Language },
): string {
  if (setup === undefined) return '';
  const { setup: intro, byHand } = WORDS[language];
  const server = `--server ${SECURE.url}`;
  const commands =
    setup === 'kubernetes'
      ? [
          `entrepot setup kubernetes ${server}`,
          `entrepot setup kubernetes ${server} | kubectl apply -f -`,
          'entrepot setup kubernetes --undo | kubectl apply -f -',
        ]
      : [
          `entrepot setup ${setup} ${server}`,
          `sudo entrepot setup ${setup} ${server} --apply`,
          `sudo entrepot setup ${setup} --undo`,
        ];
  return `${intro}\n\n${fence('sh', commands.join('\n'))}\n${hasTitle ? '###' : '##'} ${byHand}\n\n`;
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
