// Sends one packet by hand.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { ask, part, newID } from './api.js';
import { packetRoute } from './route.js';
import { Act } from './act.js';
import { note } from './followed.js';

export class Send {
  #c;
  #state;
  #act;
  #sent = null;
  #id = null; // of what was sent without an answer

  constructor(context, state) {
    this.#c = context;
    this.#state = state;
    this.#act = new Act(context.draw);
  }

  #send(event) {
    event.preventDefault();
    const form = event.target;
    const file = form.elements.file.files[0];
    const track = form.elements.track.checked;
    // When no answer came it may have been taken: the same again is no second one.
    const id = (this.#id ??= newID());
    this.#act.run(async () => {
      const path = `states/${part(this.#state)}/packets?wait=0s&id=${id}&track=${track}`;
      this.#sent = await ask('POST', path, { body: file ?? form.elements.data.value, type: file ? 'application/octet-stream' : 'text/plain;charset=utf-8' });
      this.#id = null;
      note(this.#sent);
      form.elements.file.value = '';
      this.#c.reload();
      return `Sent from ${this.#sent.node}.`;
    });
  }

  // view is the form; open says whether it is unfolded at first.
  view(open) {
    return html`
      <details class="send" ?open=${open}>
        <summary>Send a packet</summary>
        <form @submit=${(event) => this.#send(event)} @input=${() => { this.#id = null; }}>
          <label>Data <textarea name="data" rows="3" spellcheck="false"></textarea></label>
          <label>or a file <input type="file" name="file"></label>
          <label class="check"><input type="checkbox" name="track"> keep the data of every hop</label>
          <div class="actions"><button type="submit" class="main" ?disabled=${this.#act.busy}>Send</button>
            ${this.#sent ? html`<a href="#${packetRoute(this.#sent.id)}">Follow ${this.#sent.id.slice(0, 8)}</a>` : nothing}</div>
          ${this.#act.view()}
        </form>
      </details>`;
  }
}
