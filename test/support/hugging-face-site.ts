import { createHash } from 'node:crypto';
import { file, redirect, type ScriptedSite, startSite } from './site.ts';

/** The parts of Hugging Face a download meets: the hub, and the CDN that large files are redirected to. */
export interface HuggingFaceSite extends AsyncDisposable {
  readonly hub: ScriptedSite;
  readonly cdn: ScriptedSite;
  /** The commit `main` points to. */
  readonly commit: string;
}

/** A small file is answered by the hub's own cache, a large one (LFS) by the CDN, under a signed address. */
export async function startHuggingFace(
  model: string,
  files: { readonly small: Readonly<Record<string, Buffer>>; readonly large: Readonly<Record<string, Buffer>> },
): Promise<HuggingFaceSite> {
  const commit = createHash('sha1').update(model).digest('hex');
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const names = [...Object.keys(files.small), ...Object.keys(files.large)];
  const cdn = await startSite(
    Object.fromEntries(
      Object.entries(files.large).map(([, bytes]) => [`/xet/${sha256(bytes)}`, file(bytes, { etag: '"of-the-CDN"' })]),
    ),
  );
  const about = JSON.stringify({
    id: model,
    sha: commit,
    private: false,
    siblings: names.map((rfilename) => ({ rfilename })),
  });
  const json = file(Buffer.from(about), { 'content-type': 'application/json; charset=utf-8' });
  const tree = names.map((path) => {
    const bytes = files.small[path] ?? files.large[path] ?? Buffer.alloc(0);
    const lfs = path in files.large ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 135 } } : {};
    return { type: 'file', oid: createHash('sha1').update(bytes).digest('hex'), size: bytes.length, path, ...lfs };
  });
  const listing = file(Buffer.from(JSON.stringify(tree)), { 'content-type': 'application/json; charset=utf-8' });
  const pages: Record<string, ReturnType<typeof file>> = { [`/api/models/${model}`]: json };
  for (const revision of ['main', commit]) {
    pages[`/api/models/${model}/revision/${revision}`] = json;
    pages[`/api/models/${model}/tree/${revision}`] = listing;
    for (const [name, bytes] of Object.entries(files.small)) {
      const cached = `/api/resolve-cache/models/${model}/${commit}/${name}`;
      pages[`/${model}/resolve/${revision}/${name}`] = redirect(307, `${cached}?%2Fresolve%2F${name}=`, {
        'x-repo-commit': commit,
      });
      pages[cached] = file(bytes, { etag: `"${sha256(bytes).slice(0, 40)}"`, 'x-repo-commit': commit });
    }
    for (const [name, bytes] of Object.entries(files.large)) {
      pages[`/${model}/resolve/${revision}/${name}`] = redirect(302, `${cdn.url}/xet/${sha256(bytes)}?Signature=1`, {
        'x-repo-commit': commit,
        'x-linked-size': String(bytes.length),
        'x-linked-etag': `"${sha256(bytes)}"`,
        // A protocol of its own, by which clients would go to other hosts.
        'x-xet-hash': sha256(bytes),
        link: `<https://huggingface.co/api/models/${model}/xet-read-token/${commit}>; rel="xet-auth"`,
      });
    }
  }
  const hub = await startSite(pages);
  return {
    hub,
    cdn,
    commit,
    async [Symbol.asyncDispose]() {
      await Promise.all([hub.stop(), cdn.stop()]);
    },
  };
}
