import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { logout, session } from './api.ts';
import { liveState } from './live.ts';
import { Button, IconButton } from './parts/button.tsx';
import { Dialog } from './parts/confirm.tsx';
import { Snippet } from './parts/copy.tsx';
import { Boundary, Toasts, toast } from './parts/feedback.tsx';
import { Icon, Mark } from './parts/icons.tsx';
import { Link, Prose } from './parts/page.tsx';
import { splitPath } from './place.ts';
import { arrivals, place } from './router.ts';
import { LoginForm } from './session.tsx';
import { THEMES, type Theme, theme } from './theme.ts';
import { VIEWS } from './views/index.ts';
import { chooseLanguage, language, words } from './words/index.ts';
import { LANGUAGES, NAMES } from './words/language.ts';

/** What stands around every view: navigation, who is logged in, language, colours, messages. */
export function Layout({ children }: { readonly children: ComponentChildren }): JSX.Element {
  const { nav } = words.value;
  const mayRead = session.value?.canRead === true;
  const [name] = splitPath(place.value.path);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        {nav.skip}
      </a>
      <header class="bar">
        <a class="brand" href="/ui/" aria-label={nav.home}>
          <Mark />
          <span>entrepot</span>
        </a>
        {mayRead && (
          <nav aria-label={nav.label}>
            <ul>
              {VIEWS.filter(({ takesAdmin }) => takesAdmin !== true || session.value?.canReadAll).map(
                ({ path, title, shortTitle = title, icon }) => (
                  <li key={path}>
                    <Link to={path} {...(path === name ? { 'aria-current': 'page' as const } : {})}>
                      <Icon name={icon} />
                      <span class="nav-long">{nav[title]}</span>
                      <span class="nav-short" aria-hidden="true">
                        {nav[shortTitle]}
                      </span>
                    </Link>
                  </li>
                ),
              )}
            </ul>
          </nav>
        )}
        <Menu>
          {mayRead && <Live />}
          <Who />
          <div class="bar-tools">
            <a class="icon-button" href="/help" aria-label={nav.help} title={nav.help}>
              <Icon name="help" />
            </a>
            <ThemeButton />
            <LanguageButton />
          </div>
        </Menu>
      </header>
      <main id="content" tabIndex={-1}>
        <Boundary key={name}>{children}</Boundary>
      </main>
      <Toasts />
    </>
  );
}

/** At the foot of the navigation; behind a button where there is little room. */
function Menu({ children }: { readonly children: ComponentChildren }): JSX.Element {
  const isOpen = useSignal(false);
  const { nav } = words.value;
  const arrival = arrivals.value;
  useEffect(() => {
    isOpen.value = false;
  }, [arrival]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') isOpen.value = false;
  };
  return (
    <div class="menu" onKeyDown={onKeyDown}>
      <button
        type="button"
        class="icon-button menu-button"
        aria-expanded={isOpen.value}
        aria-controls="menu"
        aria-label={nav.menu}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        <span class={`dot dot-${liveState.value}`} />
        <Icon name="menu" />
      </button>
      <div id="menu" class={isOpen.value ? 'bar-foot bar-foot-open' : 'bar-foot'}>
        {children}
      </div>
    </div>
  );
}

/** The address stays: a hash in it would be a place of its own. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Live(): JSX.Element {
  const { live } = words.value;
  return (
    <p class="live" title={live.about}>
      <span class={`dot dot-${liveState.value}`} aria-hidden="true" />
      {live[liveState.value]}
    </p>
  );
}

function Who(): JSX.Element | null {
  const known = session.value;
  const isAsking = useSignal(false);
  const { session: w } = words.value;
  if (known === undefined || known.mode === 'closed') return null;
  const isAnonymous = known.principal === 'anonymous';
  const close = (): void => {
    isAsking.value = false;
  };
  return (
    <div class="who">
      {known.mode === 'rules' && (
        <p>
          <Icon name="user" size={16} />
          <span>{isAnonymous ? w.anonymous : known.principal}</span>
        </p>
      )}
      {known.canRead && !known.canChange && (
        <details class="read-only">
          <summary>{w.readOnly}</summary>
          <div class="popover">
            <p>
              <Prose text={known.mode === 'rules' ? w.readOnlyRules : w.readOnlyText} />
            </p>
            <Snippet code="entrepot console" />
          </div>
        </details>
      )}
      {known.token !== undefined && (
        <Button look="link-button" act={() => void leave()}>
          {w.logout}
        </Button>
      )}
      {known.mode === 'rules' && isAnonymous && known.canLogIn && known.canRead && (
        <Button look="link-button" act={() => (isAsking.value = true)}>
          {w.title}
        </Button>
      )}
      {isAsking.value && (
        <Dialog title={w.title} close={close}>
          <div class="dialog-body">
            <LoginForm done={close} />
          </div>
        </Dialog>
      )}
    </div>
  );
}

async function leave(): Promise<void> {
  try {
    await logout();
  } catch (error) {
    toast(String(error), 'bad');
  }
}

function ThemeButton(): JSX.Element {
  const { theme: names } = words.value;
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] as Theme;
  const icons = { auto: 'contrast', light: 'sun', dark: 'moon' } as const;
  const label = `${names.choose}: ${names[theme.value]}`;
  return <IconButton icon={icons[theme.value]} size={20} label={label} act={() => (theme.value = next)} />;
}

function LanguageButton(): JSX.Element {
  const other = LANGUAGES.find((each) => each !== language.value) ?? 'en';
  return (
    <button
      type="button"
      class="tool-button"
      lang={other === 'zh' ? 'zh-CN' : other}
      onClick={() => {
        chooseLanguage(other).catch((error: unknown) => toast(String(error), 'bad'));
      }}
    >
      {NAMES[other]}
    </button>
  );
}
