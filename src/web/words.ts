import type { Language } from '../clients/index.ts';

const ENGLISH = {
  tag: 'en',
  other: { tag: 'zh-CN', language: 'zh', name: '中文' },
  title: (host: string) => `${host}: a mirror of container registries`,
  intro: 'This is `entrepot`, a mirror of container registries. Put its address in front of the name of an image:',
  defaultRegistry: (name: string) =>
    `A name without a registry means \`${name}\`. Pulled images stay in the cache of this server, so the next pull is fast, and works while the registry is down.`,
  login:
    'Rules decide who may pull what. With a user or a token of this server, log in; a token is the password, with any user name:',
  loopback: (host: string) =>
    `\`${host}\` is an address of this machine alone. For other machines, and for clients in containers, open this page under an address that they can reach.`,
  naming: 'Ways to name an image',
  ways: {
    bare: 'Bare name, the default registry',
    path: 'Registry in the path',
    hostName: 'Registry in the host name',
    prefix: 'Registry in front of the API, for a mirror’s address with a path',
    ns: 'containerd’s namespace',
  },
  noRegistry: 'No registry is configured.',
  clients: 'Clients',
  setup: 'With `entrepot` on that machine (it shows the change, and writes it with `--apply`), or else by hand:',
  restart: 'Then run:',
  verify: 'Verify:',
  registries: 'Registries',
  registry: 'Registry',
  aliases: 'Also',
  upstreams: 'Upstreams',
  byDefault: 'default',
  redirects: 'redirects',
  hosted: 'images are pushed here',
  programs: 'the same for programs:',
  health: 'health',
  metrics: 'metrics',
  copy: 'Copy',
  copied: 'Copied',
};

/** The texts of the help page; code stands in backticks. */
type HelpWords = typeof ENGLISH;

export const HELP_WORDS: Readonly<Record<Language, HelpWords>> = {
  en: ENGLISH,
  zh: {
    tag: 'zh-CN',
    other: { tag: 'en', language: 'en', name: 'English' },
    title: (host) => `${host}：容器镜像加速服务`,
    intro: '这里是 `entrepot`，一个容器镜像加速服务。把本服务的地址写在镜像名前面：',
    defaultRegistry: (name) =>
      `没有写镜像仓库的名称表示 \`${name}\`。拉取过的镜像保存在本服务的缓存中：下一次拉取很快，镜像仓库不可用时也能拉取。`,
    login: '谁可以拉取什么由规则决定。有本服务的用户或令牌时，先登录；令牌用作密码，用户名任意：',
    loopback: (host) => `\`${host}\` 只是本机的地址。要用于其他机器或容器中的客户端，请用它们能访问的地址打开本页。`,
    naming: '镜像的写法',
    ways: {
      bare: '只写镜像名，表示默认镜像仓库',
      path: '镜像仓库写在路径里',
      hostName: '镜像仓库写在主机名里',
      prefix: '镜像仓库写在 API 前面，用于带路径的加速地址',
      ns: 'containerd 的命名空间',
    },
    noRegistry: '没有配置镜像仓库。',
    clients: '客户端',
    setup: '那台机器上有 `entrepot` 时运行（先显示改动，加上 `--apply` 才写入），否则手工操作：',
    restart: '然后运行：',
    verify: '验证：',
    registries: '镜像仓库',
    registry: '镜像仓库',
    aliases: '别名',
    upstreams: '上游',
    byDefault: '默认',
    redirects: '重定向',
    hosted: '可推送镜像',
    programs: '供程序使用的同样内容：',
    health: '健康状态',
    metrics: '指标',
    copy: '复制',
    copied: '已复制',
  },
};
