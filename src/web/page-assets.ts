// The policy of the page names both by their hashes: a page that holds anything else does not run it.

export const STYLE = `
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f6f8fa; --dim: #59636e; --mark: #0969da; --page: #fff; --ink: #1f2328; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #161b22; --dim: #9198a1; --mark: #4493f8; --page: #0d1117; --ink: #e6edf3; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; background: var(--page); color: var(--ink); overflow-wrap: anywhere; -webkit-text-size-adjust: 100%; }
main { max-width: 52rem; margin: 0 auto; padding: 1rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .3rem; }
p { margin: .5rem 0; }
pre, code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { padding: .7rem .9rem; overflow-x: auto; margin: 0; overflow-wrap: normal; }
.snippet { display: grid; grid-template-columns: minmax(0, 1fr) auto; background: var(--soft); border: 1px solid var(--line); border-radius: 6px; margin: .3rem 0 .7rem; }
.snippet button { align-self: start; font: .8rem/1.5 system-ui, sans-serif; padding: .75rem .8rem; color: var(--mark); background: none; border: 0; cursor: pointer; }
.snippet button:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px; }
.language { text-align: right; margin: 0; }
.language a, nav a { display: inline-block; padding: .35rem 0; }
nav a { margin-right: 1rem; }
.label { margin: .6rem 0 0; color: var(--dim); font-size: .94rem; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); font-weight: normal; }
thead th { color: var(--dim); font-size: .85rem; white-space: nowrap; }
small { color: var(--dim); border: 1px solid var(--line); border-radius: 1em; padding: 0 .5em; white-space: nowrap; }
section p { color: var(--dim); }
a { color: var(--mark); }
footer { margin-top: 3rem; color: var(--dim); font-size: .9rem; }
@media (max-width: 40rem) {
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  td[data-label]::before { content: attr(data-label) " "; color: var(--dim); font-size: .85rem; }
}
@media print { .snippet button { display: none; } }
`;

/** Puts a button beside each snippet. Browsers offer `navigator.clipboard` on HTTPS and loopback only: elsewhere it copies a selection. */
export const SCRIPT = `
const { copy, copied } = document.body.dataset;
for (const box of document.querySelectorAll('.snippet')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = copy;
  button.setAttribute('aria-live', 'polite');
  button.addEventListener('click', async () => {
    const pre = box.querySelector('pre');
    let done = false;
    try {
      await navigator.clipboard.writeText(pre.textContent);
      done = true;
    } catch {
      getSelection().selectAllChildren(pre);
      done = document.execCommand('copy');
    }
    if (!done) return;
    button.textContent = copied;
    setTimeout(() => { button.textContent = copy; }, 2000);
  });
  box.append(button);
}
`;
