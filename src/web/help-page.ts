import type { HelpDescription, NamingExamples, RegistryHelp } from './description.ts';

/** One document without scripts, which loads nothing. Every value is escaped. */
export function renderHelpPage(help: HelpDescription): string {
  const { host, version, defaultRegistry } = help;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${escape(host)}: a mirror of container registries</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(host)}</h1>
<p>This is <strong>entrepot</strong>, a mirror of container registries. Put its name in front of an image’s:</p>
<pre>docker pull ${escape(host)}/ghcr.io/OWNER/IMAGE:TAG</pre>
<p>A name without a registry means <strong>${escape(defaultRegistry)}</strong>. Pulled images stay in the cache of this server, so the next pull is fast, and works while the registry is down.</p>
<h2>Ways to name an image</h2>
${namingTable(help)}
<h2>Clients</h2>
${help.clients.map(clientSection).join('\n')}
<h2>Registries</h2>
<div class="wide"><table>
<thead><tr><th>Registry</th><th>Also</th><th>Upstreams</th></tr></thead>
<tbody>
${help.registries.map(registryRow).join('\n')}
</tbody>
</table></div>
<footer>entrepot ${escape(version)} · the same for programs: <code>curl ${escape(help.url)}/help</code> · <a href="/healthz">health</a> · <a href="/metrics">metrics</a></footer>
</main>
</body>
</html>
`;
}

function namingTable(help: HelpDescription): string {
  const shown = help.registries.find(({ name }) => name === 'ghcr.io') ?? help.registries[0];
  const byDefault = help.registries.find(({ isDefault }) => isDefault);
  if (shown === undefined) return '<p>No registry is configured.</p>';
  const rows: [string, string | undefined][] = [
    ['Bare name, the default registry', byDefault?.examples.bare],
    ['Registry in the path', shown.examples.path],
    ['Registry in the host name', shown.examples.hostName],
    ['Registry in front of the API, for a mirror’s address with a path', shown.examples.prefix],
    ['containerd’s namespace', shown.examples.ns],
  ];
  const cells = rows
    .filter((row): row is [string, string] => row[1] !== undefined)
    .map(([way, example]) => `<tr><th scope="row">${escape(way)}</th><td><code>${escape(example)}</code></td></tr>`);
  return `<div class="wide"><table><tbody>\n${cells.join('\n')}\n</tbody></table></div>`;
}

function clientSection({ client, file, text, note }: HelpDescription['clients'][number]): string {
  const where = file === undefined ? '' : `<p class="file"><code>${escape(file)}</code></p>\n`;
  return `<section>\n<h3>${escape(client)}</h3>\n${where}<pre>${escape(text)}</pre>\n<p>${escape(note)}</p>\n</section>`;
}

function registryRow({ name, aliases, upstreams, isDefault, delivery, examples }: RegistryHelp): string {
  const urls = upstreams.map((upstream) => `<code>${escape(upstream)}</code>`).join('<br>');
  const marks = [isDefault ? 'default' : '', delivery === 'redirect' ? 'redirects' : ''].filter((mark) => mark !== '');
  const marked = marks.map((mark) => ` <small>${mark}</small>`).join('');
  return `<tr><td><strong>${escape(name)}</strong>${marked}<br><code>${escape(shortest(examples))}</code></td><td>${escape(aliases.join(', '))}</td><td>${urls}</td></tr>`;
}

function shortest({ bare, path, hostName, prefix, ns }: NamingExamples): string {
  return bare ?? path ?? hostName ?? prefix ?? ns;
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

const STYLE = `
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f6f8fa; --dim: #59636e; --mark: #0969da; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #161b22; --dim: #9198a1; --mark: #4493f8; } body { background: #0d1117; color: #e6edf3; } }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
pre, code { font: .875em/1.5 ui-monospace, monospace; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; margin: .4rem 0; }
.file { margin: .2rem 0; color: var(--dim); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); font-weight: normal; }
thead th { color: var(--dim); font-size: .85rem; }
small { color: var(--dim); border: 1px solid var(--line); border-radius: 1em; padding: 0 .5em; }
section p { color: var(--dim); margin: .2rem 0; }
a { color: var(--mark); }
footer { margin-top: 3rem; color: var(--dim); font-size: .9rem; }
`;
