// The panel of a state: the packets in it, and a way to send one.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { repeat } from './vendor/lit-html/directives/repeat.js';
import { ask, part } from './api.js';
import { Act } from './act.js';
import { isError } from './model.js';
import { confirm } from './confirm.js';
import { DataView } from './data.js';
import { Send } from './send.js';
import { seedRoute, packetRoute } from './route.js';
import { ago, plural, rate, span } from './text.js';
import { why } from './table.js';

const most = 50; // packets that are shown
const bytes = 2048; // of each

export class StatePanel {
  trouble = '';
  #c;
  #act;
  #send;
  #found = null;
  #data = new Map(); // views of packets, by id and place

  constructor(context) {
    this.#c = context;
    this.#act = new Act(context.draw);
    this.#send = new Send(context, context.name);
  }

  title() {
    return 'State ' + this.#c.name;
  }

  async load() {
    this.#found = await ask('GET', `network/states/${part(this.#c.name)}/packets?limit=${most}&bytes=${bytes}`, { signal: this.#c.signal });
    const here = new Set(this.#found.packets.map(keyOf));
    for (const [key, view] of this.#data) {
      if (here.has(key)) continue;
      view.end();
      this.#data.delete(key);
    }
    for (const p of this.#found.packets) {
      if (!this.#data.has(keyOf(p))) this.#data.set(keyOf(p), new DataView(p, p.id, this.#c.draw));
    }
  }

  end() {
    for (const view of this.#data.values()) view.end();
  }

  // handle retries or drops packets.
  #handle(verb, selection, said) {
    this.#act.run(async () => {
      const { count } = await ask('POST', 'network/' + verb, { body: selection });
      this.#c.reload();
      return plural(count, 'packet') + ' ' + said + '.';
    });
  }

  async #drop(selection, what) {
    if (await confirm('Drop ' + what + '?', 'What is dropped is gone: no seed gets it any more.', 'Drop')) this.#handle('drop', selection, 'dropped');
  }

  view() {
    const name = this.#c.name;
    const s = this.#c.model.states.get(name);
    const seeds = (list) => (list.length ? list.map((seed, i) => html`${i ? ', ' : ''}<a href="#${seedRoute(seed)}">${seed}</a>`) : 'none');
    return html`
      ${s ? html`
        <dl>
          <dt>given by</dt><dd>${seeds(s.producers)}</dd>
          <dt>taken by</dt><dd>${seeds(s.acceptors)}</dd>
          <dt>rate</dt><dd>${rate(this.#c.model.through(name))}</dd>
          ${s.waiting ? html`<dt>waiting</dt><dd>${plural(s.waiting, 'packet')}${s.since ? `, the oldest stored ${ago(s.since)}` : ''}</dd>
            <dt>why</dt><dd>${why(s)}</dd>` : nothing}
        </dl>` : html`<p>No seed takes or gives this state now, and no packet waits in it.</p>`}
      ${s?.waiting ? html`
        <div class="actions">
          <button type="button" ?disabled=${this.#act.busy} @click=${() => this.#handle('retry', { states: [name] }, 'sent on again')}>Retry all</button>
          <button type="button" class="danger" ?disabled=${this.#act.busy} @click=${() => this.#drop({ states: [name] }, `all packets that wait in ${name}`)}>Drop all</button>
        </div>` : nothing}
      ${this.#act.view()}
      ${this.#send.view(!isError(name))}
      <h3>Packets${this.#found?.more ? ` (the first ${this.#found.packets.length})` : ''}</h3>
      ${this.#found?.unanswered?.length ? html`<p class="bad">No answer from ${this.#found.unanswered.join(', ')}.</p>` : nothing}
      ${this.trouble ? html`<p class="bad">${this.trouble}</p>` : nothing}
      ${this.#found && this.#found.packets.length === 0 ? html`<p class="none">No packet in this state is stored now. Packets that run immediately are never stored.</p>` : nothing}
      <ul class="packets">${repeat(this.#found?.packets ?? [], keyOf, (p) => this.#packet(p))}</ul>`;
  }

  #packet(p) {
    const id = p.id.slice(0, 8);
    return html`
      <li>
        <p><a href="#${packetRoute(p.id)}" title=${p.id}>${id}</a>
          <span class="small">on ${p.node}${p.seed ? `, for ${p.seed}` : ''}, stored ${ago(p.since)}${p.hop_count ? `, after ${plural(p.hop_count, 'hop')}` : ''}${late(p)}</span></p>
        ${p.fault ? html`<pre class="bad" tabindex="0">${p.fault.error}</pre>` : nothing}
        ${this.#data.get(keyOf(p))?.view() ?? nothing}
        ${p.seed ? nothing : html`<div class="actions">
          <button type="button" ?disabled=${this.#act.busy} aria-label="Retry ${id}" @click=${() => this.#handle('retry', { ids: [p.id] }, 'sent on again')}>Retry</button>
          <button type="button" class="danger" ?disabled=${this.#act.busy} aria-label="Drop ${id}" @click=${() => this.#drop({ ids: [p.id] }, 'packet ' + id)}>Drop</button>
        </div>`}
      </li>`;
  }
}

const keyOf = (p) => [p.id, p.node, p.seed ?? ''].join(' ');

// late says when a packet may run that waits for its next try.
function late(p) {
  const ms = p.not_before ? Date.parse(p.not_before) - Date.now() : 0;
  return ms > 0 ? `, next try in ${span(ms * 1e6)}` : '';
}
