// What all scripts of the page share: the data, and small helpers. Text is only ever set as text, never as HTML.

const data = JSON.parse(document.getElementById("payload").textContent);
const MINUS = "\u2212";

function byId(id) {
  return document.getElementById(id);
}

// make("p", {className: "told"}, "text", child, ...): children that are null are left out.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Names of methods may be broken behind their dots and underscores.
function breakable(text) {
  return text.split(/(?<=[._/])/).flatMap((part, place) => (place ? [make("wbr"), part] : [part]));
}

function written(value, digits = 3) {
  if (value === null || value === undefined) return "\u2013";
  const text = value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)
    ? value.toExponential(digits - 1).replace("e+", "e")
    : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", MINUS);
}

function signed(value) {
  return value > 0 ? "+" + written(value) : written(value);
}

function percent(value) {
  const share = 100 * value;
  if (share > 0 && share < 0.01) return "< 0.01 %";
  return (share >= 99.95 && share < 100 ? "> 99.9" : String(Number(share.toPrecision(3)))) + " %";
}

// Natural order: "class 2" before "class 10".
const inOrder = new Intl.Collator("en", { numeric: true }).compare;
