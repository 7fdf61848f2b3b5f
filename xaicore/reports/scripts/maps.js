// Maps of images: decoded from PNG when first seen, coloured on a canvas, and given up again when out of sight.

const decoded = new WeakMap();  // from a map of the data to a promise of its values, one byte each (0: no number)

async function valuesOf(map) {
  if (!decoded.has(map)) decoded.set(map, decode(map));
  return decoded.get(map);
}

async function decode(map) {
  const image = new Image();
  image.src = "data:image/png;base64," + map.png;
  await image.decode();
  const [height, width] = map.shape;
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  return Uint8Array.from({ length: width * height }, (_, place) => (pixels[4 * place + 3] ? pixels[4 * place] : 0));
}

function isImage(map) {
  return Boolean(map && map.png);
}

// Draws a map into a box of a context. how: {limit, overlay, opacity, smooth}.
function drawMap(context, map, values, box, how) {
  const [height, width] = map.shape;
  const small = make("canvas", { width, height });
  const target = small.getContext("2d");
  const painted = target.createImageData(width, height);
  const table = colourTable(map.reach / how.limit, how.overlay, how.opacity);
  for (let place = 0; place < values.length; place++) painted.data.set(table[values[place]], 4 * place);
  target.putImageData(painted, 0, 0);
  context.imageSmoothingEnabled = how.smooth;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, box.left, box.top, box.width, box.height);
  hatch(context, map, values, box);
}

// The colour of each byte. The scale may reach further than the map does, or less far: then what is beyond is cut.
function colourTable(ratio, overlay, opacity) {
  return Array.from({ length: 256 }, (_, byte) =>
    byte === 0 ? [0, 0, 0, 0] : pixelColour((byte - data.levels - 1) / data.levels * ratio, overlay, opacity));
}

// What is no number is grey with stripes: never a colour of the scale.
function hatch(context, map, values, box) {
  if (!values.includes(0)) return;
  const [height, width] = map.shape;
  const [wide, tall] = [box.width / width, box.height / height];
  context.save();
  context.beginPath();
  values.forEach((byte, place) => {
    if (byte) return;
    const [row, column] = [Math.floor(place / width), place % width];
    context.rect(box.left + column * wide, box.top + row * tall, wide, tall);
  });
  context.clip();
  context.fillStyle = `rgb(${NO_NUMBER.join(",")})`;
  context.fillRect(box.left, box.top, box.width, box.height);
  context.strokeStyle = "#616161";
  context.lineWidth = 1;
  context.beginPath();
  for (let start = -box.height; start < box.width; start += 5) {
    context.moveTo(box.left + start, box.top + box.height);
    context.lineTo(box.left + start + box.height, box.top);
  }
  context.stroke();
  context.restore();
}

// Sees to a canvas of the page: its pixels are those of the screen, so that stripes and edges are sharp.
async function paint(canvas) {
  const { map, column } = canvas.shows;
  const values = await valuesOf(map);
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  [canvas.width, canvas.height] = [width, height];
  const how = { limit: limitOf(map, column), overlay: isOverlaid(canvas.shows.sample), opacity: state.opacity / 100, smooth: state.smooth };
  drawMap(canvas.getContext("2d"), map, values, { left: 0, top: 0, width, height }, how);
  canvas.dataset.painted = "yes";
}

function forget(canvas) {
  [canvas.width, canvas.height] = [1, 1];
  delete canvas.dataset.painted;
}

function isOverlaid(sample) {
  return state.overlay && Boolean(sample.picture);
}
