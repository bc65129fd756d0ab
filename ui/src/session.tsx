import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { ApiError, login, session } from './api.ts';
import { Snippet } from './parts/copy.tsx';
import { toast } from './parts/feedback.tsx';
import { Icon } from './parts/icons.tsx';
import { Heading, Prose } from './parts/page.tsx';
import { words } from './words/index.ts';

/** Shown where rules decide and the browser may not read. */
export function Login(): JSX.Element {
  const { session: w } = words.value;
  const { principal = 'anonymous', canLogIn = true } = session.value ?? {};
  return (
    <div class="gate card">
      <Heading title={w.title} />
      {principal !== 'anonymous' && (
        <p class="note note-warn">
          <Icon name="warning" />
          <span>
            <Prose text={w.mayNot(principal)} />
          </span>
        </p>
      )}
      {canLogIn ? (
        <LoginForm />
      ) : (
        <>
          <p>{w.noUsers}</p>
          <Snippet code={'entrepot console\nentrepot users add NAME'} />
        </>
      )}
    </div>
  );
}

/** Asks for a user and a password. `done` is called after the login. */
export function LoginForm({ done }: { readonly done?: () => void }): JSX.Element {
  const { session: w, errors } = words.value;
  const id = useId();
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    busy.value = true;
    try {
      const textOf = (name: string): string => {
        const value = data.get(name);
        return typeof value === 'string' ? value : '';
      };
      await login({ user: textOf('user'), password: textOf('password') });
      done?.();
    } catch (reason) {
      const { status, message } = reason instanceof ApiError ? reason : new ApiError(String(reason), { status: 0 });
      error.value = status === 0 ? errors.unreachable : status === 401 ? w.wrong : message;
    }
    busy.value = false;
  };
  return (
    <>
      <p class="quiet">{w.text}</p>
      <form class="login" onSubmit={(event) => void onSubmit(event)}>
        <div class="field">
          <label for={`${id}-user`}>{w.user}</label>
          <input
            id={`${id}-user`}
            name="user"
            autocomplete="username"
            required
            autocapitalize="none"
            spellcheck={false}
          />
        </div>
        <div class="field">
          <label for={`${id}-password`}>{w.password}</label>
          <input id={`${id}-password`} name="password" type="password" autocomplete="current-password" required />
        </div>
        <div role="alert">
          {error.value !== undefined && (
            <p class="note note-bad">
              <Icon name="warning" />
              <span>{error.value}</span>
            </p>
          )}
        </div>
        <button type="submit" class="button button-main" disabled={busy.value}>
          {w.login}
        </button>
      </form>
    </>
  );
}

/** Shown where the server does not show the console to this browser. */
export function Closed({ remedy }: { readonly remedy: string | undefined }): JSX.Element {
  const { session: w } = words.value;
  return (
    <div class="gate card">
      <Heading title={w.closedTitle} />
      <p>{w.closedText}</p>
      {remedy !== undefined &&
        (remedy.includes('\n') ? (
          <Snippet code={remedy} />
        ) : (
          <p>
            <Prose text={remedy} />
          </p>
        ))}
      <p>
        <a href="/help">{w.closedHelp}</a>
      </p>
    </div>
  );
}

const CODE = /^#code=([\w.~-]+)$/;

/** The code of `entrepot console`, which is taken out of the address at once, so that it is in no history and no screenshot. */
export function takeCode(): string | undefined {
  const code = CODE.exec(location.hash)?.[1];
  if (code !== undefined) history.replaceState(null, '', location.pathname + location.search);
  return code;
}

export async function enter(code: string): Promise<void> {
  try {
    await login({ code });
  } catch {
    toast(words.peek().session.codeFailed.replaceAll('`', ''), 'bad');
  }
}
