// Dark or light: as the system says, until somebody chooses.

const key = 'pumpkin-theme';

export function startTheme() {
  let chosen = '';
  try {
    chosen = localStorage.getItem(key);
  } catch { /* a browser that keeps nothing: the system's choice has to do */ }
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
}

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

export function switchTheme() {
  const next = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(key, next);
  } catch { /* it holds until the page is left */ }
}
