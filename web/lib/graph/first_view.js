/**
 * How a shipped workflow is shown when it is opened first. ComfyUI fits the whole graph into the
 * window, and at less than half size draws no text.
 *
 * @typedef {import('./apply_nodes.js').Box} Box
 */
/** At this size the notes can be read. */
const LEAST_SCALE = 0.8
const MOST_SCALE = 1
/** Pixels around the graph; the page's own bars lie over the left and the top. */
const LEFT = 90
const TOP = 110
const MARGIN = 40

/**
 * Whether the graph is a shipped workflow that is opened for the first time; it is marked no longer.
 * The mark is in the view that is kept with it, which the page does not take for a change.
 *
 * @param {{extra?: {ds?: {first?: boolean}}} | null | undefined} graph
 */
export function takeMark(graph) {
  const view = graph?.extra?.ds
  if (!view?.first) return false
  delete view.first
  return true
}

/**
 * All of it where that can be read, else its upper left, where it begins.
 *
 * @param {Box[]} nodes
 * @param {{width: number, height: number}} window in pixels
 * @returns {{scale: number, offset: [number, number]}} as the canvas has them
 */
export function firstView(nodes, { width, height }) {
  const left = Math.min(...nodes.map(({ pos }) => pos[0]))
  const top = Math.min(...nodes.map(({ pos }) => pos[1]))
  const wide = Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0])) - left
  const high = Math.max(...nodes.map(({ pos, size }) => pos[1] + size[1])) - top
  const fit = Math.min((width - LEFT - MARGIN) / wide, (height - TOP - MARGIN) / high)
  const scale = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, fit))
  return { scale, offset: [LEFT / scale - left, TOP / scale - top] }
}
