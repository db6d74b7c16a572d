/** The figures under the chart, as names and values. */
import { bytes, figure, NONE, whole } from '../text/format.js'
import { termName } from '../text/texts.js'

/**
 * @param {import('../text/texts.js').Translate} translate
 * @param {string} locale
 * @param {import('../runs/run_state.js').Run} run
 * @returns {[string, string][]}
 */
export function statRows(translate, locale, run) {
  /** @type {[string, string][]} */
  const losses = Object.entries(run.losses ?? {}).map(([name, value]) => [
    termName(translate, name),
    figure(value)
  ])
  return [
    ...losses,
    [translate('stats.learningRate'), figure(run.learning_rate)],
    [translate('stats.gradNorm'), figure(run.grad_norm)],
    [translate('stats.skipped'), whole(run.skipped, locale)],
    [translate('stats.memory'), memory(run)]
  ]
}

/**
 * Now, peak and total: "3.1 / 3.4 / 12.0 GiB" with each its unit.
 *
 * @param {import('../runs/run_state.js').Run} run
 */
export function memory(run) {
  const parts = [run.memory, run.memory_peak, run.memory_total].map(bytes)
  return parts.every((part) => part === NONE) ? NONE : parts.join(' / ')
}
