// The node's API, as far as the page uses it.

// A Problem is an error that the node has told (RFC 9457).
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// ask gives the answer to a request, JSON as what it means.
export async function ask(method, path, { body, type, signal, raw } = {}) {
  const init = { method, signal, headers: {}, cache: 'no-store', credentials: 'same-origin' };
  if (body !== undefined) {
    init.body = type ? body : JSON.stringify(body);
    init.headers['Content-Type'] = type ?? 'application/json';
  }
  let response;
  try {
    response = await fetch('api/v1/' + path, init);
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new Problem(0, 'The node does not answer.');
  }
  if (!response.ok) throw await problem(response);
  return raw ? response.arrayBuffer() : response.json();
}

async function problem(response) {
  let detail = '';
  try {
    detail = (await response.json()).detail;
  } catch { /* it was no problem document: the status has to do */ }
  return new Problem(response.status, detail || `The node answered ${response.status} ${response.statusText}.`);
}

export const part = encodeURIComponent;

// newID draws the id of a packet, so that sending it again sends the same one.
export function newID() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}
