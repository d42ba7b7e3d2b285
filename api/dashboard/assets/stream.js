// The snapshots, one a second: reads them while the page is seen, and comes back after a loss.

import { ask, events, Refused } from "./api.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15000;
const SILENCE_MS = 8000;

export class Stream {
  // `tell` gets "snapshot", "trouble", "lost", "waiting" or "refused", and what there is to it.
  constructor(tell) {
    this.tell = tell;
    this.wanted = false;
    this.running = null;
    document.addEventListener("visibilitychange", () => this.heed());
    addEventListener("pagehide", () => this.running?.abort());
    addEventListener("pageshow", (event) => { if (event.persisted) this.heed(); });
    addEventListener("online", () => this.wake?.());
  }

  start() { this.wanted = true; this.heed(); }

  stop() { this.wanted = false; this.heed(); }

  heed() {
    const is_seen = this.wanted && document.visibilityState === "visible";
    if (is_seen && !this.running) {
      this.running = new AbortController();
      this.run(this.running);
    } else if (!is_seen && this.running) {
      this.running.abort();
      this.running = null;
    }
  }

  async run(running) {
    let pause = FIRST_PAUSE_MS;
    while (!running.signal.aborted) {
      try {
        await this.read(running.signal, () => { pause = FIRST_PAUSE_MS; });
        this.tell("lost", "The API has ended the connection.");
      } catch (error) {
        if (running.signal.aborted) return;
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
          this.running = null;
          this.wanted = false;
          this.tell("refused", error);
          return;
        }
        this.tell("lost", error instanceof Refused ? error.message : "The connection was lost.");
      }
      await this.rest(pause * (0.7 + Math.random() * 0.6), running.signal);
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    }
  }

  async read(signal, came) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const both = AbortSignal.any([signal, silence.signal]);
      const answer = await ask("dashboard/data/live", { signal: both });
      for await (const [name, data] of events(answer)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        came();
        const told = JSON.parse(data);
        if (name === "end") throw new Refused(401, told.error?.message ?? "The token has ended.");
        this.tell(name, name === "trouble" ? told.message : told);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  rest(ms, signal) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = resolve;
      signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }
}
