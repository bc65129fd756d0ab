import type { ComponentChildren, JSX } from 'preact';
import { Icon, type IconName } from './icons.tsx';

/** A button that does something. In a form, one without `act` sends it. */
export function Button({
  act,
  look = 'button',
  icon,
  children,
  ...rest
}: {
  readonly act?: () => void;
  /** Main: what most readers came for; danger: red; link: a word in a row of a table. */
  readonly look?: 'button' | 'button button-main' | 'button button-danger' | 'button newer' | 'link-button';
  readonly icon?: IconName;
  readonly title?: string | undefined;
  readonly disabled?: boolean;
  readonly 'aria-label'?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <button type={act === undefined ? 'submit' : 'button'} class={look} onClick={act} {...rest}>
      {icon !== undefined && <Icon name={icon} size={16} />}
      {children}
    </button>
  );
}

/** A button that is a picture, with what it does to hover and for screen readers. */
export function IconButton({
  icon,
  label,
  act,
  size = 16,
}: {
  readonly icon: IconName;
  readonly label: string;
  readonly act: () => void;
  readonly size?: number;
}): JSX.Element {
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} onClick={act}>
      <Icon name={icon} size={size} />
    </button>
  );
}
