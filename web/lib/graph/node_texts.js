/**
 * What a node says, and which one it was.
 *
 * @typedef {import('./node_ids.js').Graph & {id?: string}} Graph
 */
// As node_texts.css has them; PADDING and SIDES hold a classic node's own margins too.
const LINE = 17
const CHARACTER = 7.25
const PADDING = 34
const SIDES = 54
const MOST_LINES = 24

/**
 * The text of a node's output, "" for none.
 *
 * @param {{text?: string | string[]} | null | undefined} output
 * @returns {string}
 */
export function saidIn(output) {
  return [output?.text ?? []].flat().join('\n\n')
}

/**
 * Pixels for a text on a node: all its lines, wrapped, up to what leaves a graph around the node; the
 * rest scrolls.
 *
 * @param {string} text
 * @param {number} width of the node, in pixels
 * @returns {number}
 */
export function saidHeight(text, width) {
  if (text === '') return 0
  const fit = Math.max(1, Math.floor((width - SIDES) / CHARACTER))
  const lines = text.split('\n').map((line) => Math.max(1, Math.ceil(line.length / fit)))
  const needed = lines.reduce((sum, count) => sum + count, 0)
  return PADDING + LINE * Math.min(MOST_LINES, needed)
}

/**
 * How the page keeps a node's output: by its subgraph, of which there may be several nodes.
 *
 * @param {Graph} root
 * @param {Graph} graph
 * @param {string | number} id
 * @returns {string}
 */
export const locatorId = (root, graph, id) => (graph === root ? String(id) : `${graph.id}:${id}`)
