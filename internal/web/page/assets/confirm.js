// Asks before something is done that cannot be undone.

import { html, render } from './vendor/lit-html/lit-html.js';

const root = document.getElementById('ask');

// confirm gives true when the person says so.
export function confirm(title, text, verb) {
  return new Promise((done) => {
    render(html`
      <h2 id="ask-title">${title}</h2>
      <p>${text}</p>
      <div class="actions">
        <button type="button" @click=${() => root.close('')}>Cancel</button>
        <button type="button" class="danger" @click=${() => root.close('yes')}>${verb}</button>
      </div>`, root);
    root.returnValue = '';
    root.onclose = () => done(root.returnValue === 'yes');
    root.showModal();
  });
}
