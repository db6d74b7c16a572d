/**
 * What the chart says of one step.
 *
 * @typedef {{name: string, step: number, value: number, average: number}} Reading
 */
import { figure } from './format.js'
import { nearest, smoothed } from './points.js'

/**
 * Every curve's value and moving average nearest to `step`.
 *
 * @param {import('./run_state.js').Run | null} run
 * @param {number} step
 * @param {number} decay
 * @returns {Reading[]}
 */
export function readings(run, step, decay) {
  return Object.entries(run?.curves ?? {}).flatMap(([name, points]) => {
    const index = nearest(points, step)
    if (index < 0) return []
    const average = smoothed(points.slice(0, index + 1), decay)[index]
    return [{ name, step: points[index][0], value: points[index][1], average }]
  })
}

/**
 * @param {import('./texts.js').Translate} translate
 * @param {Reading} reading
 */
export function readingsText(translate, { name, value, average }) {
  return translate('panel.reading', { name, value: figure(value), average: figure(average) })
}
