// Values of curves under the pointer, or at a place that the arrow keys move.

function startCurves() {
  document.querySelectorAll(".chart").forEach((figure) => {
    const curve = data.curves[figure.dataset.curve];
    const plot = figure.querySelector("svg");
    let place = -1;
    const read = (next) => {
      place = Math.max(0, Math.min(curve.x.length - 1, next));
      readCurve(figure, plot, curve, place);
    };
    plot.addEventListener("pointermove", (event) => read(closest(plot, curve, event.clientX)));
    plot.addEventListener("focus", () => read(place));
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      read(place + step);
    });
  });
}

function edgesOf(plot) {
  const [left, right] = plot.dataset.edges.split(" ").map(Number);
  return { left, right, low: Number(plot.dataset.low), high: Number(plot.dataset.high) };
}

function closest(plot, curve, clientX) {
  const { left, right, low, high } = edgesOf(plot);
  const box = plot.getBoundingClientRect();
  const x = ((clientX - box.left) / box.width) * plot.viewBox.baseVal.width;
  const value = low + ((x - left) / (right - left)) * (high - low);
  const distances = curve.x.map((each) => (each === null ? Infinity : Math.abs(each - value)));
  return distances.indexOf(Math.min(...distances));
}

function readCurve(figure, plot, curve, place) {
  const { left, right, low, high } = edgesOf(plot);
  const x = left + ((curve.x[place] - low) / (high - low)) * (right - left);
  const cursor = plot.querySelector(".cursor");
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  cursor.setAttribute("visibility", "visible");
  const values = curve.lines.map(([, line]) => written(line[place]));
  figure.querySelectorAll(".legend .value").forEach((output, number) => { output.textContent = values[number]; });
  figure.querySelector(".reading").textContent = `Values at ${written(curve.x[place], 4)}`;
}
