import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const SearchIcon = () => (
  <Icon>
    <circle cx="10.5" cy="10.5" r="6.5" />
    <path d="m15.5 15.5 5 5" />
  </Icon>
);

export const PictureIcon = () => (
  <Icon>
    <rect x="3" y="4.5" width="18" height="15" rx="2.5" />
    <circle cx="8.5" cy="9.5" r="1.5" />
    <path d="m4 17 5-4.5 3.5 3 3-2.5 4.5 4" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m6 6 12 12M18 6 6 18" />
  </Icon>
);

export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
);

export const MinusIcon = () => (
  <Icon>
    <path d="M5 12h14" />
  </Icon>
);

export const DownIcon = () => (
  <Icon>
    <path d="m6 9.5 6 6 6-6" />
  </Icon>
);

export const BackIcon = () => (
  <Icon>
    <path d="m14.5 5-7 7 7 7" />
  </Icon>
);

export const ForwardIcon = () => (
  <Icon>
    <path d="m9.5 5 7 7-7 7" />
  </Icon>
);

export const ExternalIcon = () => (
  <Icon>
    <path d="M13 5h6v6M19 5l-9 9M17 14v4a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 5 18V9a1.5 1.5 0 0 1 1.5-1.5H10" />
  </Icon>
);

export const SimilarIcon = () => (
  <Icon>
    <rect x="3.5" y="7.5" width="13" height="13" rx="2.5" />
    <path d="M8 7V5.5A2 2 0 0 1 10 3.5h8.5a2 2 0 0 1 2 2V14a2 2 0 0 1-2 2H17" />
  </Icon>
);

export const CopiesIcon = () => (
  <Icon>
    <rect x="3.5" y="8.5" width="12" height="12" rx="2.5" />
    <path d="M7.5 5.5h8a3 3 0 0 1 3 3v8M11.5 2.5h7a3 3 0 0 1 3 3v7" />
  </Icon>
);

export const Logo = () => (
  <svg className="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <circle cx="13.5" cy="13.5" r="9.5" />
    <path d="m20.5 20.5 7.5 7.5" />
    <path className="logo-fine" d="m7.2 18.6 4.6-5 3.4 3.2 1.9-1.9 3.4 3.3" />
    <circle className="logo-dot" cx="16.8" cy="9.3" r="1.7" />
  </svg>
);
