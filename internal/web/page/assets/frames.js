// Measures how long the frames of the page take, while something moves.

const kept = 600;

export class Frames {
  #deltas = [];
  #last = 0;

  note(now) {
    if (this.#last) this.#deltas.push(now - this.#last);
    if (this.#deltas.length > kept) this.#deltas.shift();
    this.#last = now;
  }

  // pause begins anew: what lies between two motions is no frame.
  pause() {
    this.#last = 0;
  }

  reset() {
    this.#deltas = [];
    this.#last = 0;
  }

  // report is the number of frames, and the times in milliseconds that half and 95 %
  // of them took at most.
  report() {
    const sorted = [...this.#deltas].sort((a, b) => a - b);
    const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { count: sorted.length, p50: at(0.5), p95: at(0.95) };
  }
}
