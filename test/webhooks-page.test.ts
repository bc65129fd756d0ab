import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keyOf, signatureOf } from '../src/webhooks/signature.ts';
import { isInstalled } from './support/processes.ts';

/*
 * The examples of docs/webhooks.md that check a signature, run as they stand there.
 */

const page = readFileSync(fileURLToPath(new URL('../docs/webhooks.md', import.meta.url)), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'entrepot-webhooks-page-'));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Request {
  readonly id: string;
  readonly time: string;
  readonly signature: string;
  readonly body: string;
  readonly secret: string;
}

function example(language: string, part: string): string {
  const found = Array.from(page.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)).find(
    ([, name, code = '']) => name === language && code.includes(part),
  );
  assert.ok(found, `no example in ${language}`);
  return found[2] ?? '';
}

const headersOf = ({ id, time, signature }: Request) => ({
  'webhook-id': id,
  'webhook-timestamp': time,
  'webhook-signature': signature,
});

function inNode(request: Request): boolean {
  const file = join(directory, 'check.mjs');
  const call = `process.exit(isFromEntrepot(${JSON.stringify(headersOf(request))}, Buffer.from(${JSON.stringify(request.body)}), ${JSON.stringify(request.secret)}) ? 0 : 1);`;
  writeFileSync(file, `${example('js', 'isFromEntrepot')}\n${call}\n`);
  return isTrue(process.execPath, [file]);
}

function inPython(request: Request): boolean {
  const file = join(directory, 'check.py');
  const call = `import json, sys\nheaders, body, secret = json.loads(sys.argv[1])\nsys.exit(0 if is_from_entrepot(headers, body.encode(), secret) else 1)`;
  writeFileSync(file, `${example('python', 'is_from_entrepot')}\n${call}\n`);
  return isTrue('python3', [file, JSON.stringify([headersOf(request), request.body, request.secret])]);
}

function inShell({ id, time, signature, body, secret }: Request): boolean {
  writeFileSync(join(directory, 'body.json'), body);
  const env = { ...process.env, ID: id, TIME: time, SIGNATURE: signature, SECRET: secret };
  return isTrue('sh', ['-c', example('sh', 'SIGNATURE')], env);
}

/** 0 or 1; an example must not break. */
function isTrue(program: string, args: readonly string[], env = process.env): boolean {
  const { status, stderr } = spawnSync(program, args, { env, cwd: directory, encoding: 'utf8', timeout: 30_000 });
  assert.ok(status === 0 || status === 1, stderr);
  assert.equal(stderr, '');
  return status === 0;
}

const languages: readonly (readonly [name: string, check: (request: Request) => boolean, tools: readonly string[]])[] =
  [
    ['Node', inNode, []],
    ['Python', inPython, ['python3']],
    ['a shell', inShell, ['openssl', 'base64', 'od']],
  ];

describe('the example that checks a signature', () => {
  for (const [name, check, tools] of languages) {
    const missing = tools.filter((tool) => !isInstalled(tool));
    test(`in ${name}`, { skip: missing.length > 0 && `needs ${missing.join(', ')}` }, () => {
      for (const secret of ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'a text of my own']) {
        const id = '019ad1f2-6b3c-7a04-9c1e-2f8d3b6a5e10';
        const timestamp = Math.floor(Date.now() / 1000);
        const body = '{"events":[{"action":"push","tag":"é $(x) `y` %s"}]}\n';
        const signed = { id, timestamp, body };
        const keys = [Buffer.from('another'), keyOf(secret) ?? Buffer.alloc(0)];
        const good = { id, time: String(timestamp), signature: signatureOf(signed, keys), body, secret };
        assert.equal(check(good), true);
        const old = timestamp - 600;
        const wrong: readonly Request[] = [
          { ...good, body: `${body} ` },
          { ...good, id: 'x' },
          { ...good, secret: `${secret}BBBB` },
          { ...good, signature: signatureOf(signed, keys.slice(0, 1)) },
          { ...good, signature: 'v1,' },
          { ...good, time: String(old), signature: signatureOf({ ...signed, timestamp: old }, keys) },
        ];
        for (const [at, request] of wrong.entries()) assert.equal(check(request), false, `${at}`);
      }
    });
  }
});
