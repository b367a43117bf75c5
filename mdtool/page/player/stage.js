// The room: light, floor, bodies, rings under feet, trails and an edit's marks; drawn once per tile of the page.

import * as THREE from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { bodyGeometry, Figure } from "./figure.js";
import { Marks } from "./marks.js";
import { Rig } from "./rig.js";

/** Foot joints in the order of a clip's contact bits: left ankle, left toe, right ankle, right toe. */
const FEET = [7, 10, 8, 11];
/** Joints that leave a trail, and their side: head, wrists, ankles. */
const TRAILED = [15, 20, 21, 7, 8];
const SIDES = ["middle", "left", "right", "left", "right"];
const TRAIL_S = 1.5;
const MOST_BEADS = 96;
const HOME = new THREE.Vector3(2.05, 1.13, 4.42);
const LOOK_AT = new THREE.Vector3(0, 0.96, 0);
const LIGHT_FROM = new THREE.Vector3(-1.6, 4.2, 2.4);

/** Draws any number of tiles on one canvas with one mesh per body shape, one floor and one shared camera. */
export class Stage {
  constructor(canvas, surface, body, onChange) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.renderer.setScissorTest(true);
    this.renderer.setClearColor(0, 0);
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = THREE.PCFShadowMap;
    this.scene = new THREE.Scene();
    this._light();
    this.bodies = body.shapes.map((shape) => {
      const geometry = bodyGeometry(body, shape);
      const figure = new Figure(geometry, new Rig(body, shape));
      return { figure, ghost: new Figure(geometry, new Rig(body, shape), { ghost: true }), ruler: new Rig(body, shape) };
    });
    this.figure = this.bodies[0].figure;
    this.floor = floor();
    this.shadow = new THREE.Mesh(flat(12), new THREE.ShadowMaterial({ transparent: true }));
    this.shadow.receiveShadow = true;
    this.shadow.position.y = 0.001;
    this.rings = FEET.map(() => ring());
    this.marks = new Marks();
    this.beads = TRAILED.map(() => beads());
    this.scene.add(this.floor, this.shadow, ...this.rings, ...this.beads, this.marks.object);
    for (const { figure, ghost } of this.bodies) this.scene.add(figure.object, ghost.object);
    this.eye = new THREE.PerspectiveCamera(30, 1, 0.1, 60);
    this.view = new THREE.PerspectiveCamera(30, 1, 0.1, 60);
    this.eye.position.copy(HOME);
    this.orbit = new OrbitControls(this.eye, surface);
    Object.assign(this.orbit, { enablePan: false, minDistance: 1.2, maxDistance: 14, maxPolarAngle: 1.6 });
    this.orbit.target.copy(LOOK_AT);
    this.orbit.addEventListener("change", onChange);
    this.orbit.update();
  }

  _light() {
    this.sky = new THREE.HemisphereLight(0xffffff, 0xb9b4ab);
    this.sun = new THREE.DirectionalLight(0xfff4e6);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.bias = -0.0006;
    this.sun.shadow.normalBias = 0.012;
    this.sun.shadow.radius = 5;
    Object.assign(this.sun.shadow.camera, { left: -1.5, right: 1.5, top: 1.6, bottom: -1.6, near: 0.5, far: 9 });
    this.scene.add(this.sky, this.sun, this.sun.target);
  }

  /** Colours of the room (the player's PAINTS) as CSS colours, and whether it is dark. */
  paint(colours, dark) {
    this.floor.material.uniforms.tone.value.set(colours.floor);
    this.floor.material.uniforms.line.value.set(colours.line);
    this.shadow.material.color.set(colours.shadow);
    this.shadow.material.opacity = dark ? 0.5 : 0.24;
    this.sky.intensity = dark ? 1.15 : 1.75;
    this.sun.intensity = dark ? 2.0 : 2.2;
    this.rings.forEach((shape, k) => shape.material.color.set(k < 2 ? colours.left : colours.right));
    this.marks.paint(colours);
    this.beads.forEach((shape, k) => shape.material.color.set(colours[SIDES[k]]));
  }

  /** Fit the canvas to its place on the page. */
  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setSize(clientWidth, clientHeight, false);
  }

  /** Back to the first view. */
  home() {
    this.eye.position.copy(HOME);
    this.orbit.target.copy(LOOK_AT);
    this.orbit.update();
  }

  /** Turn the camera by angles in radians and come closer by a factor. */
  turn(azimuth, polar, closer = 1) {
    const arm = this.eye.position.clone().sub(this.orbit.target);
    const round = new THREE.Spherical().setFromVector3(arm);
    round.theta += azimuth;
    round.phi = Math.min(Math.max(round.phi + polar, 0.1), this.orbit.maxPolarAngle);
    round.radius = Math.min(Math.max(round.radius / closer, this.orbit.minDistance), this.orbit.maxDistance);
    this.eye.position.copy(this.orbit.target).add(new THREE.Vector3().setFromSpherical(round));
    this.orbit.update();
  }

  /** Wipe the canvas before the tiles of a picture. */
  clear() {
    const { clientWidth, clientHeight } = this.canvas;
    this.renderer.setViewport(0, 0, clientWidth, clientHeight);
    this.renderer.setScissor(0, 0, clientWidth, clientHeight);
    this.renderer.clear();
  }

  /**
   * Draw one tile.
   * tile: {left, top, width, height} in pixels of the canvas, clip, colour, and ghost: {clip, colour} or null.
   * options: {time_s, follow, contacts, trails, targets}.
   */
  draw(tile, { time_s, follow, contacts, trails, targets }) {
    const { clip, ghost } = tile;
    const frame = clip.frameAt(time_s);
    for (const each of this.bodies) each.figure.object.visible = each.ghost.object.visible = false;
    this.figure = this.bodies[clip.shape].figure;
    this._show(this.figure, clip, frame, tile.colour);
    if (ghost) this._show(this.bodies[ghost.clip.shape].ghost, ghost.clip, ghost.clip.frameAt(time_s), ghost.colour);
    const near = Math.round(frame);
    this._ring(contacts ? clip.contacts[near] : 0);
    this.marks.show(targets ? clip : null, frame);
    this._trail(trails ? clip : null, near);
    this._aim(tile, clip, near, follow);
    const bottom = this.canvas.clientHeight - tile.top - tile.height;
    this.renderer.setViewport(tile.left, bottom, tile.width, tile.height);
    this.renderer.setScissor(tile.left, bottom, tile.width, tile.height);
    this.renderer.render(this.scene, this.view);
  }

  _show(figure, clip, frame, colour) {
    figure.object.visible = true;
    figure.pose(clip, frame);
    figure.material.color.set(colour);
  }

  _aim(tile, clip, frame, follow) {
    const { extent } = clip;
    const x = follow ? clip.followed[frame * 2] : extent.x;
    const z = follow ? clip.followed[frame * 2 + 1] : extent.z;
    const body = this.figure.rig.position;
    const aspect = tile.width / tile.height;
    // A narrow tile, or a whole path, is seen from farther away.
    const farther = Math.max(1, 0.74 / aspect) * (follow ? 1 : 1 + extent.reach / 1.6);
    const { eye, orbit, view, sun } = this;
    view.position.copy(eye.position).sub(orbit.target).multiplyScalar(farther).add(orbit.target);
    view.quaternion.copy(eye.quaternion);
    view.position.x += x;
    view.position.z += z;
    view.aspect = aspect;
    view.updateProjectionMatrix();
    this.floor.position.set(x, 0, z);
    this.floor.material.uniforms.centre.value.set(x, z);
    this.shadow.position.set(body[0], 0.001, body[2]);
    sun.target.position.set(body[0], 0.8, body[2]);
    sun.position.copy(LIGHT_FROM).add(sun.target.position);
  }

  _ring(bits) {
    const { position } = this.figure.rig;
    this.rings.forEach((shape, k) => {
      shape.visible = Boolean(bits & (1 << k));
      shape.position.set(position[FEET[k] * 3], 0.003 + 0.0004 * k, position[FEET[k] * 3 + 2]);
    });
  }

  _trail(clip, frame) {
    this.beads.forEach((shape) => (shape.visible = Boolean(clip)));
    if (!clip) return;
    clip.trails ??= this.bodies[clip.shape].ruler.paths(clip, TRAILED);
    const back = Math.min(Math.round(TRAIL_S * clip.fps), frame);
    const stride = Math.max(1, Math.ceil(back / MOST_BEADS));
    const place = new THREE.Matrix4();
    this.beads.forEach((shape, k) => {
      let count = 0;
      for (let ago = 0; ago <= back && count < MOST_BEADS; ago += stride) {
        const at = ((frame - ago) * TRAILED.length + k) * 3;
        const size = 0.35 + 0.65 * (1 - ago / (TRAIL_S * clip.fps));
        place.makeScale(size, size, size).setPosition(clip.trails[at], clip.trails[at + 1], clip.trails[at + 2]);
        shape.setMatrixAt(count++, place);
      }
      shape.count = count;
      shape.instanceMatrix.needsUpdate = true;
    });
  }
}

function flat(side) {
  return new THREE.PlaneGeometry(side, side).rotateX(-Math.PI / 2);
}

/** A ring on the floor under a foot that carries the body. */
function ring() {
  const skin = new THREE.MeshBasicMaterial({ transparent: true, opacity: 0.78, depthWrite: false });
  return new THREE.Mesh(new THREE.RingGeometry(0.072, 0.094, 48).rotateX(-Math.PI / 2), skin);
}

/** Beads along the path of one joint; their spacing shows its speed. */
function beads() {
  const shape = new THREE.InstancedMesh(new THREE.SphereGeometry(0.013, 10, 8), new THREE.MeshBasicMaterial(), MOST_BEADS);
  shape.frustumCulled = false;
  return shape;
}

/** Tiles of half a metre that fade away from the body into the page behind. */
function floor() {
  const skin = new THREE.ShaderMaterial({
    transparent: true,
    depthWrite: false,
    uniforms: {
      tone: { value: new THREE.Color() },
      line: { value: new THREE.Color() },
      centre: { value: new THREE.Vector2() },
    },
    vertexShader: `varying vec2 place;
      void main() {
        vec4 world = modelMatrix * vec4(position, 1.0);
        place = world.xz;
        gl_Position = projectionMatrix * viewMatrix * world;
      }`,
    fragmentShader: `varying vec2 place;
      uniform vec3 tone;
      uniform vec3 line;
      uniform vec2 centre;
      void main() {
        vec2 cell = place * 2.0;
        vec2 step_ = max(fwidth(cell), vec2(1e-5));
        vec2 gap = abs(fract(cell - 0.5) - 0.5) / step_;
        float near = clamp(1.0 - max(step_.x, step_.y) * 3.0, 0.0, 1.0);
        float drawn = (1.0 - min(min(gap.x, gap.y), 1.0)) * near;
        float fade = 1.0 - smoothstep(1.2, 5.2, length(place - centre));
        gl_FragColor = vec4(mix(tone, line, drawn), fade);
        #include <colorspace_fragment>
      }`,
  });
  const mesh = new THREE.Mesh(flat(12), skin);
  mesh.renderOrder = -1;
  return mesh;
}
