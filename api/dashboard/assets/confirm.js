// Asks before something is done that is hard to take back. The way out has the focus.

import { byId, say } from "./dom.js";

export function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  const from = document.activeElement;
  say(byId("confirm-title"), title);
  say(byId("confirm-text"), text);
  say(byId("confirm-yes"), yes);
  return new Promise((resolve) => {
    byId("confirm-yes").onclick = () => dialog.close("yes");
    byId("confirm-no").onclick = () => dialog.close("no");
    dialog.returnValue = "no";
    dialog.onclose = () => {
      if (from?.isConnected) from.focus();
      resolve(dialog.returnValue === "yes");
    };
    dialog.showModal();
    byId("confirm-no").focus();
  });
}
