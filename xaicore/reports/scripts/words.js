// Relevance of words and features, (T,): coloured text, or bars with numbers.

const MOST_BARS = 20;

function wordsView(map, sample, limit) {
  const names = map.words || sample.words || map.values.map((_, place) => String(place));
  return state.words === "text" ? asText(map, names, limit) : asBars(map, names, limit);
}

function asText(map, names, limit) {
  const line = make("p", { className: "text" });
  names.forEach((name, place) => {
    const value = map.values[place];
    const token = make("span", { className: "token", title: told(value) }, name);
    if (value === null) token.classList.add("bad");
    else {
      token.style.backgroundColor = cssColour(value / limit);
      token.classList.add(isDark(value / limit) ? "dark" : "light");
    }
    line.append(token, " ");
  });
  const strongest = byMagnitude(map).slice(0, 5).map((place) => `${names[place]} ${told(map.values[place])}`);
  return make("div", {}, line, make("p", { className: "unseen" }, `Strongest: ${strongest.join("; ")}`));
}

function told(value) {
  return value === null ? "no number" : signed(value);
}

// Places by falling magnitude; what is no number first, since it must not be missed.
function byMagnitude(map) {
  const size = (place) => (map.values[place] === null ? Infinity : Math.abs(map.values[place]));
  return map.values.map((_, place) => place).sort((a, b) => (size(b) === size(a) ? a - b : size(b) - size(a)));
}

function asBars(map, names, limit) {
  const order = byMagnitude(map);
  const body = make("tbody", {});
  const show = (places) => body.append(...places.map((place) => bar(names[place], map.values[place], limit)));
  show(order.slice(0, MOST_BARS));
  const table = make("table", { className: "bars" },
    make("caption", { className: "unseen" }, `Relevance by name, strongest first: ${order.length} values`), body);
  const rest = order.slice(MOST_BARS);
  if (!rest.length) return table;
  const more = make("button", { type: "button", className: "more" }, `Show the ${rest.length} smaller ones`);
  more.addEventListener("click", () => { show(rest); more.remove(); });
  return make("div", {}, table, more);
}

function bar(name, value, limit) {
  const drawing = makeSvg("svg", { viewBox: "-100 0 200 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  const share = value === null ? 0 : Math.max(-1, Math.min(1, value / limit));
  const length = 100 * Math.abs(share);
  drawing.append(makeSvg("rect", { x: share < 0 ? -length : 0, y: 1, width: length, height: 8, fill: cssColour(Math.sign(share) * (0.5 + 0.35 * Math.abs(share))) }));
  drawing.append(makeSvg("line", { x1: 0, x2: 0, y1: 0, y2: 10, stroke: "#616161", "vector-effect": "non-scaling-stroke" }));
  return make("tr", {},
    make("th", { scope: "row", className: "name", title: name }, name),
    make("td", {}, drawing),
    make("td", { className: "number" + (value === null ? " undefined" : "") }, told(value)));
}
