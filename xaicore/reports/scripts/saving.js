// Taking the view along: the samples that are shown as a table, or as one picture. Nothing leaves the browser.

const MOST_IN_PICTURE = 60;

function records() {
  return selected().map((number) => {
    const sample = data.samples[number];
    const row = { name: sample.name, true: sample.true, predicted: sample.predicted, wrong: sample.wrong, confidence: sample.confidence, cluster: sample.cluster };
    for (const [name, text] of sample.facts) row[`fact: ${name}`] = text;
    for (const column of shownColumns()) {
      const map = sample.maps[column];
      const title = data.columns[column];
      if (!map) continue;
      Object.assign(row, { [`${title}: explained`]: map.explained, [`${title}: score`]: map.score, [`${title}: gap`]: map.gap, [`${title}: non-finite`]: map.bad });
      for (const [metric, scores] of Object.entries(sample.scores)) if (title in scores) row[`${title}: ${metric}`] = scores[title];
    }
    return row;
  });
}

function asCsv(rows) {
  const heads = [...new Set(rows.flatMap(Object.keys))];
  return [heads, ...rows.map((row) => heads.map((head) => row[head]))].map((cells) => cells.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

// A text that begins like a formula is not to become one in a spreadsheet.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function asJson(rows) {
  return JSON.stringify({ report: data.title, view: { ...state }, samples: rows }, null, 1);
}

function save(content, type, ending) {
  const link = make("a", { download: `report${ending}`, href: URL.createObjectURL(new Blob([content], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  tell(`Saved as report${ending}.`);
}

async function savePicture() {
  const numbers = selected().slice(0, MOST_IN_PICTURE);
  const images = numbers.flatMap((number) => data.samples[number].maps).some(isImage);
  if (!images) return tell("No maps of images are shown: there is nothing to draw. The tables hold the numbers.");
  const canvas = await drawSheet(numbers);
  canvas.toBlob((blob) => {
    save(blob, "image/png", ".png");
    const left = selected().length - numbers.length;
    if (left > 0) tell(`Saved the first ${numbers.length} samples as report.png; ${left} more are shown.`);
  });
}

// One row a sample: its picture and its maps, with names above and the colour scale below.
async function drawSheet(numbers) {
  const [side, gap, head, foot] = [state.size, 10, 34, 46];
  const columns = shownColumns();
  const pictured = numbers.some((number) => data.samples[number].picture);
  const lead = pictured ? 1 : 0;
  const line = side + 40;
  const canvas = make("canvas", { width: Math.max(320, gap + (columns.length + lead) * (side + gap)), height: head + numbers.length * line + foot });
  const context = canvas.getContext("2d");
  const write = (text, x, y, room) => context.fillText(shortened(context, text, room), x, y);
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#1d2330";
  context.font = "bold 13px sans-serif";
  columns.forEach((column, place) => write(data.columns[column], gap + (place + lead) * (side + gap), 22, side));
  context.font = "12px sans-serif";
  for (const [row, number] of numbers.entries()) {
    const sample = data.samples[number];
    const top = head + row * line;
    const answer = [sample.name, sample.wrong ? "\u2715 wrong" : "", sample.predicted && `predicted ${sample.predicted}`, sample.true && `true ${sample.true}`];
    context.fillStyle = "#1d2330";
    write(answer.filter(Boolean).join("; "), gap, top + 12, canvas.width - 2 * gap);
    const at = (place, shape) => ({ left: gap + place * (side + gap), top: top + 18, ...fitted(shape, side) });
    if (sample.picture) drawPicture(context, await loaded(sample.picture), at(0, sample.picture.shape), false);
    for (const [place, column] of columns.entries()) {
      const map = sample.maps[column];
      if (!isImage(map)) continue;
      const overlay = isOverlaid(sample);
      const box = at(place + lead, overlay ? sample.picture.shape : map.shape);
      if (overlay) drawPicture(context, await loaded(sample.picture), box, true);
      const how = { limit: limitOf(map, column), overlay, opacity: state.opacity / 100, smooth: state.smooth };
      drawMap(context, map, await valuesOf(map), box, how);
      context.fillStyle = "#565f6d";
      write(`\u00b1${written(how.limit)}`, box.left, box.top + box.height + 13, side);
    }
  }
  context.drawImage(byId("bar"), gap, canvas.height - 38, 257, 12);
  context.fillStyle = "#1d2330";
  write(`${byId("bar-low").textContent}  \u2026  0  \u2026  ${byId("bar-high").textContent}   ${byId("bar-note").textContent}`, gap, canvas.height - 10, canvas.width - 2 * gap);
  return canvas;
}

function fitted([height, width], side) {
  const ratio = Math.min(4, Math.max(0.25, width / height));
  return ratio >= 1 ? { width: side, height: side / ratio } : { width: side * ratio, height: side };
}

async function loaded({ png }) {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  return image;
}

function drawPicture(context, image, box, under) {
  context.save();
  context.imageSmoothingEnabled = state.smooth;
  if (under) [context.filter, context.globalAlpha] = ["grayscale(1)", 0.65];
  context.drawImage(image, box.left, box.top, box.width, box.height);
  context.restore();
}

function shortened(context, text, room) {
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > room) shown = shown.slice(0, -2) + "\u2026";
  return shown;
}

async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Some browsers give no page from a file the clipboard: then the text is marked, for the reader to copy.
    if (element) getSelection().selectAllChildren(element);
    return false;
  }
}
