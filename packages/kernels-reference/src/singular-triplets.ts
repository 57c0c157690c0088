export interface SingularTriplet {
  readonly left: Float64Array;
  readonly value: number;
  readonly right: Float64Array;
}

/** Cosine of the angle between two columns that counts as a right angle. */
const RIGHT_ANGLE = 1e-14;
/** Singular values of at most this part of the first are rounding errors of a float32 matrix. */
const NEGLIGIBLE = 2 ** -23;
/** Ten are usual. */
const MOST_SWEEPS = 60;

/**
 * All singular values of a `[rows, columns]` with their vectors, descending, by one-sided Jacobi in float64: columns are turned in pairs until all are
 * at right angles; their lengths are the singular values (Hestenes, SIAM J. Appl. Math. 6, 1958). O(sweeps * rows * columns^2).
 */
export function singularTriplets(a: Float32Array, rows: number, columns: number): SingularTriplet[] {
  const wide = columns > rows;
  const [length, count] = wide ? [columns, rows] : [rows, columns];
  const image = (i: number) => Float64Array.from({ length }, (_, r) => a[wide ? i * columns + r : r * columns + i]);
  const images = Array.from({ length: count }, (_, i) => image(i));
  const turned = Array.from({ length: count }, (_, i) => new Float64Array(count).fill(1, i, i + 1));
  orthogonalise(images, turned);

  const values = images.map((x) => Math.sqrt(dot(x, x)));
  const order = [...values.keys()].sort((i, j) => values[j] - values[i] || i - j);
  return order.map((i) => {
    if (values[i] <= NEGLIGIBLE * values[order[0]])
      return { left: new Float64Array(rows), value: 0, right: new Float64Array(columns) };
    const normalised = images[i].map((x) => x / values[i]);
    const [left, right] = wide ? [turned[i], normalised] : [normalised, turned[i]];
    const sign = largestEntry(left) < 0 ? -1 : 1;
    return { left: left.map((x) => sign * x), value: values[i], right: right.map((x) => sign * x) };
  });
}

function orthogonalise(images: Float64Array[], turned: Float64Array[]): void {
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let done = true;
    for (let i = 0; i < images.length; i++) {
      for (let j = i + 1; j < images.length; j++) {
        const angle = turningAngle(images[i], images[j]);
        if (angle === 0) continue;
        done = false;
        turn(images[i], images[j], angle);
        turn(turned[i], turned[j], angle);
      }
    }
    if (done) return;
  }
}

/** Tangent of the angle that puts x and y at a right angle; 0 if they are. */
function turningAngle(x: Float64Array, y: Float64Array): number {
  const [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)];
  if (Math.abs(xy) <= RIGHT_ANGLE * Math.sqrt(xx * yy)) return 0;
  const slope = (yy - xx) / (2 * xy);
  return (slope < 0 ? -1 : 1) / (Math.abs(slope) + Math.sqrt(1 + slope * slope));
}

function turn(x: Float64Array, y: Float64Array, tangent: number): void {
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = cosine * tangent;
  for (let i = 0; i < x.length; i++) [x[i], y[i]] = [cosine * x[i] - sine * y[i], sine * x[i] + cosine * y[i]];
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function largestEntry(x: Float64Array): number {
  return x.reduce((largest, value) => (Math.abs(value) > Math.abs(largest) ? value : largest), 0);
}
