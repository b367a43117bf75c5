// The keyboard: one table that is both the help text and what happens.

import { button, make, toggle } from "./elements.js";

/** [keys as KeyboardEvent.key, what a person reads, what it does, what happens]. */
export function keyTable(player) {
  return [
    [[" ", "k"], "Space", "play or pause", () => player.toggle()],
    [["ArrowLeft"], "←", "half a second back", () => player.seek(player.time_s - 0.5)],
    [["ArrowRight"], "→", "half a second on", () => player.seek(player.time_s + 0.5)],
    [[","], ",", "one frame back", () => player.step(-1)],
    [["."], ".", "one frame on", () => player.step(1)],
    [["Home"], "Home", "first frame", () => player.seek(0)],
    [["End"], "End", "last frame", () => player.seek(player.seconds)],
    [["ArrowUp"], "↑", "faster", () => player.changeSpeed(1)],
    [["ArrowDown"], "↓", "slower", () => player.changeSpeed(-1)],
    [["["], "[", "previous motion", () => player.shelf.step(-1)],
    [["]"], "]", "next motion", () => player.shelf.step(1)],
    [["c"], "C", "marks of planted feet", () => player.flip("contacts")],
    [["t"], "T", "trails of head, hands and feet", () => player.flip("trails")],
    ...(player.has("targets") ? [[["g"], "G", "targets, ways and obstacles of the edit", () => player.flip("targets")]] : []),
    [["f"], "F", "follow the body, or hold the camera", () => player.flip("follow")],
    [["n"], "N", "names in the picture", () => player.flip("captions")],
    ...(player.has("overlay") ? [[["o"], "O", "lay the second over the first", () => player.flip("overlay")]] : []),
    [["r"], "R", "first view", () => player.home()],
    [["+", "="], "+", "closer", () => player.turn(0, 0, 1.15)],
    [["-"], "−", "farther", () => player.turn(0, 0, 1 / 1.15)],
    [["?"], "?", "this list", () => player.help.showModal()],
  ];
}

const TURNS = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };

/** Listen on an element; returns the dialog that explains the keys. */
export function listen(player, target) {
  const table = keyTable(player);
  let on = true;
  target.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || player.help.open) return;
    const { tagName, type } = event.target;
    if (tagName === "SELECT" || type === "search") return;
    // Space belongs to the button or box that has the focus.
    if (event.key === " " && (tagName === "BUTTON" || type === "checkbox" || tagName === "SUMMARY")) return;
    if (event.shiftKey && TURNS[event.key]) {
      player.turn(...TURNS[event.key]);
    } else {
      const found = table.find(([keys]) => keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
      if (!found || (!on && event.key.length === 1 && event.key !== " ")) return;
      found[3]();
    }
    event.preventDefault();
  });
  const rows = [...table.map(([, shown, words]) => [shown, words]), ["Shift + arrows", "turn the camera"]];
  const single = toggle("Letters and signs are shortcuts", true, (checked) => (on = checked));
  const title = make("h2", { id: `${player.id}-keys` }, "Keys and gestures");
  const list = make("dl", {}, rows.map(([shown, words]) => [make("dt", {}, make("kbd", {}, shown)), make("dd", {}, words)]));
  const gestures = make("p", {}, "Drag to turn, scroll or pinch to come closer.");
  const close = button("Close", () => dialog.close(), { class: "primary" });
  const end = make("div", { class: "end" }, single.element, close);
  const dialog = make("dialog", { class: "help", "aria-labelledby": `${player.id}-keys` }, title, gestures, list, end);
  return dialog;
}
