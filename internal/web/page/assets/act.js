// A button's work: while it runs it says so, and what came of it stands beside.

import { html, nothing } from './vendor/lit-html/lit-html.js';

export class Act {
  #draw;
  #text = '';
  #bad = false;
  busy = false;

  constructor(draw) {
    this.#draw = draw;
  }

  // run does the work, which gives what is to be said of it.
  async run(work) {
    if (this.busy) return;
    this.busy = true;
    this.#text = '';
    this.#draw();
    try {
      this.#text = (await work()) ?? '';
      this.#bad = false;
    } catch (err) {
      this.#text = err.message;
      this.#bad = true;
    }
    this.busy = false;
    this.#draw();
  }

  view() {
    return html`<p class="said ${this.#bad ? 'bad' : ''}" role="status">${this.busy ? 'Working …' : this.#text || nothing}</p>`;
  }
}
