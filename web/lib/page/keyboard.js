/** What a key does to a position in a row of things: chart cursor, samples, list of runs. */

/**
 * The new index, or null if the key means nothing here. Page keys jump a tenth.
 *
 * @param {string} key as in KeyboardEvent.key
 * @param {number} index
 * @param {number} length
 * @returns {number | null}
 */
export function movedIndex(key, index, length) {
  if (length === 0) return null
  const page = Math.max(1, Math.round(length / 10))
  /** @type {Record<string, number>} */
  const targets = {
    ArrowLeft: index - 1,
    ArrowDown: index - 1,
    ArrowRight: index + 1,
    ArrowUp: index + 1,
    PageDown: index - page,
    PageUp: index + page,
    Home: 0,
    End: length - 1
  }
  if (!Object.hasOwn(targets, key)) return null
  return Math.min(length - 1, Math.max(0, targets[key]))
}

/**
 * Whether a key pressed in the panel must not reach the graph, where Delete would remove the node
 * and Ctrl+C copy it. Shortcuts of the page with Ctrl or Meta other than editing ones pass.
 *
 * @param {{key: string, ctrlKey: boolean, metaKey: boolean}} event
 */
export function staysInPanel(event) {
  if (!event.ctrlKey && !event.metaKey) return true
  return ['a', 'c', 'v', 'x'].includes(event.key.toLowerCase())
}

/** @param {KeyboardEvent} event */
export function keptInPanel(event) {
  if (staysInPanel(event)) event.stopPropagation()
}
