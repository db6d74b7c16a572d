/** What a screen reader says of a change: states, tenths of the way, samples, saved adapters. */
import { stateKey } from '../runs/run_state.js'
import { whole } from '../text/format.js'

/**
 * What to announce between two states of a panel; empty if there is none worth a sentence.
 *
 * @param {import('../text/texts.js').Translate} translate
 * @param {string} locale
 * @param {import('../runs/run_state.js').Run | null} before
 * @param {import('../runs/run_state.js').Run | null} now
 * @returns {string}
 */
export function announcement(translate, locale, before, now) {
  if (now === null || before === null || before.id !== now.id) return ''
  if (now.saved_as.length > before.saved_as.length) {
    return translate('panel.savedAs', { names: now.saved_as.join(', ') })
  }
  if (stateKey(now) !== stateKey(before)) return translate(`state.${stateKey(now)}`)
  const latest = now.samples[now.samples.length - 1]
  if (now.samples.length > before.samples.length) {
    return translate('panel.sampleAt', { step: whole(latest.step, locale) })
  }
  const tenth = (/** @type {{step: number, total: number}} */ run) =>
    run.total ? Math.floor((10 * run.step) / run.total) : 0
  if (tenth(now) > tenth(before)) {
    const [step, total] = [whole(now.step, locale), whole(now.total, locale)]
    return translate('panel.progressSaid', { step, total })
  }
  return ''
}
