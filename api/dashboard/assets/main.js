// Begins: the token, the views, and what each snapshot changes.

import { Refused, data } from "./api.js";
import { offerChatModels, setUpChat } from "./chat.js";
import { byId, h, mark, say, shape } from "./dom.js";
import { showFleet } from "./fleet.js";
import { age, clock } from "./format.js";
import { showGone } from "./gone.js";
import { complain } from "./orders.js";
import { leavePast, offerModels, past, setUpPast, wantPast } from "./past.js";
import { showRequests } from "./requests.js";
import { announce } from "./speech.js";
import { Stream } from "./stream.js";
import { setUpTheme } from "./theme.js";
import { endsAt, forgetToken, keepToken, takeFromAddress, token } from "./token.js";
import { setUpUsage, showUsage } from "./usage.js";
import { oldestWait, showVerdict, verdict } from "./verdict.js";
import { showWorkers } from "./workers.js";

const VIEWS = ["fleet", "usage", "chat"];
const OLD_MS = 4000;
const SOON_MS = 10 * 60 * 1000;

const stream = new Stream(heed);
let snapshot = null;
let came_at = Date.now();
let trouble = "";
let said = "";
let seen_at = Date.now();

function heed(what, told) {
  if (what === "snapshot") {
    snapshot = told;
    came_at = Date.now();
    trouble = "";
    show();
  } else if (what === "refused") {
    signIn(told.message);
  } else {
    trouble = told;
  }
  showLink();
}

function show() {
  if (!snapshot) return;
  showVerdict(snapshot);
  showFleet(snapshot, past());
  showWorkers(snapshot.models, past());
  showRequests(snapshot.models);
  showGone(snapshot.models);
  offerModels(snapshot.models.map((model) => model.model));
  offerChatModels(snapshot.models);
  for (const part of ["tiles", "past-part", "requests-part"]) byId(part).hidden = !snapshot.models.length;
  say(byId("about"), `llamaq ${snapshot.version}${snapshot.api ? ` · ${snapshot.api}` : ""}`);
  const [kind, text] = verdict(snapshot);
  const waits = oldestWait(snapshot) > 0;
  document.title = `${kind === "bad" ? "(!) " : ""}llamaq${waits ? " · waiting" : ""}`;
  const news = kind + (kind === "good" ? "" : text.replace(/\d+ (s|min|h|d)\b/, ""));
  if (news !== said && said) announce(text);
  said = news;
}

function showLink() {
  const old_ms = Date.now() - came_at;
  const link = byId("link-state");
  const is_live = snapshot && old_ms < OLD_MS && !trouble;
  const comes_back = !trouble && Date.now() - seen_at < OLD_MS;
  const kind = is_live ? "good" : "warn";
  const text = is_live ? "Live" : snapshot ? `${age(old_ms / 1000)} old` : "Connecting";
  if (link.dataset.kind !== kind) {
    link.dataset.kind = kind;
    link.replaceChildren(shape(kind), h("span"));
    if (snapshot && !comes_back) announce(is_live ? "Live again." : "The connection is lost. What is shown is old.");
  }
  say(link.lastChild, text);
  if (!is_live && trouble) complain(`${trouble} What you see is ${snapshot ? `${age(old_ms / 1000)} old` : "nothing yet"}; the page tries again by itself.`);
  else if (is_live && byId("notice").dataset.of === "link") complain(soon());
  byId("notice").dataset.of = !is_live && trouble ? "link" : "";
}

function soon() {
  const ends = endsAt();
  return ends && ends - Date.now() < SOON_MS
    ? `The token of this page ends at ${clock(ends)}. llamaq dashboard prints a new link.` : "";
}

function route() {
  const asked = location.hash.slice(1);
  if (asked.startsWith("token=")) { begin(); return; }
  if (!token()) return;
  const view = VIEWS.includes(asked) ? asked : "fleet";
  for (const each of VIEWS) byId(each).hidden = each !== view;
  for (const link of byId("views").children) mark(link, "aria-current", link.hash === `#${view}` ? "page" : null);
  if (view === "usage") showUsage();
  if (view === "fleet") wantPast(show);
  else leavePast();
}

function signIn(why = "") {
  forgetToken();
  stream.stop();
  leavePast();
  snapshot = null;
  for (const id of [...VIEWS, "views", "sign-out", "link-state"]) byId(id).hidden = true;
  byId("sign-in").hidden = false;
  complain(why);
  mark(byId("token"), "aria-invalid", why ? "true" : null);
  if (why) byId("token").focus();
}

function open() {
  byId("sign-in").hidden = true;
  for (const id of ["views", "sign-out", "link-state"]) byId(id).hidden = false;
  complain(soon());
  stream.start();
  route();
}

function begin() {
  if (takeFromAddress()) stream.stop();
  if (token()) open();
  else signIn();
}

// Nothing of what was shown or said is left in the page.
function forgetAll() {
  forgetToken();
  history.replaceState(null, "", location.pathname);
  location.reload();
}

async function tryToken(event) {
  event.preventDefault();
  const field = byId("token");
  keepToken(field.value.trim());
  try {
    await data("");
    field.value = "";
    open();
    byId("content").focus();
  } catch (error) {
    signIn(error instanceof Refused ? error.message : "The token could not be tried.");
  }
}

function setUp() {
  setUpTheme();
  setUpUsage();
  setUpChat();
  setUpPast(show);
  byId("sign-in-form").addEventListener("submit", tryToken);
  byId("sign-out").addEventListener("click", forgetAll);
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("content").focus(); });
  byId("copy-command").addEventListener("click", async () => {
    await navigator.clipboard?.writeText(byId("sign-in-command").textContent);
    announce("Copied.");
  });
  addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", () => { seen_at = Date.now(); });
  setInterval(() => { if (token() && document.visibilityState === "visible") showLink(); }, 1000);
  begin();
}

setUp();
