// One card a sample: what it is, its picture, and a view for each column that is shown.

const CAUTION = "do not trust this explanation: ";
const SMALL_GAP = 0.01;

function makeCard(sample, number) {
  const card = make("li", { className: "sample", id: `sample-${number}`, tabIndex: -1 });
  card.dataset.sample = number;
  card.append(make("h3", { className: "name" }, sample.name), telling(sample), make("div", { className: "views" }));
  return card;
}

function telling(sample) {
  const line = make("p", { className: "told" });
  const say = (...parts) => line.append(...(line.childNodes.length ? ["; "] : []), ...parts);
  if (sample.wrong) say(make("span", { className: "wrong" }, make("span", { "aria-hidden": "true" }, "\u2715 "), "wrong"));
  if (sample.true !== null) say("true ", make("b", { className: "name" }, sample.true));
  if (sample.predicted) say("predicted ", make("b", { className: "name" }, sample.predicted));
  if (sample.confidence !== null) say("confidence ", make("b", {}, percent(sample.confidence)));
  if (sample.cluster !== null) say("cluster ", make("b", { className: "name" }, sample.cluster));
  for (const [name, text] of sample.facts) say(`${name}: `, make("b", { className: "name" }, text));
  return line;
}

// Fills in the views of a card for the state of the page.
function fillCard(card) {
  const sample = data.samples[card.dataset.sample];
  const views = card.querySelector(".views");
  views.replaceChildren();
  if (sample.picture) views.append(pictureView(sample));
  let texts = false;
  shownColumns().forEach((column) => {
    const map = sample.maps[column];
    if (!map) return;
    views.append(mapView(sample, map, column));
    texts = texts || Boolean(map.values);
  });
  card.classList.toggle("texts", texts && !sample.picture);
}

function pictureView(sample) {
  const image = picture(sample, `Picture of ${sample.name}`);
  const caption = make("figcaption", {}, make("b", {}, "input"), sample.picture.full.join(" \u00d7 "));
  return make("figure", { className: "view" }, stage(sample.picture.shape, image), caption);
}

function picture(sample, alt) {
  const image = make("img", { alt, decoding: "async" });
  image.shows = sample.picture;
  return image;
}

function stage(shape, ...layers) {
  const box = make("div", { className: "stage" }, ...layers);
  // A few channels over many steps of time are stretched: a line of one pixel could not be read.
  box.style.aspectRatio = String(Math.min(4, Math.max(0.25, shape[1] / shape[0])));
  return box;
}

function mapView(sample, map, column) {
  const title = data.columns[column];
  const figure = make("figure", { className: "view" });
  figure.dataset.column = column;
  if (isImage(map)) figure.append(imageStage(sample, map, column));
  else if (map.values) {
    figure.classList.add("wordy");
    figure.append(wordsView(map, sample, limitOf(map, column)));
  } else {
    figure.classList.add("none");
    figure.append(make("div", { className: "stage" }, map.reason));
  }
  const caption = make("figcaption", {}, make("b", { className: "name" }, ...breakable(title)));
  if (map.explained) caption.append(make("span", { className: "name" }, map.explained));
  if (map.score !== null) caption.append(`${map.explained ? ": " : ""}${written(map.score)}`);
  if (map.shape) caption.append(make("span", { className: "limit" }, `scale \u00b1${written(limitOf(map, column))}`));
  figure.append(caption, badges(map, column));
  return figure;
}

function imageStage(sample, map, column) {
  const canvas = make("canvas", { width: 1, height: 1, role: "img", "aria-label": described(sample, map, column) });
  canvas.shows = { sample, map, column };
  if (!isOverlaid(sample)) return stage(map.shape, canvas);
  const under = picture(sample, "");
  under.className = "under";
  return stage(sample.picture.shape, under, canvas);
}

function described(sample, map, column) {
  const parts = [`Relevance of ${sample.name} by ${data.columns[column]}`];
  if (map.explained) parts.push(`explaining ${map.explained}`);
  if (map.score !== null) parts.push(`value ${written(map.score)}`);
  parts.push(`largest magnitude ${written(map.reach)}`);
  if (map.bad) parts.push(map.bad === 1 ? "1 value is no number" : `${map.bad} values are no numbers`);
  return parts.join(", ");
}

// Notes that all maps of a column have stand once above all samples.
const sharedNotes = data.columns.map((_, column) => {
  const maps = data.samples.map((sample) => sample.maps[column]).filter(Boolean);
  const [first, ...others] = maps;
  if (!others.length) return new Set();
  const shared = first.notes.filter((note) => others.every((map) => map.notes.includes(note)));
  return new Set(shared.map((note) => data.notes[note]));
});

// Each badge has a symbol and words: colour alone tells nothing.
function badges(map, column) {
  const list = make("ul", { className: "badges", "aria-label": "How far to trust this map" });
  const add = (kind, symbol, text) =>
    list.append(make("li", { className: `badge-${kind}` }, make("span", { "aria-hidden": "true" }, symbol + " "), text));
  const texts = map.notes.map((number) => data.notes[number]);
  const cautions = texts.filter((text) => text.startsWith(CAUTION));
  const fallbacks = texts.filter((text) => text.startsWith("fallback: "));
  if (cautions.length) add("bad", "\u2715", "do not trust");
  if (map.bad) add("bad", "\u2715", `${map.bad} no number${map.bad === 1 ? "" : "s"}`);
  if (map.gapUndefined) add("bad", "\u2715", "gap undefined");
  if (map.gap !== null) add(...(map.gap <= SMALL_GAP ? ["good", "\u2713"] : ["warn", "\u25b2"]), `gap ${percent(map.gap)}`);
  if (fallbacks.length) add("warn", "\u25b2", `${fallbacks.length} fallback${fallbacks.length === 1 ? "" : "s"}`);
  const own = texts.filter((text) => !sharedNotes[column].has(text));
  if (own.length) list.append(make("li", { className: "badge-notes" }, notesOf(own)));
  return list.childNodes.length ? list : "";
}

function notesOf(texts) {
  const summary = make("summary", {}, `${texts.length} note${texts.length === 1 ? "" : "s"}`);
  return make("details", {}, summary, make("ul", {}, ...texts.map((text) => make("li", {}, text))));
}

// Pictures and maps are filled in when they come near the screen.
const inSight = new Set();
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) {
      inSight.add(target);
      showCard(target);
    } else {
      inSight.delete(target);
      target.querySelectorAll("canvas").forEach(forget);
    }
  }
}, { rootMargin: "600px 0px" });

async function showCard(card) {
  if (card.dataset.drawn !== card.dataset.wanted) {
    fillCard(card);
    card.dataset.drawn = card.dataset.wanted;
  }
  await showPictures(card);
}

async function showPictures(element) {
  for (const image of element.querySelectorAll("img")) {
    if (!image.src) image.src = "data:image/png;base64," + image.shows.png;
  }
  await Promise.all(Array.from(element.querySelectorAll("canvas"), (canvas) => canvas.shows && paint(canvas)));
}
