import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { login, session } from './api.ts';
import { Button } from './parts/button.tsx';
import { Snippet } from './parts/copy.tsx';
import { toast } from './parts/feedback.tsx';
import { AS_TYPED, Field } from './parts/field.tsx';
import { textIn } from './parts/form.ts';
import { FormFault, Note } from './parts/note.tsx';
import { Heading, Prose } from './parts/page.tsx';
import { asApiError, textOf } from './reason.ts';
import { words } from './words/index.ts';

/** Shown where rules decide and the browser may not read. */
export function Login(): JSX.Element {
  const { session: w } = words.value;
  const { principal = 'anonymous', canLogIn = true } = session.value ?? {};
  return (
    <div class="gate card">
      <Heading title={w.title} />
      {principal !== 'anonymous' && <Note text={w.mayNot(principal)} />}
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
  const { session: w } = words.value;
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    busy.value = true;
    try {
      await login({ user: textIn(data, 'user'), password: textIn(data, 'password') });
      done?.();
    } catch (reason) {
      error.value = asApiError(reason).status === 401 ? w.wrong : textOf(reason);
    }
    busy.value = false;
  };
  return (
    <>
      <p class="quiet">{w.text}</p>
      <form class="login" onSubmit={(event) => void onSubmit(event)}>
        <Field label={w.user}>
          {(ids) => <input {...ids} {...AS_TYPED} name="user" autocomplete="username" required />}
        </Field>
        <Field label={w.password}>
          {(ids) => <input {...ids} name="password" type="password" autocomplete="current-password" required />}
        </Field>
        <FormFault text={error.value} />
        <Button look="button button-main" disabled={busy.value}>
          {w.login}
        </Button>
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
