// The panel of a packet: its data where it rests, and its family, which is all that
// came of what was injected: which seed on which node, when, how long, and with
// which result.

import { html, svg, nothing } from './vendor/lit-html/lit-html.js';
import { ask, part } from './api.js';
import { DataView } from './data.js';
import { outcome } from './followed.js';
import { seedRoute, stateRoute, packetRoute } from './route.js';
import { ago, clock, count, moment, plural, span } from './text.js';

export class PacketPanel {
  trouble = '';
  #c;
  #copies = null; // where it lies in stores
  #lies = ''; // why there are none
  #trace = null;
  #untraced = '';
  #outcome = null;
  #data = new Map();

  constructor(context) {
    this.#c = context;
  }

  title() {
    return 'Packet ' + this.#c.name.slice(0, 8);
  }

  async load() {
    const id = this.#c.name;
    const signal = this.#c.signal;
    const [copies, trace, out] = await Promise.allSettled([
      ask('GET', `network/packets/${part(id)}`, { signal }), ask('GET', `trace/${part(id)}`, { signal }), outcome(id, signal),
    ]);
    if (signal.aborted) return;
    this.#copies = copies.status === 'fulfilled' ? copies.value.packets : [];
    this.#lies = copies.status === 'fulfilled' ? '' : copies.reason.message;
    this.#trace = trace.status === 'fulfilled' ? trace.value : null;
    this.#untraced = trace.status === 'fulfilled' ? '' : trace.reason.message;
    this.#outcome = out.status === 'fulfilled' ? out.value : null;
    for (const p of this.#copies) this.#view('copy ' + p.node + (p.seed ?? ''), p, p.id);
  }

  end() {
    for (const { view } of this.#data.values()) view.end();
  }

  // view is what shows some data; the same as long as the data is the same.
  #view(key, data, id) {
    const has = this.#data.get(key);
    if (has && has.data.size === data.size && has.data.data === data.data && has.data.data64 === data.data64) return has.view;
    has?.view.end();
    const view = new DataView({ kind: data.data === undefined ? 'application/octet-stream' : 'text/plain', ...data }, id, this.#c.draw);
    this.#data.set(key, { data, view });
    return view;
  }

  view() {
    const o = this.#outcome;
    const waiting = Object.entries(o?.waiting ?? {});
    return html`
      <p class="id">${this.#c.name}</p>
      ${o ? html`<p role="status" class=${waiting.some(([s]) => s.startsWith('Error:')) ? 'bad' : ''}>
        ${o.over ? 'Everything that came of it has finished' : `In progress: ${plural(o.live, 'packet')}`}: ${plural(o.ended, 'run')}${o.over ? '' : ' finished'}${waiting.map(([state, n]) => html`,
          ${count(n)} in <a href="#${stateRoute(state)}">${state}</a>`)}${Object.entries(o.kept ?? {}).map(([seed, n]) => html`,
          ${count(n)} kept for ${seed}, which is away`)}.</p>` : nothing}
      <h3>Where it is stored</h3>
      ${this.#copies === null ? html`<p class="none">Loading …</p>` : this.#copies.length === 0 ? html`<p class="none">${this.#lies || 'It is in no store.'}</p>` : nothing}
      ${this.#copies?.map((p) => html`
        <section class="copy">
          <p><a href="#${stateRoute(p.state)}">${p.state}</a> <span class="small">on ${p.node}${p.seed ? html`, for <a href="#${seedRoute(p.seed)}">${p.seed}</a>` : ', waiting'}, stored ${ago(p.since)}</span></p>
          ${p.attributes ? html`<p class="small">${Object.entries(p.attributes).map(([name, value], i) => html`${i ? ', ' : ''}${name}=${JSON.stringify(value)}`)}</p>` : nothing}
          ${p.fault ? html`<pre class="bad" tabindex="0">${p.fault.error}</pre>${p.fault.output ? html`<details><summary>The end of the output</summary><pre tabindex="0">${p.fault.output}</pre></details>` : nothing}` : nothing}
          ${this.#view('copy ' + p.node + (p.seed ?? ''), p, p.id).view()}
        </section>`)}
      <h3>Family</h3>
      ${this.#trace ? this.#family() : this.#hops()}`;
  }

  // hops is what the packet itself knows, where nothing else is.
  #hops() {
    const p = this.#copies?.find((c) => c.hops.length);
    if (!p) return html`<p class="none">${this.#untraced || 'It has come through no seed yet.'}</p>`;
    return html`<ol class="hops">${p.hops.map((h, i) => html`
      <li><a href="#${seedRoute(h.seed)}">${h.seed}</a> on ${h.node} <span class="small">${clock(h.at)}</span>
        ${h.state ? html`<span class="small">from ${h.state}</span>${this.#view('hop ' + i, h, '').view()}` : nothing}</li>`)}</ol>`;
  }

  #family() {
    const t = this.#trace;
    const times = { from: Infinity, to: -Infinity };
    const look = (step) => {
      for (const run of [...(step.runs ?? []), ...(step.born ? [step.born] : [])]) {
        times.from = Math.min(times.from, moment(run.at));
        times.to = Math.max(times.to, moment(run.at) + run.took_ns / 1e6);
        for (const next of run.steps ?? []) look(next);
      }
    };
    for (const step of t.roots) look(step);
    return html`
      <p class="small">Ship ${t.ship}${times.to > times.from ? `, ${span((times.to - times.from) * 1e6)} in all` : ''}</p>
      ${(t.notes ?? []).map((note) => html`<p class="small">${note}</p>`)}
      <ul class="tree">${t.roots.map((step, i) => this.#step(step, times, String(i)))}</ul>`;
  }

  #step(step, times, at) {
    const asked = step.packet === this.#trace.packet;
    return html`
      <li>
        <p class=${asked ? 'asked' : ''}><a href="#${stateRoute(step.state)}">${step.state}</a>
          <a class="small" href="#${packetRoute(step.packet)}" title=${step.packet}>${step.packet.slice(0, 8)}</a>
          ${step.born ? html`<span class="small">came in on ${step.born.node}${step.born.seed ? ' from ' + step.born.seed : ''} at ${clock(step.born.at)}</span>` : nothing}
          ${step.unknown ? html`<span class="small">what became of it is no longer known</span>` : nothing}</p>
        ${step.hops?.length ? html`<p class="small">after ${step.hops.map((h, i) => html`${i ? ', ' : ''}<a href="#${seedRoute(h.seed)}">${h.seed}</a> on ${h.node}`)}</p>` : nothing}
        ${(step.stored ?? []).map((r) => html`<p class="rest">${r.seed ? `for ${r.seed}` : 'waits'} on ${r.node}, stored ${ago(r.since)}${r.why ? `: ${r.why}` : ''}${r.error ? `: ${r.error}` : ''}</p>`)}
        ${(step.runs ?? []).map((run, i) => this.#run(run, times, at + '.' + i))}
      </li>`;
  }

  #run(run, times, at) {
    return html`
      <div class="run">
        <p><a href="#${seedRoute(run.seed)}">${run.seed}</a> on ${run.node} <span class="small">at ${clock(run.at)}, ${span(run.took_ns)}${run.attempt > 1 ? `, attempt ${run.attempt}` : ''}</span> <span class="result ${run.error ? 'bad' : ''}">${run.result}</span></p>
        ${bar(run, times)}
        ${run.error ? html`<pre class="bad" tabindex="0">${run.error}</pre>` : nothing}
        ${run.in ? this.#view(`run ${at}`, run.in, '').view() : nothing}
        ${run.steps?.length ? html`<ul class="tree">${run.steps.map((step, i) => this.#step(step, times, at + '.' + i))}</ul>` : nothing}
        ${run.more ? html`<p class="small">and ${plural(run.more, 'output')} more</p>` : nothing}
      </div>`;
  }
}

// bar shows when a run was, in the time of its family.
function bar(run, times) {
  const all = Math.max(0.0001, times.to - times.from);
  const from = Math.max(0, Math.min(99, ((moment(run.at) - times.from) / all) * 100));
  const wide = Math.max(1, Math.min(100 - from, (run.took_ns / 1e6 / all) * 100));
  return html`<svg class="time" aria-hidden="true" width="100%" height="5">${svg`<rect class="all" width="100%" height="5"></rect><rect class=${run.error ? 'bad' : 'some'} x="${from}%" width="${wide}%" height="5"></rect>`}</svg>`;
}
