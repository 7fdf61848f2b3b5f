// Where colour scales end, and the colour bar that says so.

function largest(maps) {
  return maps.filter((map) => map && map.shape).reduce((most, map) => Math.max(most, map.limit), 0) || 1;
}

const columnLimits = data.columns.map((_, column) => largest(data.samples.map((sample) => sample.maps[column])));

// A scale may end before the largest magnitude, so that faint structure shows: what is beyond has the last colour.
function limitOf(map, column) {
  const whole = { map: map.limit, column: columnLimits[column], all: largestOf(shownColumns()) }[state.scale];
  return whole / Number(state.cut);
}

function largestOf(columns) {
  return Math.max(...columns.map((column) => columnLimits[column]));
}

function drawBar() {
  const canvas = byId("bar");
  const context = canvas.getContext("2d");
  for (let place = 0; place < COLOUR_COUNT; place++) {
    const [red, green, blue] = COLOURS.slice(3 * place, 3 * place + 3);
    context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.fillRect(place, 0, 1, canvas.height);
  }
}

function describeBar() {
  const columns = shownColumns();
  const cut = Number(state.cut);
  const one = state.scale === "all" || (state.scale === "column" && columns.length === 1);
  const end = one ? written(largestOf(columns) / cut) : cut === 1 ? "max" : `max / ${cut}`;
  byId("bar-low").textContent = MINUS + end;
  byId("bar-high").textContent = end;
  const limits = columns.map((column) => `${data.columns[column]} \u00b1${written(columnLimits[column] / cut)}`);
  const texts = {
    map: "relevance; each map on its own scale, whose end is written below it",
    column: one ? "relevance; one scale for all maps of the column" : `relevance; one scale a column: ${limits.join("; ")}`,
    all: "relevance; one scale for all maps",
  };
  const beyond = cut === 1 ? "" : ". What is beyond has the last colour";
  const onTop = state.overlay && data.samples.some((sample) => sample.picture) ? ". On top of pictures, opacity tells the magnitude" : "";
  byId("bar-note").textContent = texts[state.scale] + beyond + onTop;
  byId("bar").setAttribute("aria-label", `Colour scale from blue, ${MINUS}${end}, over white, zero, to red, ${end}`);
}
