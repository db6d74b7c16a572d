/**
 * What a page knows of a run, and how the server's answers and messages change it. Every function
 * returns a new state and leaves the old one as it is.
 *
 * @typedef {import('./points.js').Point} Point
 * @typedef {{step: number, prompt: number, file: string}} Sample prompt: which of the run's, from 1
 * @typedef {{
 *   id: string, state: string, isGone?: boolean, prompt_id?: string, doing?: string, step: number, total: number, part: number,
 *   node_id: string, workflow_id: string, nodes?: [string, string][], title: string, began: number,
 *   latest: number, trained_from?: {step: number, elapsed: number} | null,
 *   elapsed: number | null, asked: string[],
 *   saved_as: string[], message: string, size?: number, memory_total: number, memory?: number,
 *   memory_peak?: number, losses?: Record<string, number>, learning_rate?: number | null,
 *   grad_norm?: number | null, skipped?: number, seconds_per_step?: number | null
 * }} Summary isGone: its folder was deleted, and the page alone still has it
 * @typedef {Summary & {
 *   curves: Record<string, Point[]>, samples: Sample[], checkpoints: number[], resumes: number[],
 *   settings: object, reference: string | null, has_prompt: boolean, can_resume: boolean,
 *   since: number, told?: number, start?: import('./run_times.js').Reached | null,
 *   last?: import('./run_times.js').Reached
 * }} Run told, start, last: see run_times.js
 * @typedef {Partial<Summary> & {
 *   id: string, state: string, since?: number, points?: Record<string, Point[]>,
 *   counts?: {samples: number, checkpoints: number, resumes: number}
 * }} Message
 */
import { appended, newestStep } from './points.js'

export const ACTIVE = ['preparing', 'running', 'saving']
/** States in which a run takes commands. */
export const ASKABLE = ['preparing', 'running']

/** @param {{state: string}} run */
export const isActive = (run) => ACTIVE.includes(run.state)

/**
 * The state after an answer to "this run since step S". An answer from step 0 replaces everything;
 * so does one of another part of the run, which has done some steps again.
 *
 * @param {Run | null} run
 * @param {Run} answer
 * @returns {Run}
 */
export function withAnswer(run, answer) {
  if (run === null || answer.since === 0 || answer.part !== run.part) return answer
  return { ...answer, curves: extended(run.curves, answer.curves) }
}

/**
 * The state after a message, and what the page has to ask for: nothing, "since" its last step, or
 * "all" (another part of the run began, or the run was begun anew).
 *
 * @param {Run} run
 * @param {Message} message
 * @returns {{run: Run, missing: '' | 'since' | 'all'}}
 */
export function withMessage(run, message) {
  const { points, since, counts, ...figures } = message
  const begunAnew = message.part !== undefined && message.part !== run.part
  if (begunAnew || (message.step ?? run.step) < run.step) return { run, missing: 'all' }
  const known = newestStep(run.curves)
  const joins = points !== undefined && since !== undefined && since <= known
  const curves = joins ? extended(run.curves, points) : run.curves
  const next = { ...run, ...figures, curves }
  const lacksPoints = newestStep(curves) < next.step
  const lacksLists = counts !== undefined && !sameCounts(run, counts)
  const ended = isActive(run) && !isActive(next)
  return { run: next, missing: lacksPoints || lacksLists || ended ? 'since' : '' }
}

/**
 * @param {Record<string, Point[]>} curves
 * @param {Record<string, Point[]>} more
 */
function extended(curves, more) {
  const result = { ...curves }
  for (const [name, points] of Object.entries(more)) {
    result[name] = appended(result[name] ?? [], points)
  }
  return result
}

/**
 * @param {Run} run
 * @param {{samples: number, checkpoints: number, resumes: number}} counts
 */
function sameCounts(run, counts) {
  return (
    run.samples.length === counts.samples &&
    run.checkpoints.length === counts.checkpoints &&
    run.resumes.length === counts.resumes
  )
}

/**
 * The state by its key among the texts: a finished run that did not do all its steps was stopped.
 *
 * @param {{state: string, step: number, total: number}} run
 */
export function stateKey(run) {
  return run.state === 'finished' && run.step < run.total ? 'stopped' : run.state
}
