// Ties the controls to the state, and shows the state.

const SWITCHES = ["overlay", "smooth", "wrong", "descending"];
const RANGES = ["opacity", "size", "low", "high"];
const CHOOSERS = ["column", "scale", "cut", "words", "true", "predicted", "cluster", "sort"];
const FILTERS = ["name", "true", "predicted", "cluster", "wrong", "low", "high"];

function filtersOff() {
  return Object.fromEntries(FILTERS.map((key) => [key, INITIAL[key]]));
}

function tell(text) {
  byId("told").textContent = text;
}

function distinct(values) {
  return [...new Set(values.filter((value) => value !== null && value !== undefined && value !== ""))].sort(inOrder);
}

function fillChooser(id, entries) {
  byId(id).replaceChildren(...entries.map(([value, text]) => make("option", { value }, text)));
}

// Offers what there is: a control without anything to choose is left out.
function offer() {
  const { samples, columns } = data;
  const maps = samples.flatMap((sample) => sample.maps).filter(Boolean);
  fillChooser("column", [["", "all"], ...columns.map((name) => [name, name])]);
  for (const key of ["true", "predicted", "cluster"]) {
    const values = distinct(samples.map((sample) => sample[key]));
    fillChooser(key, [["", "all"], ...values.map((value) => [value, value])]);
    offerField(key, values.length > 1);
  }
  const metrics = distinct(samples.flatMap((sample) => Object.keys(sample.scores)));
  const keys = [["given", "the order given"], ["name", "name"]];
  const confident = samples.some((sample) => sample.confidence !== null);
  if (confident) keys.push(["confidence", "confidence"]);
  if (maps.some((map) => map.score !== null)) keys.push(["score", "explained value"]);
  if (maps.some((map) => map.gap !== null)) keys.push(["gap", "conservation gap"]);
  fillChooser("sort", [...keys, ...metrics.map((name) => [`metric:${name}`, name])]);
  const images = maps.some(isImage);
  offerField("column", columns.length > 1);
  offerField("scale", maps.some((map) => map.shape));
  offerField("overlay", images && samples.some((sample) => sample.picture));
  offerField("smooth", images);
  offerField("size", images || samples.some((sample) => sample.picture));
  offerField("words", maps.some((map) => map.values));
  offerField("wrong", samples.some((sample) => sample.wrong !== null));
  offerField("confidence", confident);
}

function offerField(name, offered) {
  document.querySelectorAll(`[data-for="${name}"]`).forEach((field) => { field.hidden = !offered; });
}

function readControls() {
  for (const key of SWITCHES) state[key] = byId(key).checked;
  for (const key of RANGES) state[key] = Number(byId(key).value);
  for (const key of [...CHOOSERS, "name"]) state[key] = byId(key).value;
}

function showControls() {
  for (const key of SWITCHES) byId(key).checked = state[key];
  for (const key of RANGES) byId(key).value = state[key];
  for (const key of [...CHOOSERS, "name"]) {
    byId(key).value = state[key];
    if (byId(key).value !== state[key]) [state[key], byId(key).value] = [INITIAL[key], INITIAL[key]];  // no such choice here
  }
  byId("opacity").disabled = !state.overlay;
  for (const key of ["opacity", "low", "high"]) byId(`${key}-value`).textContent = `${state[key]} %`;
  byId("size-value").textContent = `${state.size} pixels`;
}

let version = 0;
let laidOut = null;  // the numbers of the samples in the grid
const cards = [];

function layOut(numbers) {
  laidOut = numbers.join();
  sight.disconnect();
  inSight.clear();
  byId("grid").replaceChildren(...numbers.map((number) => cards[number]));
  numbers.forEach((number) => sight.observe(cards[number]));
}

function showState() {
  showControls();
  describeBar();
  document.documentElement.style.setProperty("--side", `${state.size}px`);
  document.documentElement.style.setProperty("--views", shownColumns().length + Number(data.samples.some((sample) => sample.picture)));
  document.documentElement.style.setProperty("--pixels", state.smooth ? "auto" : "pixelated");
  version += 1;
  const numbers = selected();
  for (const number of numbers) cards[number].dataset.wanted = version;
  if (numbers.join() === laidOut) inSight.forEach(showCard);
  else layOut(numbers);
  const all = data.samples.length;
  byId("count").textContent = numbers.length === all ? `All ${all} samples shown` : `${numbers.length} of ${all} samples shown`;
  dimScatter(numbers);
  writeFragment();
}

function startSamples() {
  cards.push(...data.samples.map(makeCard));
  offer();
  readFragment(location.hash);
  drawBar();
  showState();
  byId("controls").addEventListener("input", () => { readControls(); tell(""); showState(); });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => {
    if (location.hash === "" || location.hash.includes("=")) { readFragment(location.hash); showState(); }
  });
  byId("save-csv").addEventListener("click", () => save(asCsv(records()), "text/csv", ".csv"));
  byId("save-json").addEventListener("click", () => save(asJson(records()), "application/json", ".json"));
  byId("save-png").addEventListener("click", savePicture);
  byId("copy-link").addEventListener("click", async () => {
    const done = await copy(location.href, null);
    tell(done ? "The link is in the clipboard." : "The link is in the address bar.");
  });
  byId("reset").addEventListener("click", () => { readFragment(""); showState(); tell("The view is as it was at first."); });
  window.addEventListener("beforeprint", () => cards.filter((card) => card.isConnected).forEach(showCard));
  if (window.matchMedia("(max-width: 820px)").matches) byId("options").open = false;
}

// Links within the page must not replace the state in the address.
function startLinks() {
  document.querySelectorAll("nav a, .skip").forEach((link) => {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const goal = document.querySelector(link.getAttribute("href"));
      if (!goal.hasAttribute("tabindex")) goal.tabIndex = -1;
      goal.scrollIntoView();
      goal.focus({ preventScroll: true });
    });
  });
  document.querySelectorAll(".copy").forEach((button) => {
    button.addEventListener("click", async () => {
      const source = byId(button.dataset.copies);
      const done = await copy(source.textContent, source);
      button.textContent = done ? "Copied" : "Marked: press Ctrl+C";
    });
  });
}

startLinks();
startTables();
startCurves();
if (data.samples.length) {
  startSamples();
  startScatter();
}
