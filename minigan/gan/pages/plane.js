// The plane of a toy game: what D says of every place, real and created points, and where these are pushed.

const PLANE_SIDE = 460; // pixels

/** Orange where D says created, blue where it says real, paper where it cannot tell. */
function beliefColour(p) {
  const paper = dark.matches ? [24, 28, 32] : [250, 250, 247];
  const full = p > 0.5 ? [70, 130, 200] : [214, 130, 50];
  const share = Math.min(1, Math.abs(p - 0.5) * 2) * 0.75;
  return paper.map((c, i) => Math.round(c + share * (full[i] - c)));
}

class Plane {
  constructor(canvas, extent) {
    this.canvas = canvas;
    this.extent = extent;
    canvas.width = canvas.height = 2 * PLANE_SIDE; // for screens with two pixels in one
    this.surface = document.createElement("canvas");
  }

  /** Pixel coordinates of a point. */
  at(x, y) {
    const size = this.canvas.width;
    return [((x + this.extent) / (2 * this.extent)) * size, ((this.extent - y) / (2 * this.extent)) * size];
  }

  /** The point under a mouse or finger. */
  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 2 - 1;
    const y = 1 - ((event.clientY - box.top) / box.height) * 2;
    return [x * this.extent, y * this.extent];
  }

  /**
   * surface  side * side probabilities, from below; points and real: x, y, x, y ...; pushes: of the first
   *          points; trail: places one after the other; field: { points, pushes }. `show` says which of
   *          these are drawn.
   */
  draw({ surface, side, points, pushes, real, trail, field }, show) {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (show.surface && surface) this.drawSurface(context, surface, side);
    if (show.field && field) this.drawPushes(context, field.points, field.pushes, 0.1, dark.matches ? "#5b646b" : "#b3b8b2");
    if (show.trail && trail) this.drawTrail(context, trail, dark.matches ? "#f0b869cc" : "#b45309cc");
    const large = trail ? 3 : 1; // a point alone has to be seen
    if (real) this.drawPoints(context, real, dark.matches ? "#7bd09a99" : "#1d7a3e88", 5 * large);
    if (points) this.drawPoints(context, points, dark.matches ? "#f0b869cc" : "#b45309cc", 6 * large);
    if ((show.pushes || trail) && pushes && points) this.drawPushes(context, points, pushes);
  }

  drawSurface(context, surface, side) {
    this.surface.width = this.surface.height = side;
    const inner = this.surface.getContext("2d");
    const pixels = inner.createImageData(side, side);
    for (let i = 0; i < side * side; i++) {
      const row = side - 1 - Math.floor(i / side);
      pixels.data.set([...beliefColour(surface[i]), 255], 4 * (row * side + (i % side)));
    }
    inner.putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.surface, 0, 0, this.canvas.width, this.canvas.height);
  }

  drawPoints(context, points, colour, size) {
    context.fillStyle = colour;
    for (let i = 0; i + 1 < points.length; i += 2) {
      const [x, y] = this.at(points[i], points[i + 1]);
      context.fillRect(x - size / 2, y - size / 2, size, size);
    }
  }

  drawTrail(context, places, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 2.5;
    context.beginPath();
    for (let i = 0; i + 1 < places.length; i += 2) context.lineTo(...this.at(places[i], places[i + 1]));
    context.stroke();
  }

  /** Arrows, the longest of which is such a share of half the plane. */
  drawPushes(context, points, pushes, share = 0.2, colour = dark.matches ? "#e7e8e6" : "#1c1f22") {
    let longest = 0;
    for (let i = 0; i + 1 < pushes.length; i += 2) longest = Math.max(longest, Math.hypot(pushes[i], pushes[i + 1]));
    if (!longest) return;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    for (let i = 0; i + 1 < pushes.length; i += 2) {
      const scale = (share * this.extent) / longest;
      const [x0, y0] = this.at(points[i], points[i + 1]);
      const [x1, y1] = this.at(points[i] + scale * pushes[i], points[i + 1] + scale * pushes[i + 1]);
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      const angle = Math.atan2(y1 - y0, x1 - x0);
      for (const turn of [2.6, -2.6]) {
        context.moveTo(x1, y1);
        context.lineTo(x1 + 7 * Math.cos(angle + turn), y1 + 7 * Math.sin(angle + turn));
      }
    }
    context.stroke();
  }
}
