/**
 * What the chart says of one step.
 *
 * @typedef {import('../runs/run_state.js').Run} Run
 * @typedef {import('../text/texts.js').Translate} Translate
 * @typedef {{name: string, value: number, average: number}} Reading
 * @typedef {['checkpoint' | 'resumed', number]} Mark
 */
import { covering, smoothed } from '../runs/points.js'
import { figure } from '../text/format.js'
import { termName } from '../text/texts.js'

/**
 * Value and moving average, at a step, of every curve that has one there.
 *
 * @param {Run | null} run
 * @param {number} step
 * @param {number} decay
 * @returns {Reading[]}
 */
export function readings(run, step, decay) {
  return Object.entries(run?.curves ?? {}).flatMap(([name, points]) => {
    const index = covering(points, step)
    if (index < 0) return []
    const average = smoothed(points.slice(0, index + 1), decay)[index]
    return [{ name, value: points[index][1], average }]
  })
}

/**
 * @param {Translate} translate
 * @param {Reading} reading
 */
export function readingsText(translate, { name, value, average }) {
  const values = { name: termName(translate, name), value: figure(value), average: figure(average) }
  return translate('panel.reading', values)
}

/**
 * Of each kind the mark nearest to a step, if it is within `reach` steps.
 *
 * @param {Run | null} run
 * @param {number} step
 * @param {number} reach
 * @returns {Mark[]}
 */
export function marksNear(run, step, reach) {
  const apart = (/** @type {number} */ mark) => Math.abs(mark - step)
  const nearest = (/** @type {number[]} */ marks) =>
    marks.reduce((best, mark) => (apart(mark) < apart(best) ? mark : best), Infinity)
  /** @type {Mark[]} */
  const marks = [
    ['checkpoint', nearest(run?.checkpoints ?? [])],
    ['resumed', nearest(run?.resumes ?? [])]
  ]
  return marks.filter(([, mark]) => apart(mark) <= reach)
}
