// The bar above: how the network does in a line, the search, and what else can be
// shown.

import { html, render, nothing } from './vendor/lit-html/lit-html.js';
import { count, plural } from './text.js';
import { isDark, switchTheme } from './theme.js';

export class Bar {
  text = ''; // that is searched for
  #root;
  #model;
  #graph;
  #actions;
  #state = 'asking';
  #why = '';
  #found = null;
  #asTable = false;

  constructor(root, model, graph, actions) {
    this.#root = root;
    this.#model = model;
    this.#graph = graph;
    this.#actions = actions;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.update(this.#asTable));
  }

  state(state, why) {
    this.#state = state;
    this.#why = why ?? '';
  }

  search() {
    this.#root.querySelector('input').select();
  }

  update(asTable) {
    this.#asTable = asTable;
    render(this.#view(), this.#root);
  }

  #view() {
    const m = this.#model;
    const t = m.totals();
    const first = m.nodes[0];
    const words = { live: 'live', asking: 'polling every second', lost: 'The node does not answer' };
    return html`
      <a class="brand" href="#nodes" title="The nodes of the network"><img src="icon.svg" alt="" width="24" height="24"><span>Pumpkin</span></a>
      <span class="link ${this.#state}" title=${this.#why || nothing}>${words[this.#state]}${this.#state === 'lost' ? '' : first ? ` · ${first.node}` : ''}</span>
      <ul class="totals" aria-label="Summary">
        <li><a href="#nodes">${plural(m.nodes.length, 'node')}</a></li>
        <li>${plural(m.seeds.size, 'seed')}</li>
        <li class=${t.ahead ? '' : 'none'}>${count(t.ahead)} queued</li>
        <li class=${t.waiting ? 'warn' : 'none'}>${count(t.waiting)} waiting</li>
        <li class=${t.failed ? 'bad' : 'none'}>${count(t.failed)} failed</li>
      </ul>
      <form class="find" role="search" @submit=${(event) => this.#go(event)}>
        <input type="search" placeholder="Find  /" aria-label="Find a seed or a state" .value=${this.text} @input=${(event) => this.#find(event.target.value)}>
        <span role="status">${this.#found === null ? nothing : this.#found.length}</span>
      </form>
      <div class="tools">
        ${this.#asTable ? nothing : html`
          <button type="button" title="Zoom in (+)" aria-label="Zoom in" @click=${() => this.#graph.view.zoom(1.25)}>+</button>
          <button type="button" title="Zoom out (-)" aria-label="Zoom out" @click=${() => this.#graph.view.zoom(0.8)}>−</button>
          <button type="button" title="Show all (0)" @click=${() => this.#graph.fit()}>Fit</button>
          <button type="button" title="Lay out the graph again" @click=${() => this.#graph.tidy()}>Tidy</button>`}
        <button type="button" title="Graph or table (t)" aria-pressed=${String(this.#asTable)} @click=${() => this.#actions.table(!this.#asTable)}>Table</button>
        <button type="button" @click=${() => { switchTheme(); this.update(this.#asTable); }}>${isDark() ? 'Light' : 'Dark'}</button>
      </div>`;
  }

  #find(text) {
    this.text = text;
    const found = this.#graph.search(text);
    this.#found = text.trim() ? found : null;
    this.#actions.changed();
  }

  // go leads to what was found.
  #go(event) {
    event.preventDefault();
    if (!this.#asTable && this.#found?.length) this.#graph.show(this.#found[0]);
  }
}
