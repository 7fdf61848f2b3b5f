// The state of the view. It is kept in the address behind the #, so that a link restores it.

const INITIAL = {
  column: "", scale: "map", cut: "1", overlay: false, opacity: 90, smooth: false, size: 128, words: data.words,
  name: "", true: "", predicted: "", cluster: "", wrong: false, low: 0, high: 100,
  sort: "given", descending: false,
};
const LIMITS = { opacity: [0, 100], size: [64, 384], low: [0, 100], high: [0, 100] };
const CHOICES = { scale: ["map", "column", "all"], cut: ["1", "2", "4", "8"], words: ["text", "bars"] };

const state = { ...INITIAL, size: initialSize() };

// Tiny pictures with many columns need no more than a glance; single maps may be large.
function initialSize() {
  return data.columns.length > 4 ? 112 : 160;
}

function asFragment() {
  const changed = Object.keys(INITIAL).filter((key) => state[key] !== defaultOf(key));
  return new URLSearchParams(changed.map((key) => [key, String(state[key])])).toString();
}

function defaultOf(key) {
  return key === "size" ? initialSize() : INITIAL[key];
}

// Whatever stands in the address may have been written by anyone: only known keys with values of their kind are taken.
function readFragment(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  for (const key of Object.keys(INITIAL)) {
    state[key] = defaultOf(key);
    if (given.has(key)) state[key] = readValue(key, given.get(key));
  }
}

function readValue(key, text) {
  const fallback = defaultOf(key);
  if (typeof fallback === "boolean") return text === "true";
  if (typeof fallback === "number") {
    const value = Number(text);
    const [least, most] = LIMITS[key];
    return text !== "" && value >= least && value <= most ? value : fallback;
  }
  if (key in CHOICES) return CHOICES[key].includes(text) ? text : fallback;
  if (key === "column") return data.columns.includes(text) ? text : fallback;
  return text;
}

function writeFragment() {
  const fragment = asFragment();
  history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search);
}
