// The panel beside the graph: one seed, state, or packet, or the nodes. What it
// shows is asked for every second while it is open.

import { html, render } from './vendor/lit-html/lit-html.js';
import { parse } from './route.js';
import { SeedPanel } from './seed.js';
import { StatePanel } from './state.js';
import { PacketPanel } from './packet.js';
import { NodesPanel } from './nodes.js';

const kinds = { seed: SeedPanel, state: StatePanel, packet: PacketPanel, nodes: NodesPanel };
const askTime = 1000;

export class Panel {
  #root;
  #model;
  #frames;
  #graph;
  #shown = null; // what is open
  #hash = '';
  #ends = null;
  #back = null; // what had the keyboard before

  constructor(root, model, frames, graph) {
    this.#root = root;
    this.#model = model;
    this.#frames = frames;
    this.#graph = graph;
  }

  get isOpen() {
    return this.#shown !== null;
  }

  // hash is the address of what is open.
  get hash() {
    return this.#hash;
  }

  // open shows what the address names, nothing for ''.
  open(hash) {
    if (hash === this.#hash) return;
    const { kind, name } = parse(hash);
    const Kind = kinds[kind];
    if (!this.#shown) this.#back = document.activeElement;
    this.#end();
    this.#hash = hash;
    if (!Kind) {
      this.#root.hidden = true;
      this.#graph.select('');
      return;
    }
    const ends = new AbortController();
    this.#ends = ends;
    this.#shown = new Kind({
      name, model: this.#model, frames: this.#frames, signal: ends.signal,
      draw: () => { if (!ends.signal.aborted) this.update(); },
      reload: () => this.#load(ends.signal),
    });
    this.#root.hidden = false;
    this.#graph.select(kind === 'seed' || kind === 'state' ? kind + ':' + name : '');
    render(html``, this.#root); // nothing of what was there before stays
    this.update();
    this.#root.querySelector('h2')?.focus();
    this.#keep(ends.signal);
  }

  close() {
    history.pushState(null, '', location.pathname + location.search);
    this.open('');
    const back = this.#back;
    if (back?.isConnected && back !== document.body) back.focus();
    else this.#graph.focus();
  }

  update() {
    if (!this.#shown) return;
    render(html`
      <div class="head"><h2 tabindex="-1">${this.#shown.title()}</h2>
        <button type="button" class="close" title="Close (Esc)" aria-label="Close" @click=${() => this.close()}>×</button></div>
      <div class="body">${this.#shown.view()}</div>`, this.#root);
  }

  // changed is called when something has happened in the network.
  changed() {
    if (this.#shown) this.#load(this.#ends.signal);
  }

  #end() {
    this.#ends?.abort();
    this.#shown?.end?.();
    this.#shown = this.#ends = null;
  }

  async #keep(signal) {
    while (!signal.aborted) {
      await this.#load(signal);
      await new Promise((done) => setTimeout(done, askTime));
    }
  }

  async #load(signal) {
    const shown = this.#shown;
    if (signal.aborted || !shown?.load || shown.loading) return;
    shown.loading = true;
    try {
      await shown.load();
      shown.trouble = '';
    } catch (err) {
      if (err.name === 'AbortError') return;
      shown.trouble = err.message;
    } finally {
      shown.loading = false;
    }
    if (!signal.aborted) this.update();
  }
}
