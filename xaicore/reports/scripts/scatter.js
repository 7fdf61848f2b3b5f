// The embedding: pointing at a sample, with the pointer or the keyboard, shows it beside the plot.

function startScatter() {
  document.querySelectorAll(".scatter > svg").forEach((plot) => {
    const points = Array.from(plot.querySelectorAll(".point"));
    plot.addEventListener("pointerover", (event) => preview(event.target.closest(".point")));
    plot.addEventListener("focusin", (event) => preview(event.target.closest(".point")));
    plot.addEventListener("keydown", (event) => move(event, points));
    plot.addEventListener("click", (event) => {
      const point = event.target.closest(".point");
      if (!point) return;
      event.preventDefault();
      goTo(Number(point.dataset.sample));
    });
  });
}

async function preview(point) {
  if (!point) return;
  const panel = byId("preview");
  if (panel.dataset.sample === point.dataset.sample) return;
  panel.dataset.sample = point.dataset.sample;
  const card = makeCard(data.samples[point.dataset.sample], point.dataset.sample);
  fillCard(card);
  panel.replaceChildren(...card.childNodes);
  await showPictures(panel);
}

// One point of a plot is in the order of tabs; arrows go to the nearest one in their direction.
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

function move(event, points) {
  const from = event.target.closest(".point");
  if (!from || !(event.key in DIRECTIONS)) return;
  event.preventDefault();
  const next = nearest(from, points, DIRECTIONS[event.key]);
  if (!next) return;
  from.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function placeOf(point) {
  const symbol = point.querySelector("use");
  return [Number(symbol.getAttribute("x")), Number(symbol.getAttribute("y"))];
}

function nearest(from, points, [right, down]) {
  const [x, y] = placeOf(from);
  let [best, cost] = [null, Infinity];
  for (const point of points) {
    const [dx, dy] = [placeOf(point)[0] - x, placeOf(point)[1] - y];
    const [ahead, aside] = [dx * right + dy * down, Math.abs(dx * down) + Math.abs(dy * right)];
    if (point === from || ahead <= 0) continue;
    if (ahead + 2 * aside < cost) [best, cost] = [point, ahead + 2 * aside];
  }
  return best;
}

function goTo(number) {
  if (!passes(data.samples[number])) {
    Object.assign(state, filtersOff());
    showState();
    tell("Filters were taken off to show this sample.");
  }
  const card = byId(`sample-${number}`);
  document.querySelectorAll(".marked").forEach((marked) => marked.classList.remove("marked"));
  card.classList.add("marked");
  card.scrollIntoView({ block: "center" });
  card.focus({ preventScroll: true });
}

function dimScatter(numbers) {
  const shown = new Set(numbers);
  document.querySelectorAll(".scatter > svg .point").forEach((point) => {
    point.classList.toggle("out", !shown.has(Number(point.dataset.sample)));
  });
}
