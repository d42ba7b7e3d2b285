// What an admin can order: each asks first where something is lost by it.

import { order } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, say } from "./dom.js";
import { announce } from "./speech.js";

async function carryOut(what, about, done, button) {
  mark(button, true);
  try {
    await order(what, about);
    announce(done);
  } catch (error) {
    if (error.name !== "AbortError") complain(`That did not work: ${error.message}`);
  } finally {
    mark(button, false);
  }
}

function mark(button, is_busy) {
  if (is_busy) button.setAttribute("aria-busy", "true");
  else button.removeAttribute("aria-busy");
}

export function complain(text) {
  const notice = byId("notice");
  say(notice, text);
  notice.hidden = !text;
  if (text) announce(text);
}

export async function drain(worker, button) {
  const running = worker.running ? ` Its ${worker.running} running request(s) end as usual.` : "";
  const sure = await confirmed(`Drain ${worker.id}?`,
    `It takes no new requests until you resume it, also after a restart.${running}`, "Drain");
  if (sure) await carryOut("drain", { worker: worker.id }, `${worker.id} is drained.`, button);
}

export async function resume(worker, button) {
  await carryOut("resume", { worker: worker.id }, `${worker.id} takes requests again.`, button);
}

export async function cancel(request, button) {
  const sure = await confirmed("Cancel this request?",
    `The request ${request.id} of ${request.tenant} ends with an error. What its client has received stays there.`,
    "Cancel request");
  if (sure) await carryOut("cancel", { job: request.id }, "The request is cancelled.", button);
}
