// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => (Math.abs(number) < 10000 ? whole : short).format(number);

export function speed(perSecond) {
  if (!perSecond) return "0";
  return perSecond < 10 ? perSecond.toFixed(1) : count(perSecond);
}

export const share = (part, all) => (all ? `${Math.round((part / all) * 100)} %` : "–");

export function time(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 950) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  return age(seconds);
}

export function age(seconds) {
  const all = Math.max(0, Math.round(seconds));
  if (all < 100) return `${all} s`;
  const minutes = Math.floor(all / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

export const many = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

export const clock = (ms, withDay = false) =>
  new Date(ms).toLocaleString("en-GB", {
    ...(withDay ? { weekday: "short" } : {}), hour: "2-digit", minute: "2-digit",
  });

export const day = (ms) => new Date(ms).toLocaleString("en-GB", { weekday: "short", day: "numeric" });

export function size(bytes) {
  if (!bytes) return "";
  return bytes < 2 ** 30 ? `${count(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
