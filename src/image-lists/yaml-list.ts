import { isComposeFile, readComposeFile } from './compose.ts';
import type { Reading } from './findings.ts';
import { isKubernetesObject, readKubernetesObject } from './kubernetes.ts';
import { readTrees, type Tree } from './tree.ts';

/** Compose files, Kubernetes manifests, and lists of images, in YAML or JSON; several documents may be of several kinds. */
export function readYamlList(text: string, reading: Reading): void {
  let isEmpty = true;
  for (const tree of readTrees(text, reading)) {
    isEmpty = false;
    readDocument(tree, reading);
  }
  if (isEmpty) reading.note(1, 'it names no image: it is empty, or has comments alone');
}

function readDocument(tree: Tree, reading: Reading): void {
  if (tree.kind === 'list') {
    for (const item of tree.items) {
      if (item.kind === 'text') reading.image(item.text, item.line);
      else readDocument(item, reading);
    }
  } else if (isKubernetesObject(tree)) readKubernetesObject(tree, reading);
  else if (isComposeFile(tree)) readComposeFile(tree, reading);
  else {
    throw reading.refusal(
      tree.line,
      'it is neither a list of images nor a Compose file (`services:`), Kubernetes manifest (`apiVersion:` and `kind:`) or Dockerfile; render a chart with `helm template`',
    );
  }
}
