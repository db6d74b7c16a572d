/**
 * How long a run has taken and has yet to take.
 *
 * What is left goes by the wall time of a step, in which samples and checkpoints count, too; the
 * seconds of the steps alone leave them out. The wall time runs from the first step of this part
 * that the page has seen done, as the preparation and the first step take longer than what follows.
 * A page that is opened later takes the part's beginning from the server. Both use the server's
 * clock only, which may be set otherwise than the page's.
 *
 * @typedef {import('./run_state.js').Run} Run
 * @typedef {{part: number, step: number, elapsed: number}} Reached the elapsed seconds of a step
 */
import { isActive } from './run_state.js'

/** The server's own seconds a step count as this many steps, so that the first few, of which one
 * may have a sample behind it, do not make the time that is left jump. */
const SERVERS = 10

/**
 * The run with the second, on the page's clock, at which this was told, where its pace began, and
 * when its last step was done.
 *
 * @param {Run | null} before what was known of it
 * @param {Run} run
 * @param {number} now
 * @returns {Run}
 */
export function timed(before, run, now) {
  const { part, step, elapsed } = run
  const known = before?.start?.part === part && before.start.step <= step
  const same = before?.state === run.state && before.part === part && before.step === step
  const last = (same && before.last) || { part, step, elapsed: elapsed ?? 0 }
  return { ...run, told: now, start: known ? before.start : startOf(run), last }
}

/**
 * @param {Run} run
 * @returns {Reached | null}
 */
function startOf(run) {
  const { part, step, elapsed, trained_from: from } = run
  const isSteady = run.state === 'running' && run.doing !== 'first' && step > 0
  if (!isSteady || elapsed === null) return null
  const isKnown = from && step - from.step > SERVERS
  return isKnown ? { part, ...from } : { part, step, elapsed }
}

/**
 * Seconds at `now` that it took and that are left; null where nothing can be said. Both go on
 * between two messages.
 *
 * @param {Run} run
 * @param {number} now on the page's clock
 * @returns {{elapsed: number | null, left: number | null}}
 */
export function timesOf(run, now) {
  const since = isActive(run) ? now - run.told : 0
  const elapsed = run.elapsed === null ? null : run.elapsed + since
  const left = secondsLeft(run)
  const sinceStep = elapsed === null ? 0 : elapsed - run.last.elapsed
  return { elapsed, left: left === null ? null : Math.max(0, left - sinceStep) }
}

/**
 * At the end of the last step.
 *
 * @param {Run} run
 */
function secondsLeft({ state, step, total, start, last, seconds_per_step: own }) {
  if (state !== 'running' || own == null) return null
  const done = start ? last.step - start.step : 0
  const spent = start ? last.elapsed - start.elapsed : 0
  return (Math.max(0, total - step) * (spent + SERVERS * own)) / (done + SERVERS)
}
