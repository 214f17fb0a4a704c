// Figures as people read them.

export function count(n) {
  if (n < 10000) return String(Math.round(n));
  if (n < 1e6) return trim(n / 1e3) + 'k';
  if (n < 1e9) return trim(n / 1e6) + 'M';
  return trim(n / 1e9) + 'G';
}

function trim(n) {
  return n < 100 ? n.toFixed(1).replace(/\.0$/, '') : n.toFixed(0);
}

export function rate(n) {
  if (n <= 0) return '0/s';
  if (n < 10) return trim(n) + '/s';
  if (n < 1000) return Math.round(n) + '/s';
  return (n < 1e6 ? trim(n / 1e3) + 'k' : count(n)) + '/s';
}

export function size(n) {
  if (n < 1024) return n + ' B';
  for (const unit of ['KiB', 'MiB', 'GiB', 'TiB']) {
    n /= 1024;
    if (n < 1024 || unit === 'TiB') return trim(n) + ' ' + unit;
  }
}

// span is a time in nanoseconds.
export function span(ns) {
  if (!ns || ns < 0) return '0 s';
  ns = Math.round(ns);
  if (ns < 1e3) return ns + ' ns';
  if (ns < 1e6) return trim(ns / 1e3) + ' µs';
  if (ns < 1e9) return trim(ns / 1e6) + ' ms';
  const s = ns / 1e9;
  if (s < 60) return trim(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.round((s % 3600) / 60) + ' min';
  return trim(s / 86400) + ' days';
}

// ago is how long it is since a time that the node told.
export function ago(text) {
  if (!text) return '';
  const ms = Date.now() - Date.parse(text);
  return ms < 1000 ? 'now' : span(ms * 1e6).replace(/ \d+ s$/, (tail) => (ms < 60000 ? tail : '')) + ' ago';
}

// moment is a time that the node told, in milliseconds with what is below one, which
// Date.parse leaves out.
export function moment(text) {
  const digits = /\.(\d+)/.exec(text)?.[1] ?? '';
  return Date.parse(text) + Number('0.' + (digits.slice(3) || '0'));
}

// clock is the time of day with milliseconds.
export function clock(text) {
  const d = new Date(text);
  return d.toLocaleTimeString([], { hour12: false }) + '.' + String(d.getMilliseconds()).padStart(3, '0');
}

export function plural(n, one, many) {
  return count(n) + ' ' + (n === 1 ? one : many ?? one + 's');
}

// unloaded says that no replica of a seed is loaded; '' is that one is.
export function unloaded(s) {
  if (s.replicas.length === 0 || s.replicas.some((r) => !r.loading && !r.not_loaded)) return '';
  return s.replicas.some((r) => r.not_loaded) ? 'not loaded' : 'loading';
}

export function cut(text, most) {
  return text.length > most ? text.slice(0, most - 1) + '…' : text;
}
