/**
 * Points of a curve: joining neighbours, smoothing, looking one up.
 *
 * A point is [step, value] or a bucket of neighbours [last step, mean, lowest, highest, count], as
 * the server sends them.
 *
 * @typedef {number[]} Point
 */

/** Above this many points a curve is joined down to MOST / 2, what the server sends at most. */
export const MOST = 2400

/** @param {Point} point */
export const countOf = (point) => point[4] ?? 1

/** @param {Point} point */
export const lowOf = (point) => point[2] ?? point[1]

/** @param {Point} point */
export const highOf = (point) => point[3] ?? point[1]

/**
 * One bucket that stands for all of `points`: means weigh by their counts.
 *
 * @param {Point[]} points one at least
 * @returns {Point}
 */
export function joined(points) {
  if (points.length === 1) return points[0]
  let count = 0
  let sum = 0
  let low = Infinity
  let high = -Infinity
  for (const point of points) {
    count += countOf(point)
    sum += point[1] * countOf(point)
    low = Math.min(low, lowOf(point))
    high = Math.max(high, highOf(point))
  }
  return [points[points.length - 1][0], sum / count, low, high, count]
}

/**
 * The points, or, if they are more than `most`, half of `most` buckets of equal ranges of steps.
 *
 * @param {Point[]} points steps rising
 * @param {number} [most]
 * @returns {Point[]}
 */
export function bounded(points, most = MOST) {
  if (points.length <= most) return points
  const first = points[0][0]
  const width = (points[points.length - 1][0] - first + 1) / (most / 2)
  /** @type {Point[][]} */
  const groups = []
  let last = -1
  for (const point of points) {
    const group = Math.floor((point[0] - first) / width)
    if (group === last) groups[groups.length - 1].push(point)
    else groups.push([point])
    last = group
  }
  return groups.map(joined)
}

/**
 * `points` with those of `more` that come after them.
 *
 * @param {Point[]} points
 * @param {Point[]} more
 * @returns {Point[]}
 */
export function appended(points, more) {
  const last = points.length ? points[points.length - 1][0] : -Infinity
  const later = more.filter((point) => point[0] > last)
  return later.length ? bounded([...points, ...later]) : points
}

/**
 * The exponential moving average at every point. It begins with the first value (no pull towards
 * zero), and a bucket counts as often as it has values.
 *
 * m_n = d m_(n-1) + v_n and w_n = d w_(n-1) + 1; the average is m_n / w_n. k equal values v at once
 * are m = d^k m + v (1 - d^k) / (1 - d), and w likewise.
 *
 * @param {Point[]} points
 * @param {number} decay 0 (no smoothing) to below 1
 * @returns {number[]}
 */
export function smoothed(points, decay) {
  let sum = 0
  let weight = 0
  return points.map((point) => {
    const kept = decay ** countOf(point)
    const gain = (1 - kept) / (1 - decay)
    sum = kept * sum + gain * point[1]
    weight = kept * weight + gain
    return sum / weight
  })
}

/**
 * Index of the point whose step is nearest; -1 without points.
 *
 * @param {Point[]} points
 * @param {number} step
 */
export function nearest(points, step) {
  let low = 0
  let high = points.length - 1
  if (high < 0) return -1
  while (low < high) {
    const middle = (low + high) >> 1
    if (points[middle][0] < step) low = middle + 1
    else high = middle
  }
  const before = low - 1
  return before >= 0 && step - points[before][0] <= points[low][0] - step ? before : low
}

/**
 * Index of the point that speaks for a step: its own, or the bucket that it was joined into; -1 if
 * the curve has no value there.
 *
 * @param {Point[]} points
 * @param {number} step
 */
export function covering(points, step) {
  const index = points.findIndex((point) => point[0] >= step)
  const point = points[index]
  if (!point || point[0] === step) return index
  const first = index ? points[index - 1][0] + 1 : point[0] - countOf(point) + 1
  return countOf(point) > 1 && step >= first ? index : -1
}

/**
 * The last step of all curves, 0 without points.
 *
 * @param {Record<string, Point[]>} curves
 */
export function newestStep(curves) {
  return Math.max(0, ...Object.values(curves).map((points) => points[points.length - 1]?.[0] ?? 0))
}
