// Entry point: read the page's data, put a player into every element that asks for one.

import { Clip } from "./decode.js";
import { Player } from "./player.js";

const data = JSON.parse(document.getElementById("mdtool-motions").textContent);
const clips = data.clips.map((stored) => new Clip(stored));

/** What a browser without WebGL gets instead of a picture. */
function apologise(root, error) {
  const words = document.createElement("p");
  words.className = "notice";
  words.textContent = `This browser cannot draw in 3D (${error.message}). Switch on WebGL or hardware acceleration, or make a film: mdtool render FILE --out video.mp4`;
  root.replaceChildren(words);
}

window.mdtoolPlayers = [...document.querySelectorAll("[data-player]")].flatMap((root) => {
  try {
    return [new Player(root, data, data.body, clips)];
  } catch (error) {
    apologise(root, error);
    return [];
  }
});
