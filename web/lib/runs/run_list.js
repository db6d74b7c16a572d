/**
 * A list of runs as people look through it: names that tell them apart, and which are shown.
 *
 * @typedef {import('./run_state.js').Summary} Summary
 * @typedef {'all' | 'active' | 'unfinished' | 'finished'} Show
 */
import { isActive, stateKey } from './run_state.js'

/** @type {Show[]} */
export const SHOWS = ['all', 'active', 'unfinished', 'finished']

/**
 * A name for each run, by id: its title; with when it began where several have that, and with its
 * id where they began together.
 *
 * @param {Summary[]} runs
 * @param {(seconds: number) => string} moment
 * @returns {Map<string, string>}
 */
export function runNames(runs, moment) {
  let names = new Map(runs.map((run) => [run.id, run.title || run.id]))
  const more = [(/** @type {Summary} */ run) => moment(run.began), (/** @type {Summary} */ run) => run.id]
  for (const part of more) {
    const shared = sharedNames(names)
    const named = (/** @type {Summary} */ run) => {
      const name = names.get(run.id) ?? ''
      return shared.has(name) ? `${name} · ${part(run)}` : name
    }
    names = new Map(runs.map((run) => [run.id, named(run)]))
  }
  return names
}

/** @param {Map<string, string>} names */
function sharedNames(names) {
  const seen = new Set()
  return new Set([...names.values()].filter((name) => seen.has(name) || !seen.add(name)))
}

/**
 * @param {Summary} run
 * @param {string} text words that its name, id or files must have, each somewhere
 * @param {Show} show
 */
export function isListed(run, text, show) {
  const told = [run.title, run.id, ...run.saved_as].join(' ').toLowerCase()
  const words = text.toLowerCase().split(/\s+/)
  return words.every((word) => told.includes(word)) && isShown(run, show)
}

/**
 * @param {Summary} run
 * @param {Show} show
 */
function isShown(run, show) {
  if (show === 'all') return true
  if (isActive(run)) return show === 'active'
  return show === (stateKey(run) === 'finished' || stateKey(run) === 'stopped' ? 'finished' : 'unfinished')
}
