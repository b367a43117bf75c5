// What an edit was told, beside the body: targets of joints, ways over the floor, obstacles.

import * as THREE from "three";

const KINDS = ["target", "later", "obstacle", "way"];
const OPACITY = { target: 0.95, later: 0.75, obstacle: 0.55, way: 0.8 };
const NOW_S = 0.15;
const TARGET_M = 0.05;
const FLOOR_M = 0.008;
const WAY_M = 0.03;

/** The marks of the clips of a page, one set shown at a time. */
export class Marks {
  constructor() {
    this.object = new THREE.Group();
    this.skins = Object.fromEntries(KINDS.map((kind) => [kind, skin(kind)]));
    this.sets = new Map();
  }

  /** Colours as CSS has them, one for each kind. */
  paint(colours) {
    for (const kind of KINDS) this.skins[kind].color.set(colours[kind]);
  }

  /** Show those of a clip at a fractional frame, or none. */
  show(clip, frame) {
    for (const { group } of this.sets.values()) group.visible = false;
    if (!clip?.marks) return;
    if (!this.sets.has(clip)) this.sets.set(clip, this._set(clip.marks));
    const { group, points, solids } = this.sets.get(clip);
    group.visible = true;
    points.forEach((ball, k) => {
      const now = Math.abs(clip.marks.points[k].frame - frame) / clip.fps <= NOW_S;
      ball.material = now ? this.skins.target : this.skins.later;
      ball.scale.setScalar(now ? 1.4 : 1);
    });
    solids.forEach((solid, k) => {
      const [x, y, z, yaw] = placeAt(clip.marks.solids[k].places, frame);
      solid.position.set(x, y, z);
      solid.rotation.y = yaw;
    });
  }

  _set({ points, lines, solids }) {
    const set = { group: new THREE.Group(), points: [], solids: [] };
    set.points = points.map(({ at: [x, y, z] }) => {
      const shape = y > 0 ? new THREE.SphereGeometry(TARGET_M, 20, 14) : new THREE.CircleGeometry(1.4 * TARGET_M, 32).rotateX(-Math.PI / 2);
      const ball = new THREE.Mesh(shape, this.skins.later);
      ball.position.set(x, Math.max(y, FLOOR_M), z);
      return ball;
    });
    set.solids = solids.map((solid) => new THREE.Mesh(solidGeometry(solid), this.skins.obstacle));
    const ways = lines.filter((line) => line.length > 1).map((line) => new THREE.Mesh(band(line), this.skins.way));
    set.group.add(...ways, ...set.points, ...set.solids);
    for (const mesh of set.group.children) mesh.renderOrder = 3; // after the bodies, which a ghost may veil
    this.object.add(set.group);
    return set;
  }
}

/** Obstacles are shaded, so that their edges show, and seen through; the rest is flat colour, from above and below. */
function skin(kind) {
  const how = { transparent: true, opacity: OPACITY[kind] };
  if (kind === "obstacle") return new THREE.MeshLambertMaterial({ ...how, depthWrite: false });
  return new THREE.MeshBasicMaterial({ ...how, side: THREE.DoubleSide });
}

/** (x, y, z, yaw) at a frame, linear between the places that are given as (frame, x, y, z, yaw). */
export function placeAt(places, frame) {
  const after = places.findIndex(([at]) => at > frame);
  if (after === 0) return places[0].slice(1);
  if (after < 0) return places[places.length - 1].slice(1);
  const [low, high] = [places[after - 1], places[after]];
  const share = (frame - low[0]) / (high[0] - low[0]);
  return low.slice(1).map((value, k) => value + share * (high[k + 1] - value));
}

/** An upright prism about its origin; a ball where the outline is one point. */
function solidGeometry({ outline, low, high }) {
  if (outline.length === 1) {
    const [[x, z]] = outline;
    return new THREE.SphereGeometry((high - low) / 2, 32, 20).translate(x, (low + high) / 2, z);
  }
  const base = new THREE.Shape(outline.map(([x, z]) => new THREE.Vector2(x, -z)));
  return new THREE.ExtrudeGeometry(base, { depth: high - low, bevelEnabled: false }).rotateX(-Math.PI / 2).translate(0, low, 0);
}

/** A way over the floor, (x, z) in metres, as a flat band. */
function band(line) {
  const corners = [];
  const faces = [];
  line.forEach(([x, z], k) => {
    const [before, after] = [line[Math.max(k - 1, 0)], line[Math.min(k + 1, line.length - 1)]];
    const along = [after[0] - before[0], after[1] - before[1]];
    const scale = WAY_M / Math.max(Math.hypot(...along), 1e-9);
    corners.push(x + along[1] * scale, FLOOR_M, z - along[0] * scale, x - along[1] * scale, FLOOR_M, z + along[0] * scale);
    if (k) faces.push(2 * k - 2, 2 * k - 1, 2 * k, 2 * k + 1, 2 * k, 2 * k - 1);
  });
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.Float32BufferAttribute(corners, 3));
  return geometry.setIndex(faces);
}
