// The diverging colours: 257 of them from blue over white (the one in the middle, zero) to red.

const COLOURS = Uint8Array.from(data.colours.match(/../g), (digits) => parseInt(digits, 16));
const COLOUR_COUNT = COLOURS.length / 3;
const NO_NUMBER = data.noNumber.match(/[0-9a-f]{2}/gi).map((digits) => parseInt(digits, 16));

// share: value / limit, cut to -1 .. 1. Returns the place of the first of three bytes in COLOURS.
function colourPlace(share) {
  const cut = Math.max(-1, Math.min(1, share));
  return 3 * Math.round((0.5 + 0.5 * cut) * (COLOUR_COUNT - 1));
}

function cssColour(share) {
  const place = colourPlace(share);
  return `rgb(${COLOURS[place]}, ${COLOURS[place + 1]}, ${COLOURS[place + 2]})`;
}

// Whether text on this colour is to be white, by the contrast of both choices (WCAG 2).
function isDark(share) {
  const place = colourPlace(share);
  const [red, green, blue] = [0, 1, 2].map((offset) => {
    const value = COLOURS[place + offset] / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.058;
}

// Colour of a pixel [red, green, blue, alpha]. On top of a picture colour tells the sign and opacity the magnitude,
// since pale colours would only veil it; otherwise the colour tells both.
function pixelColour(share, overlay, opacity) {
  if (!overlay) {
    const place = colourPlace(share);
    return [COLOURS[place], COLOURS[place + 1], COLOURS[place + 2], 255];
  }
  const cut = Math.max(-1, Math.min(1, share));
  const place = colourPlace(Math.sign(cut) * (0.5 + 0.35 * Math.abs(cut)));
  return [COLOURS[place], COLOURS[place + 1], COLOURS[place + 2], Math.round(255 * opacity * Math.abs(cut))];
}
