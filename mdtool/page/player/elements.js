// Making elements: a tag, its attributes, its children.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `on…` attributes are listeners, true and false set or leave out an attribute. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null));
  return element;
}

const ICONS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6.5 4.5h4v15h-4zM13.5 4.5h4v15h-4z",
  back: "M16.5 5v14L7 12zM5 5h2v14H5z",
  forward: "M7.500 5v14L17 12zM17 5h2v14h-2z",
};

/** An icon of 24 × 24 units that takes the colour of the text. */
export function icon(name) {
  const path = draw("path", { d: ICONS[name], fill: "currentColor" });
  return draw("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true" }, path);
}

/** A button of words or an icon. */
export function button(label, onclick, { glyph = null, ...more } = {}) {
  const named = glyph ? { "aria-label": label, title: label } : {};
  return make("button", { type: "button", ...named, ...more, onclick }, glyph ? icon(glyph) : label);
}

/** A switch: a checkbox with its word. */
export function toggle(label, checked, onchange, hint) {
  const box = make("input", { type: "checkbox", checked, onchange: () => onchange(box.checked) });
  return { box, element: make("label", { class: "toggle", title: hint }, box, make("span", {}, label)) };
}
