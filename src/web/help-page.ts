import { createHash } from 'node:crypto';
import { type ClientSetup, isLoopback, type Language, MERGE_NOTES, setupCommand } from '../clients/index.ts';
import type { HelpDescription, NamingExamples, RegistryHelp } from './description.ts';
import { SCRIPT, STYLE } from './page-assets.ts';
import { HELP_WORDS } from './words.ts';

/** What the page may do: show itself. Its one style and its one script are named by their hashes. */
export function helpPagePolicy(): string {
  policy ??= [
    "default-src 'none'",
    `style-src '${hashOf(STYLE)}'`,
    `script-src '${hashOf(SCRIPT)}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return policy;
}

let policy: string | undefined;

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** One document, which loads nothing; without its script it only lacks the buttons that copy. Every value is escaped. */
export function renderHelpPage(help: HelpDescription, language: Language): string {
  const words = HELP_WORDS[language];
  const { host, version, defaultRegistry } = help;
  const { other } = words;
  return `<!doctype html>
<html lang="${words.tag}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(words.title(host))}</title>
<style>${STYLE}</style>
</head>
<body data-copy="${escape(words.copy)}" data-copied="${escape(words.copied)}">
<main>
<p class="language"><a href="?lang=${other.language}" lang="${other.tag}" hreflang="${other.tag}">${other.name}</a></p>
<h1>${escape(host)}</h1>
<p>${prose(words.intro)}</p>
${snippet(`docker pull ${host}/ghcr.io/OWNER/IMAGE:TAG`)}
<p>${prose(words.defaultRegistry(defaultRegistry))}</p>${help.hasRules ? `\n<p>${prose(words.login)}</p>\n${snippet(`docker login ${host}`)}` : ''}${isLoopback(help) ? `\n<p>${prose(words.loopback(host))}</p>` : ''}
<h2>${words.naming}</h2>
${namingList(help, language)}
<h2>${words.clients}</h2>
<nav>${help.clients.map((setup) => `<a href="#${anchorOf(setup)}">${escape(setup.title[language])}</a>`).join(' ')}</nav>
${help.clients.map((setup) => clientSection(setup, help.url, language)).join('\n')}
<h2>${words.registries}</h2>
<table>
<thead><tr><th>${words.registry}</th><th>${words.aliases}</th>${showsUpstreams(help) ? `<th>${words.upstreams}</th>` : ''}</tr></thead>
<tbody>
${help.registries.map((registry) => registryRow(registry, language, showsUpstreams(help))).join('\n')}
</tbody>
</table>
<footer>entrepot ${escape(version)} · ${words.programs} <code>curl ${escape(help.url)}/help</code> · <a href="/healthz">${words.health}</a> · <a href="/metrics">${words.metrics}</a></footer>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function namingList(help: HelpDescription, language: Language): string {
  const { ways, noRegistry } = HELP_WORDS[language];
  const shown = help.registries.find(({ name }) => name === 'ghcr.io') ?? help.registries[0];
  const byDefault = help.registries.find(({ isDefault }) => isDefault);
  if (shown === undefined) return `<p>${noRegistry}</p>`;
  const rows: [string, string | undefined][] = [
    [ways.bare, byDefault?.examples.bare],
    [ways.path, shown.examples.path],
    [ways.hostName, shown.examples.hostName],
    [ways.prefix, shown.examples.prefix],
    [ways.ns, shown.examples.ns],
  ];
  return rows.flatMap(([way, example]) => (example === undefined ? [] : [labelled(way, example)])).join('\n');
}

function clientSection(setup: ClientSetup, url: string, language: Language): string {
  const { files = [], commands = [], restart, verify, notes } = setup.instructions;
  const words = HELP_WORDS[language];
  const space = language === 'en' ? ' ' : '';
  const remarks = [...new Set(files.map(({ merge }) => MERGE_NOTES[merge]))].flatMap((note) => note ?? []);
  const parts = [
    `<h3 id="${anchorOf(setup)}">${escape(setup.title[language])}</h3>`,
    `<p>${prose(notes.map((note) => note[language]).join(space))}</p>`,
    ...(setup.setup === undefined ? [] : [labelled(words.setup, setupCommand(setup.setup, url))]),
    ...files.map(({ path, where, content }) => {
      const of = where === undefined ? '' : ` (${where[language]})`;
      return labelled(`\`${path}\`${of}`, content);
    }),
    ...(commands.length === 0 ? [] : [snippet(commands.join('\n'))]),
    ...remarks.map((note) => `<p>${prose(note[language])}</p>`),
    ...(restart === undefined ? [] : [labelled(words.restart, restart)]),
    ...(verify === undefined ? [] : [labelled(words.verify, verify)]),
  ];
  return `<section>\n${parts.join('\n')}\n</section>`;
}

/** Stable, whatever the language of the page. */
function anchorOf({ client }: ClientSetup): string {
  return client.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

function labelled(label: string, code: string): string {
  return `<p class="label">${prose(label)}</p>\n${snippet(code)}`;
}

/** Code that scrolls by itself, also by the keyboard. The script puts a button beside it. */
function snippet(code: string): string {
  return `<div class="snippet"><pre tabindex="0">${escape(code)}</pre></div>`;
}

/** With rules, no page says where registries are fetched from. */
function showsUpstreams({ registries }: HelpDescription): boolean {
  return registries.some(({ upstreams }) => upstreams.length > 0);
}

function registryRow(registry: RegistryHelp, language: Language, withUpstreams: boolean): string {
  const { name, aliases, upstreams, isDefault, isHosted, delivery, examples } = registry;
  const words = HELP_WORDS[language];
  const urls = upstreams.map((upstream) => `<code>${escape(upstream)}</code>`).join('<br>');
  const marks = [
    ...(isDefault ? [words.byDefault] : []),
    ...(delivery === 'redirect' ? [words.redirects] : []),
    ...(isHosted ? [words.hosted] : []),
  ];
  const marked = marks.map((mark) => ` <small>${mark}</small>`).join('');
  const first = `<strong>${escape(name)}</strong>${marked}<br><code>${escape(shortest(examples))}</code>`;
  const also = aliases.length === 0 ? '' : escape(aliases.join(', '));
  const last = withUpstreams ? `<td data-label="${words.upstreams}">${urls}</td>` : '';
  return `<tr><td>${first}</td><td data-label="${words.aliases}">${also}</td>${last}</tr>`;
}

function shortest({ bare, path, hostName, prefix, ns }: NamingExamples): string {
  return bare ?? path ?? hostName ?? prefix ?? ns;
}

/** A text whose code stands in backticks. */
function prose(text: string): string {
  return escape(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes a text for an element or a quoted attribute. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}
