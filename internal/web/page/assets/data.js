// Shows a packet's data: as text, JSON, an image, or bytes. Whatever it is, it
// reaches the page as text alone; an image is one only when its first bytes say
// which, and is named so to the browser.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { ask, part } from './api.js';
import { size } from './text.js';

const mostImage = 32 << 20; // bytes
const magic = [
  ['image/png', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ['image/jpeg', [0xff, 0xd8, 0xff]],
  ['image/gif', [0x47, 0x49, 0x46, 0x38]],
  ['image/webp', [0x52, 0x49, 0x46, 0x46, -1, -1, -1, -1, 0x57, 0x45, 0x42, 0x50]],
];

export class DataView {
  #data;
  #id; // of the packet, '' where there is no more than data
  #draw;
  #bytes;
  #image;
  #url = '';
  #why = '';
  #loading = false;
  #as;
  #ended = false;

  constructor(data, id, draw) {
    this.#data = data;
    this.#id = id;
    this.#draw = draw;
    this.#bytes = data.data64 === undefined ? new TextEncoder().encode(data.data ?? '') : Uint8Array.from(atob(data.data64), (c) => c.charCodeAt(0));
    this.#image = magic.find(([, head]) => head.every((b, i) => b < 0 || this.#bytes[i] === b))?.[0];
    this.#as = this.#ways()[0];
  }

  end() {
    this.#ended = true;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = '';
  }

  #ways() {
    const ways = [];
    if (this.#image) ways.push('image');
    if (this.#data.kind === 'application/json' && !this.#data.cut) ways.push('JSON');
    if (this.#data.data !== undefined) ways.push('text');
    ways.push('hex');
    return ways;
  }

  view() {
    const ways = this.#ways();
    if (this.#as === 'image' && !this.#url && !this.#why && !this.#loading) this.#load();
    return html`
      <div class="data">
        <p class="small">${size(this.#data.size)}, ${this.#image ?? this.#data.kind}${this.#data.cut ? ', the beginning' : ''}
          ${ways.length > 1 ? html`<span class="ways" role="group" aria-label="Shown as">${ways.map((way) => html`
            <button type="button" aria-pressed=${String(way === this.#as)} @click=${() => { this.#as = way; this.#draw(); }}>${way}</button>`)}</span>` : nothing}
          ${this.#id && this.#data.cut ? html`<a href="api/v1/network/packets/${part(this.#id)}/data" download>All of it</a>` : nothing}</p>
        ${this.#content()}
      </div>`;
  }

  #content() {
    switch (this.#as) {
      case 'image':
        return this.#why ? html`<p class="bad">${this.#why}</p>` : this.#url ? html`<img src=${this.#url} alt="The data as an image">` : html`<p class="none">Loading the image …</p>`;
      case 'JSON':
        return html`<pre tabindex="0">${pretty(this.#data.data)}</pre>`;
      case 'text':
        return html`<pre tabindex="0">${this.#data.data}${this.#data.cut ? '…' : ''}</pre>`;
    }
    return html`<pre tabindex="0">${hex(this.#bytes)}</pre>`;
  }

  async #load() {
    this.#loading = true;
    this.#why = '';
    try {
      let bytes = this.#bytes;
      if (this.#data.cut) {
        if (!this.#id || this.#data.size > mostImage) throw new Error('The image is too large to be shown.');
        bytes = await ask('GET', `network/packets/${part(this.#id)}/data`, { raw: true });
      }
      await null; // never draws within the drawing that it was called from
      if (this.#ended) return;
      this.#url = URL.createObjectURL(new Blob([bytes], { type: this.#image }));
    } catch (err) {
      this.#why = err.message;
    }
    this.#loading = false;
    this.#draw();
  }
}

// pretty breaks JSON into lines. Every figure and text in it stays as it is, which
// reading and writing it again would not promise.
function pretty(text) {
  let out = '';
  let deep = 0;
  const line = () => '\n' + '  '.repeat(deep);
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{}[\],:]|[^\s{}[\],:"]+/gs)) {
    if (token === '{' || token === '[') {
      deep++;
      out += token + line();
    } else if (token === '}' || token === ']') {
      deep--;
      out += line() + token;
    } else if (token === ',') {
      out += token + line();
    } else {
      out += token === ':' ? ': ' : token;
    }
  }
  return out;
}

// hex is bytes as hexdump -C has them.
function hex(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, 4096); at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const codes = row.map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const text = row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${codes}  ${text}`);
  }
  return lines.join('\n') || '(no bytes)';
}
