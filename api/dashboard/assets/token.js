// The token of this tab. It comes in the fragment of a link, which no server ever sees.

const KEY = "llamaq.token";

let held = "";

function stored() {
  try { return sessionStorage.getItem(KEY) ?? ""; } catch { return ""; }
}

export function keepToken(token) {
  held = token;
  try { sessionStorage.setItem(KEY, token); } catch { /* it lives as long as the page then */ }
}

export function forgetToken() {
  held = "";
  try { sessionStorage.removeItem(KEY); } catch { /* it was never kept */ }
}

// Takes the token out of the address, so that neither the history nor a screenshot has it.
export function takeFromAddress() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return false;
  keepToken(decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

export const token = () => held || (held = stored());

// When the token ends, Unix ms; the server decides, this is only to tell it in time.
export function endsAt() {
  try {
    const claims = token().split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(claims));
    return Number.isFinite(exp) ? exp * 1000 : null;
  } catch { return null; }
}
