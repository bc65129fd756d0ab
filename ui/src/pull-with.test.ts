import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pullWith, TOOLS } from './pull-with.ts';

describe('pullWith()', () => {
  const image = 'docker.io/library/nginx:1.27';
  const host = 'mirror.example:5000';
  const plain: Readonly<Record<(typeof TOOLS)[number], string>> = {
    docker: 'docker pull mirror.example:5000/docker.io/library/nginx:1.27',
    podman: 'podman pull --tls-verify=false mirror.example:5000/docker.io/library/nginx:1.27',
    nerdctl: 'nerdctl pull --insecure-registry mirror.example:5000/docker.io/library/nginx:1.27',
    crane: 'crane pull --insecure mirror.example:5000/docker.io/library/nginx:1.27 image.tar',
    skopeo: 'skopeo copy --src-tls-verify=false docker://mirror.example:5000/docker.io/library/nginx:1.27 oci:image',
  };
  for (const tool of TOOLS) {
    test(tool, () => {
      assert.equal(pullWith(tool, { image, host, plain: true }), plain[tool]);
      assert.doesNotMatch(pullWith(tool, { image, host, plain: false }), /insecure|verify/);
    });
  }
});
