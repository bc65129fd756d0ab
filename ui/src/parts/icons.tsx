import type { JSX } from 'preact';

// Drawn by hand on a grid of 24, in the colour of the text.

const PATHS = {
  now: 'M3 12h4l3-8 4 16 3-8h4',
  images: 'M4 7l8-4 8 4-8 4zM4 12l8 4 8-4M4 17l8 4 8-4',
  pulls: 'M12 3v12M7 11l5 5 5-5M4 20h16',
  registries: 'M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01',
  clients: 'M3 5h18v11H3zM8 20h8M12 16v4',
  configuration: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5v5M8 14.5v5',
  access: 'M12 3l7 3v6c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6zM9 12l2 2 4-4',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  cross: 'M6 6l12 12M18 6L6 18',
  warning: 'M12 4l9 16H3zM12 10v4M12 17h.01',
  search: 'M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5',
  chevron: 'M9 6l6 6-6 6',
  menu: 'M4 7h16M4 12h16M4 17h16',
  back: 'M15 6l-6 6 6 6',
  sun: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2',
  moon: 'M20 14.5A8.5 8.5 0 119.5 4a7 7 0 0010.5 10.5z',
  contrast: 'M12 3a9 9 0 100 18 9 9 0 000-18zM12 3v18M12 8h6.5M12 12h9M12 16h6.5',
  user: 'M12 4a4 4 0 100 8 4 4 0 000-8zM4.5 20c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5',
  help: 'M12 3a9 9 0 100 18 9 9 0 000-18zM9.5 9.5a2.5 2.5 0 114 2c-1 .7-1.5 1.2-1.5 2.5M12 17h.01',
  refresh: 'M20 6v5h-5M4 18v-5h5M5.5 9.5A7 7 0 0118 8l2 3M18.5 14.500A7 7 0 016 16l-2-3',
  pin: 'M9 3h6l-1 7 3 3H7l3-3zM12 13v8',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  flame: 'M12 3c1 4 5 5.5 5 10.500a5 5 0 01-10 0c0-2 1-3 2-4 0 2 1 3 2 3 1.5-3 0-6 1-9.500z',
} as const;

export type IconName = keyof typeof PATHS;

/** Beside a text that says the same: screen readers pass over it. */
export function Icon({ name, size = 20 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of entrepot: a ship with two containers, as in the tab of the browser. */
export function Mark(): JSX.Element {
  const { href } = document.querySelector<HTMLLinkElement>('link[rel=icon]') ?? {};
  return <img src={href} width={28} height={28} alt="" />;
}
