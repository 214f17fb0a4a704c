// The panel of the nodes, of what was refused, and of what has happened lately.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { news } from './news.js';
import { seedRoute } from './route.js';
import { ago, count, plural, size } from './text.js';

export class NodesPanel {
  trouble = '';
  #c;

  constructor(context) {
    this.#c = context;
  }

  title() {
    return plural(this.#c.model.nodes.length, 'node');
  }

  view() {
    const m = this.#c.model;
    const frames = this.#c.frames.report();
    return html`
      ${m.copied ? html`<p class="bad">${m.copied}</p>` : nothing}
      <ul class="nodes">${m.nodes.map((n, i) => this.#node(n, i === 0))}</ul>
      ${m.orphans().length ? html`<h3>Inboxes of seeds that no node hosts</h3>
        <ul>${m.orphans().map((o) => html`<li>${plural(o.packets, 'packet')} for ${o.seed}: ${o.why}</li>`)}</ul>` : nothing}
      ${m.outsiders.length ? html`<h3>Nodes that are not reached</h3>
        <ul class="outsiders">${m.outsiders.map((o) => html`<li>${o.node ?? 'a node'} at ${o.at}: ${o.why}${o.next ? `: ${o.next}` : ''} <span class="small">${ago(o.since)}</span></li>`)}</ul>` : nothing}
      ${m.ignored.connections || m.ignored.beacons ? html`<p class="small">Ignored, since they came without the key: ${plural(m.ignored.connections, 'connection')}, ${plural(m.ignored.beacons, 'beacon')}.</p>` : nothing}
      <h3>Lately</h3>
      ${news().length ? html`<ul class="lately">${news().map((n) => html`<li class=${n.bad ? 'bad' : ''}><span class="small">${n.at.toLocaleTimeString([], { hour12: false })}</span> ${n.text}</li>`)}</ul>` : html`<p class="none">Nothing has happened since this page was opened.</p>`}
      <h3>Keys</h3>
      <dl class="keys">
        <dt><kbd>/</kbd></dt><dd>find a seed or a state</dd>
        <dt>arrows</dt><dd>move along the graph; <kbd>Enter</kbd> shows details, <kbd>Home</kbd> goes to the start</dd>
        <dt><kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd></dt><dd>zoom in, zoom out, show all</dd>
        <dt><kbd>t</kbd></dt><dd>table or graph</dd>
        <dt><kbd>n</kbd></dt><dd>the nodes</dd>
        <dt><kbd>Esc</kbd></dt><dd>close the panel</dd>
      </dl>
      ${frames.count ? html`<p class="small">Drawing: ${frames.count} animation frames, half within ${frames.p50.toFixed(0)} ms, 95 % within ${frames.p95.toFixed(0)} ms.</p>` : nothing}`;
  }

  #node(n, own) {
    const seeds = n.seeds ?? [];
    const waiting = (n.waiting ?? []).reduce((sum, w) => sum + w.packets, 0);
    const store = n.store ?? {};
    return html`
      <li class=${n.trouble ? 'silent' : ''}>
        <h3>${n.node}${own ? html` <span class="small">this node</span>` : nothing}${n.leaving ? html` <span class="bad">is leaving</span>` : nothing}</h3>
        ${n.trouble ? html`<p class="bad">${n.trouble}${n.seen ? `; it answered last ${ago(n.seen)}` : ''}</p>` : nothing}
        <p class="small">${[n.at, n.version, n.since && !n.since.startsWith('0001') ? `started ${ago(n.since)}` : ''].filter(Boolean).join(', ')}</p>
        <p>${seeds.length ? seeds.map((s, i) => html`${i ? ', ' : ''}<a href="#${seedRoute(s.manifest.name)}">${s.manifest.name}</a>`) : 'hosts no seed'}</p>
        <p class="small">${count(n.load?.running ?? 0)} running on ${plural(n.load?.cpus ?? 0, 'CPU')}, ${count(n.load?.queued ?? 0)} queued, ${count(waiting)} waiting;
          store ${store.durability}: ${size(store.used ?? 0)}${store.size ? ` of ${size(store.size)}` : ''}</p>
        ${store.error ? html`<p class="bad">${store.error}</p>` : nothing}
        ${store.refusing ? html`<p class="bad">Packets wait for room in its store.</p>` : nothing}
        ${(store.damage ?? []).map((d) => html`<p class="bad">${d}</p>`)}
        ${(n.refused ?? []).map((r) => html`<p class="bad">Seed ${r.manifest.name} is refused: ${r.why}</p>`)}
      </li>`;
  }
}
