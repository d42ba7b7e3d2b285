// Light, dark, or as the system has it.

import { byId, say } from "./dom.js";

const KEY = "llamaq.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

const now = () => document.documentElement.dataset.theme ?? "system";

export function setUpTheme() {
  const button = byId("theme");
  const show = () => {
    say(byId("theme-now"), now());
  };
  button.addEventListener("click", () => {
    const next = NEXT[now()];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch { /* it holds until the page is closed */ }
    show();
  });
  show();
}
