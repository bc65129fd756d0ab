import type { Reading } from './findings.ts';
import { childOf, entriesOf, itemsOf, type Tree, type TreeMap, textOf } from './tree.ts';

/** Whether a document is an object of Kubernetes, or a list of such. */
export function isKubernetesObject(tree: Tree): boolean {
  return textOf(childOf(tree, 'apiVersion')) !== undefined && textOf(childOf(tree, 'kind')) !== undefined;
}

/**
 * Kinds of Kubernetes itself that hold texts and schemas, and no container: a field called `image` in them is something else. A
 * `Service` of Knative is no `Service`.
 */
const WITHOUT_CONTAINERS: ReadonlySet<string> = new Set([
  'ConfigMap',
  'Secret',
  'CustomResourceDefinition',
  'Service',
  'Endpoints',
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'ClusterRole',
  'ClusterRoleBinding',
  'Ingress',
  'NetworkPolicy',
  'Namespace',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'StorageClass',
]);

/** The lists whose entries are containers, whatever object they are in. */
const CONTAINER_LISTS: ReadonlySet<string> = new Set([
  'containers',
  'initContainers',
  'ephemeralContainers',
  'sidecars',
]);

/** Fields of a container: an object with an `image` and one of these is one (a step of Tekton, a template of Argo). */
const CONTAINER_FIELDS: readonly string[] = [
  'name',
  'command',
  'args',
  'env',
  'envFrom',
  'ports',
  'resources',
  'volumeMounts',
  'securityContext',
  'imagePullPolicy',
];

/** How operators name, in the environment of their own container, the images that they start (Operator Lifecycle Manager). */
const RELATED_IMAGE = /^RELATED_IMAGE_/;

/**
 * The images of one object of Kubernetes, custom resources included. A text called `image` is one where its object is
 * container-like: it stands in a list of containers, has another field of a container, or is the `spec` of a custom resource. An
 * image volume (`volumes[].image.reference`) and an environment variable `RELATED_IMAGE_…` of a container are images too.
 *
 * What runs (`status`) and what describes the object (`metadata`) is passed over: it repeats, or quotes.
 */
export function readKubernetesObject(tree: Tree, reading: Reading): void {
  const kind = textOf(childOf(tree, 'kind')) ?? '';
  const items = childOf(tree, 'items');
  if (items?.kind === 'list') {
    for (const item of items.items) readListed(item, { kind: kind.replace(/List$/, ''), reading });
    return;
  }
  readObject(tree, { kind, reading });
}

interface Context {
  readonly kind: string;
  readonly reading: Reading;
}

/** An entry of a list may leave its kind to the list. */
function readListed(tree: Tree, { kind, reading }: Context): void {
  if (isKubernetesObject(tree)) readKubernetesObject(tree, reading);
  else readObject(tree, { kind, reading });
}

function readObject(tree: Tree, { kind, reading }: Context): void {
  const group = textOf(childOf(tree, 'apiVersion')) ?? 'v1';
  if (WITHOUT_CONTAINERS.has(kind) && /^v\d|\.k8s\.io\/|^networking\.|^extensions\//.test(group)) return;
  if (kind === 'Kustomization' && childOf(tree, 'images') !== undefined) {
    reading.note(tree.line, 'a Kustomization only changes other files; give the output of `kustomize build`');
    return;
  }
  // An aliased value is walked once: it has the same images at the same lines.
  const seen = new Set<Tree>();
  for (const [key, value] of entriesOf(tree)) {
    if (key === 'status' || key === 'metadata') continue;
    walk(value, { within: key === 'spec' ? 'spec' : 'other', seen, reading });
  }
}

interface Walk {
  /** What the value is of: the `spec` of the object, an entry of a list of containers, a volume, or anything else. */
  readonly within: 'spec' | 'container' | 'volume' | 'other';
  readonly seen: Set<Tree>;
  readonly reading: Reading;
}

function walk(tree: Tree, options: Walk): void {
  if (tree.kind === 'text' || options.seen.has(tree)) return;
  const { within, seen, reading } = options;
  seen.add(tree);
  if (tree.kind === 'list') {
    for (const item of tree.items) walk(item, { ...options, within: within === 'spec' ? 'other' : within });
    return;
  }
  readImageOf(tree, options);
  for (const [key, value] of tree.entries) {
    if (key === 'image' && within === 'volume') continue;
    walk(value, { within: withinOf(key, value), seen, reading });
  }
}

function withinOf(key: string, value: Tree): Walk['within'] {
  if (value.kind !== 'list') return 'other';
  if (CONTAINER_LISTS.has(key)) return 'container';
  return key === 'volumes' ? 'volume' : 'other';
}

function readImageOf(tree: TreeMap, { within, reading }: Walk): void {
  const image = tree.entries.get('image');
  if (within === 'volume') {
    const reference = childOf(image, 'reference');
    if (reference?.kind === 'text') reading.image(reference.text, reference.line);
    return;
  }
  if (image === undefined) return;
  const isContainer = within !== 'other' || CONTAINER_FIELDS.some((field) => tree.entries.has(field));
  if (!isContainer) return;
  if (image.kind === 'text') reading.image(image.text, image.line);
  else if (childOf(image, 'repository') !== undefined || childOf(image, 'registry') !== undefined) {
    reading.note(image.line, 'the image is in parts that only its own operator puts together; write it out in a list');
  }
  for (const variable of itemsOf(tree.entries.get('env'))) {
    const value = childOf(variable, 'value');
    if (RELATED_IMAGE.test(textOf(childOf(variable, 'name')) ?? '') && value?.kind === 'text') {
      reading.image(value.text, value.line);
    }
  }
}
