// The panel of a seed.

import { html, nothing } from './vendor/lit-html/lit-html.js';
import { ask, part } from './api.js';
import { Act } from './act.js';
import { stateRoute } from './route.js';
import { count, rate, span, ago, plural, size } from './text.js';

const every = 2; // loads: all of the network is asked for every other time

export class SeedPanel {
  trouble = '';
  #c;
  #act;
  #seed = null; // with its replicas, as they were told last
  #turn = 0;

  constructor(context) {
    this.#c = context;
    this.#act = new Act(context.draw);
  }

  title() {
    return 'Seed ' + this.#c.name;
  }

  async load() {
    if (this.#turn++ % every && this.#seed) return;
    const all = await ask('GET', 'network', { signal: this.#c.signal });
    this.#seed = all.seeds.find((s) => s.name === this.#c.name) ?? null;
  }

  #pause(verb, node) {
    this.#act.run(async () => {
      const done = await ask('POST', `network/seeds/${part(this.#c.name)}/${verb}` + (node ? '?node=' + part(node) : ''));
      this.#turn = 0;
      this.#c.reload();
      return (verb === 'pause' ? 'Paused on ' : 'Runs again on ') + done.nodes.join(', ') + '.';
    });
  }

  view() {
    const s = this.#c.model.seeds.get(this.#c.name);
    if (!s) return html`<p>No node hosts this seed now.</p>`;
    const replicas = this.#seed?.replicas ?? s.replicas;
    const states = (list) => list.map((state, i) => html`${i ? ', ' : ''}<a href="#${stateRoute(state)}">${state}</a>`);
    const behind = this.#c.model.behind(s.name);
    const interpreters = [...new Set(replicas.map((r) => r.interpreter).filter(Boolean))];
    const errors = replicas.flatMap((r) => (r.errors ?? []).map((e) => ({ ...e, node: r.node }))).sort((a, b) => b.at.localeCompare(a.at));
    return html`
      ${s.about ? html`<p>${s.about}</p>` : nothing}
      <dl>
        <dt>takes</dt><dd>${s.inputs.length ? states(s.inputs) : 'nothing: an injector'}${s.join ? ' (all of them)' : ''}</dd>
        <dt>gives</dt><dd>${s.outputs.length ? states(s.outputs) : 'nothing: an extractor'}</dd>
        <dt>kind</dt><dd>${s.kind}</dd>
        <dt>rate</dt><dd>${rate(this.#c.model.rate('seed:' + s.name))}</dd>
        <dt>cost</dt><dd>${s.cost_ns ? span(s.cost_ns) + ' a packet' : 'not known yet'}</dd>
        <dt>backlog</dt><dd>${plural(s.ahead, 'packet')}${s.ahead && s.drain_ns ? `, done in ${span(s.drain_ns)}${s.drain_error ? ` (± ${Math.round(s.drain_error * 100)} %)` : ''}` : ''}</dd>
        <dt>so far</dt><dd>${count(s.in)} in, ${count(s.out)} out, ${plural(s.failed, 'failed run')}${s.gave_up ? html`, <a href="#${stateRoute('Error:' + s.name)}">${count(s.gave_up)} failed for good</a>` : nothing}${s.filtered ? `, ${count(s.filtered)} filtered` : ''}</dd>
        <dt>workers</dt><dd>${s.running} of ${s.workers} run</dd>
        ${interpreters.length ? html`<dt>run by</dt><dd>${interpreters.join(', ')}</dd>` : nothing}
      </dl>
      ${s.replicas.filter((r) => r.loading || r.not_loaded).map((r) => html`<p class="warn">On ${r.node} it is ${r.not_loaded ? `not loaded: ${r.not_loaded}. This is tried again` : 'being loaded'}; its packets wait.</p>`)}
      ${replicas.filter((r) => r.silent).map((r) => html`<p class="warn">On ${r.node} it ${r.silent}. The log says what the cause may be.</p>`)}
      ${behind.growth > 0 ? html`<p class="warn">The seed falls behind: its backlog grows by ${rate(behind.growth)}, which began ${ago(behind.since)}. Add workers, or another node with the seed.</p>` : nothing}
      <div class="actions">
        ${s.paused < s.replicas.length ? html`<button type="button" ?disabled=${this.#act.busy} @click=${() => this.#pause('pause')}>Pause</button>` : nothing}
        ${s.paused > 0 ? html`<button type="button" ?disabled=${this.#act.busy} @click=${() => this.#pause('resume')}>Resume</button>` : nothing}
      </div>
      ${this.#act.view()}
      <h3>On ${plural(replicas.length, 'node')}</h3>
      <div class="scroll" tabindex="0" role="region" aria-label="Nodes of the seed">
      <table>
        <thead><tr><th scope="col">Node</th><th scope="col">In</th><th scope="col">Queue</th><th scope="col">Runs</th><th scope="col">Cost</th><th scope="col"><span class="unseen">Pause</span></th></tr></thead>
        <tbody>${replicas.map((r) => html`
          <tr>
            <th scope="row">${r.node}<small>${r.version ? ` ${r.version}` : ''}</small></th>
            <td class="figure">${count(r.in)}</td>
            <td class="figure" title=${size(r.queued_bytes)}>${count(Math.max(r.stored, r.queued))}</td>
            <td class="figure">${r.running}/${r.workers}</td>
            <td class="figure" title=${line(r.prediction)}>${r.cost_ns ? span(r.cost_ns) : '–'}</td>
            <td><button type="button" ?disabled=${this.#act.busy} aria-label="${r.paused ? 'Resume' : 'Pause'} on ${r.node}" @click=${() => this.#pause(r.paused ? 'resume' : 'pause', r.node)}>${r.paused ? 'Resume' : 'Pause'}</button></td>
          </tr>`)}
        </tbody>
      </table>
      </div>
      ${replicas[0]?.file ? html`<p class="small">File: ${replicas[0].file}</p>` : nothing}
      <h3>Recent failures</h3>
      ${errors.length === 0 ? html`<p class="none">None.</p>` : errors.map((e) => html`
        <section class="failure">
          <p class="small">${ago(e.at)} on ${e.node}${e.count > 1 ? `, ${count(e.count)} times` : ''}${Date.parse(e.next) > Date.now() ? `; tried again in ${span((Date.parse(e.next) - Date.now()) * 1e6)}` : ''}</p>
          <pre class="bad" tabindex="0">${e.error}</pre>
          ${e.output ? html`<details><summary>The end of its output</summary><pre tabindex="0">${e.output}</pre></details>` : nothing}
        </section>`)}
      ${this.trouble ? html`<p class="bad">${this.trouble}</p>` : nothing}`;
  }
}

// line says what a packet costs by its size.
function line(p) {
  if (!p?.measured) return 'not measured yet';
  const part = (ns) => span(Math.round(ns));
  return `${part(p.packet_ns)} a packet and ${part(p.byte_ns * 1024)} a KiB, ± ${Math.round(p.error * 100)} %`;
}
