/**
 * From steps and losses to places on the chart: domains, scales, ticks, path data.
 *
 * @typedef {import('../runs/points.js').Point} Point
 * @typedef {{domain: [number, number], range: [number, number], log: boolean}} Scale
 */
import { highOf, lowOf } from '../runs/points.js'

/**
 * Where a value lies, in pixels. On a log scale what is not positive lies at the end of the range.
 *
 * @param {Scale} scale
 * @param {number} value
 */
export function place(scale, value) {
  const [from, to] = scale.range
  return from + share(scale, value) * (to - from)
}

/**
 * The value at a place; the inverse of `place`.
 *
 * @param {Scale} scale
 * @param {number} pixel
 */
export function valueAt(scale, pixel) {
  const part = (pixel - scale.range[0]) / (scale.range[1] - scale.range[0])
  const [low, high] = scale.domain
  return scale.log ? low * (high / low) ** part : low + part * (high - low)
}

/**
 * @param {Scale} scale
 * @param {number} value
 */
function share({ domain: [low, high], log }, value) {
  if (!log) return (value - low) / (high - low)
  return value > 0 ? Math.log(value / low) / Math.log(high / low) : 0
}

/**
 * The steps that the chart shows: all of the run if the axis is fixed, else those that are done.
 *
 * @param {Point[][]} curves
 * @param {number} total
 * @param {boolean} fixed
 * @returns {[number, number]}
 */
export function stepDomain(curves, total, fixed) {
  const steps = curves.filter((points) => points.length)
  const last = Math.max(1, ...steps.map((points) => points[points.length - 1][0]))
  if (fixed) return [0, Math.max(total, last)]
  const first = Math.min(...steps.map((points) => points[0][0]), last)
  return first < last ? [first, last] : [first - 1, last]
}

/**
 * The losses that the chart shows. Fixed: from 0 (log: from the lowest) to the highest seen. Else
 * what the middle 98 % of the points need, so that one spike does not flatten the rest.
 *
 * @param {Point[][]} curves
 * @param {boolean} fixed
 * @param {boolean} log
 * @returns {[number, number]}
 */
export function lossDomain(curves, fixed, log) {
  const points = curves.flat()
  const lows = points.map(lowOf).filter((value) => !log || value > 0)
  const highs = points.map(highOf).filter((value) => !log || value > 0)
  if (!lows.length) return log ? [0.1, 1] : [0, 1]
  const low = fixed ? (log ? smallest(lows) : Math.min(0, smallest(lows))) : quantile(lows, 0.01)
  const high = fixed ? largest(highs) : quantile(highs, 0.99)
  return padded(low, high, fixed, log)
}

/**
 * @param {number} low
 * @param {number} high
 * @param {boolean} fixed
 * @param {boolean} log
 * @returns {[number, number]}
 */
function padded(low, high, fixed, log) {
  if (log) return high > low ? [low / 1.1, high * 1.1] : [low / 2, low * 2]
  if (high <= low) return [low - 0.5 * (Math.abs(low) || 1), low + 0.5 * (Math.abs(low) || 1)]
  const room = 0.05 * (high - low)
  return [fixed ? low : low - room, high + room]
}

/** @param {number[]} values */
const smallest = (values) => values.reduce((a, b) => Math.min(a, b))

/** @param {number[]} values */
const largest = (values) => values.reduce((a, b) => Math.max(a, b))

/**
 * @param {number[]} values
 * @param {number} part
 */
function quantile(values, part) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.round(part * (sorted.length - 1))]
}

/**
 * Round values to label, at most about `wanted`: 1, 2 or 5 times a power of ten apart; on a log
 * scale powers of ten, and their 2 and 5 fold where there are few.
 *
 * @param {Scale} scale
 * @param {number} wanted
 * @returns {number[]}
 */
export function ticks(scale, wanted) {
  const [low, high] = scale.domain
  if (scale.log) return logTicks(low, high, wanted)
  const gap = niceGap((high - low) / wanted)
  const first = Math.ceil(low / gap - 1e-9)
  const last = Math.floor(high / gap + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => clean((first + i) * gap))
}

/**
 * As `ticks`, whole numbers only.
 *
 * @param {Scale} scale
 * @param {number} wanted
 */
export const stepTicks = (scale, wanted) => ticks(scale, wanted).filter(Number.isInteger)

/** @param {number} gap */
function niceGap(gap) {
  const power = 10 ** Math.floor(Math.log10(gap))
  return power * ([1, 2, 5].find((factor) => factor * power >= gap * (1 - 1e-9)) ?? 10)
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} wanted
 */
function logTicks(low, high, wanted) {
  const from = Math.floor(Math.log10(low))
  const to = Math.ceil(Math.log10(high))
  for (const factors of [[1, 2, 5], [1, 5], [1]]) {
    const all = []
    for (let power = from; power <= to; power += 1) {
      for (const factor of factors) all.push(clean(factor * 10 ** power))
    }
    const inside = all.filter((value) => value >= low && value <= high)
    if (inside.length <= wanted || factors.length === 1) return inside
  }
  return []
}

/** @param {number} value */
const clean = (value) => Number(value.toPrecision(12))

/**
 * Path data of a line through values at points.
 *
 * @param {Point[]} points
 * @param {ArrayLike<number>} values one for each point
 * @param {Scale} x
 * @param {Scale} y
 */
export function linePath(points, values, x, y) {
  let path = ''
  for (let i = 0; i < points.length; i += 1) {
    path += `${i ? 'L' : 'M'}${spot(place(x, points[i][0]))} ${spot(place(y, values[i]))}`
  }
  return path
}

/**
 * Path data of what the raw points cover: a line that goes through the lowest and the highest of
 * every bucket.
 *
 * @param {Point[]} points
 * @param {Scale} x
 * @param {Scale} y
 */
export function rawPath(points, x, y) {
  let path = ''
  for (const point of points) {
    const left = spot(place(x, point[0]))
    path += `${path ? 'L' : 'M'}${left} ${spot(place(y, lowOf(point)))}`
    if (point.length > 2) path += `L${left} ${spot(place(y, highOf(point)))}`
  }
  return path
}

/**
 * Path data of upright marks at steps, one a pixel at most.
 *
 * @param {number[]} steps rising
 * @param {Scale} x
 * @param {number} from
 * @param {number} to
 */
export function marksPath(steps, x, from, to) {
  const pixels = new Set(steps.map((step) => Math.round(place(x, step))))
  return [...pixels].map((pixel) => `M${pixel} ${spot(from)}V${spot(to)}`).join('')
}

/** @param {number} pixel */
const spot = (pixel) => Math.round(pixel * 10) / 10
