// Where colour scales end, and the colour bar that says so.

function largest(maps) {
  return maps.filter((map) => map && map.shape).reduce((most, map) => Math.max(most, map.limit), 0) || 1;
}

const columnLimits = data.columns.map((_, column) => largest(data.samples.map((sample) => sample.maps[column])));

function limitOf(map, column) {
  if (state.scale === "column") return columnLimits[column];
  if (state.scale === "all") return Math.max(...shownColumns().map((each) => columnLimits[each]));
  return map.limit;
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
  const limit = state.scale === "all" || (state.scale === "column" && columns.length === 1)
    ? Math.max(...columns.map((column) => columnLimits[column])) : null;
  const end = limit === null ? "max" : written(limit);
  byId("bar-low").textContent = MINUS + end;
  byId("bar-high").textContent = end;
  const texts = {
    map: "relevance; each map on its own scale, whose end is written below it",
    column: limit === null
      ? "relevance; one scale a column: " + columns.map((column) => `${data.columns[column]} \u00b1${written(columnLimits[column])}`).join("; ")
      : "relevance; one scale for all maps of the column",
    all: "relevance; one scale for all maps",
  };
  const onTop = state.overlay && data.samples.some((sample) => sample.picture) ? ". On top of pictures, opacity tells the magnitude" : "";
  byId("bar-note").textContent = texts[state.scale] + onTop;
  byId("bar").setAttribute("aria-label", `Colour scale from blue, ${MINUS}${end}, over white, zero, to red, ${end}`);
}
