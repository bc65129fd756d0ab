import { readFile } from 'node:fs/promises';
import { check, type Workspace } from './processes.ts';

/** A certificate authority of a test, and what it signed. PEM throughout. */
export interface TestCertificate {
  /** Path of the authority's certificate. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly key: string;
  readonly cert: string;
}

/** Makes an authority and a server certificate for localhost and 127.0.0.1, good for two days, with openssl. */
export async function makeCertificate(workspace: Workspace, name: string): Promise<TestCertificate> {
  const at = (suffix: string): string => workspace.path(`${name}-${suffix}`);
  const subject = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await check([
    'openssl',
    'req',
    '-x509',
    ...subject,
    '-subj',
    `/CN=${name} authority`,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
  ]);
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key')];
  const usage = ['-addext', 'basicConstraints=critical,CA:FALSE'];
  await check([
    'openssl',
    'req',
    '-x509',
    ...subject,
    ...names,
    ...usage,
    ...signer,
    '-keyout',
    at('server.key'),
    '-out',
    at('server.crt'),
  ]);
  return {
    caFile: at('ca.crt'),
    certFile: at('server.crt'),
    keyFile: at('server.key'),
    key: await readFile(at('server.key'), 'utf8'),
    cert: await readFile(at('server.crt'), 'utf8'),
  };
}
