import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { arrivals, href } from '../router.ts';
import { language } from '../words/index.ts';

/**
 * The heading of a view: each view has one. It names the document, and takes the focus after a navigation, so that a screen
 * reader says where it is.
 */
export function Heading({
  title,
  lead,
  children,
}: {
  readonly title: string;
  /** Above the title: the way back. */
  readonly lead?: ComponentChildren;
  /** At the end of the line: buttons. */
  readonly children?: ComponentChildren;
}): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  const arrival = arrivals.value;
  useEffect(() => {
    document.title = `${title} · entrepot`;
  }, [title]);
  useEffect(() => {
    // Not at the first view: the browser begins at the top of the document.
    if (arrival > 0) heading.current?.focus({ preventScroll: true });
  }, [arrival]);
  return (
    <div class="heading">
      {lead}
      <div class="heading-line">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children !== undefined && <div class="heading-actions">{children}</div>}
      </div>
    </div>
  );
}

/** A link to a place of this page: `<Link to="images/docker.io/library/nginx">`. */
export function Link({
  to,
  query,
  children,
  ...rest
}: {
  readonly to: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly children: ComponentChildren;
  readonly class?: string;
  readonly title?: string;
  readonly 'aria-current'?: 'page' | undefined;
}): JSX.Element {
  return (
    <a href={href(to, query)} {...rest}>
      {children}
    </a>
  );
}

/** A part of a view, with a heading of its own. */
export function Section({
  title,
  aside,
  children,
  plain = false,
}: {
  readonly title: ComponentChildren;
  /** At the end of the heading. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  /** True: without a frame. */
  readonly plain?: boolean;
}): JSX.Element {
  return (
    <section class={plain ? 'section' : 'section card'}>
      <div class="section-head">
        <h2>{title}</h2>
        {aside !== undefined && <div class="section-aside">{aside}</div>}
      </div>
      {children}
    </section>
  );
}

/**
 * A text whose code stands in backticks, as in the words of this page. What the server and other registries say is English: on the Chinese
 * page it is marked, so that a screen reader reads it right.
 */
export function Prose({ text }: { readonly text: string }): JSX.Element {
  const parts = text.split('`').map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
  const isForeign = language.value === 'zh' && !/\p{Script=Han}/u.test(text);
  return isForeign ? <span lang="en">{parts}</span> : <>{parts}</>;
}
