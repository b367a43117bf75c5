// Two loaders of other hands under node: node loaders.mjs MODULES FILE.glb EXPECTED.json
// The Khronos validator must find nothing at all; three.js must put every joint of every frame where we do.
import fs from "fs";
import { createRequire } from "module";
import path from "path";
import { pathToFileURL } from "url";

const [modules, file, expected] = process.argv.slice(2);
const bytes = fs.readFileSync(file);
const wanted = JSON.parse(fs.readFileSync(expected));
const validator = createRequire(path.join(modules, "x.js"))("gltf-validator");
const report = await validator.validateBytes(new Uint8Array(bytes));

globalThis.self = globalThis;
const from = (name) => import(pathToFileURL(path.join(modules, "three", name)));
const three = await from("build/three.module.js");
const { GLTFLoader } = await from("examples/jsm/loaders/GLTFLoader.js");
const content = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const gltf = await new Promise((done, fail) => new GLTFLoader().parse(content, "", done, fail));

const mixer = new three.AnimationMixer(gltf.scene);
const place = new three.Vector3();
let worst = 0;
for (const { name, fps, joints } of wanted) {
  mixer.stopAllAction();
  const action = mixer.clipAction(three.AnimationClip.findByName(gltf.animations, name));
  action.setLoop(three.LoopOnce);
  action.clampWhenFinished = true;
  action.play();
  joints.forEach((frame, index) => {
    mixer.setTime(index / fps);
    gltf.scene.updateMatrixWorld(true);
    for (const [joint, point] of Object.entries(frame)) {
      gltf.scene.getObjectByName(joint).getWorldPosition(place);
      worst = Math.max(worst, place.distanceTo(new three.Vector3(...point)));
    }
  });
}
console.log(JSON.stringify({ issues: report.issues.messages, clips: gltf.animations.map((clip) => clip.name), worst_m: worst }));
