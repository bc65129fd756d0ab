/**
 * The page of the console. How a view is made:
 *
 * - A view is one component in `views/<name>.tsx`, with a row in `views/index.ts`. It gets `rest`, what stands in the address
 *   behind its name: `docker.io/library/nginx:latest` of `/ui/images/docker.io/library/nginx:latest`. It draws one `Heading`,
 *   then `Section`s (`parts/page.tsx`).
 * - Texts are in `words/en.ts` and `words/zh.ts`, under the name of the view: `const { images: w } = words.value`. They are read by
 *   name (`w.tag`); those that a name chooses are in a group (`w.tabs[tab]`), or the build refuses the page. Code in a text stands in backticks and is drawn by `<Prose text=… />`. Numbers, bytes and times: `formats.value.bytes(…)`, or the
 *   components of `parts/values.tsx` (`Bytes`, `Duration`, `Time`, `Digest`, `Badge`).
 * - Data: `useRead(key, input, { on: ['tag'] })` reads an operation by its key in OPERATIONS, and again at live messages;
 *   `usePages(key, input, entriesOf)` reads a list by cursor, for `PagedTable`. `<Loaded of={resource}>` draws skeleton, error or
 *   data. A signal's `.value` that is read while drawing draws the component again.
 * - Changes: `change(key, input)`; show them only where `session.value?.canChange`. Ask by `Confirm`, which shows the dry run
 *   first; say the result by `toast(text)`, an error by `toast(text, 'bad')` or `Fault`.
 * - Places: `<Link to="images/…">`, `href(path, query)`, `navigate(path, query)`; filters live in the address: `place.value.query`
 *   and `setQuery({ search })`.
 * - Long lists: `Table` and `PagedTable` (`parts/table.tsx`) draw the rows on the screen alone. `hrefOf` makes rows links.
 * - Look: classes of `style.css` (`card`, `button`, `button-main`, `button-danger`, `grid`, `facts`, `quiet`, `note`, `toolbar`).
 *   Two colours carry meaning besides the accent: amber for what to look at, red for what failed. Never colour alone.
 */
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { session } from './api.ts';
import { Layout } from './layout.tsx';
import { Empty, Skeleton } from './parts/feedback.tsx';
import { Heading, Link } from './parts/page.tsx';
import { splitPath } from './place.ts';
import { followLink, place } from './router.ts';
import { Closed, Login } from './session.tsx';
import { VIEWS } from './views/index.ts';
import { words } from './words/index.ts';

export function App(): JSX.Element {
  useEffect(() => {
    document.addEventListener('click', followLink);
    return () => document.removeEventListener('click', followLink);
  }, []);
  return (
    <Layout>
      <Content />
    </Layout>
  );
}

function Content(): JSX.Element {
  const known = session.value;
  if (known === undefined) return <Skeleton lines={6} />;
  if (known.mode === 'closed') return <Closed remedy={known.remedy} />;
  if (!known.canRead) return <Login />;
  const [name, rest] = splitPath(place.value.path);
  const view = VIEWS.find((each) => each.path === name);
  if (view === undefined) return <NotFound />;
  const { View } = view;
  return <View key={name} rest={rest} />;
}

function NotFound(): JSX.Element {
  const { nav } = words.value;
  return (
    <>
      <Heading title={nav.notFound} />
      <Empty title={nav.notFoundText} icon="search">
        <Link to="" class="button">
          {nav.toNow}
        </Link>
      </Empty>
    </>
  );
}
