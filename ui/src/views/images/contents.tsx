import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { shortDigest } from '../../format.ts';
import { Fault, Skeleton } from '../../parts/feedback.tsx';
import { Icon } from '../../parts/icons.tsx';
import { Link } from '../../parts/page.tsx';
import { Badge } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';

type ImageData = Answer<'image'>;
type Node = ImageData['children'][number];
type Layer = ImageData['layers'][number];

/** As many as the API lists. */
const MOST = { nodes: 200, layers: 500 };

/** The parts of an index or image as a tree; or what refers to it. Each part opens to show its own. */
export function Contents({
  name,
  data,
  referrers = false,
}: {
  /** `docker.io/library/nginx` */
  readonly name: string;
  readonly data: ImageData;
  readonly referrers?: boolean;
}): JSX.Element {
  const { images: w } = words.value;
  const nodes = referrers ? data.referrers : data.children;
  const layers = referrers ? [] : data.layers;
  if (nodes.length === 0 && layers.length === 0) {
    return <p class="quiet">{referrers ? w.noReferrers : w.noContents}</p>;
  }
  return <Branch name={name} nodes={nodes} layers={layers} />;
}

function Branch({
  name,
  nodes,
  layers,
}: {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly layers: readonly Layer[];
}): JSX.Element {
  const { images: w } = words.value;
  const most = nodes.length >= MOST.nodes ? MOST.nodes : layers.length >= MOST.layers ? MOST.layers : undefined;
  return (
    <ul class="tree">
      {nodes.map((node) => (
        <TreeNode key={node.digest} name={name} node={node} />
      ))}
      {layers.map(({ digest, mediaType, bytes, stored }, at) => (
        <li key={`${digest} ${at}`}>
          <div class="tree-row">
            <span class="tree-toggle" />
            <span class="tree-name">
              {at === 0 && /config/.test(mediaType) ? w.config : w.layer}{' '}
              <code title={digest}>{shortDigest(digest)}</code>
            </span>
            <span class="tree-type">{shortType(mediaType)}</span>
            <span class="number">{bytes === undefined ? '' : formats.value.bytes(bytes)}</span>
            <Badge tone={stored ? 'good' : 'quiet'} text={stored ? w.nodes.stored : w.nodes.missing} />
          </div>
        </li>
      ))}
      {most !== undefined && <li class="quiet">{w.most(formats.value.number(most))}</li>}
    </ul>
  );
}

function TreeNode({ name, node }: { readonly name: string; readonly node: Node }): JSX.Element {
  const { images: w } = words.value;
  const isOpen = useSignal(false);
  const { digest, mediaType, artifactType, platform, stored, complete, bytes, storedBytes } = node;
  const title = platform ?? (artifactType === undefined ? undefined : shortType(artifactType)) ?? shortType(mediaType);
  const state = complete ? 'stored' : stored || storedBytes > 0 ? 'partial' : 'missing';
  return (
    <li>
      <div class="tree-row">
        <button
          type="button"
          class="icon-button tree-toggle"
          aria-expanded={isOpen.value}
          aria-label={w.expand(`${title} ${shortDigest(digest)}`)}
          disabled={!stored}
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          <Icon name="chevron" size={16} />
        </button>
        <span class="tree-name">
          {title}{' '}
          <Link to={`images/${name}@${digest}`} title={digest}>
            <code>{shortDigest(digest)}</code>
          </Link>
        </span>
        <span class="tree-type">{platform === undefined ? '' : shortType(mediaType)}</span>
        <span class="number">{sizeText(bytes, storedBytes, complete)}</span>
        <Badge tone={complete ? 'good' : 'quiet'} text={w.nodes[state]} />
      </div>
      {isOpen.value && <Below name={name} digest={digest} />}
    </li>
  );
}

/** What lies below one node: its own parts, then what refers to it. */
function Below({ name, digest }: { readonly name: string; readonly digest: string }): JSX.Element {
  const { images: w } = words.value;
  const { data, error, reload } = useRead('image', { image: `${name}@${digest}` }, { fresh: false });
  if (error !== undefined) return <Fault error={error} retry={reload} />;
  if (data === undefined) return <Skeleton lines={2} />;
  const { children, layers, referrers } = data;
  return (
    <>
      {children.length + layers.length === 0 && referrers.length === 0 && <p class="quiet">{w.noContents}</p>}
      {children.length + layers.length > 0 && <Branch name={name} nodes={children} layers={layers} />}
      {referrers.length > 0 && (
        <>
          <p class="label tree-label">{w.tabs.referrers}</p>
          <Branch name={name} nodes={referrers} layers={[]} />
        </>
      )}
    </>
  );
}

function sizeText(bytes: number | undefined, storedBytes: number, complete: boolean): string {
  const { bytes: text } = formats.value;
  if (bytes === undefined) return storedBytes === 0 ? '' : text(storedBytes);
  return complete || storedBytes === 0 ? text(bytes) : words.value.units.of(text(storedBytes), text(bytes));
}

/** `image.layer.v1.tar+gzip` of `application/vnd.oci.image.layer.v1.tar+gzip` */
function shortType(mediaType: string): string {
  return mediaType.replace(/^application\/(?:vnd\.)?(?:oci\.|docker\.)?/, '');
}
